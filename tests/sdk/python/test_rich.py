"""Notifications with resource data as an app receives them that was written from the documentation alone."""

import base64
import json
import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.serialization import PrivateFormat

from hook import Hook
from identity import APP, BASE, MEGAN, TENANT
from linked import CERTIFICATE_ID, Linked
from ready import READY
from rich import Authority, Pair, Refused, decrypted, encrypted, opened, sealed, signature

MAILBOX = f"/users/{MEGAN['id']}"
OTHER_APP = "7b1fd1ea-0000-4000-8000-000000000001"
FAR = "2026-03-02T09:00:00"
# What is selected, written, and written over it.
KINDS = {
    "messages": (
        "subject,bodyPreview,importance,isRead,hasAttachments,categories,toRecipients,createdDateTime,parentFolderId",
        {
            "subject": "Grüße 🌊",
            "body": {"contentType": "text", "content": "the tide comes in"},
            "importance": "high",
            "categories": ["Blue"],
            "toRecipients": [{"emailAddress": {"name": "Alex", "address": "alex@contoso.test"}}],
        },
        {"subject": "the tide goes out", "isRead": True},
    ),
    "events": (
        "subject,start,end,showAs,isAllDay,attendees,location,createdDateTime",
        {
            "subject": "high water",
            "start": {"dateTime": FAR, "timeZone": "UTC"},
            "end": {"dateTime": FAR.replace("09", "10"), "timeZone": "UTC"},
            "showAs": "oof",
            "location": {"displayName": "the pier"},
        },
        {"subject": "low water"},
    ),
    "contacts": (
        "displayName,emailAddresses,businessPhones,birthday,createdDateTime",
        {
            "displayName": "Ada Ólafs",
            "emailAddresses": [{"name": "Ada", "address": "ada@example.org"}],
            "businessPhones": ["+354 555 0100"],
        },
        {"displayName": "Ada Ólafsdóttir"},
    ),
}
# A certificate of either size that Graph takes, made once for all tests.
PAIRS = {bits: Pair(f"rsa-{bits}", bits) for bits in (2048, 4096)}


def plain(value):
    """JSON without the annotations that say what type something has."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if "@odata." not in name}
    return [plain(member) for member in value] if isinstance(value, list) else value


class App:
    """An app that calls Graph with a token of its own."""

    def __init__(self, app, secret):
        form = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
        form |= {"client_id": app, "client_secret": secret}
        token = requests.post(f"{BASE}/{TENANT}/oauth2/v2.0/token", data=form).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method, path, status, body=None):
        answer = requests.request(method, f"{BASE}/v1.0{path}", headers=self.headers, json=body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def second_app():
    """An app whose tokens are of version 2."""
    admin = {"Authorization": f"Bearer {READY['adminToken']}"}
    asked = {"displayName": "Second", "tenant": TENANT, "accessTokenVersion": 2, "secret": {}}
    made = requests.post(f"{READY['admin']}/admin/apps", headers=admin, json=asked)
    assert made.status_code == 201, made.text
    app, secret = made.json()["appId"], made.json()["secret"]
    granted = {"appId": app, "grantee": "app", "permissions": ["Mail.ReadWrite"]}
    answer = requests.post(f"{READY['admin']}/admin/consents/grant", headers=admin, json=granted)
    assert answer.ok, answer.text
    return app, App(app, secret)


class Rich(unittest.TestCase):
    def setUp(self):
        self.hook, self.app = Hook(), App(APP, READY["app"]["secret"])
        self.addCleanup(self.hook.close)
        self.authority = Authority(BASE, READY["ca"])

    def subscribed(self, resource, pair, app=None, **more):
        app = app or self.app
        asked = {
            "changeType": "created,updated,deleted",
            "notificationUrl": self.hook.url,
            "resource": MAILBOX + resource,
            "expirationDateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
            "clientState": "s3cret",
            "includeResourceData": True,
        }
        made = app.call("POST", "/subscriptions", 201, asked | pair.asked() | more)
        self.addCleanup(app.call, "DELETE", f"/subscriptions/{made['id']}", 204)
        return made

    def data(self, change_type, item, pair, audience=APP):
        """What the notification of a change brings, once its token and itself have been verified."""
        notification, body = self.hook.told(change_type, item)
        self.assertEqual((TENANT, "s3cret"), (notification["tenantId"], notification["clientState"]))
        [token] = body["validationTokens"]
        self.authority.verified(token, TENANT, audience)
        return json.loads(opened(notification["encryptedContent"], [pair]))

    def test_what_is_written_arrives_sealed_for_the_smallest_key_and_signed(self):
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.lives(kind, PAIRS[2048])

    def test_what_is_written_arrives_sealed_for_the_largest_key_and_signed(self):
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.lives(kind, PAIRS[4096])

    def lives(self, kind, pair):
        """An item from its creation to its end, each step compared with what was written and what is read."""
        select, first, second = KINDS[kind]
        self.subscribed(f"/{kind}?$select={select}", pair)
        item = self.app.call("POST", f"{MAILBOX}/{kind}", 201, first)["id"]
        path = f"{MAILBOX}/{kind}/{item}"
        for change, written in [("created", first), ("updated", first | second)]:
            if change == "updated":
                self.app.call("PATCH", path, 200, second)
            read = self.app.call("GET", f"{path}?$select={select}", 200)
            data = plain(self.data(change, item, pair))
            self.assertEqual(set(select.split(",")), set(data))
            self.assertEqual({name: read[name] for name in data}, data)
            for name in set(written) & set(data) - {"start", "end", "location"}:
                self.assertEqual(written[name], data[name])
        notification, _ = self.hook.told("created", item)
        rest = f"{kind}('{item}')"
        self.assertEqual(f"Users('{MEGAN['id']}')/{rest}", notification["resource"])
        self.assertEqual(f"#microsoft.graph.{kind[:-1]}", notification["resourceData"]["@odata.type"])
        self.app.call("POST", f"{path}/permanentDelete", 204)
        notification, _ = self.hook.told("deleted", item)
        self.assertNotIn("encryptedContent", notification)

    def test_a_deleted_message_tells_of_the_folder_that_it_lies_in_now(self):
        pair = PAIRS[2048]
        self.subscribed("/messages?$select=subject,parentFolderId", pair)
        item = self.app.call("POST", f"{MAILBOX}/messages", 201, {"subject": "away"})["id"]
        self.app.call("DELETE", f"{MAILBOX}/messages/{item}", 204)
        bin_ = self.app.call("GET", f"{MAILBOX}/mailFolders/deleteditems", 200)["id"]
        data = self.data("deleted", item, pair)
        self.assertEqual({"subject": "away", "parentFolderId": bin_}, plain(data))

    def test_a_rotated_certificate_seals_what_comes_after_it(self):
        old, new = PAIRS[2048], Pair("next")
        made = self.subscribed("/messages?$select=subject", old)
        write = lambda subject: self.app.call("POST", f"{MAILBOX}/messages", 201, {"subject": subject})["id"]
        before = write("before")
        self.assertEqual({"subject": "before"}, self.data("created", before, old))
        self.app.call("PATCH", f"/subscriptions/{made['id']}", 200, new.asked())
        after = write("after")
        self.assertEqual({"subject": "after"}, self.data("created", after, new))
        with self.assertRaisesRegex(Refused, "certificate id"):
            self.data("created", after, old)

    def test_the_audience_is_the_app_of_the_url_if_the_subscription_names_one(self):
        self.subscribed("/messages?$select=subject", PAIRS[2048], notificationUrlAppId=OTHER_APP)
        item = self.app.call("POST", f"{MAILBOX}/messages", 201, {"subject": "for another"})["id"]
        self.assertEqual({"subject": "for another"}, self.data("created", item, PAIRS[2048], OTHER_APP))
        with self.assertRaisesRegex(Refused, "InvalidAudienceError"):
            self.data("created", item, PAIRS[2048])

    def test_each_app_gets_tokens_of_the_version_that_it_accepts(self):
        second, app = second_app()
        self.subscribed("/messages?$select=subject", PAIRS[2048])
        self.subscribed("/messages?$select=subject", PAIRS[2048], app=app)
        item = self.app.call("POST", f"{MAILBOX}/messages", 201, {"subject": "for both"})["id"]
        claims = [
            self.authority.verified(token, TENANT, [APP, second])
            for token in self.tokens_of(item, {APP, second})
        ]
        lives = {claim["aud"]: (claim["ver"], claim["exp"] - claim["iat"]) for claim in claims}
        self.assertEqual({APP: ("1.0", 29_100), second: ("2.0", 86_700)}, lives)

    def tokens_of(self, item, audiences):
        """The tokens that came with an item, from however many requests it took to tell all apps of it."""
        tokens = {}

        def all_came():
            for body in self.hook.bodies:
                if any(notification["resourceData"]["id"] == item for notification in body["value"]):
                    for token in body["validationTokens"]:
                        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
                        tokens[claims["aud"]] = token
            return set(tokens) == audiences

        with self.hook.arrived:
            self.assertTrue(self.hook.arrived.wait_for(all_came, 20), tokens)
        return tokens.values()

    def test_a_token_is_refused_that_was_altered_or_is_for_another_tenant(self):
        self.subscribed("/messages?$select=subject", PAIRS[2048])
        item = self.app.call("POST", f"{MAILBOX}/messages", 201, {"subject": "whose"})["id"]
        token = self.hook.told("created", item)[1]["validationTokens"][0]
        header, claims, mark = token.split(".")
        forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"1.0", b"1.1"))
        with self.assertRaisesRegex(Refused, "InvalidSignatureError"):
            self.authority.verified(f"{header}.{forged.decode().rstrip('=')}.{mark}", TENANT, APP)
        with self.assertRaisesRegex(Refused, "InvalidIssuerError"):
            self.authority.verified(token, OTHER_APP, APP)

    def test_the_receiver_that_apps_link_opens_what_is_sealed_here(self):
        self.subscribed("/messages?$select=subject", PAIRS[2048])
        item = self.app.call("POST", f"{MAILBOX}/messages", 201, {"subject": "genuine"})["id"]
        genuine, body = self.hook.told("created", item)
        [token] = body["validationTokens"]
        for bits in PAIRS:
            pair = Pair(CERTIFICATE_ID, bits)
            linked = Linked(pair, BASE, READY["ca"], APP)
            self.addCleanup(linked.close)
            content, other = sealed('{"subject":"Grüße 🌊"}'.encode(), pair), sealed(b"{}", pair)
            told = lambda changed, token=token: linked.told(genuine | {"encryptedContent": content | changed}, [token])
            self.assertEqual((202, 'created {"subject":"Grüße 🌊"}'), told({}))
            for changed, trouble in [
                ({"data": other["data"]}, "dataSignature is not that of data"),
                ({"dataKey": other["dataKey"]}, "dataSignature is not that of data"),
                ({"dataKey": "AAAA" + content["dataKey"][4:]}, "dataKey was not encrypted for this private key"),
                ({"data": content["data"][:-8]}, "which are not whole blocks"),
                ({"encryptionCertificateId": "another"}, 'sealed for the certificate "another"'),
            ]:
                with self.subTest(bits=bits, trouble=trouble):
                    status, line = told(changed)
                    self.assertEqual(202, status)
                    self.assertIn(trouble, line)
            status, line = told({}, token[:-8] + "AAAAAAA" + token[-1])
            self.assertEqual(401, status)
            self.assertIn("the signature of a validation token does not hold", line)


class Envelope(unittest.TestCase):
    """What seals and opens above, by itself: against published values, and against damage."""

    def test_the_symmetric_half_is_that_of_known_values(self):
        key, text = bytes(range(32)), b'{"subject":"hello","isRead":false}'
        data = "1zpEyrjj8gXj4NNiydWs8hD51JXvl4fIRNX3imryg8c+ecvKH0WS4xjbTUB2uoDr"
        self.assertEqual(data, base64.b64encode(encrypted(key, text)).decode())
        self.assertEqual("OgkMxZl4VlpDr9/w/I8gY+XTJG9Y2gPD2GqIHzZV2Rg=", signature(key, base64.b64decode(data)))
        self.assertEqual(text, decrypted(key, base64.b64decode(data)))

    def test_damage_is_refused_at_its_step(self):
        pair, text = PAIRS[2048], b'{"subject":"hello"}'
        content = sealed(text, pair)
        self.assertEqual(text, opened(content, [pair]))
        other = sealed(text, pair)
        for member, value, step in [
            ("data", other["data"], "signature"),
            ("dataKey", other["dataKey"], "signature"),
            ("dataKey", content["dataKey"][:-8] + "AAAAAA==", "key"),
            ("dataSignature", other["dataSignature"], "signature"),
            ("encryptionCertificateId", "another", "certificate id"),
            ("encryptionCertificateThumbprint", "00" * 20, "thumbprint"),
        ]:
            with self.subTest(member=member), self.assertRaisesRegex(Refused, step):
                opened(content | {member: value}, [pair])


class Opened(unittest.TestCase):
    """The other way round: the program opens what was sealed here, and finds out what is wrong with what is not
    sealed as the documentation says."""

    def decrypt(self, content, pair, form=PrivateFormat.PKCS8):
        """Exit code, what was opened, and what was said."""
        with tempfile.TemporaryDirectory() as directory:
            key = Path(directory, "key.pem")
            key.write_bytes(pair.private_pem(form))
            body = {"value": [{"changeType": "created", "encryptedContent": content}]}
            command = [os.environ["TIDINGS_PROGRAM"], "decrypt", "--key", key, "-"]
            ended = subprocess.run(command, input=json.dumps(body).encode(), capture_output=True)
        return ended.returncode, ended.stdout.decode(), ended.stderr.decode()

    def test_the_program_opens_what_is_sealed_here(self):
        text = {"subject": "Grüße 🌊", "isRead": False, "bodyPreview": "x" * 1000}
        for pair in PAIRS.values():
            for form in PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL:
                with self.subTest(pair=pair.name, form=form):
                    code, content, said = self.decrypt(sealed(json.dumps(text).encode(), pair), pair, form)
                    self.assertEqual((0, text), (code, json.loads(content)), said)

    def test_the_program_says_at_which_step_damage_shows_and_what_was_done_otherwise(self):
        pair, text = PAIRS[2048], b'{"subject":"hello, this is long enough"}'
        key = bytes(range(32))
        content, other = sealed(text, pair, key), sealed(text, pair)
        public = pair.certificate.public_key()
        sha256 = OAEP(mgf=MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        zero_iv = encrypted(key, text, bytes(16))
        b64 = lambda binary: base64.b64encode(binary).decode()
        for changed, words in [
            ({"data": other["data"]}, ["step 3"]),
            ({"dataKey": other["dataKey"]}, ["step 3"]),
            ({"dataSignature": other["dataSignature"]}, ["step 3", "decrypts all the same"]),
            ({"dataKey": b64(bytes(256))}, ["step 1"]),
            ({"dataKey": b64(public.encrypt(key, sha256))}, ["step 1", "OAEP and SHA-256"]),
            ({"dataKey": b64(public.encrypt(key[:16], OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)))}, ["step 1"]),
            ({"data": content["data"][:-8]}, ["step 2"]),
            ({"dataSignature": signature(key, content["data"].encode())}, ["step 3", "base64 of data"]),
            ({"data": b64(zero_iv), "dataSignature": signature(key, zero_iv)}, ["the IV was zero"]),
        ]:
            with self.subTest(changed=changed):
                code, opened_text, said = self.decrypt(content | changed, pair)
                self.assertEqual((1, ""), (code, opened_text), said)
                for word in words:
                    self.assertIn(word, said)

    def test_the_program_says_that_it_was_given_another_key(self):
        sealed_for_another = sealed(b"{}", PAIRS[4096])
        code, _, said = self.decrypt(sealed_for_another, PAIRS[2048])
        self.assertEqual(1, code)
        self.assertIn("an RSA key of 4096 bits", said)


if __name__ == "__main__":
    unittest.main()
