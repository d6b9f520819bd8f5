"""Events that a running server pushes to a webhook, read there by CloudEvents' own library, in each of HTTP's modes."""

import io
import json
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import requests
from azure.core.messaging import CloudEvent as Published
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from hook import Hook
from identity import APP, BASE, MEGAN, TENANT
from test_topics import AZURE, GROUP, Topics, credential

# What an event subscription says of its webhook.
MODES = {"structured": {}, "batch": {"maxEventsPerBatch": 10}, "binary": {"contentMode": "Binary"}}
CHANGES = ["Microsoft.Graph.MessageCreated", "Microsoft.Graph.MessageDeleted", "Microsoft.Graph.MessageUpdated"]


class EventHook(Hook):
    """Keeps events, with the content types that they came under, and why the library did not read what it was sent."""

    def __init__(self):
        super().__init__()
        self.events, self.content_types, self.unread = [], set(), []

    def keep(self, headers, body):
        self.content_types.add(headers["Content-Type"])
        try:
            self.events.extend(read(headers, body))
        except Exception as error:
            self.unread.append(repr(error))

    def first(self, count, among):
        """So many events of those that are meant, in the order of their types and subjects; no others came."""
        meant = lambda: [event for event in self.events if among(event)]
        self.until(f"{count} events", lambda: self.unread or len(meant()) >= count)
        assert not self.unread, self.unread
        assert len(meant()) == count, self.events
        return sorted(meant(), key=lambda event: (event.get_type(), event.get_subject()))


def read(headers, body):
    if headers.get_content_type() == "application/cloudevents-batch+json":
        # The library has no batches: each member is an event of the JSON format.
        return [JSONFormat().read(CloudEvent, json.dumps(one).encode()) for one in json.loads(body)]
    return [from_http_event(HTTPMessage(dict(headers.items()), body))]


class Pushes(Topics):
    def hooks(self):
        """A webhook for each mode, that was asked before."""
        return {mode: self.hook(mode, more) for mode, more in MODES.items()}

    def hook(self, mode, more):
        hook = EventHook()
        self.addCleanup(hook.close)
        destination = {"endpointType": "WebHook", "properties": {"endpointUrl": hook.url, **more}}
        # Azure's client has no `contentMode`.
        wanted = io.BytesIO(json.dumps({"properties": {"destination": destination}}).encode())
        subscriptions = self.azure.partner_topic_event_subscriptions
        made = subscriptions.begin_create_or_update(GROUP, self.topic, mode, wanted).result()
        self.assertEqual(("Succeeded", 1), (made.provisioning_state, len(hook.asked)))
        return hook

    def assert_came_as(self, mode, hook, content_types):
        expected = {
            "structured": {"application/cloudevents+json; charset=utf-8"},
            "batch": {"application/cloudevents-batch+json; charset=utf-8"},
            "binary": content_types,
        }
        self.assertEqual(expected[mode], hook.content_types)

    def test_changes_of_a_mailbox_are_read_as_they_happened(self):
        hooks = self.hooks()
        subscription = self.graph("POST", "/subscriptions", {
            "changeType": "created,updated,deleted",
            "resource": f"users/{MEGAN['id']}/messages",
            "notificationUrl": f"EventGrid:?azuresubscriptionid={AZURE}&resourcegroup={GROUP}"
            f"&partnertopic={self.topic}&location=westeurope",
            "clientState": "s3cret",
            "expirationDateTime": (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(),
        })
        self.addCleanup(lambda: self.graph("DELETE", f"/subscriptions/{subscription['id']}"))
        messages = f"/users/{MEGAN['id']}/messages"
        created = self.graph("POST", messages, {"subject": "Grüße"})
        message = created["id"]
        updated = self.graph("PATCH", f"{messages}/{message}", {"isRead": True})
        etags = [created["@odata.etag"], None, updated["@odata.etag"]]
        self.graph("DELETE", f"{messages}/{message}")
        subject, ids = f"Messages/{message}", []
        for mode, hook in hooks.items():
            with self.subTest(mode=mode):
                events = hook.first(3, lambda event: event.get_subject() == subject)
                self.assertEqual(CHANGES, [event.get_type() for event in events])
                self.assert_came_as(mode, hook, {"application/json"})
                for event, etag in zip(events, etags):
                    self.assert_tells(event, subscription, message, etag)
                ids.append([event.get_id() for event in events])
        self.assertEqual([ids[0]] * 3, ids)

    def assert_tells(self, event, subscription, message, etag):
        self.assertEqual(f"/tenants/{TENANT}/applications/{APP}", event.get_source())
        self.assertEqual("application/json", event.get_datacontenttype())
        self.assertLess(abs(datetime.now(timezone.utc) - event.get_time()), timedelta(minutes=5))
        data = event.get_data()
        self.assertEqual((subscription["id"], "s3cret"), (data["subscriptionId"], data["clientState"]))
        self.assertIn(message, urlsplit(data["resource"]).path)
        if etag:
            self.assertEqual(etag, data["resourceData"]["@odata.etag"])

    def graph(self, method, path, body=None):
        token = credential().get_token("https://graph.microsoft.com/.default").token
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.request(method, f"{BASE}/v1.0{path}", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def test_what_an_app_published_is_read_with_its_data(self):
        text = "application/vnd.sdk+json", "text/plain; charset=utf-8", "application/octet-stream"
        sent = [
            ("a 100 % Grüße \"世界\"", {"größe": 1.5}, "application/json"),
            ("b", {"deep": [{"a": None}]}, text[0]),
            ("c", "zwölf\n", text[1]),
            ("d", bytes(range(256)), text[2]),
        ]
        hooks = self.hooks()
        with self.publisher() as publisher:
            publisher.send([
                Published(source="/sdk", type="Sdk.Told", subject=subject, data=data, datacontenttype=kind,
                          extensions={"more": f"über {subject}"})
                for subject, data, kind in sent
            ])
        for mode, hook in hooks.items():
            with self.subTest(mode=mode):
                events = hook.first(4, lambda event: event.get_source() == "/sdk")
                read = [(event.get_subject(), event.get_data(), event.get_datacontenttype()) for event in events]
                self.assertEqual(sent, read)
                self.assertEqual([f"über {one[0]}" for one in sent], [event.get_extension("more") for event in events])
                self.assert_came_as(mode, hook, {"application/json", *text})
