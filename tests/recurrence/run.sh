#!/usr/bin/env bash
# Expands random series with python-dateutil and compares each with ours. Installs it below
# target/recurrence, in the version that requirements.txt names.
set -euo pipefail
cd "$(dirname "$0")/../.."

series=${TIDINGS_RRULE_SERIES:-10000}
home="$PWD/target/recurrence"
mkdir -p "$home"
# Installed anew when what is asked for has changed.
if ! cmp -s tests/recurrence/requirements.txt "$home/requirements.txt"; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "install Python 3 with venv first" >&2; exit 1; }
    rm -rf "$home/python"
    python3 -m venv "$home/python"
    "$home/python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/recurrence/requirements.txt
    cp tests/recurrence/requirements.txt "$home/"
fi
"$home/python/bin/python" tests/recurrence/expand.py "$series" 1 >"$home/series.jsonl"
TIDINGS_RRULE_LINES="$home/series.jsonl" cargo test --locked -p tidings-graph --test recurrence -- --nocapture
