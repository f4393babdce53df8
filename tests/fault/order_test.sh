#!/bin/bash
# What is pointed at is durable before what points at it.
. "$(dirname "$0")/support.sh"

need strace
rounds order.py
finish
