#!/bin/bash
# A damaged byte costs the bytes it belongs to, and nothing else.
# shellcheck source=tests/fs/support.sh
. "$SOURCE/tests/fs/support.sh"

packs() { find "$STORE/packs" -name '*.pack' | sort; }

head -c 2000000 /dev/urandom >"$TREE/hurt"
"$IERI" init -q "$STORE" || fail "init failed"
ingest
packs >"$WORK/before"
head -c 2000000 /dev/urandom >"$TREE/sound"
ingest

# The one pack that holds two million bytes of the first night.
pack=$(xargs -r ls -S <"$WORK/before" | head -1)
printf '\0\0\0\0\0\0\0\0' |
    dd of="$pack" bs=1 seek=1000000 conv=notrunc status=none

"$MOUNT" -f "$STORE" "$MNT" 2>"$WORK/log" &
until_true mountpoint -q "$MNT"
SNAP=$MNT/acme/web/latest

it "a damaged block is EIO to whoever reads it"
for n in 1 2; do
	got=$(cat "$SNAP/hurt" 2>&1 >/dev/null) && fail "it was read"
	case $got in
	*"Input/output error"*) ;;
	*) fail "$got" ;;
	esac
done

it "it is said in the log"
grep -q "ieri mount: read of inode" "$WORK/log" || fail "$(cat "$WORK/log")"

it "it costs one block, and the rest of the file can be read"
bad=$(python3 - "$TREE/hurt" "$SNAP/hurt" <<'P'
import errno, mmap, os, sys
STEP = 4096
good = open(sys.argv[1], "rb").read()
fd = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECT)
page = mmap.mmap(-1, STEP)
bad = []
for at in range(0, len(good), STEP):
    try:
        n = os.preadv(fd, [page], at)
    except OSError as e:
        if e.errno != errno.EIO:
            raise
        bad.append(at)
    else:
        if page[:n] != good[at:at + STEP]:
            sys.exit("wrong bytes at %d" % at)
if not 0 < len(bad) * STEP <= 262144 + 2 * STEP:
    sys.exit("%d pages are lost" % len(bad))
print(bad[0])
P
) || fail

it "other files are whole"
cmp "$TREE/sound" "$SNAP/sound" || fail

it "the log is not flooded"
python3 - "$SNAP/hurt" "$bad" <<'P' || fail
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
failed = 0
for i in range(400):
    try:
        os.preadv(fd, [page], int(sys.argv[2]))
    except OSError:
        failed += 1
sys.exit(failed != 400 and f"{failed} of 400 reads failed")
P
[ "$(wc -l <"$WORK/log")" -lt 60 ] || fail "$(wc -l <"$WORK/log") lines"

it "the mount lives on"
[ -n "$(mounters)" ] || fail
umount_store
