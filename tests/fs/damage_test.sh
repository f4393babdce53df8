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

it "other parts of the file can be read"
cmp -n 100000 "$TREE/hurt" "$SNAP/hurt" || fail

it "other files are whole"
cmp "$TREE/sound" "$SNAP/sound" || fail

it "the log is not flooded"
python3 - "$SNAP/hurt" <<'P' || fail
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
failed = 0
for i in range(400):
    try:
        os.preadv(fd, [page], 1000000 // 4096 * 4096)
    except OSError:
        failed += 1
sys.exit(failed != 400)
P
[ "$(wc -l <"$WORK/log")" -lt 60 ] || fail "$(wc -l <"$WORK/log") lines"

it "the mount lives on"
[ -n "$(mounters)" ] || fail
umount_store
