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

# snapshots NAME: the snapshots of a golden store and their serials.
snapshots() {
	case $1 in
	v1) echo "acme/web@2026-11-20 1 acme/web@2026-11-21 2
	    acme/db@2026-11-21 3 acme/web@2026-11-22 4" ;;
	v1-delta) echo "acme/db@2026-11-11 1 acme/db@2026-11-12 2
	    acme/db@2026-11-13 3" ;;
	esac
}

all() {
	local list
	read -r -d '' -a list <<<"$(snapshots "$1")" || true
	for ((i = 0; i < ${#list[@]}; i += 2)); do
		restored "${list[i]}" "${list[i + 1]}"
	done
}

lists() {
	"$ieri" list -s "$store" --json
	"$ieri" list -s "$store" --json acme/db
}

# The script itself can fail: one wrong byte anywhere is found.
wrong_bytes() {
	local pack offset size
	pack=$(ls -S "$store"/packs/*/*.pack | head -n 1)
	size=$(stat -c %s "$pack")
	for offset in 20 200 5000 $((size / 2)) $((size - 50)); do
		cp -a "$store" "$tmp/bad"
		/usr/bin/python3 - "$tmp/bad/${pack#"$store"/}" "$offset" <<'P'
import sys
at = int(sys.argv[2])
with open(sys.argv[1], "r+b") as f:
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 1]))
P
		if "$here/read.py" "$tmp/bad" >/dev/null 2>&1; then
			fail "read.py did not see the byte at $offset"
		fi
		rm -rf "$tmp/bad"
	done
}

golden() {
	rm -rf "$store"
	tar -C "$tmp" -xzf "$here/$1.tar.gz"
	gzip -dc "$here/$1.manifest.gz" >"$tmp/manifest"

	"$here/read.py" "$store" >"$tmp/read" || fail "$1: read.py"
	cmp "$tmp/manifest" "$tmp/read" || fail "$1: read.py finds something else"
	lists >"$tmp/list"
	all "$1"

	rm -rf "$store/index"
	if "$ieri" list -s "$store" 2>"$tmp/words"; then
		fail "$1: a store without an index opened"
	fi
	grep -q rebuild-index "$tmp/words" || fail "nobody was told of rebuild-index"
	"$ieri" rebuild-index -q -s "$store" || fail "$1: rebuild-index"
	lists >"$tmp/list2"
	cmp "$tmp/list" "$tmp/list2" || fail "$1: the list differs after rebuild-index"
	all "$1"
	wrong_bytes
	echo "golden store $1: read by script, by ieri, and after rebuild-index"
}

golden v1
golden v1-delta
