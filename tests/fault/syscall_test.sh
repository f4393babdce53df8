#!/bin/bash
# Every system call of an ingest fails once, in each way it can; SEED repeats.
. "$(dirname "$0")/support.sh"

rounds sweep.py ingest
rounds sweep.py fresh-log
rounds sweep.py recovery
finish
