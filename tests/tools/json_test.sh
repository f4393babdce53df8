#!/bin/bash
# Names of any bytes come back from --json as they were.
. "${SOURCE:-$(dirname "$0")/../..}/tests/lib.sh"
need python3
cd "$WORK" || exit 1
python3 - <<'PY'
import os
os.mkdir(b"src")
for b in range(1, 256):
    if b != ord("/"):
        open(b"src/x" + bytes([b]), "wb").close()
for name in (b"\xed\xa0\x80", "\u202eevil".encode(), b"\xc3\xa8\xff", b"\xe2\x80"):
    open(b"src/" + name, "wb").close()
    os.symlink(b"to-" + name, b"src/l" + name)
PY
holds "a store is made" "$IERI" init store
holds "names of all bytes are ingested" "$IERI" ingest -s store a/b src
"$IERI" ls --json -R -s store a/b >ls.json
holds "ls --json gives every name back, byte for byte" python3 - <<'PY'
import json, os
rows = [json.loads(line) for line in open("ls.json")]
names = {r["name"].encode("utf-8", "surrogateescape"): r for r in rows}
assert set(names) == set(os.listdir(b"src")), set(names) ^ set(os.listdir(b"src"))
for name, row in names.items():
    if row["type"] == "symlink":
        target = row["target"].encode("utf-8", "surrogateescape")
        assert target == os.readlink(b"src/" + name)
PY
for call in "list" "list a/b" "restore a/b out" "rebuild-index"; do
	# shellcheck disable=SC2086
	"$IERI" $call --json -s store >doc.json
	holds "$call --json is one document" python3 -c \
		'import json; json.load(open("doc.json"))'
done
same "no control byte reaches a terminal" 0 \
	"$("$IERI" ls -l -s store a/b | tr -d '\n' | LC_ALL=C grep -c '[[:cntrl:]]')"
finish
