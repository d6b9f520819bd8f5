#!/usr/bin/env bash
# Expands random series with python-dateutil and compares each with ours. Installs it below
# target/recurrence, in the version that requirements.txt names, and Python if it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/install.sh

series=${TIDINGS_RRULE_SERIES:-10000}
home="$PWD/target/recurrence"
python_with "$home" tests/recurrence/requirements.txt
"$home/python/bin/python" tests/recurrence/expand.py "$series" 1 >"$home/series.jsonl"
TIDINGS_RRULE_LINES="$home/series.jsonl" cargo test --locked -p tidings-graph --test recurrence -- --nocapture
