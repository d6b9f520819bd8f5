#!/usr/bin/env bash
# Keeps dead letters in a bucket of an object store of its own, moto in server mode on a free port: the check of a
# configuration by the program, and the stories of dead letters that need a store. Installs moto below target/dead_letters, in
# the version that the file beside this one names.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/install.sh

READY_SECONDS_MAX=30
home="$PWD/target/dead_letters"
scratch=$(mktemp -d)
server=""

finish() {
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    echo "dead letters: $1" >&2
    exit 1
}

python_with "$home" tests/dead_letters/requirements.txt
port=$("$home/python/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
endpoint="http://127.0.0.1:$port"
"$home/python/bin/moto_server" --host 127.0.0.1 --port "$port" >"$scratch/store.log" 2>&1 &
server=$!

bucket() {
    AWS_ACCESS_KEY_ID=tidings AWS_SECRET_ACCESS_KEY=hush "$home/python/bin/python" - "$endpoint" "$1" <<'PYTHON'
import sys, boto3
store = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
if sys.argv[2] == "make":
    store.create_bucket(Bucket="letters")
print(store.list_objects_v2(Bucket="letters")["KeyCount"])
PYTHON
}

started=$SECONDS
until bucket make >/dev/null 2>"$scratch/bucket.log"; do
    [ $((SECONDS - started)) -lt "$READY_SECONDS_MAX" ] || { cat "$scratch"/*.log >&2; fail "the object store is not ready"; }
    kill -0 "$server" 2>/dev/null || { cat "$scratch/store.log" >&2; fail "the object store ended"; }
    sleep 0.2
done

(umask 077 && echo "tidings:hush" >"$scratch/credentials")
cat >"$scratch/tidings.toml" <<TOML
[listen]
https = []
http = ["127.0.0.1:0"]
[dead_letters.s3]
endpoint = "$endpoint"
bucket = "letters"
region = "us-east-1"
credentials_file = "$scratch/credentials"
TOML

# All in one, with the features that the tests have, so that what they built is used.
cargo build --locked --workspace --bin tidings
program="$(realpath "${CARGO_TARGET_DIR:-target}/debug")/tidings"
"$program" serve --config "$scratch/tidings.toml" --check
[ "$(bucket count)" = 0 ] || fail "the check of the configuration has left something behind"
sed 's/bucket = "letters"/bucket = "missing"/' "$scratch/tidings.toml" >"$scratch/wrong.toml"
if "$program" serve --config "$scratch/wrong.toml" --check 2>"$scratch/wrong.log"; then
    fail "a bucket that is missing passes the check"
fi
grep -q NoSuchBucket "$scratch/wrong.log" || { cat "$scratch/wrong.log" >&2; fail "it is not said what is wrong"; }

TIDINGS_S3_ENDPOINT="$endpoint" cargo test --locked --workspace --lib -- --ignored dead_letters:: | tee "$scratch/stories.log"
[ "$(grep -c '^test dead_letters::.* ok$' "$scratch/stories.log")" = 2 ] || fail "not the two stories were run"
[ "$(bucket count)" = 0 ] || fail "the stories have left something behind"
