# support.sh -- what the fault tests share; sourced instead of tests/lib.sh.
#
# Gives what lib.sh gives, and `rounds SCRIPT ARGUMENT...`, which runs a Python
# script of this folder as one check.  $WORK lies in memory where there is
# room: the tests ask what was written in which order, not how fast a disk is.
free=$(df --output=avail -B1M /dev/shm 2>/dev/null | tail -n 1)
[ "${free:-0}" -gt 1500 ] && [ -w /dev/shm ] && export TMPDIR=/dev/shm
# shellcheck source=../lib.sh
. "${SOURCE:-$(dirname "${BASH_SOURCE[0]}")/../..}/tests/lib.sh"
export BUILD SOURCE WORK PYTHONDONTWRITEBYTECODE=1

[ -e "$BUILD/tests/fault_shim.so" ] || skip "fault_shim.so was not built"
PYTHON=
for candidate in python3 /usr/bin/python3; do
	"$candidate" -c 'import xxhash, zstandard, cryptography' 2>/dev/null &&
		PYTHON=$candidate && break
done
[ "$PYTHON" ] || skip "needs python3 with xxhash, zstandard, cryptography"

# rounds SCRIPT ARGUMENT...
rounds() {
	local status=0
	"$PYTHON" "$SOURCE/tests/fault/$1" "${@:2}" || status=$?
	case $status in
	0) ok ;;
	77) skip "see above" ;;
	*) fail "$* (status $status)" ;;
	esac
	# The next script starts from nothing.
	unmount_all
	rm -rf "${WORK:?}"/*
}
