#!/bin/bash
# The rooms know only what lies beneath them, and the sources keep the shape
# that the house style asks for.
set -uo pipefail
# The end of a pipe is this shell, so that `empty` can set `bad`.
shopt -s lastpipe

cd "${SOURCE:?}" || exit 1
bad=0

# empty CLAIM: nothing comes in.
empty() {
	local found
	found=$(cat)
	[ -z "$found" ] && return
	printf '%s:\n%s\n' "$1" "$found"
	bad=1
}

mapfile -t sources < <(find chunker index fs tools -name '*.[ch]' | sort)
if [ "${#sources[@]}" -lt 20 ]; then
	echo "no sources in $SOURCE"
	exit 1
fi

# The includes, as FILE INCLUDED, without brackets and quotes.
includes() {
	grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][^>"]+' "$@" |
		sed -E 's/:[^<"]*[<"]/ /'
}

# outside ROOM PATTERN: what the room includes of ours and may not.
outside() {
	includes "${sources[@]}" | awk -v room="$1/" -v may="^($2)/" '
		index($1, room) == 1 &&
		$2 ~ /^(chunker|index|fs|tools|tests)\// && $2 !~ may'
}

outside chunker 'chunker' | empty "chunker/ knows no other room"
outside index 'index|chunker' | empty "index/ knows chunker/ only"
outside fs 'fs|index|chunker' | empty "fs/ knows index/ and chunker/ only"
outside tools 'tools|index|chunker' |
	empty "tools/ knows index/ and chunker/ only"

grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "${sources[@]}" |
	grep -vE '"(chunker|index|fs|tools)/[^"/]+\.h"' |
	empty "includes are written from the root"

includes "${sources[@]}" |
	awk '$2 ~ /^sqlite3/ && $1 !~ /^index\/db[a-z_]*\.[ch]$/' |
	empty "sqlite3.h is for index/db*"
includes "${sources[@]}" |
	awk '$2 ~ /^fuse/ && $1 !~ /^fs\//' | empty "libfuse is for fs/"
includes "${sources[@]}" |
	awk '$2 ~ /^zstd/ && $1 !~ /^index\//' | empty "zstd is for index/"
includes "${sources[@]}" |
	awk '$2 ~ /^(index\/(pack|db)\.h|index\/[a-z_]+_private\.h)$/ &&
		$1 !~ /^index\//' |
	empty "packs, tables and what is private to index/ stay there"

# A name printf is allowed in comments and in words of an error.
grep -nE '(^|[^a-zA-Z0-9_"])(printf|fprintf|puts|fputs|perror|exit|_exit|abort) ?\(' \
	"${sources[@]}" | grep -E '^(chunker|index)/' |
	grep -vE ':[0-9]+:[[:space:]]*/?\*' |
	empty "chunker/ and index/ never print and never exit"

# ---- Shape ----

# A file over 500 lines names its reason: a comment that says so.
for file in "${sources[@]}"; do
	lines=$(wc -l <"$file")
	if [ "$lines" -gt 500 ] && ! grep -qiE 'one file because' "$file"; then
		echo "$file: $lines"
	fi
done | empty 'over 500 lines without a comment "One file because ..."'

# From the brace in the first column that follows a line in the first column,
# to the brace that ends it.
awk '
	FNR == 1 { start = 0 }
	/^\{/ && before ~ /\)$/ { start = FNR }
	/^\}/ {
		if (start && FNR - start + 1 > 62)
			printf "%s:%d: %d lines\n", FILENAME, start,
			    FNR - start - 1
		start = 0
	}
	{ before = $0 }
' "${sources[@]}" | empty "functions over 60 lines"

# Words for people stay whole, so that they can be searched for.
for file in "${sources[@]}"; do
	expand "$file" | awk -v file="$file" '
		length($0) > 80 && !/"/ { printf "%s:%d\n", file, FNR }'
done | empty "lines over 80 columns"

grep -nE '\bgoto\b' "${sources[@]}" | grep -vE 'goto out;' |
	grep -vE ':[0-9]+:[[:space:]]*/?\*' |
	empty "goto leads to the label out only"
grep -nE '\balloca ?\(' "${sources[@]}" | empty "no alloca"
grep -nE '\btypedef +(struct|enum|union)\b' "${sources[@]}" |
	empty "no typedef hides a struct"
grep -nE '(^|[[:space:]])//' "${sources[@]}" | empty "no // comments"
grep -nwE 'TODO|FIXME|XXX' "${sources[@]}" | empty "nothing is left to do"

# Compilers find variable-length arrays; here, that they are asked to.
grep -q -- '-Wvla' CMakeLists.txt || echo CMakeLists.txt |
	empty "the build warns of variable-length arrays"

exit "$bad"
