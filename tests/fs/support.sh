# support.sh -- what the tests of real mounts share.
#
# Sourced with BUILD, the folder of the built programs, and SOURCE set.  Makes
# $WORK, and takes it and every mount in it away at the end, however that comes.
# A check that fails says which claim it belongs to and ends the test.

set -uo pipefail
export LC_ALL=C

skip() {
	echo "skipped: $*"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "only root may mount without asking fusermount3"
[ -c /dev/fuse ] || skip "there is no /dev/fuse"
for tool in rsync getfacl setfacl setfattr getfattr setcap python3; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done

IERI=$BUILD/ieri
MOUNT=$BUILD/ieri-mount
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ieri-fs.XXXXXX")
STORE=$WORK/store
MNT=$WORK/mnt
TREE=$WORK/tree
mkdir "$MNT" "$TREE"
DAY=$MNT/acme/web/daily

# shellcheck disable=SC2329
clean_up() {
	local at

	for at in $(awk -v w="$WORK/" \
	    'index($5, w) == 1 { print $5 }' /proc/self/mountinfo); do
		umount -l "$at"
	done
	for at in $(mounters); do
		kill -9 "$at"
	done
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

claim=
it() {
	claim=$*
	echo "- $claim"
}

fail() {
	echo "FAILED: $claim${1:+: $*}" >&2
	exit 1
}

# same WANTED GOT
same() {
	[ "$1" = "$2" ] || fail "wanted '$1', got '$2'"
}

# says STATUS WORDS COMMAND...: the command ends so and says these words, in
# one line.
says() {
	local status=$1 words=$2 got rc=0
	shift 2

	got=$("$@" 2>&1 >/dev/null) || rc=$?
	same "$status" "$rc"
	case $got in
	*"$words"*) ;;
	*) fail "wanted '$words', got '$got'" ;;
	esac
	same 1 "$(printf '%s\n' "$got" | wc -l)"
}

# Tries for five seconds.
until_true() {
	local n

	for n in $(seq 100); do
		"$@" && return 0
		sleep 0.05
	done
	fail "never came true: $*"
}

# Processes of ours that serve a mount beneath $WORK; zombies do not count.
mounters() {
	local p

	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = \
		    "$(readlink -f "$MOUNT")" ] || continue
		tr '\0' '\n' <"$p/cmdline" 2>/dev/null |
		    grep -q "^$WORK/" && echo "${p#/proc/}"
	done
	return 0
}

no_mounter() {
	[ -z "$(mounters)" ]
}

not_mounted() {
	! mountpoint -q "$MNT"
}

mount_store() {
	"$MOUNT" "$@" "$STORE" "$MNT" || fail "mount failed"
}

umount_store() {
	umount "$MNT" || fail "umount failed"
	until_true no_mounter
}

ingest() {
	"$IERI" ingest -s "$STORE" -q acme/web "$TREE" || fail "ingest failed"
}

# The one date in daily/.
today() {
	ls "$DAY"
}
