# What the scripts about `ieri ingest` share: claims, runs, comparisons.
# Needs BUILD and SOURCE.
ieri=$BUILD/ieri
# The leak sanitizer and strace exclude one another.
traced="env ASAN_OPTIONS=detect_leaks=0 strace"
here=$(cd "$(dirname "$0")" && pwd)
top=$(mktemp -d "${TMPDIR:-/tmp}/ieri-ingest.XXXXXX")
trap 'umount "$top"/*/mounted 2>/dev/null; chmod -R u+rwx "$top" 2>/dev/null
rm -rf "$top"' EXIT
failed=0
status=0

# The reader by FORMAT.md alone needs a few modules; look for a Python with them.
python=
for p in python3 /usr/bin/python3; do
	if "$p" -c 'import xxhash, zstandard, cryptography' 2>/dev/null; then
		python=$(command -v "$p")
		break
	fi
done
[ -n "$python" ] && PATH=$(dirname "$python"):$PATH

fail() {
	echo "FAILED: $claim: $*"
	failed=1
}

claim() {
	claim=$1
	dir=$top/$(echo "$claim" | tr -c 'a-z0-9\n' _ | cut -c1-40)
	src=$dir/src
	mkdir -p "$src"
	export IERI_STORE=$dir/store
	"$ieri" init -q "$IERI_STORE" || fail "init"
}

# run STATUS ARGS...: ieri with these; output in $out, words in $words.
run() {
	local want=$1
	shift
	out=$("$ieri" "$@" 2>"$dir/words")
	status=$?
	words=$(cat "$dir/words")
	[ $status = "$want" ] ||
		fail "ieri $*: status $status, not $want: $words"
}

# of NAME: a number of the last --json report.
of() {
	echo "$out" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

is() {
	[ "$2" = "$3" ] || fail "$1 is $2, not $3"
}

says() {
	case $words in
	*"$1"*) ;;
	*) fail "no «$1» in: $words" ;;
	esac
}

one_line() {
	is "number of lines" "$(printf '%s\n' "$words" | wc -l)" 1
}

same_as() {
	[ -n "$python" ] || return 0
	"$python" "$here/ingest_check.py" "$SOURCE/tests/golden/read.py" \
		"$IERI_STORE" "$1" >"$dir/differs" 2>&1 ||
		fail "snapshot differs: $(head -c 2000 "$dir/differs")"
}

finish() {
	[ $failed = 0 ] && echo "all claims hold"
	exit $failed
}
