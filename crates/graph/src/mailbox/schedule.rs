//! `getSchedule`: what is asked, and when somebody is busy.

use serde_json::Value;

use super::text;
use super::when::When;
use crate::{Properties, Refusal, Timestamp, schema};

/// Minutes of a time slot, unless a request says otherwise.
const SLOT_MINUTES: i64 = 30;

/// Whose schedules are wanted, and of which time. Its bounds are for the caller to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRequest {
    /// As they were sent.
    pub addresses: Vec<String>,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Minutes of a slot of the availability view.
    pub interval: i64,
}

impl ScheduleRequest {
    pub fn read(body: Value) -> Result<Self, Refusal> {
        let (addresses, start, end, interval) = schema::schedule(body)?;
        let time = |property: &'static str, value: Option<Value>| {
            let value = value.ok_or(Refusal::Missing { property })?;
            let outside = || Refusal::invalid(property, "within the years 1 to 9999");
            When::read(property, &value, false)?.timestamp().ok_or_else(outside)
        };
        let (from, until) = (time("startTime", start)?, time("endTime", end)?);
        Ok(Self { addresses, from, until, interval: interval.map_or(SLOT_MINUTES, i64::from) })
    }

    /// One digit for each slot of the time: the greatest [`availability`] of what lies in it. `busy` has the
    /// times of events with theirs. The last slot may be shorter than the others.
    pub fn view(&self, busy: &[(Timestamp, Timestamp, u8)]) -> String {
        let slot = self.interval.max(1).unsigned_abs().saturating_mul(60_000_000);
        let into = |at: Timestamp| at.min(self.until).since(self.from).max(0).unsigned_abs();
        let slots = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let mut digits = vec![0; slots(into(self.until).div_ceil(slot))];
        for (start, end, availability) in busy.iter().filter(|(start, ..)| *start < self.until) {
            let (first, last) = (slots(into(*start) / slot), slots(into(*end).div_ceil(slot)));
            for digit in digits.iter_mut().take(last).skip(first) {
                *digit = (*availability).max(*digit);
            }
        }
        digits.into_iter().map(|digit| char::from(b'0' + digit)).collect()
    }
}

/// How an event takes its time, as an availability view says it: 0 free or working elsewhere, 1 tentative,
/// 2 busy, 3 out of office.
pub fn availability(event: &Properties) -> u8 {
    match text(event, "showAs") {
        "tentative" => 1,
        "busy" => 2,
        "oof" => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(end: &str, interval: Value) -> ScheduleRequest {
        let time = |time: &str| json!({ "dateTime": time, "timeZone": "W. Europe Standard Time" });
        let body = json!({
            "Schedules": ["adele@contoso.test"],
            "startTime": time("2026-12-01T09:00:00"),
            "EndTime": time(end),
            "availabilityViewInterval": interval,
        });
        ScheduleRequest::read(body).unwrap()
    }

    #[test]
    fn a_request_is_read_however_clients_write_it() {
        let read = request("2026-12-01T10:30:00", json!("15"));
        assert_eq!((read.from.to_string().as_str(), read.interval), ("2026-12-01T08:00:00Z", 15));
        assert_eq!(request("2026-12-01T10:30:00", Value::Null).interval, 30);
        let refused = |body: Value| ScheduleRequest::read(body).unwrap_err().to_string();
        assert_eq!(refused(json!({})), "schedules is required");
        assert_eq!(refused(json!({ "schedules": ["a"] })), "startTime is required");
        assert_eq!(refused(json!({ "schedules": "a" })), "schedules must be an array of addresses");
        assert_eq!(
            refused(json!({ "schedules": [], "availabilityViewInterval": "x" })),
            "availabilityViewInterval must be a 32-bit integer"
        );
    }

    #[test]
    fn a_slot_is_as_busy_as_the_busiest_that_touches_it() {
        let request = request("2026-12-01T11:15:00", json!(30));
        let at = |time: &str| format!("2026-12-01T{time}Z").parse::<Timestamp>().unwrap();
        let busy = [
            (at("07:00:00"), at("08:30:00"), 1),
            (at("08:29:00"), at("08:31:00"), 3),
            (at("09:00:00"), at("09:00:00"), 2),
            (at("09:30:00"), at("10:00:00"), 2),
            (at("10:10:00"), at("23:00:00"), 2),
            (at("11:00:00"), at("12:00:00"), 3),
        ];
        assert_eq!(request.view(&busy), "33022".to_owned());
        assert_eq!(request.view(&[]), "00000");
    }
}
