#!/bin/sh
# SQLite is known to index/db*.c alone, and inside them one file alone begins,
# commits and checkpoints: the one that takes the write lock first.
set -eu

cd "${SOURCE:?}"
bad=0

complain()
{
	if [ -n "$2" ]; then
		printf '%s:\n%s\n' "$1" "$2"
		bad=1
	fi
}

sources=$(find chunker index fs tools -name '*.[ch]' 2>/dev/null)

complain "includes sqlite3.h outside index/db*.c" "$(grep -l \
    '#include *[<"]sqlite3\.h' $sources | grep -v '^index/db_private\.h$' || :)"
complain "includes db_private.h outside index/db*.c" "$(grep -l \
    '#include *"index/db_private\.h"' $sources | grep -v '^index/db[a-z_]*\.c$' || :)"

words='"[^"]*\b(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|journal_mode|wal_checkpoint)\b|sqlite3_wal_(checkpoint|autocheckpoint)'
complain "transactions or checkpoints outside index/db_write.c" "$(grep -nE \
    "$words" $sources | grep -v '^index/db_write\.c:' || :)"

once()
{
	n=$(grep -cE "$1" index/db_write.c || :)
	if [ "$n" != 1 ]; then
		echo "index/db_write.c: $1 stands there $n times, not once"
		bad=1
	fi
}

once '"BEGIN IMMEDIATE"'
once '"COMMIT"'
once '"ROLLBACK"'
once 'sqlite3_wal_checkpoint_v2\('
once 'flock\(.*LOCK_EX'

exit $bad
