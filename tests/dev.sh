#!/usr/bin/env bash
# Runs the commands of docs/dev.md and of docs/event-grid.md as printed, with the program that was built. Only the working
# directory is another. Needs the default ports, and Python for the second.
set -euo pipefail
set -m # each job gets its own process group
cd "$(dirname "$0")/.."

RUN_SECONDS_MAX=120
STOP_SECONDS_MAX=20

root=$PWD
scratch=$(mktemp -d)

# The jobs of the page that ran last.
stop_jobs() {
    [ -s "$scratch/jobs" ] || return 0
    while read -r job; do
        { kill -INT -- "-$job" || true; } 2>/dev/null
    done <"$scratch/jobs"
    rm "$scratch/jobs"
}
finish() {
    stop_jobs
    rm -rf "$scratch"
}
trap finish EXIT

is_busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The marked blocks of a page, as one script.
commands_of() {
    awk '
        $0 == "<!-- ci -->" { marked = 1; next }
        marked && !inside && /^```/ { inside = 1; python = /python/; if (python) print "python3 - <<\47PYTHON\47"; next }
        inside && /^```/ { if (python) print "PYTHON"; marked = inside = 0; next }
        inside { print }' "$1"
}

# run PAGE PORTS…
run() {
    local page=$1 port commands
    shift
    for port in "$@"; do
        if is_busy "$port"; then
            echo "$page: port $port of 127.0.0.1 is busy; its commands need it: stop what listens there" >&2
            exit 1
        fi
    done
    commands=$(commands_of "$page")
    [ -n "$commands" ] || { echo "$page has no marked block" >&2; exit 1; }
    mkdir "$scratch/run"
    cd "$scratch/run"
    {
        echo "set -eum"
        echo "export TMPDIR=$scratch/run PATH=$program:\$PATH"
        echo "trap 'jobs -p >$scratch/jobs' EXIT"
        echo "$commands"
    } >run.sh
    if ! timeout "$RUN_SECONDS_MAX" bash -x run.sh >run.log 2>&1; then
        cat run.log ./*.log ./*.jsonl ./*.txt >&2 || true
        exit 1
    fi
    echo "$page: its commands do what it says"
    cd "$root"
    stop_jobs
    local started=$SECONDS
    for port in "$@"; do
        while is_busy "$port"; do
            [ $((SECONDS - started)) -lt "$STOP_SECONDS_MAX" ] || { echo "$page: port $port stays busy" >&2; exit 1; }
            sleep 0.1
        done
    done
    rm -rf "$scratch/run"
}

cargo build --locked --bin tidings
program=${CARGO_TARGET_DIR:-$PWD/target}/debug
run docs/dev.md 8080 8443 8024 8081
run docs/event-grid.md 8080 8443 8024 8081 9000
