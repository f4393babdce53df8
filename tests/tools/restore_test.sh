#!/bin/bash
# What went in comes out: every attribute, byte and name, through ingest and
# restore, on a real file system.
. "${SOURCE:-$(dirname "$0")/../..}/tests/lib.sh"
need_root
need rsync setfacl getfacl setcap getcap setfattr getfattr python3
cd "$WORK" || exit 1
store=$WORK/store
export IERI_STORE=$store

# A tree with one of everything.
make_tree() {
	local i
	mkdir "$1" && cd "$1" || exit 1
	mkdir -p plain/a/b/c links1 links2 acl special modes sticky
	for i in 1 2 3 4 5 6 7 8 9; do
		seq "$i" "$((i * 500))" >"plain/a/seq$i"
	done
	: >plain/empty
	head -c 70000000 /dev/urandom >plain/large
	head -c 300000 /dev/zero >plain/zeros
	# Data, hole, data, hole at the end.
	truncate -s 9M special/sparse
	printf middle | dd of=special/sparse bs=1 seek=4000000 conv=notrunc \
		status=none
	printf start | dd of=special/sparse conv=notrunc status=none
	truncate -s 200M special/all-hole
	truncate -s 40M special/big-sparse
	head -c 100000 /dev/urandom | dd of=special/big-sparse bs=4096 \
		seek=8000 conv=notrunc status=none
	cp /bin/true modes/setuid && chmod 4755 modes/setuid
	cp /bin/true modes/setgid && chmod 2711 modes/setgid
	cp /bin/true modes/capable && setcap cap_net_raw+ep modes/capable
	cp /bin/true modes/owned && chown 1234:4321 modes/owned &&
		chmod 6755 modes/owned
	: >modes/nothing && chmod 0 modes/nothing
	echo secret >modes/readonly && chmod 0400 modes/readonly &&
		setfattr -n user.note -v "read only" modes/readonly
	chmod 1777 sticky
	mkdir modes/closed && echo x >modes/closed/x && chmod 0500 modes/closed
	mkdir modes/sgid && chgrp 4321 modes/sgid && chmod 2770 modes/sgid &&
		: >modes/sgid/inside
	echo shared >links1/one && ln links1/one links1/two &&
		ln links1/one links2/three && ln links1/one zlink
	ln -s ../nowhere links2/dangling && ln links2/dangling links1/hard-to-soft
	chown -h 55:66 links2/dangling
	touch -h -d '2001-02-03 04:05:06.123456789' links2/dangling
	ln -s "$(printf 't%.0s' {1..4000})" links2/long
	setfacl -m u:77:rw,g:88:r,d:u:77:rwx,d:g:88:rx acl
	: >acl/inherits && setfacl -m u:99:r acl/inherits
	setfattr -n user.one -v 1 acl/inherits
	setfattr -n trusted.two -v 2 acl/inherits
	setfattr -n user.dir -v d acl
	setfattr -h -n trusted.link -v l links2/dangling
	mknod special/char c 10 200 && chmod 640 special/char
	mknod special/block b 250 17 && chown 5:6 special/block
	mkfifo -m 622 special/fifo
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("special/socket")'
	python3 - <<'PY'
import os
os.mkdir(b"names")
for b in range(1, 256):
    if b != ord("/"):
        open(b"names/x" + bytes([b]), "wb").write(bytes([b]))
open(b"names/" + b"n" * 255, "wb").close()
open(b"names/" + b"\xff\xfe\xf0\x28", "wb").close()
open("names/-rf *", "wb").close()
os.mkdir("many")
for i in range(3000):
    open("many/f%05d" % i, "w").write("x" * (i % 97))
    if i % 10 == 0:
        os.mkdir("many/d%05d" % i)
PY
	touch -d '1969-12-31 23:00:00.5' plain/before-1970
	touch -d '2262-01-01 00:00:00.000000001' plain/far
	find . -depth -type d -newermt 2026-01-01 -print0 | head -z -n 40 |
		xargs -0 touch -d '2020-05-05 05:05:05.987654321'
	cd "$WORK" || exit 1
}

# Every attribute that find knows, of all names; a directory's size is its
# file system's own affair.
details() {
	(cd "$1" && find . \( -type d -printf '%p %y %m %U %G %n %T@\0' \) -o \
		-printf '%p %y %m %U %G %n %s %T@ %l\0' | sort -z | tr '\0' '\n')
}

make_tree "$WORK/src"
holds "a store is made" "$IERI" init "$store"
holds "a tree with everything is ingested" "$IERI" ingest t/all src

status "it is restored" 0 "$IERI" restore t/all dst
says "the summary tells how many" "others"
empty "rsync finds no difference" tree_differences src dst
same "nor does find" "$(details src | sha256sum)" "$(details dst | sha256sum)"
diff <(details src) <(details dst) | head | cut -c 1-300
same "ACLs are the same" "$(cd src && getfacl -Rn . 2>/dev/null | sha256sum)" \
	"$(cd dst && getfacl -Rn . 2>/dev/null | sha256sum)"
same "capabilities are the same" "$(cd src && getcap -r .)" \
	"$(cd dst && getcap -r .)"
same "devices are the same" "$(cd src/special && stat -c '%n %t %T' *)" \
	"$(cd dst/special && stat -c '%n %t %T' *)"
same "hard links are one file" \
	"$(stat -c %i dst/links1/one dst/links1/two dst/links2/three dst/zlink | sort -u | wc -l)" 1
for f in sparse all-hole big-sparse; do
	[ "$(stat -c %b "dst/special/$f")" -le "$(stat -c %b "src/special/$f")" ] &&
		ok || fail "$f keeps its holes"
done

status "one thread does the same" 0 "$IERI" restore --threads 1 t/all dst1
empty "as rsync agrees" tree_differences src dst1
status "as do eight" 0 "$IERI" restore --sync --threads 8 t/all dst8
empty "as rsync agrees too" tree_differences src dst8
rm -rf dst1 dst8

# Deeper than PATH_MAX, and deeper than the directories held open; rsync cannot
# go there, find can.
python3 - <<'PY'
import os
os.mkdir("deep"); os.chdir("deep")
for i in range(600):
    os.mkdir("a-name-of-some-length"); os.mkdir("b")
    os.chdir("a-name-of-some-length")
    if i % 50 == 0:
        open("file", "w").write(str(i))
        os.utime("file", ns=(i, i * 1000003))
    if i % 100 == 7:
        os.chmod(".", 0o750); os.utime(".", ns=(i, i * 1000033))
PY
holds "a tree deeper than PATH_MAX is ingested" "$IERI" ingest t/deep deep
status "and restored" 0 "$IERI" restore t/deep deep-out
same "with all attributes" "$(details deep | sha256sum)" \
	"$(details deep-out | sha256sum)"
rm -rf deep deep-out

# One folder, one file, one link.
status "a folder" 0 "$IERI" restore t/all:/acl folder
empty "is all of that folder" tree_differences src/acl folder
status "a folder with names of files outside it" 0 \
	"$IERI" restore t/all:/links2 links
same "gets their content" shared "$(cat links/three)"
status "a file to a new name" 0 "$IERI" restore t/all:/plain/large big
holds "is that file" cmp big src/plain/large
mkdir into
status "a file into a directory" 0 "$IERI" restore t/all:/modes/owned into
same "gets its own name, owner and mode" "6755 1234 4321" \
	"$(stat -c '%a %u %g' into/owned)"
status "a symlink" 0 "$IERI" restore t/all:/links2/dangling into
same "stays a symlink" "../nowhere" "$(readlink into/dangling)"
status "a sparse file alone" 0 "$IERI" restore t/all:/special/sparse into
holds "is right" cmp into/sparse src/special/sparse

# What is there: kept, or replaced.
mkdir -p old/plain/a old/special old/links1/two
echo mine >old/plain/a/seq1
echo mine >old/plain/a/extra
echo mine >old/acl
ln -s /etc old/modes
chmod 0711 old/plain
touch -d '2010-10-10' old/plain
status "beside what is there" 0 "$IERI" restore -v t/all old
says "what was kept is named" "plain/a/seq1: there already, kept"
same "a file that was there is kept" mine "$(cat old/plain/a/seq1)"
same "so is one in place of a directory" mine "$(cat old/acl)"
same "so is a symlink in place of a directory" /etc "$(readlink old/modes)"
[ ! -e /etc/setuid ] && ok || fail "a symlink was followed"
same "a directory that was there keeps its mode" 711 "$(stat -c %a old/plain)"
holds "what was missing came" cmp old/plain/a/seq2 src/plain/a/seq2

status "replaced, but for a directory in the way" 3 \
	"$IERI" restore --conflict=replace t/all old
says "which is named" "a directory is in the way"
rmdir old/links1/two
status "replaced" 0 "$IERI" restore --conflict=replace t/all old
same "what is not in the snapshot stays" mine "$(cat old/plain/a/extra)"
rm old/plain/a/extra
touch -r src/plain/a old/plain/a
empty "all else is as it was" tree_differences src old
holds "and again over itself" "$IERI" restore --conflict=replace t/all old
empty "with no trace of temporary names" tree_differences src old

# A default ACL at the target is not passed on.
mkdir acled && setfacl -m d:u:7:rwx,u:7:rwx acled && : >acled/keep
status "into a directory with a default ACL" 0 "$IERI" restore t/all acled
same "files have only their own ACL" \
	"$(cd src && getfacl -Rn plain special 2>/dev/null | sha256sum)" \
	"$(cd acled && getfacl -Rn plain special 2>/dev/null | sha256sum)"

# Somebody without rights.
if command -v setpriv >/dev/null; then
	chmod 755 "$WORK"
	chmod -R a+rX "$store"
	mkdir other && chown 4242:4242 other
	as="setpriv --reuid 4242 --regid 4242 --clear-groups"
	if $as test -r "$IERI" && $as test -w other; then
		# The lock files of a store are written by its readers.
		cp -a "$store" other/store && chown -R 4242:4242 other/store
		status "as another user: done but for owners" 3 \
			$as "$IERI" restore -s other/store t/all:/modes other/out
		says "which are counted, not listed" "owners could not be set"
		[ "$(grep -c 'could not be set' .err)" -le 7 ] && ok ||
			fail "one line a kind"
		same "no set-user-ID for the wrong owner" 755 \
			"$(stat -c %a other/out/setuid)"
		holds "contents are right" cmp other/out/owned src/modes/owned
		status "--no-owner asks for none" 0 $as "$IERI" restore \
			--no-owner -s other/store t/all:/plain other/plain
	fi
fi

# Damage: the file is absent, the rest is there, the status says so.
rm -rf damaged && cp -a "$store" damaged
python3 - damaged <<'PY'
import os, sys
packs = []
for d, _, files in os.walk(sys.argv[1] + "/packs"):
    packs += [os.path.join(d, f) for f in files if f.endswith(".pack")]
big = max(packs, key=os.path.getsize)
with open(big, "r+b") as f:
    f.seek(os.path.getsize(big) // 2)
    b = f.read(4096)
    f.seek(os.path.getsize(big) // 2)
    f.write(bytes(x ^ 0x55 for x in b))
PY
status "with a damaged block" 3 "$IERI" restore -s damaged t/all hurt
says "the file is named" "hurt/"
same "and absent, and it alone" 1 \
	"$(tree_differences src hurt | grep -c '^>f+++')"
same "no other file has other bytes" 0 \
	"$(tree_differences src hurt | grep -c '^>fc')"

# Where it must not go.
status "into the store itself" 2 "$IERI" restore t/all "$store/packs/out"
says "is refused" "lies in the store"
[ ! -e "$store/packs/out" ] && ok || fail "nothing was made there"
status "where the parent is missing" 1 "$IERI" restore t/all no/such/dir
says "names it" "no/such/dir"
status "to a name that a file has" 1 "$IERI" restore t/all big

# Somebody swaps a directory for a link, again and again.
mkdir race outside
"$IERI" restore t/all:/many race/out >/dev/null 2>&1 &
victim=$!
python3 - "$victim" <<'PY'
import os, sys
pid = int(sys.argv[1])
n = 0
def alive():
    try:
        return open("/proc/%d/stat" % pid).read().split(")")[1].split()[0] != "Z"
    except OSError:
        return False
while alive():
    for name in ("d%05d" % i for i in range(0, 3000, 10)):
        try:
            os.rename("race/out/" + name, "race/moved")
            os.symlink("../../outside", "race/out/" + name)
            os.unlink("race/out/" + name)
            os.rename("race/moved", "race/out/" + name)
            n += 1
        except OSError:
            pass
PY
wait "$victim"
empty "nothing escaped through a swapped link" ls -A outside

finish
