"""Calendars as an app that uses the Python SDK sees them."""

import unittest
import uuid
from datetime import date

from msgraph.generated.models.attendee import Attendee
from msgraph.generated.models.attendee_type import AttendeeType
from msgraph.generated.models.calendar import Calendar
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.day_of_week import DayOfWeek
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.event import Event
from msgraph.generated.models.event_type import EventType
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.patterned_recurrence import PatternedRecurrence
from msgraph.generated.models.recurrence_pattern import RecurrencePattern
from msgraph.generated.models.recurrence_pattern_type import RecurrencePatternType
from msgraph.generated.models.recurrence_range import RecurrenceRange
from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType
from msgraph.generated.users.item.calendar_view.calendar_view_request_builder import CalendarViewRequestBuilder
from msgraph.generated.users.item.events.events_request_builder import EventsRequestBuilder
from msgraph.generated.users.item.events.item.instances.instances_request_builder import InstancesRequestBuilder

from server import SdkTest, configured


def at(text, zone="UTC"):
    return DateTimeTimeZone(date_time=text, time_zone=zone)


def event(subject, start, end, **properties):
    return Event(subject=subject, start=start, end=end, **properties)


class Calendars(SdkTest):
    async def new_calendar(self):
        return await self.client.me.calendars.post(Calendar(name="calendar " + uuid.uuid4().hex))

    def view(self, start, end):
        return CalendarViewRequestBuilder.CalendarViewRequestBuilderGetQueryParameters(
            start_date_time=start, end_date_time=end
        )

    async def test_an_event_is_written_read_changed_and_deleted(self):
        made = await self.client.me.events.post(event("talk", at("2027-02-01T09:00:00"), at("2027-02-01T10:00:00")))
        self.assertEqual(EventType.SingleInstance, made.type)
        self.assertTrue(made.is_organizer)
        events = self.client.me.events.by_event_id(made.id)
        changed = await events.patch(Event(subject="longer talk", end=at("2027-02-01T11:00:00")))
        self.assertEqual("2027-02-01T11:00:00.0000000", changed.end.date_time)
        await events.delete()
        with self.assertRaises(ODataError) as gone:
            await events.get()
        self.assertEqual("ErrorItemNotFound", gone.exception.error.code)

    async def test_times_come_in_the_zone_that_is_preferred(self):
        start, end = at("2027-07-01T09:00:00", "Pacific Standard Time"), at("2027-07-01T10:00:00", "Pacific Standard Time")
        made = await self.client.me.events.post(event("zoned", start, end))
        self.assertEqual(("2027-07-01T16:00:00.0000000", "UTC"), (made.start.date_time, made.start.time_zone))
        preferred = configured(headers={"Prefer": 'outlook.timezone="W. Europe Standard Time"'})
        read = await self.client.me.events.by_event_id(made.id).get(preferred)
        self.assertEqual("2027-07-01T18:00:00.0000000", read.start.date_time)
        self.assertEqual("W. Europe Standard Time", read.start.time_zone)

    async def test_a_series_is_expanded_in_a_view(self):
        calendar = await self.new_calendar()
        weekly = PatternedRecurrence(
            pattern=RecurrencePattern(type=RecurrencePatternType.Weekly, interval=1, days_of_week=[DayOfWeek.Monday]),
            range=RecurrenceRange(
                type=RecurrenceRangeType.EndDate, start_date=date(2027, 3, 1), end_date=date(2027, 4, 26)
            ),
        )
        series = event("weekly", at("2027-03-01T09:00:00"), at("2027-03-01T09:30:00"), recurrence=weekly)
        of_calendar = self.client.me.calendars.by_calendar_id(calendar.id)
        made = await of_calendar.events.post(series)
        self.assertEqual(EventType.SeriesMaster, made.type)
        view = await of_calendar.calendar_view.get(configured(self.view("2027-03-01T00:00:00Z", "2027-03-22T00:00:00Z")))
        starts = [occurrence.start.date_time[:10] for occurrence in view.value]
        self.assertEqual(["2027-03-01", "2027-03-08", "2027-03-15"], starts)
        self.assertEqual({EventType.Occurrence}, {occurrence.type for occurrence in view.value})
        # One occurrence is changed, one is taken out.
        await self.client.me.events.by_event_id(view.value[0].id).patch(Event(subject="special"))
        await self.client.me.events.by_event_id(view.value[1].id).delete()
        query = InstancesRequestBuilder.InstancesRequestBuilderGetQueryParameters(
            start_date_time="2027-03-01T00:00:00Z", end_date_time="2027-03-22T00:00:00Z"
        )
        instances = await self.client.me.events.by_event_id(made.id).instances.get(configured(query))
        told = [(instance.start.date_time[:10], instance.subject, instance.type) for instance in instances.value]
        self.assertEqual(
            [("2027-03-01", "special", EventType.Exception), ("2027-03-15", "weekly", EventType.Occurrence)], told
        )

    async def test_a_meeting_keeps_its_attendees(self):
        alex = Attendee(email_address=EmailAddress(address="alex@contoso.test"), type=AttendeeType.Required)
        meeting = event("meet", at("2027-05-03T09:00:00"), at("2027-05-03T10:00:00"), attendees=[alex])
        made = await self.client.me.events.post(meeting)
        self.assertEqual(["alex@contoso.test"], [attendee.email_address.address for attendee in made.attendees])
        await self.client.me.events.by_event_id(made.id).delete()

    async def test_events_are_filtered_by_their_start(self):
        calendar = await self.new_calendar()
        events = self.client.me.calendars.by_calendar_id(calendar.id).events
        for day in (1, 2, 3):
            await events.post(event(f"day {day}", at(f"2027-06-0{day}T09:00:00"), at(f"2027-06-0{day}T10:00:00")))
        query = EventsRequestBuilder.EventsRequestBuilderGetQueryParameters(
            filter="start/dateTime ge '2027-06-02T00:00'", orderby=["start/dateTime"]
        )
        found = await events.get(configured(query))
        self.assertEqual(["day 2", "day 3"], [event.subject for event in found.value])

    async def test_calendars_and_groups_are_listed(self):
        calendar = await self.new_calendar()
        calendars = (await self.client.me.calendars.get()).value
        self.assertEqual([True], [calendar.is_default_calendar for calendar in calendars if calendar.is_default_calendar])
        await self.client.me.calendars.by_calendar_id(calendar.id).patch(Calendar(name="renamed " + calendar.id[-8:]))
        self.assertEqual("My Calendars", (await self.client.me.calendar_groups.get()).value[0].name)
        await self.client.me.calendars.by_calendar_id(calendar.id).delete()


if __name__ == "__main__":
    unittest.main()
