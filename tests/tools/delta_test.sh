#!/bin/bash
# Claims about files that change a little every night: what they cost, and that
# every night comes back.
set -u
. "$(dirname "$0")/ingest_lib.sh"

cc -O1 -o "$top/gensql" "$SOURCE/tests/bench/gensql.c" 2>/dev/null || {
	echo "skipped: no compiler"
	exit 77
}

dump() {
	"$top/gensql" "$1" "${2:-20}"
}

# nights FROM TO OPTIONS...: a dump each; the last report's bytes in $added.
nights() {
	local from=$1 to=$2 n
	shift 2
	for n in $(seq "$from" "$to"); do
		dump "$n" >"$src/dump.sql"
		run 0 ingest --json "$@" acme/db "$src"
		added=$(of added)
		echo "$out" | sed -n 's/.*"snapshot":"\([0-9a-f]*\)".*/\1/p' \
			>"$dir/night.$n"
	done
}

same_nights() {
	local n
	for n in $(seq "$1" "$2"); do
		rm -rf "$dir/out"
		run 0 restore -q "acme/db@$(cat "$dir/night.$n")" "$dir/out"
		dump "$n" | cmp -s - "$dir/out/dump.sql" ||
			fail "night $n is not what it was"
	done
}

less() {
	[ "$2" -lt "$3" ] || fail "$1: $2 is not less than $3"
}

claim "a second night costs a tenth of what it does without deltas"
nights 1 1
whole=$added
nights 2 2
with=$added
nights 3 3 --no-delta
echo "first night $whole, second $with, third without deltas $added"
less "second night" "$((with * 10))" "$added"
less "second night" "$((with * 15))" "$whole"
same_nights 1 3

claim "seven nights read back with and without their index"
nights 1 7
same_nights 1 7
same_as "$src"
rm -rf "$IERI_STORE/index"
run 0 rebuild-index
same_nights 1 7
# A mount or a restore that reads only the last one has all it leans on.
run 0 cat "acme/db:/dump.sql"
same_as "$src"

claim "a file that was not there, or was something else, is stored for itself"
dump 1 2 >"$src/dump.sql"
run 0 ingest --json acme/db "$src"
mv "$src/dump.sql" "$src/renamed.sql"
dump 2 2 >"$src/renamed.sql"
mkdir "$src/dump.sql"
dump 3 2 >"$src/dump.sql/inner"
run 0 ingest --json acme/db "$src"
same_as "$src"
rm -rf "$src/dump.sql"
: >"$src/renamed.sql"
dump 4 2 >"$src/dump.sql"
run 0 ingest --json acme/db "$src"
same_as "$src"
dump 5 2 >"$src/renamed.sql"
ln "$src/renamed.sql" "$src/also"
run 0 ingest --json acme/db "$src"
same_as "$src"

claim "many small files of which each changes a little"
python3 - "$src" 1 <<'END'
import random, sys
random.seed(5)
for i in range(3000):
    with open("%s/%04d" % (sys.argv[1], i), "wb") as f:
        f.write(random.randbytes(random.randrange(0, 9000)))
END
run 0 ingest --json acme/db "$src"
whole=$(of added)
for night in 1 2 3 4 5 6; do
	python3 - "$src" $night <<'END'
import sys
for i in range(3000):
    with open("%s/%04d" % (sys.argv[1], i), "ab") as f:
        f.write(b"a line of night %s\n" % sys.argv[2].encode())
END
	run 0 ingest --json acme/db "$src"
	[ $night -le 4 ] && less "night $night" "$(($(of added) * 8))" "$whole"
done
same_as "$src"

claim "an image whose blocks change in place, holes and all"
python3 - "$src/image" <<'END'
import random, sys
random.seed(7)
with open(sys.argv[1], "wb") as f:
    f.truncate(40 << 20)
    for at in (0, 9 << 20, 25 << 20):
        f.seek(at)
        f.write(random.randbytes(3 << 20))
END
run 0 ingest --json acme/vm "$src"
whole=$(of added)
python3 - "$src/image" <<'END'
import random, sys
random.seed(8)
with open(sys.argv[1], "r+b") as f:
    for i in range(30):
        f.seek((9 << 20) + i * 90000)
        f.write(random.randbytes(4096))
    f.seek(18 << 20)
    f.write(random.randbytes(4096))
END
run 0 ingest --json acme/vm "$src"
less "image" "$(($(of added) * 20))" "$whole"
same_as "$src"

claim "lines in another order are no worse off than without deltas"
dump 1 >"$src/dump.sql"
run 0 ingest --json acme/db "$src"
cp -r "$IERI_STORE" "$dir/plain"
shuf --random-source="$src/dump.sql" "$src/dump.sql" >"$dir/other"
mv "$dir/other" "$src/dump.sql"
run 0 ingest --json acme/db "$src"
added=$(of added)
same_as "$src"
run 0 ingest --json -s "$dir/plain" --no-delta acme/db "$src"
less "the other order" $((added / 100 * 98)) "$(of added)"

finish
