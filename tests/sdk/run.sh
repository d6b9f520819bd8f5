#!/usr/bin/env bash
# Runs the official SDKs against a development server of its own, over HTTPS on a free port: the Python
# SDK by HTTP/2, the JavaScript client by HTTP/1.1, both after signing in with MSAL, and Azure Identity. Their clients
# for Event Grid, which pull from partner topics and manage them. CloudEvents' own libraries, which read what is
# pushed, as bytes that are recorded and in webhooks that the server pushes to.
# Two receivers of notifications with resource data, in Python and in Node, that know Microsoft's documentation and
# nothing of ours. And a server for production against another identity provider, npm oidc-provider.
# Installs them below target/sdk, in the versions that the lock files name; installs Python and npm with
# the system's package manager if they are missing.
set -euo pipefail
set -m
cd "$(dirname "$0")/../.."
. tests/install.sh

READY_SECONDS_MAX=60
home="$PWD/target/sdk"
suites="$PWD/tests/sdk"
scratch=$(mktemp -d)
server=""

finish() {
    [ -z "$server" ] || { kill -KILL -- "-$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    echo "SDKs: $1" >&2
    exit 1
}

python_with "$home" "$suites/python/requirements.txt"
# Installed anew when what is asked for has changed.
if ! cmp -s "$suites/javascript/package-lock.json" "$home/javascript/package-lock.json"; then
    command -v npm >/dev/null || install npm
    rm -rf "$home/javascript"
    mkdir -p "$home/javascript"
    cp "$suites"/javascript/package*.json "$home/javascript/"
    # The lock is copied last: it says that all is there.
    mv "$home/javascript/package-lock.json" "$scratch/"
    cp "$scratch/package-lock.json" "$home/javascript/npm-lock.json"
    (cd "$home/javascript" && mv npm-lock.json package-lock.json && npm ci --no-audit --no-fund --loglevel=error) ||
        { rm -f "$home/javascript/package-lock.json"; fail "npm could not install the JavaScript client"; }
fi

# All in one, with the features that the tests have, so that what they built is used.
cargo build --locked --workspace --bin tidings --example rich
built=$(realpath "${CARGO_TARGET_DIR:-target}/debug")
program="$built/tidings"
"$program" dev --ephemeral --json \
    --http 127.0.0.1:0 --https 127.0.0.1:0 --admin 127.0.0.1:0 --lmtp-port 0 >"$scratch/ready.json" 2>"$scratch/server.log" &
server=$!
started=$SECONDS
until [ -s "$scratch/ready.json" ]; do
    [ $((SECONDS - started)) -lt "$READY_SECONDS_MAX" ] || fail "the server is not ready"
    kill -0 "$server" 2>/dev/null || { cat "$scratch/server.log" >&2; fail "the server ended"; }
    sleep 0.1
done
export TIDINGS_READY="$scratch/ready.json"
ca=$("$home/python/bin/python" -c 'import json, os; print(json.load(open(os.environ["TIDINGS_READY"]))["ca"])')

# The second is a receiver made with the crate that apps link.
export TIDINGS_PROGRAM="$program" TIDINGS_RECEIVER="$built/examples/rich"
status=0
(cd "$suites/python" && PYTHONDONTWRITEBYTECODE=1 REQUESTS_CA_BUNDLE="$ca" "$home/python/bin/python" -W ignore -m unittest --verbose) || status=1
"$home/python/bin/python" "$suites/python/issuer_certificate.py" "$scratch"
export TIDINGS_ISSUER_CERTIFICATE="$scratch/issuer.pem"
# The tests lie beside the modules that they import, where Node looks for them.
cp "$suites"/javascript/*.mjs "$home/javascript/"
export TIDINGS_CLOUD_EVENTS="$suites/cloud_events.json"
(cd "$home/javascript" && NODE_EXTRA_CA_CERTS="$ca" npx --no-install node --test) || status=1
if [ "$status" -ne 0 ]; then
    tail -n 40 "$scratch/server.log" >&2
    fail "not every story holds"
fi
