#!/usr/bin/env bash
# Asks a development server of its own, on a free port, what Schemathesis makes of its descriptions, that of Graph and that of
# Event Grid: every method of every resource, with data that fits the schema and data that does not, all checks on. Installs
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

# token_for AUDIENCE: of the app that every development server has, for itself.
token_for() {
    "$home/python/bin/python" - "$base" "$1" <<'EOF'
import json, sys, urllib.parse, urllib.request
form = {"grant_type": "client_credentials", "client_id": "507c3b9a-67b8-463d-88a2-15a8cefb2111", "client_secret": "secret",
        "scope": sys.argv[2] + "/.default"}
answer = urllib.request.urlopen(sys.argv[1] + "/contoso.test/oauth2/v2.0/token", urllib.parse.urlencode(form).encode())
print(json.load(answer)["access_token"])
EOF
}
# manage METHOD PATH BODY: what the topic's management answers.
manage() {
    "$home/python/bin/python" - "$base" "$manager" "$@" <<'EOF'
import sys, urllib.request
base, token, method, path, body = sys.argv[1:]
topic = "/subscriptions/8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerTopics/mail"
headers = {"Authorization": "Bearer " + token}
request = urllib.request.Request(base + topic + path + "?api-version=2025-02-15", body.encode(), headers, method=method)
print(urllib.request.urlopen(request).read().decode())
EOF
}
# of_event_grid HEADER PATHS OPTIONS…
of_event_grid() {
    (cd "$scratch" && "$home/python/bin/schemathesis" --config-file "$suite/schemathesis.toml" run "$base/event-grid/openapi.json" \
        --url "$base" --header "$1" --include-path-regex "$2" "${@:3}")
}

# A user's own mailbox stands below /me and below /users/{id}; the first is enough.
status=0
(cd "$scratch" && "$home/python/bin/schemathesis" --config-file "$suite/schemathesis.toml" run "$base/openapi.json" \
    --url "$base/v1.0" --header "Authorization: Bearer $token" --exclude-path-regex '^/users/\{user-id\}/' "$@") || status=$?
# The topic and the queue that the configuration names are there, and the topic stays. Who receives from an empty queue waits for
# ten seconds at least.
manager=$(token_for https://management.azure.com)
queue='{"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}}}'
manage PUT '' '{"location": "westeurope", "properties": {"activationState": "Activated"}}' >/dev/null
manage PUT /eventSubscriptions/worker "$queue" >/dev/null
of_event_grid "Authorization: Bearer $manager" '^/subscriptions/' --exclude-operation-id PartnerTopics_Delete || status=$?
# What came before has replaced keys, and may have removed the queue.
manage PUT /eventSubscriptions/worker "$queue" >/dev/null
key=$(manage POST /listKeys '' | sed 's/.*"key1":"\([^"]*\)".*/\1/')
of_event_grid "aeg-sas-key: $key" '^/topics/' --exclude-operation-id ReceiveCloudEvents || status=$?
kill -0 "$server" 2>/dev/null || { tail -n 40 "$scratch/server.log" >&2; fail "the server ended"; }
[ "$status" -eq 0 ] || { tail -n 40 "$scratch/server.log" >&2; fail "the description and the server differ"; }
