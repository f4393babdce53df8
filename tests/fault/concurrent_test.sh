#!/bin/bash
# Several ingests in one store at once, and one beside a mounted reader.
. "$(dirname "$0")/support.sh"

rounds concurrent.py
finish
