#!/bin/bash
# Claims about `ieri ingest` when things go wrong under its hands: files that
# vanish, change or cannot be read, signals, and a second ingest beside it.
set -u
. "$(dirname "$0")/ingest_lib.sh"

if ! strace -o /dev/null true 2>/dev/null; then
	echo "skipped: strace does not work here"
	exit 77
fi

# tampered STATUS INJECTION PATH ARGS...: as run, with system calls on PATH
# (a path or a bare name) tampered with.
tampered() {
	local want=$1 inject=$2 path=$3
	shift 3
	out=$($traced -f -o "$dir/trace" -P "$path" -e "inject=$inject" \
		"$ieri" "$@" 2>"$dir/words")
	status=$?
	words=$(grep -v '^strace: ' "$dir/words")
	grep -qE 'INJECTED|DELAYED' "$dir/trace" || fail "nothing was tampered with"
	[ $status = "$want" ] ||
		fail "ieri $*: status $status, not $want: $words"
}

make_three() {
	mkdir "$src/dir"
	for name in a b c; do echo $name >"$src/dir/$name"; done
}

# things N: the snapshot has so many, and is sound.
things() {
	[ -n "$python" ] || return 0
	"$python" "$SOURCE/tests/golden/read.py" "$IERI_STORE" >"$dir/read" ||
		fail "the reader refuses it"
	is "things" "$(grep -c '"path"' "$dir/read")" "$1"
}

claim "a file that vanishes after the listing is named and left out"
make_three
tampered 3 openat:error=ENOENT b ingest --json acme/web "$src"
says "$src/dir/b: vanished"
is files "$(of files)" 2
is faults "$(of faults)" 1
things 4
run 0 ingest --json acme/web "$src"
is new "$(of new)" 1
same_as "$src"

claim "a file that vanishes before it is looked at is named and left out"
make_three
tampered 3 newfstatat:error=ENOENT b ingest --json acme/web "$src"
says "$src/dir/b: vanished"
is files "$(of files)" 2
things 4

claim "a directory that vanishes is left out, and the numbers still add up"
make_three
mkdir "$src/bdir" "$src/edir"
echo 1 >"$src/bdir/inner"
echo 2 >"$src/edir/inner"
ln "$src/edir/inner" "$src/zlink"
tampered 3 openat:error=ENOENT bdir ingest --json acme/web "$src"
says "$src/bdir: vanished"
is dirs "$(of dirs)" 3
things 8
if [ -n "$python" ]; then
	inner=$(grep '"path": "edir/inner"' "$dir/read")
	is "number of the link's first name" \
		"$(echo "$inner" | sed 's/.*"first": \([0-9]*\).*/\1/')" \
		"$(echo "$inner" | sed 's/.*"number": \([0-9]*\).*/\1/')"
fi
run 0 ingest acme/web "$src"
same_as "$src"

claim "a file that may not be opened is recorded without its content"
make_three
tampered 3 openat:error=EACCES b ingest --json acme/web "$src"
says "$src/dir/b: Permission denied"
is files "$(of files)" 3
is faults "$(of faults)" 1
run 0 ingest --json acme/web "$src"
is changed "$(of changed)" 1
same_as "$src"

claim "with -q a fault is named all the same"
make_three
tampered 3 openat:error=EACCES b ingest -q acme/web "$src"
says "$src/dir/b: Permission denied"
is words "$out" ""

claim "a file that cannot be read to its end is recorded without its content"
make_three
head -c 1000000 /dev/urandom >"$src/dir/large"
for name in b large; do
	tampered 3 pread64:error=EIO "$src/dir/$name" ingest --json acme/web \
		"$src"
	says "$src/dir/$name: Input/output error"
	is files "$(of files)" 4
	is faults "$(of faults)" 1
done
sleep 2.2
run 0 ingest --json acme/web "$src"
same_as "$src"

claim "a directory that may not be listed is recorded without its entries"
make_three
tampered 3 getdents64:error=EIO "$src/dir" ingest --json acme/web "$src"
says "$src/dir: Input/output error"
is files "$(of files)" 0
is dirs "$(of dirs)" 2
run 0 ingest --json acme/web "$src"
is files "$(of files)" 3
same_as "$src"

claim "a top directory that may not be listed is a failure"
make_three
tampered 1 getdents64:error=EIO "$src" ingest acme/web "$src"
one_line
is "snapshots" "$(ls "$IERI_STORE/roots" | wc -l)" 0

claim "xattrs that cannot be read are a fault, and are tried again"
make_three
tampered 3 flistxattr:error=EIO "$src/dir/b" ingest --json acme/web "$src"
says "$src/dir/b: extended attributes"
is faults "$(of faults)" 1
sleep 2.2
tampered 0 flistxattr:delay_enter=1 "$src/dir/b" ingest acme/web "$src"

claim "a file that always changes is recorded with a warning"
head -c 30000000 /dev/zero >"$src/growing"
(while :; do echo more; done >>"$src/growing") &
writer=$!
run 3 ingest --json acme/web "$src"
kill $writer
wait $writer 2>/dev/null
says "$src/growing: changed while being read"
is files "$(of files)" 1
sleep 2.2
run 0 ingest --json acme/web "$src"
is changed "$(of changed)" 1
same_as "$src"

claim "a file that changes once is read again, and is no fault"
head -c 300000 /dev/urandom >"$src/file"
(
	until grep -qs pread64 "$dir/trace"; do sleep 0.05; done
	echo tail >>"$src/file"
) &
tampered 0 pread64:delay_exit=1500000:when=1 "$src/file" ingest --json \
	acme/web "$src"
wait
is bytes "$(of bytes)" 300005
same_as "$src"

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	claim "what an ordinary user may not read is named"
	make_three
	chmod 000 "$src/dir/a"
	mkdir "$src/closed"
	echo 1 >"$src/closed/file"
	chmod 000 "$src/closed"
	chmod 755 "$top"
	chown -R 65534:65534 "$dir"
	chown 0:0 "$src/dir/a" "$src/closed"
	out=$(setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ieri" ingest --json acme/web "$src" 2>"$dir/words")
	is status $? 3
	words=$(cat "$dir/words")
	says "$src/dir/a: Permission denied"
	says "$src/closed: Permission denied"
	is faults "$(of faults)" 2
	is files "$(of files)" 3
	run 0 ingest acme/web "$src"
	same_as "$src"
else
	echo "skipped: not root, nobody else to be"
fi

claim "a second ingest of the resource is refused while one is at work"
make_three
$traced -f -o "$dir/trace" -P b -e inject=openat:delay_enter=3000000 \
	"$ieri" ingest -q acme/web "$src" 2>/dev/null &
first=$!
until ls "$IERI_STORE/run" | grep -vq '^store.lock$'; do sleep 0.05; done
run 1 ingest acme/web "$src"
one_line
says acme/web
run 0 ingest acme/other "$src/dir/a"
wait $first
is "status of the first" $? 0
run 0 ingest acme/web "$src"

claim "a signal ends it without a snapshot, and what was sealed stays"
make_three
$traced -f -o "$dir/trace" -P b -e inject=openat:delay_enter=2000000 \
	"$ieri" ingest acme/web "$src" 2>"$dir/words" >"$dir/out" &
first=$!
until grep -qs '"b"' "$dir/trace"; do sleep 0.05; done
kill -TERM $(pgrep -P $first)
wait $first
is status $? 1
words=$(grep -v '^strace: ' "$dir/words")
says stopped
is "snapshots" "$(ls "$IERI_STORE/roots" | wc -l)" 0
is "left in tmp" "$(ls "$IERI_STORE/tmp" | wc -l)" 0
run 0 ingest acme/web "$src"
same_as "$src"

if mkdir "$top/probe" "$top/probe/mounted" &&
	mount -t tmpfs none "$top/probe/mounted" 2>/dev/null; then
	umount "$top/probe/mounted"
	claim "other file systems are entered, or not, as asked"
	make_three
	mkdir "$src/mounted"
	mount -t tmpfs none "$src/mounted"
	echo 1 >"$src/mounted/inner"
	run 0 ingest --json acme/web "$src"
	is files "$(of files)" 4
	same_as "$src"
	run 0 ingest --json --one-file-system acme/web "$src"
	is files "$(of files)" 3
	is dirs "$(of dirs)" 3
	run 0 ingest --json -x acme/mounted "$src/mounted"
	is files "$(of files)" 1
	umount "$src/mounted"
else
	echo "skipped: nothing can be mounted here"
fi

finish
