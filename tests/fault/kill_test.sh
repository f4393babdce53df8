#!/bin/bash
# Ingests are killed: at each of their calls, and at random moments.
. "$(dirname "$0")/support.sh"

rounds kill.py exact
rounds kill.py random 100
finish
