#!/bin/bash
# A store of every released format reads as it did on the day it was written:
# by the script that knows FORMAT.md alone, by ieri, and by ieri after its index
# was made anew.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ieri=$BUILD/ieri

if [ "$(id -u)" != 0 ]; then
	echo "skipped: only root can restore owners and devices"
	exit 77
fi
/usr/bin/python3 -c 'import xxhash, zstandard, cryptography' 2>/dev/null || {
	echo "skipped: python3-xxhash, -zstandard or -cryptography is missing"
	exit 77
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/ieri-golden.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
tar -C "$tmp" -xzf "$here/v1.tar.gz"
gzip -dc "$here/v1.manifest.gz" >"$tmp/manifest"
store=$tmp/store

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# restored RESOURCE@WHEN SERIAL: the restored tree is what the manifest says.
restored() {
	rm -rf "$tmp/out"
	"$ieri" restore -q -s "$store" --numeric-ids "$1" "$tmp/out" ||
		fail "restore of $1"
	/usr/bin/python3 "$here/compare.py" "$tmp/manifest" "$2" "$tmp/out" ||
		fail "$1 is not what it was"
}

all() {
	restored acme/web@2026-11-20 1
	restored acme/web@2026-11-21 2
	restored acme/db@2026-11-21 3
	restored acme/web@2026-11-22 4
}

"$here/read.py" "$store" >"$tmp/read" || fail "read.py"
cmp "$tmp/manifest" "$tmp/read" || fail "read.py finds something else"

"$ieri" list -s "$store" --json acme/web >"$tmp/list"
all

rm -rf "$store/index"
if "$ieri" list -s "$store" 2>"$tmp/words"; then
	fail "a store without an index opened"
fi
grep -q rebuild-index "$tmp/words" || fail "nobody was told of rebuild-index"
"$ieri" rebuild-index -q -s "$store" || fail "rebuild-index"
"$ieri" list -s "$store" --json acme/web >"$tmp/list2"
cmp "$tmp/list" "$tmp/list2" || fail "the list differs after rebuild-index"
all

# The script itself can fail: one wrong byte anywhere is found.
pack=$(ls -S "$store"/packs/*/*.pack | head -n 1)
for offset in 20 200 5000 154700; do
	cp "$pack" "$tmp/pack"
	printf 'X' | dd of="$tmp/pack" bs=1 seek=$offset conv=notrunc 2>/dev/null
	cmp -s "$pack" "$tmp/pack" && continue
	cp -a "$store" "$tmp/bad"
	cat "$tmp/pack" >"$tmp/bad/${pack#"$store"/}"
	if "$here/read.py" "$tmp/bad" >/dev/null 2>&1; then
		fail "read.py did not see the byte at $offset"
	fi
	rm -rf "$tmp/bad"
done
echo "golden store v1: read by script, by ieri, and after rebuild-index"
