#!/bin/bash
# Files given to the kernel unasked are the right ones, save requests where a
# walk reads, and are left alone where nobody reads.
# shellcheck source=tests/fs/support.sh
. "$SOURCE/tests/fs/support.sh"

python3 - "$TREE" <<'P'
import os, random, sys
random.seed(5)
for d in range(20):
    folder = os.path.join(sys.argv[1], "dir%02d" % d)
    os.mkdir(folder)
    for i in range(100):
        # Around the ends of pages, where a wrong length would show.
        size = random.choice((0, 1, 100, 4095, 4096, 4097, 8192, 12289, 70000))
        with open(os.path.join(folder, "f%02d" % i), "wb") as f:
            f.write(random.randbytes(min(size, 300)) * (size // 300 + 1))
            f.truncate(size)
    os.symlink("f00", os.path.join(folder, "link"))
    os.link(os.path.join(folder, "f01"), os.path.join(folder, "other"))
P
"$IERI" init -q "$STORE" || fail "init failed"
ingest

# requests COMMAND...: how many READs the command makes of a fresh mount.
requests() {
	"$MOUNT" -d "$STORE" "$MNT" 2>"$WORK/log" &
	until_true mountpoint -q "$MNT"
	(cd "$MNT/acme/web/latest/" && "$@") || fail "$*"
	umount "$MNT"
	wait
	n=$(grep -c "opcode: READ (" "$WORK/log")
}

it "after four files in a row the next ones are there unasked, and right"
requests bash -c "
	n=0
	for f in \$(find dir00 -type f -name 'f*' | sort); do
		cmp \"\$f\" \"$TREE/\$f\" || exit 1
		n=\$((n + 1))
		# The daemon works on while the reader pauses.
		[ \$n != 4 ] || sleep 1
	done"
[ "$n" -ge 3 ] || fail "only $n READs were seen"
[ "$n" -lt 60 ] || fail "$n READs for 100 files"

it "tar gets every byte"
requests bash -c "set -o pipefail; tar c . | tar d -C '$TREE'"

it "who only lists is given nothing"
requests find . -ls >/dev/null
same 0 "$n"
stored=$(grep -c "NOTIFY: code=4" "$WORK/log")
same 0 "$stored"
