"""Events as the tests of the protocol have recorded them, held against the schema that CloudEvents publishes."""

import json
import unittest
from pathlib import Path

from jsonschema import Draft7Validator, FormatChecker

TESTS = Path(__file__).resolve().parents[3] / "crates" / "protocol" / "tests"
VALIDATOR = Draft7Validator(json.loads((TESTS / "data" / "cloudevents.json").read_text()), format_checker=FormatChecker())


def recorded(name):
    """The lines of a snapshot, which begins with a header between two lines of hyphens."""
    _, _, lines = (TESTS / "snapshots" / f"{name}.snap").read_text().split("---\n", 2)
    return lines.splitlines()


class EventSchema(unittest.TestCase):
    def test_events_of_each_form_are_valid(self):
        lines = recorded("cloud_event_schema__events_of_each_form_are_written_as_recorded")
        self.assertEqual(len(lines), 4)
        for line in lines:
            VALIDATOR.validate(json.loads(line))

    def test_each_event_of_outlook_is_valid_in_each_profile(self):
        lines = recorded("outlook_events__each_event_in_each_profile_is_written_as_recorded")
        self.assertEqual(len(lines), 3 * 9 + 3)
        for line in lines:
            VALIDATOR.validate(json.loads(line))

    def test_what_is_refused_is_not_valid(self):
        for line in (TESTS / "data" / "refused_events.jsonl").read_text().splitlines():
            self.assertFalse(VALIDATOR.is_valid(json.loads(line)), line)
