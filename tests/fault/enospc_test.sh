#!/bin/bash
# A store on a file system that fills up.
. "$(dirname "$0")/support.sh"

need_root
mkdir "$WORK/try"
mount -t tmpfs -o size=1m none "$WORK/try" 2>/dev/null ||
	skip "may not mount a tmpfs"
umount "$WORK/try"
rounds enospc.py
finish
