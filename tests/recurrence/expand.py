"""Prints seeded random series and their occurrences in a window, as python-dateutil has them: one JSON
object a line. The time zones are those of the tzdata package, whatever the machine has.

usage: expand.py SERIES SEED
"""

import json
import os
import random
import sys
from datetime import datetime, time, timedelta, timezone

os.environ["PYTHONTZPATH"] = ""
from zoneinfo import ZoneInfo  # noqa: E402  it reads the path when it is imported

from dateutil import rrule  # noqa: E402

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
RULE_DAYS = [rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA, rrule.SU]
PLACES = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
# The name that the event has, and IANA's for it. Half an hour of summer time, both hemispheres, zones
# that moved across the date line, and some whose clocks never change.
ZONES = [
    ("Europe/Berlin", "Europe/Berlin"),
    ("W. Europe Standard Time", "Europe/Berlin"),
    ("Pacific Standard Time", "America/Los_Angeles"),
    ("America/New_York", "America/New_York"),
    ("America/Sao_Paulo", "America/Sao_Paulo"),
    ("America/St_Johns", "America/St_Johns"),
    ("Asia/Kolkata", "Asia/Kolkata"),
    ("Tokyo Standard Time", "Asia/Tokyo"),
    ("Iran Standard Time", "Asia/Tehran"),
    ("Australia/Lord_Howe", "Australia/Lord_Howe"),
    ("AUS Eastern Standard Time", "Australia/Sydney"),
    ("Pacific/Apia", "Pacific/Apia"),
    ("Pacific/Auckland", "Pacific/Auckland"),
    ("Africa/Cairo", "Africa/Cairo"),
    ("Morocco Standard Time", "Africa/Casablanca"),
    ("UTC", "UTC"),
]
SHOWN_MAX = 40


def utc(local, zone):
    """The point in time of a wall-clock time, by RFC 5545: in a gap by the offset before it, of two the first."""
    return local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)


def is_real(local, zone):
    """Whether the clocks of the zone show this time, and reading it back gives the same."""
    return utc(local, zone).astimezone(zone).replace(tzinfo=None) == local


def numbered_day(day):
    """Graph: the last day of a month that is too short. RFC 5545 says so with BYSETPOS."""
    if day <= 28:
        return {"bymonthday": day}
    return {"bymonthday": list(range(28, day + 1)), "bysetpos": -1}


def some_days(dice):
    return dice.sample(range(7), dice.choice([1, 1, 1, 2, 3, 5, 7]))


def a_pattern(dice):
    """A recurrencePattern, and the same as arguments of a rule."""
    kind = dice.choice(["daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"])
    interval = dice.choice([1, 1, 1, 2, 3, 4, 7, 12])
    pattern = {"type": kind, "interval": interval}
    rule = {"interval": interval}
    if kind == "daily":
        rule["freq"] = rrule.DAILY
    elif kind == "weekly":
        first, days = dice.randrange(7), some_days(dice)
        pattern |= {"firstDayOfWeek": DAYS[first], "daysOfWeek": [DAYS[day] for day in days]}
        rule |= {"freq": rrule.WEEKLY, "wkst": RULE_DAYS[first], "byweekday": [RULE_DAYS[day] for day in days]}
    else:
        rule["freq"] = rrule.MONTHLY if kind.endswith("Monthly") else rrule.YEARLY
        if kind.endswith("Yearly"):
            pattern["month"] = rule["bymonth"] = dice.choice([1, 2, 2, 3, 4, 6, 9, 10, 11, 12])
        if kind.startswith("absolute"):
            pattern["dayOfMonth"] = dice.choice([1, 2, 13, 28, 29, 30, 31])
            rule |= numbered_day(pattern["dayOfMonth"])
        else:
            place, days = dice.choice(list(PLACES)), some_days(dice)
            pattern |= {"index": place, "daysOfWeek": [DAYS[day] for day in days]}
            rule |= {"byweekday": [RULE_DAYS[day] for day in days], "bysetpos": PLACES[place]}
    return pattern, rule


def a_range(dice, first):
    span = {"startDate": first.date().isoformat(), "type": dice.choice(["noEnd", "endDate", "numbered"])}
    rule = {}
    if span["type"] == "endDate":
        end = first.date() + timedelta(days=dice.randrange(0, 3000))
        span["endDate"] = end.isoformat()
        rule["until"] = datetime.combine(end, time(23, 59, 59))
    elif span["type"] == "numbered":
        span["numberOfOccurrences"] = rule["count"] = dice.randrange(1, 60)
    return span, rule


def a_series(dice):
    """A series and what to expect; nothing if it has no occurrence at all, which is refused."""
    name, iana = dice.choice(ZONES)
    zone = ZoneInfo(iana)
    while True:
        day = datetime(dice.randrange(1995, 2035), 1, 1) + timedelta(days=dice.randrange(366))
        # Small hours, where the clocks change, are as likely as all others.
        hour = dice.choice([0, 1, 2, 3, dice.randrange(24)])
        first = day.replace(hour=hour, minute=dice.choice([0, 0, 15, 30, 45, 59]))
        length = timedelta(minutes=dice.choice([0, 15, 30, 60, 90, 240, 1440, 2 * 1440 + 60]))
        if is_real(first, zone) and is_real(first + length, zone):
            break
    pattern, rule = a_pattern(dice)
    span, bounds = a_range(dice, first)
    far = dice.choice([30] * 12 + [365] * 6 + [3 * 365] * 6 + [30 * 365])
    opens = utc(first + timedelta(days=dice.randrange(-30, far), minutes=dice.randrange(1440)), zone)
    closes = opens + timedelta(days=dice.choice([1, 31, 365, 365, 1825, 3650]))
    days = rrule.rrule(dtstart=first, **rule, **bounds)
    if next(iter(days), None) is None:
        return None
    shown = []
    for start in days:
        at = utc(start, zone)
        if at >= closes or len(shown) == SHOWN_MAX:
            break
        # The end keeps its clock time as well; the calendar's end comes before that of the zones.
        until = max(at, utc(start + length, zone))
        if until > opens or at >= opens:
            shown.append([start.date().isoformat(), stamp(at), stamp(until)])
    return {
        "event": {
            "start": {"dateTime": stamp(utc(first, zone))[:-1], "timeZone": "UTC"},
            "end": {"dateTime": stamp(utc(first + length, zone))[:-1], "timeZone": "UTC"},
            "originalStartTimeZone": name,
            "recurrence": {"pattern": pattern, "range": span},
        },
        "window": [stamp(opens), stamp(closes)],
        "occurrences": shown,
    }


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    wanted, dice = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    made = 0
    while made < wanted:
        series = a_series(dice)
        if series:
            print(json.dumps(series, separators=(",", ":")))
            made += 1


main()
