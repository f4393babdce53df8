#!/bin/bash
# Claims about `ieri ingest`: what is recorded, what is read again, what is
# refused, and what each ending tells the caller.
set -u
. "$(dirname "$0")/ingest_lib.sh"

packs() {
	find "$IERI_STORE/packs" -name '*.pack' | sort
}

# The bytes of section 2, the top entry, of the newest root record.
top_entry() {
	python3 - "$IERI_STORE/roots" <<'END'
import os, sys
records = [open(os.path.join(sys.argv[1], n), "rb").read()
           for n in os.listdir(sys.argv[1])]
r = max(records, key=lambda d: int.from_bytes(d[48:56], "little"))
at = 256
while r[at] != 2:
    at += 8 + int.from_bytes(r[at + 4:at + 8], "little")
print(r[at + 8:at + 8 + int.from_bytes(r[at + 4:at + 8], "little")].hex())
END
}

# Chunks in packs of this kind (0 data, 1 meta) that were not in $before.
new_chunks() {
	packs | comm -13 "$before" - | python3 -c '
import sys
n = 0
for line in sys.stdin:
    end = open(line.strip(), "rb").read()[-96:]
    if end[80] == int(sys.argv[1]):
        n += int.from_bytes(end[28:32], "little")
print(n)' "$1"
}

make_every_kind() {
	python3 - "$src" <<'END'
import os, socket, sys
os.chdir(sys.argv[1])
def put(name, data):
    with open(name, "wb") as f:
        f.write(data)
state = 12345
def noise(n):
    return os.urandom(n)
put("empty", b"")
put("one", b"1")
for size in (16383, 16384, 16385, 65536, 262143, 262144, 262145, 1 << 20,
             (5 << 20) + 17):
    put("size-%d" % size, noise(size))
put("zeros", bytes(3 << 20))
put("text", b"the same line again\n" * 40000)
os.mkdir("dir")
os.mkdir("dir/empty")
os.mkdir("dir/deeper")
put("dir/deeper/file", b"deep")
os.chmod("dir/deeper/file", 0o4751)
os.mkdir("dir/sticky")
os.chmod("dir/sticky", 0o3777)
put(b"dir/\xff\xfe\x01\n\t name", b"bytes")
put(b"dir/" + b"n" * 255, b"long")
put("dir/-rf", b"")
put("dir/ \\", b"")
os.symlink("nowhere", "dangling")
os.symlink(b"\xff" * 4095 if False else b"x" * 4095, "dir/longest")
os.symlink("/etc/passwd", "absolute")
os.mkfifo("fifo")
s = socket.socket(socket.AF_UNIX)
s.bind("socket")
os.link("one", "dir/one-too")
os.link("one", "dir/deeper/one-three")
os.link("size-1048576", "dir/big-too")
os.link("fifo", "dir/fifo-too")
os.link("dangling", "dir/dangling-too")
put("outside-link", b"its other name lies elsewhere")
os.link("outside-link", "../outside")
with open("sparse", "wb") as f:
    f.truncate(64 << 20)
    f.seek(10 << 20)
    f.write(b"middle")
    f.seek(30 << 20)
    f.write(noise(300000))
with open("all-hole", "wb") as f:
    f.truncate(1 << 30)
with open("data-then-hole", "wb") as f:
    f.write(noise(70000))
    f.truncate(1 << 20)
for name in ("one", "dir", "dir/deeper/file"):
    try:
        os.setxattr(name, "user.note", b"\0\1binary\xff")
        os.setxattr(name, "user.long", b"v" * 3000)
    except OSError:
        pass
if os.geteuid() == 0:
    os.mknod("char", 0o20644, os.makedev(5, 1))
    os.mknod("block", 0o60640, os.makedev(259, 70000))
    os.chown("text", 12345, 54321)
    os.lchown("dangling", 1, 2)
    try:
        os.setxattr("dangling", "trusted.link", b"on a symlink",
                    follow_symlinks=False)
        os.setxattr("fifo", "trusted.fifo", b"on a fifo")
    except OSError:
        pass
os.utime("one", ns=(1, -1))
os.utime("text", ns=(1, 4102444800123456789))
os.utime("dangling", ns=(5, 1000000001), follow_symlinks=False)
END
	command -v setfacl >/dev/null &&
		setfacl -m u:33:rw "$src/text" 2>/dev/null
	command -v setcap >/dev/null && [ "$(id -u)" = 0 ] &&
		setcap cap_net_raw+ep "$src/size-16384" 2>/dev/null
	return 0
}

claim "every kind of thing is recorded as it is"
[ -n "$python" ] || echo "skipped: no Python with xxhash, zstandard, cryptography"
make_every_kind
run 0 ingest --json acme/web "$src"
is files "$(of files)" "$(find "$src" -type f -printf . | wc -c)"
is dirs "$(of dirs)" "$(find "$src" -type d -printf . | wc -c)"
is other "$(of other)" "$(find "$src" ! -type f ! -type d \
	-printf . | wc -c)"
is bytes "$(of bytes)" "$(find "$src" -type f -printf '%s\n' |
	awk '{ n += $1 } END { printf "%d", n }')"
is faults "$(of faults)" 0
same_as "$src"

claim "what was not racy is not read again, and the tree stays the same"
make_every_kind
sleep 2.2
run 0 ingest --json acme/web "$src"
n=$(($(of files) + $(of other)))
is changed "$(of changed)" 0
is new "$(of new)" "$n"
before=$(packs)
entry=$(top_entry)
run 0 ingest --json acme/web "$src"
is unchanged "$(of unchanged)" "$n"
is added "$(of added)" 0
is packs "$(packs)" "$before"
is "top entry" "$(top_entry)" "$entry"
same_as "$src"
if command -v strace >/dev/null; then
	$traced -f -e trace=openat,read,pread64,readlinkat,llistxattr,flistxattr \
		-o "$dir/trace" "$ieri" ingest -q acme/web "$src"
	grep -q '"size-65536"' "$dir/trace" && fail "an unchanged file was opened"
	grep -q 'listxattr' "$dir/trace" && fail "xattrs were listed again"
fi

claim "a changed file rewrites only the directories above it"
mkdir -p "$src"/a/b "$src"/c/d "$src"/e
echo 1 >"$src/a/b/file"
echo 2 >"$src/c/d/file"
echo 3 >"$src/e/file"
sleep 2.2
run 0 ingest acme/web "$src"
packs >"$dir/before"
before=$dir/before
sed -i s/1/one/ "$src/a/b/file"
run 0 ingest --json acme/web "$src"
is changed "$(of changed)" 1
is unchanged "$(of unchanged)" 2
is "pages written" "$(new_chunks 1)" 3
is "chunks written" "$(new_chunks 0)" 1
same_as "$src"

claim "names that are gone or new are noticed"
mkdir "$src/d"
for i in a b c d e f; do echo $i >"$src/d/$i"; done
sleep 2.2
run 0 ingest acme/web "$src"
rm "$src/d/a" "$src/d/f"
mkdir "$src/d/c2"
touch "$src/d/bb"
run 0 ingest --json acme/web "$src"
is new "$(of new)" 1
is unchanged "$(of unchanged)" 4
same_as "$src"
rm -r "$src/d"
run 0 ingest acme/web "$src"
same_as "$src"

if command -v strace >/dev/null; then
	claim "a file read within two seconds of its change is read again"
	echo young >"$src/file"
	run 0 ingest acme/web "$src"
	sleep 2.2
	for expected in 1 0; do
		out=$($traced -f -e trace=openat -o "$dir/trace" \
			"$ieri" ingest --json acme/web "$src")
		is "times it was opened" \
			"$(grep -c '"file"' "$dir/trace")" $expected
		is unchanged "$(of unchanged)" 1
	done
fi

claim "a change of the same size with its mtime set back is noticed"
echo first >"$src/file"
sleep 2.2
run 0 ingest acme/web "$src"
touch -r "$src/file" "$dir/stamp"
echo other >"$src/file"
touch -r "$dir/stamp" "$src/file"
run 0 ingest --json acme/web "$src"
is changed "$(of changed)" 1
same_as "$src"

claim "one file lies alone in its snapshot"
echo data >"$src/the file"
echo no >"$src/not this"
run 0 ingest --json acme/dump "$src/the file"
is files "$(of files)" 1
is dirs "$(of dirs)" 1
rm "$src/not this"
touch -d '2001-02-03 04:05:06' "$src"
run 0 ingest acme/dump "$src/the file"
same_as "$src"

claim "several paths are stored under their full names"
mkdir -p "$src/in/dir" "$src/out"
echo 1 >"$src/in/dir/file"
echo 2 >"$src/in/single"
echo 3 >"$src/in/unwanted"
run 0 ingest --json acme/many "$src/in/dir" "$src/in/single" "$src/in/dir"
is files "$(of files)" 2
if [ -n "$python" ]; then
	"$python" "$SOURCE/tests/golden/read.py" "$IERI_STORE" >"$dir/read"
	for name in in/dir/file in/single; do
		grep -qF "\"path\": \"${src#/}/$name\"" "$dir/read" ||
			fail "$name is not there"
	done
	grep -q unwanted "$dir/read" && fail "what was not named is there"
fi

claim "wrong usage is one line and status 2"
for args in "ingest" "ingest acme/web" "ingest --threads 0 acme/web $src" \
	"ingest --threads x acme/web $src" "ingest --nonsense acme/web $src" \
	"ingest --host= acme/web $src" "ingest /acme $src"; do
	run 2 $args
	one_line
done
run 1 ingest acme/web "$dir/missing"
one_line
says missing
run 1 ingest -s "$dir/nowhere" acme/web "$src"
one_line
is "snapshots" "$(ls "$IERI_STORE/roots" | wc -l)" 0

claim "the store is not ingested into itself"
mkdir "$src/sub"
export IERI_STORE=$src/sub/store
"$ieri" init -q "$IERI_STORE"
echo 1 >"$src/file"
run 0 ingest --json acme/web "$src"
is files "$(of files)" 1
says "not entered"
run 2 ingest acme/self "$IERI_STORE"
one_line

claim "a chain of 3000 directories needs few descriptors"
python3 - "$src" <<'END'
import os, sys
os.chdir(sys.argv[1])
for comb in (False, True):
    here = os.open(".", os.O_RDONLY)
    for i in range(1500 if comb else 3000):
        os.mkdir("d")
        if comb:
            os.mkdir("e")
        os.chdir("d")
    with open("bottom", "w") as f:
        f.write("deep")
    os.fchdir(here)
    if not comb:
        os.mkdir("comb")
        os.chdir("comb")
END
(
	ulimit -n 512
	run 0 ingest --json acme/deep "$src"
	is dirs "$(of dirs)" 6002
	is files "$(of files)" 2
	is faults "$(of faults)" 0
	exit $failed
) || failed=1
if [ -n "$python" ]; then
	"$python" "$SOURCE/tests/golden/read.py" "$IERI_STORE" >"$dir/read" ||
		fail "the reader refuses it"
	is "things" "$(wc -l <"$dir/read")" 6005
fi

claim "a directory of 100000 entries fits in memory"
python3 - "$src" <<'END'
import os, sys
for i in range(100000):
    os.close(os.open("%s/file-number-%d" % (sys.argv[1], i),
                     os.O_CREAT | os.O_WRONLY))
END
python3 - "$ieri" "$src" <<'END' || fail "it takes too much"
import resource, subprocess, sys
subprocess.run([sys.argv[1], "ingest", "-q", "acme/flat", sys.argv[2]],
               check=True)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("100000 entries: %d MiB" % (most >> 10))
# The address sanitizer keeps what was freed.
instrumented = b"__asan_init" in open(sys.argv[1], "rb").read()
sys.exit(most > 256 << 10 and not instrumented)
END
sleep 2.2
run 0 ingest acme/flat "$src"
rm "$src/file-number-77"
run 0 ingest --json acme/flat "$src"
is unchanged "$(of unchanged)" 99999
[ "$(of added)" -lt 100000 ] || fail "one name less added $(of added) bytes"

finish
