#!/usr/bin/env bash
# Runs the examples of the crate receiver against a development server of its own, on free ports: each subscribes as its
# README says, one of them with data and one through a topic, and must print what is caused. Installs curl, jq and openssl with the system's package manager
# if they are missing.
set -euo pipefail
set -m
cd "$(dirname "$0")/../.."
. tests/install.sh

READY_SECONDS_MAX=60
ARRIVE_SECONDS_MAX=30
scratch=$(mktemp -d)
groups=()

finish() {
    for group in "${groups[@]}"; do
        { kill -KILL -- "-$group" && wait "$group"; } 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    echo "receiver: $1" >&2
    for output in "$scratch"/*.out; do
        echo "----- $(basename "$output" .out)" >&2
        tail -n 40 "$output" >&2
    done
    exit 1
}

# start NAME COMMAND…: in the background, its output to NAME.out.
start() {
    local name=$1
    shift
    : >"$scratch/$name.out" # there before anybody looks
    "$@" >"$scratch/$name.out" 2>&1 &
    groups+=("$!")
}

# await SECONDS NAME PATTERN: waits until NAME has printed a line like that, and prints the line.
await() {
    local until=$((SECONDS + $1))
    until grep -m 1 -E "$3" "$scratch/$2.out"; do
        [ "$SECONDS" -lt "$until" ] || fail "$2 has not printed $3"
        sleep 0.1
    done
}

for tool in curl jq openssl; do
    command -v "$tool" >/dev/null || install "$tool"
done

# All in one, with the features that the tests have, so that what they built is used.
cargo build --locked --workspace --bin tidings --example webhook --example rich --example bare --example pull
built=$(realpath "${CARGO_TARGET_DIR:-target}/debug")
start server "$built/tidings" dev --ephemeral --json \
    --http 127.0.0.1:0 --https 127.0.0.1:0 --admin 127.0.0.1:0 --lmtp-port 0
await "$READY_SECONDS_MAX" server '^\{.*\}$' >"$scratch/ready.json"
told() { jq -er "$1" "$scratch/ready.json"; }
base=$(told '.https[0]')
ca=$(told .ca)
app=$(told .app.id)
token=$(told .token)

# post URL BEARER JSON
post() {
    curl -sS --cacert "$ca" --fail-with-body "$1" -H "Authorization: Bearer $2" -H 'Content-Type: application/json' -d "$3" ||
        fail "$1 was refused"
}

# subscribe NAME MEMBERS: for the example of that name, and prints the subscription's id.
subscribe() {
    local url expires
    url=$(await 10 "$1" '^listening at ' | sed 's/.* //')
    expires=$(date -u -d '+1 hour' +%FT%TZ)
    post "$base/v1.0/subscriptions" "$token" "$(jq -n --arg url "$url" --arg expires "$expires" "$2"' + {
        changeType: "created", clientState: "s3cret", notificationUrl: $url, lifecycleNotificationUrl: $url,
        expirationDateTime: $expires}')" | jq -er .id
}

start webhook "$built/examples/webhook" 127.0.0.1:0
start bare "$built/examples/bare" 127.0.0.1:0
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/key.pem" -out "$scratch/certificate.pem" -days 2 -subj /CN=app 2>/dev/null
start rich "$built/examples/rich" 127.0.0.1:0 "$base" "$ca" "$app" "example=$scratch/key.pem"
id=$(subscribe webhook '{resource: "me/messages"}')
subscribe bare '{resource: "me/events"}' >/dev/null
certificate=$(openssl x509 -in "$scratch/certificate.pem" -outform DER | base64 -w0)
subscribe rich '{resource: "me/messages?$select=subject,importance", includeResourceData: true,
    encryptionCertificateId: "example", encryptionCertificate: "'"$certificate"'"}' >/dev/null

# The topic is made by the subscription; the app that subscribed may have its keys.
azure=8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a
url="EventGrid:?azuresubscriptionid=$azure&resourcegroup=rg1&partnertopic=mail-events&location=westeurope"
post "$base/v1.0/subscriptions" "$token" "$(jq -n --arg url "$url" --arg expires "$(date -u -d '+1 hour' +%FT%TZ)" '{
    resource: "me/contacts", changeType: "created", clientState: "s3cret", notificationUrl: $url, expirationDateTime: $expires}')" >/dev/null
"$built/tidings" topic subscribe mail-events worker --server "$(told .admin)" --token "$(told .adminToken)" >/dev/null
manage=$(curl -sS --cacert "$ca" --fail-with-body "$base/$(told .tenant.id)/oauth2/v2.0/token" -d grant_type=client_credentials \
    -d "client_id=$app" -d "client_secret=$(told .app.secret)" -d scope=https://management.azure.com/.default | jq -er .access_token)
group="subscriptions/$azure/resourceGroups/rg1/providers/Microsoft.EventGrid"
TOPIC_KEY=$(post "$base/$group/partnerTopics/mail-events/listKeys?api-version=2025-02-15" "$manage" '{}' | jq -er .key1)
export TOPIC_KEY
start pull "$built/examples/pull" "$base" "$ca" mail-events worker
await 10 pull '^pulling from mail-events$'

post "$base/v1.0/me/contacts" "$token" '{"givenName": "Pulled"}' >/dev/null
await "$ARRIVE_SECONDS_MAX" pull '^created Users/[^/]+/Contacts/[^/]+$'
await "$ARRIVE_SECONDS_MAX" pull '^acknowledged 1$'
post "$base/v1.0/me/messages" "$token" '{"subject": "Hello from the examples"}' >/dev/null
post "$base/v1.0/me/events" "$token" '{"subject": "Meet", "start": {"dateTime": "2030-01-02T10:00:00", "timeZone": "UTC"},
    "end": {"dateTime": "2030-01-02T11:00:00", "timeZone": "UTC"}}' >/dev/null
await "$ARRIVE_SECONDS_MAX" webhook '^created Users/[^/]+/Messages/[^/]+$'
await "$ARRIVE_SECONDS_MAX" rich '^created \{.*"subject":"Hello from the examples".*\}$'
await "$ARRIVE_SECONDS_MAX" bare '^created Users/[^/]+/Events/[^/]+$'

# The other version of tokens, whose issuer is the server at this address.
"$built/tidings" app set "$app" --token-version 2 --server "$(told .admin)" --token "$(told .adminToken)" >/dev/null
post "$base/v1.0/me/messages" "$token" '{"subject": "Hello again"}' >/dev/null
await "$ARRIVE_SECONDS_MAX" rich '^created \{.*"subject":"Hello again".*\}$'

for event in missed reauthorizationRequired; do
    post "$(told .admin)/admin/subscriptions/$id/lifecycle" "$(told .adminToken)" "{\"event\": \"$event\"}"
done
await "$ARRIVE_SECONDS_MAX" webhook "^missed $id\$"
await "$ARRIVE_SECONDS_MAX" webhook "^renew $id\$"

status=$(curl -sS -o "$scratch/answer" -w '%{http_code}' "$(await 1 webhook '^listening at ' | sed 's/.* //')" \
    -d '{"value": [{"subscriptionId": "x", "subscriptionExpirationDateTime": "", "clientState": "guess"}]}')
[ "$status" -eq 401 ] || fail "a forged notification was answered with $status"
await 10 webhook '^refused: '
