#!/bin/bash
# What is seen through a mount is what was backed up.
# shellcheck source=tests/fs/support.sh
. "$SOURCE/tests/fs/support.sh"

python3 "$SOURCE/tests/fs/tree.py" "$TREE" || fail "the tree was not made"
"$IERI" init -q "$STORE" || fail "init failed"
ingest
mount_store
SNAP=$DAY/$(today)

it "a snapshot equals its source in everything rsync can compare"
same "" "$(rsync -aHAXSn --checksum --delete --itemize-changes \
    "$TREE/" "$SNAP/" 2>&1)"

it "rsync does see a difference when there is one"
cp "$TREE/small" "$WORK/kept"
echo changed >>"$TREE/small"
[ -n "$(rsync -aHAXSn --checksum --itemize-changes "$TREE/" "$SNAP/")" ] ||
    fail
cat "$WORK/kept" >"$TREE/small"
touch -r "$SNAP/small" "$TREE/small"

it "type, mode, owner, link count, size, device and time are the same"
facts() {
	(cd "$1" && find . -mindepth 1 \
	    \( -type d -printf '%y %m %U %G %n %T@ %P\0' -o \
	    -printf '%y %m %U %G %n %s %T@ %l %P\0' \) | sort -z | sha256sum)
	(cd "$1" && stat -c '%t %T %n' char block)
}
same "$(facts "$TREE")" "$(facts "$SNAP")"

it "hard links share one inode, with the right count"
same 1 "$(stat -c %i "$SNAP"/hard-a "$SNAP"/hard-b "$SNAP"/hard-dir/c |
    sort -u | wc -l)"
same 3 "$(stat -c %h "$SNAP/hard-a")"

it "no two things have one inode number"
same "" "$(find "$MNT" -links -2 -not -type d -printf '%i\n' | sort |
    uniq -d)"
same "" "$(find "$MNT" -type d -printf '%i\n' | sort | uniq -d)"

it "the numbers of a listing are those of stat"
same "" "$(cd "$SNAP" && ls -Ui1 dir-many | while read -r ino name; do
	[ "$(stat -c %i "dir-many/$name")" = "$ino" ] || echo "$name"
done | head)"

it "holes are where they were, and take no blocks"
for name in hole-first hole-last hole-many hole-only small large empty; do
	python3 "$SOURCE/tests/fs/syscalls.py" seek "$SNAP/$name" \
	    "$TREE/$name" || fail "$name"
done
[ "$(stat -c %b "$SNAP/hole-only")" -eq 0 ] || fail "hole-only has blocks"
[ "$(stat -c %b "$SNAP/hole-many")" -le \
    "$(stat -c %b "$TREE/hole-many")" ] || fail "hole-many has grown"

it "ACLs and other attributes come back as they were"
attributes() {
	(cd "$1" && find . -print0 | sort -z >"$WORK/names" &&
	    xargs -0 getfacl -n -P -- <"$WORK/names" 2>&1 &&
	    xargs -0 getfattr -h -d -m - -- <"$WORK/names" 2>&1)
}
attributes "$TREE" >"$WORK/wanted"
attributes "$SNAP" >"$WORK/got"
diff "$WORK/wanted" "$WORK/got" | head >&2
cmp -s "$WORK/wanted" "$WORK/got" || fail
getfacl -n "$SNAP/acl" 2>/dev/null | grep -q '^user:1001:rw-' ||
    fail "the ACL is not shown"

it "an attribute's size is told, and a buffer too small is refused"
same 256 "$(python3 -c 'import os, sys
print(len(os.getxattr(sys.argv[1], "user.binary")))' "$SNAP/xattr")"
(cd "$SNAP" && same "" "$(getfattr -n user.empty --only-values xattr)") ||
    exit 1
case $(getfattr -n user.absent "$SNAP/xattr" 2>&1) in
*"No such attribute"*) ;;
*) fail "absent attribute" ;;
esac

it "reads at any offset and length give the file's own bytes"
python3 - "$TREE/large" "$SNAP/large" <<'P' || fail
import os, random, sys
a, b = (os.open(name, os.O_RDONLY) for name in sys.argv[1:])
size = os.fstat(a).st_size
bits = random.Random(3)
for i in range(400):
    at = bits.randrange(size + 1000)
    n = bits.choice([1, 4096, 65536, 262144, 1000000])
    if os.pread(a, n, at) != os.pread(b, n, at):
        sys.exit("at %d, %d bytes" % (at, n))
P

it "direct reads, which the kernel does not cache, are the same"
cmp "$TREE/middle" <(dd if="$SNAP/middle" bs=64k iflag=direct status=none) ||
    fail
cmp "$TREE/hole-many" \
    <(dd if="$SNAP/hole-many" bs=1M iflag=direct status=none) || fail

it "what is not there is not there, twice"
for n in 1 2; do
	[ ! -e "$SNAP/absent" ] || fail "$n"
	[ ! -e "$MNT/absent" ] || fail "$n"
done

it "every writing system call is refused with EROFS"
python3 "$SOURCE/tests/fs/syscalls.py" readonly "$SNAP" || fail

it "dates lie where the dated tree says"
same "daily/$(today)" "$(readlink "$MNT/acme/web/latest")"
[ -d "$MNT/acme/web/monthly/$(today | cut -c1-7)" ] || fail monthly
same 1 "$(find "$MNT/acme/web/all" -mindepth 1 -maxdepth 1 | wc -l)"

it "inode numbers are the same after a remount"
numbers() { find "$MNT" -printf '%i %P\n' | sort | sha256sum; }
before=$(numbers)
file_handle=$(python3 "$SOURCE/tests/fs/syscalls.py" handle "$SNAP/small")
umount_store
mount_store
same "$before" "$(numbers)"

it "a file handle, as NFS clients keep, outlives the daemon"
umount_store
mount_store
same "$(sha256sum <"$TREE/small")" "$(python3 \
    "$SOURCE/tests/fs/syscalls.py" open "$MNT" "$file_handle" | sha256sum)"

it "df shows the file system of the store"
same "$(stat -f -c %b "$STORE")" "$(stat -f -c %b "$MNT")"

it "uid, gid and umask are shown in place of what was recorded"
umount_store
mount_store -o uid=77,gid=78,umask=027
same "77 78 750" "$(stat -c '%u %g %a' "$SNAP/mode-0777")"
umount_store

it "only=acme/web makes the resource the top"
mount_store -o only=acme/web
same "$(sha256sum <"$TREE/large")" "$(sha256sum <"$MNT/latest/large")"
umount_store

it "noxattr says that there are none"
mount_store -o noxattr
same "" "$(getfattr -d -m - "$SNAP/xattr" 2>/dev/null)"
