#!/bin/bash
# Wrong calls: the status, the words, and a store that is as it was.
. "${SOURCE:-$(dirname "$0")/../..}/tests/lib.sh"
need python3
cd "$WORK" || exit 1
store=$WORK/store
mkdir src && echo one >src/file && mkdir src/dir && : >src/dir/empty
holds "a store is made" "$IERI" init "$store"
holds "and filled" "$IERI" ingest -s "$store" a/b src
: >plain
mkdir empty full && : >full/x

# Stores that cannot be used.
cp -a "$store" newer
cp -a "$store" cut
cp -a "$store" garbled
python3 - <<'PY'
import os
config = open("store/config", "rb").read()
open("cut/config", "wb").write(config[:len(config) // 2])
half = len(config) // 2
open("garbled/config", "wb").write(
    config[:half] + bytes([config[half] ^ 1]) + config[half + 1:])
# A version to come, properly summed where a sum is made of it.
newer = bytearray(config)
newer[8] = 99
open("newer/config", "wb").write(newer)
PY
before=$(store_sum "$store")

# call STATUS WORDS ARGUMENT...
call() {
	local expected=$1 words=$2
	shift 2
	status "ieri $*" "$expected" "$IERI" "$@"
	says "ieri $*" "$words"
	same "ieri $*: one line" 1 "$(wc -l <.err)"
}

call 2 "no command" frobnicate
call 2 "unknown option" list --frobnicate
call 2 "unknown option -Z" list -Z
call 2 "needs an argument" list -s
call 2 "takes no argument" list --json=yes
call 2 "auto, always or never" list --progress=maybe -s "$store"
call 2 "no store named" list
call 2 "no store named" ls a/b
call 2 "no store named" cat a/b:/file
call 2 "no store named" restore a/b out
call 2 "no store named" mount empty
call 2 "no store named" rebuild-index
call 2 "one RESOURCE" list -s "$store" a b
call 2 "one REF" ls -s "$store"
call 2 "one REF" ls -s "$store" a b
call 2 "one REF" cat -s "$store"
call 2 "one REF" restore -s "$store" a/b
call 2 "one REF" restore -s "$store" a/b c d
call 2 "one MOUNTPOINT" mount -s "$store"
call 2 "unexpected argument" rebuild-index -s "$store" more
call 2 "keep or replace" restore -s "$store" --conflict=merge a/b out
call 2 "from 1 to 64" restore -s "$store" --threads 0 a/b out
call 2 "from 1 to 64" restore -s "$store" --threads many a/b out

call 1 "nowhere" list -s nowhere
call 1 "empty" list -s empty
call 1 "plain" list -s plain
call 1 "newer" list -s newer
call 1 "cut" list -s cut
call 1 "garbled" ls -s garbled a/b
call 1 "full" init full
call 1 "store" init "$store"

call 1 "no/such" list -s "$store" no/such
call 1 "no/such" ls -s "$store" no/such
call 1 "absent" ls -s "$store" a/b:/absent
call 1 "absent" cat -s "$store" a/b:/dir/absent
call 2 "a directory" cat -s "$store" a/b:/dir
call 2 ".." ls -s "$store" a/b:/../x
call 1 "2001-01-01" ls -s "$store" a/b@2001-01-01
call 1 "nearest" restore -s "$store" a/b@2001-01-01 out
call 2 "gibberish" ls -s "$store" a/b@gibberish
call 1 "no/parent" restore -s "$store" a/b no/parent/out
call 1 "plain" restore -s "$store" a/b plain
call 2 "lies in the store" restore -s "$store" a/b "$store/packs"
call 2 "lies in the store" restore -s "$store" a/b:/file "$store/packs/f"

[ ! -e out ] && ok || fail "a refused restore made its target"
same "the store is byte for byte as it was" "$before" \
	"$(store_sum "$store")"

# A name that would drive the terminal is shown, not obeyed.
call 1 "]52;c;x" ls -s "$store" "$(printf 'a/b:/\033]52;c;x\007')"
same "no control byte" 0 "$(tr -d '\n\t' <.err | LC_ALL=C grep -c '[[:cntrl:]]')"

# A reader that leaves early is no failure.
for i in $(seq 400); do : >"src/dir/a-rather-long-name-of-a-file-$i"; done
holds "more is ingested" "$IERI" ingest -s "$store" a/b src
status "ls | head is quiet" 0 bash -o pipefail -c \
	"'$IERI' ls -R -l -s '$store' a/b | head -n 1"
same "indeed" "" "$(cat .err)"
head -c 3000000 /dev/urandom >src/long
holds "and more" "$IERI" ingest -s "$store" a/b src
status "cat | head is quiet" 0 bash -o pipefail -c \
	"'$IERI' cat -s '$store' a/b:/long | head -c 10 | wc -c"
same "indeed" "" "$(cat .err)"
status "a full disk is not" 1 bash -c \
	"'$IERI' ls -R -s '$store' a/b >/dev/full"

finish
