#!/usr/bin/env bash
# Runs the README's first command and its commands to paste exactly as printed, each block after a "#"
# line in a terminal of its own, and asserts that a notification was delivered. Only the
# directories for data and for the key are others. Needs the default ports.
set -euo pipefail
set -m # each terminal gets its own process group, which Ctrl-C goes to
shopt -s nullglob
cd "$(dirname "$0")/.."
unset CARGO_TARGET_DIR # the commands say where the program lies

READY_SECONDS_MAX=60
STEP_SECONDS_MAX=30

scratch=$(mktemp -d)
export XDG_DATA_HOME="$scratch/data" XDG_CONFIG_HOME="$scratch/config"
unset TIDINGS_DATA_DIR
pids=()

fail() {
    echo "first five minutes: $1" >&2
    for output in "$scratch"/*.out; do
        echo "----- $(basename "$output" .out)" >&2
        cat "$output" >&2
    done
    exit 1
}

finish() {
    for pid in "${pids[@]}"; do
        { kill -KILL -- "-$pid" && wait "$pid"; } 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap finish EXIT

# block MARKER: the lines of the README's fenced block after the comment of that name.
block() {
    awk -v marker="<!-- $1 -->" '
        $0 == marker { marked = 1; next }
        marked && /^```/ { if (inside) exit; inside = 1; next }
        inside { print }' README.md
}

# start NAME COMMANDS: runs commands as a terminal would, output to NAME.out; the pid is left in $started.
start() {
    : >"$scratch/$1.out"
    bash -c "$2" >"$scratch/$1.out" 2>&1 &
    started=$!
    pids+=("$started")
}

alive() { kill -0 -- "-$1" 2>/dev/null; }

# await SECONDS WHAT TEST…: waits until a test holds.
await() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || fail "$what: not within the time"
        sleep 0.1
    done
}

interrupt() {
    kill -INT -- "-$2"
    wait "$2" || fail "$1 ended with $? after Ctrl-C"
}

for port in 8080 8443 8024 8081; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "port $port of 127.0.0.1 is busy; the README's commands need it: stop what listens there"
    fi
done

first=$(block run)
pasted=$(block "first five minutes")
[ -n "$first" ] && [ -n "$pasted" ] || fail "README.md has no marked blocks"
commands=$(grep -cvE '^(#.*)?$' <<<"$pasted")
[ "$commands" -le 5 ] || fail "$commands commands to paste; five are the most"

# Built ahead, so that the time for the start is the server's own.
cargo build --locked --bin tidings

echo "\$ $first"
start server "$first"
server=$started
is_ready() {
    alive "$server" || fail "the server ended"
    [ -s "$XDG_DATA_HOME/tidings/ready.json" ]
}
await "$READY_SECONDS_MAX" "the server is ready" is_ready

# A terminal's commands have ended, or have said that they are subscribed.
has_come_so_far() { ! alive "$1" || grep -qi 'subscri' "$2"; }

listening=""
mapfile -t lines <<<"$pasted"
lines+=("# end")
terminal=0
script=""
for line in "${lines[@]}"; do
    if [[ $line != "#"* ]]; then
        script+="$line"$'\n'
        [ -z "$line" ] || echo "\$ $line"
    elif [ -n "$script" ]; then
        terminal=$((terminal + 1))
        start "terminal-$terminal" "$script"
        await "$STEP_SECONDS_MAX" "terminal $terminal" has_come_so_far "$started" "$scratch/terminal-$terminal.out"
        if alive "$started"; then
            listening=$started
        else
            wait "$started" || fail "terminal $terminal ended with $?"
        fi
        script=""
    fi
done

[ -n "$listening" ] || fail "no terminal is listening"
# The lines that tell of a notification, not of the subscription.
delivered() { grep -i 'created' "$scratch/terminal-1.out" | grep -iv 'subscri'; }
await "$STEP_SECONDS_MAX" "a notification" delivered
interrupt "listen" "$listening"
interrupt "the server" "$server"
echo "first five minutes: $commands commands, a notification was delivered"
