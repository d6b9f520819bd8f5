#!/usr/bin/env bash
# Runs the commands of docs/dev.md as printed, with the program that was built. Only the working directory is another.
# Needs the default ports.
set -euo pipefail
set -m # each job gets its own process group
cd "$(dirname "$0")/.."

RUN_SECONDS_MAX=120

scratch=$(mktemp -d)
finish() {
    # The jobs of the page.
    if [ -s "$scratch/jobs" ]; then
        while read -r job; do
            { kill -INT -- "-$job" || true; } 2>/dev/null
        done <"$scratch/jobs"
    fi
    rm -rf "$scratch"
}
trap finish EXIT

for port in 8080 8443 8024 8081; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "docs/dev.md: port $port of 127.0.0.1 is busy; its commands need it: stop what listens there" >&2
        exit 1
    fi
done

commands=$(awk '
    $0 == "<!-- ci -->" { marked = 1; next }
    marked && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }' docs/dev.md)
[ -n "$commands" ] || { echo "docs/dev.md has no marked block" >&2; exit 1; }

cargo build --locked --bin tidings
program=${CARGO_TARGET_DIR:-$PWD/target}/debug
cd "$scratch"
{
    echo "set -eum"
    echo "export TMPDIR=$scratch PATH=$program:\$PATH"
    echo "trap 'jobs -p >jobs' EXIT"
    echo "$commands"
} >run.sh
if ! timeout "$RUN_SECONDS_MAX" bash -x run.sh >run.log 2>&1; then
    cat run.log ./*.log ./*.jsonl >&2
    exit 1
fi
echo "docs/dev.md: its commands do what it says"
