"""CloudEvents' own library reads what is pushed, in each of HTTP's modes."""

import base64
import json
import os
import unittest

from cloudevents.core.bindings.http import HTTPMessage, from_http_event as from_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from dateutil.parser import isoparse

FILE = os.path.join(os.path.dirname(__file__), "..", "cloud_events.json")


class CloudEvents(unittest.TestCase):
    def test_events_are_read_in_each_mode(self):
        with open(FILE, encoding="utf-8") as file:
            messages = json.load(file)
        for message in messages:
            with self.subTest(mode=message["mode"], id=message["events"][0]["id"]):
                read = self.read(message)
                self.assertEqual(len(read), len(message["events"]))
                for event, expected in zip(read, message["events"]):
                    self.assert_is(event, expected)

    def read(self, message):
        body = base64.b64decode(message["body"])
        if message["mode"] == "batch":
            # The library has no batches: each member is an event of the JSON format.
            one = JSONFormat()
            return [one.read(CloudEvent, json.dumps(event).encode()) for event in json.loads(body)]
        return [from_http(HTTPMessage(message["headers"], body))]

    def assert_is(self, event, expected):
        self.assertEqual(event.get_specversion(), "1.0")
        for name in ["id", "source", "type", "subject", "datacontenttype"]:
            self.assertEqual(event.get_attributes().get(name), expected[name], name)
        self.assertEqual(event.get_time(), isoparse(expected["time"]))
        for name, value in expected["extensions"].items():
            self.assertEqual(event.get_extension(name), value, name)
        data = event.get_data()
        if expected["kind"] == "binary":
            data = base64.b64encode(data).decode()
        self.assertEqual(data, expected["data"])


if __name__ == "__main__":
    unittest.main()
