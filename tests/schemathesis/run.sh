#!/usr/bin/env bash
# Asks a development server of its own, on a free port, what Schemathesis makes of its description: every
# method of every resource, with data that fits the schema and data that does not, all checks on. Installs
# Schemathesis below target/schemathesis; installs Python with the system's package manager if it is
# missing. Arguments go to Schemathesis.
set -euo pipefail
set -m
cd "$(dirname "$0")/../.."

READY_SECONDS_MAX=60
home="$PWD/target/schemathesis"
suite="$PWD/tests/schemathesis"
mkdir -p "$home"
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

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Installed anew when another version is asked for.
if ! cmp -s "$suite/requirements.txt" "$home/requirements.txt"; then
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        command -v apt-get >/dev/null || fail "install Python 3 with venv first: this script knows apt-get only"
        as_root apt-get update -qq
        as_root apt-get install -y -qq python3 python3-venv >/dev/null
    fi
    rm -rf "$home/venv"
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$suite/requirements.txt"
    cp "$suite/requirements.txt" "$home/"
fi

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
told() { "$home/venv/bin/python" -c "import json, sys; print(eval('ready' + sys.argv[2], {'ready': json.load(open(sys.argv[1]))}))" "$scratch/ready.json" "$1"; }
base=$(told '["http"][0]')
token=$(told '["token"]')

# A user's own mailbox stands below /me and below /users/{id}; the first is enough.
status=0
(cd "$scratch" && "$home/venv/bin/schemathesis" --config-file "$suite/schemathesis.toml" run "$base/openapi.json" \
    --url "$base/v1.0" --header "Authorization: Bearer $token" --exclude-path-regex '^/users/\{user-id\}/' "$@") || status=$?
kill -0 "$server" 2>/dev/null || { tail -n 40 "$scratch/server.log" >&2; fail "the server ended"; }
[ "$status" -eq 0 ] || { tail -n 40 "$scratch/server.log" >&2; fail "the description and the server differ"; }
