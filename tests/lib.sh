# lib.sh -- what script tests share; source it first:
#
#     . "${SOURCE:-$(dirname "$0")/../..}/tests/lib.sh"
#
# It gives $WORK, a folder of the test's own, which goes away at the end
# together with every mount beneath it; $IERI, the program; and functions that
# count what was checked.  End the test with `finish`.
#
# A check that fails prints its words and the test goes on; `finish` then ends
# with status 1.  The shell's own failures end the test at once.
set -uo pipefail

BUILD=${BUILD:-build}
SOURCE=${SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
BUILD=$(cd "$BUILD" && pwd) || exit 1
IERI=$BUILD/ieri
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ieri-test.XXXXXX") || exit 1
unset IERI_STORE
export LC_ALL=C.UTF-8 TZ=UTC

checks=0
failures=0

unmount_all() {
	local mnt
	awk -v top="$WORK/" 'index($5, top) == 1 { print $5 }' \
		/proc/self/mountinfo | sort -r | while read -r mnt; do
		umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null
	done
}

lib_cleanup() {
	local status=$?
	trap - EXIT
	cd /
	unmount_all
	chattr -R -i "$WORK" 2>/dev/null
	chmod -R u+rwx "$WORK" 2>/dev/null
	rm -rf "$WORK"
	exit "$status"
}
trap lib_cleanup EXIT
trap 'exit 130' INT TERM

# skip WORDS: the machine lacks something; says so and ends with 77.
skip() {
	echo "skipped: $*"
	exit 77
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# need PROGRAM...
need() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || skip "needs $program"
	done
}

ok() {
	checks=$((checks + 1))
}

fail() {
	checks=$((checks + 1))
	failures=$((failures + 1))
	echo "FAILED: $*" >&2
}

# same CLAIM EXPECTED GOT
same() {
	if [ "$2" = "$3" ]; then
		ok
	else
		fail "$1"
		printf '  expected: %s\n  got:      %s\n' "$2" "$3" >&2
	fi
}

# holds CLAIM COMMAND...: the command succeeds.
holds() {
	local claim=$1
	shift
	if "$@" >"$WORK/.out" 2>"$WORK/.err"; then
		ok
	else
		fail "$claim (status $?: $*)"
		head -n 20 "$WORK/.out" "$WORK/.err" | cut -c 1-300 >&2
	fi
}

# status CLAIM EXPECTED COMMAND...: the command ends with this status; its
# words are then in $WORK/.out and $WORK/.err.
status() {
	local claim=$1 expected=$2 got=0
	shift 2
	"$@" >"$WORK/.out" 2>"$WORK/.err" || got=$?
	if [ "$got" = "$expected" ]; then
		ok
	else
		fail "$claim (status $got, not $expected: $*)"
		head -n 20 "$WORK/.out" "$WORK/.err" | cut -c 1-300 >&2
	fi
}

# says CLAIM WORDS: the last command of `status` or `holds` said them.
says() {
	if cat "$WORK/.out" "$WORK/.err" | grep -qF -- "$2"; then
		ok
	else
		fail "$1: no \"$2\" in:"
		cat "$WORK/.out" "$WORK/.err" | cut -c 1-300 >&2
	fi
}

# empty CLAIM COMMAND...: the command succeeds and prints nothing.
empty() {
	local claim=$1
	shift
	if "$@" >"$WORK/.out" 2>&1 && [ ! -s "$WORK/.out" ]; then
		ok
	else
		fail "$claim ($*)"
		head -n 40 "$WORK/.out" | cut -c 1-300 >&2
	fi
}

# tree_differences A B: what rsync would change to make B equal to A.
tree_differences() {
	rsync -aHAXSn --numeric-ids --checksum --delete --itemize-changes \
		"$1/" "$2/"
}

# store_sum STORE: a digest of every name and byte in it, but for the shared
# memory in which readers of the index note that they are there.
store_sum() {
	(cd "$1" && find . -printf '%p %y %s %m\n' | LC_ALL=C sort &&
		find . -type f ! -name '*-shm' -print0 | LC_ALL=C sort -z |
		xargs -0r sha256sum) | sha256sum
}

finish() {
	echo "$checks checks, $failures failed"
	[ "$failures" = 0 ]
	exit
}
