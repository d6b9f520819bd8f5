#!/usr/bin/env bash
# Asks a development server of its own, on a free port, what Schemathesis makes of its description: every
# method of every resource, with data that fits the schema and data that does not, all checks on. Installs
# Schemathesis below target/schemathesis; installs Python with the system's package manager if it is
# missing. Arguments go to Schemathesis.
set -euo pipefail
set -m
cd "$(dirname "$0")/../.."
. tests/install.sh

READY_SECONDS_MAX=60
home="$PWD/target/schemathesis"
suite="$PWD/tests/schemathesis"
scratch=$(mktemp -d)
server=""

finish() {
    [ -z "$server" ] || { kill -KILL -- "-$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    echo "schemathesis: $1" >&2
    exit 1
}

python_with "$home" "$suite/requirements.txt"

cargo build --locked --bin tidings
"${CARGO_TARGET_DIR:-target}/debug/tidings" dev --ephemeral --json \
    --http 127.0.0.1:0 --https 127.0.0.1:0 --admin 127.0.0.1:0 --lmtp-port 0 >"$scratch/ready.json" 2>"$scratch/server.log" &
server=$!
started=$SECONDS
until [ -s "$scratch/ready.json" ]; do
    [ $((SECONDS - started)) -lt "$READY_SECONDS_MAX" ] || fail "the server is not ready"
    kill -0 "$server" 2>/dev/null || { cat "$scratch/server.log" >&2; fail "the server ended"; }
    sleep 0.1
done
told() { "$home/python/bin/python" -c "import json, sys; print(eval('ready' + sys.argv[2], {'ready': json.load(open(sys.argv[1]))}))" "$scratch/ready.json" "$1"; }
base=$(told '["http"][0]')
token=$(told '["token"]')

# A user's own mailbox stands below /me and below /users/{id}; the first is enough.
status=0
(cd "$scratch" && "$home/python/bin/schemathesis" --config-file "$suite/schemathesis.toml" run "$base/openapi.json" \
    --url "$base/v1.0" --header "Authorization: Bearer $token" --exclude-path-regex '^/users/\{user-id\}/' "$@") || status=$?
kill -0 "$server" 2>/dev/null || { tail -n 40 "$scratch/server.log" >&2; fail "the server ended"; }
[ "$status" -eq 0 ] || { tail -n 40 "$scratch/server.log" >&2; fail "the description and the server differ"; }
