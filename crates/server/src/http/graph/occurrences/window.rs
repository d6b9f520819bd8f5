//! The time window that a list of occurrences is about.

use graph::Timestamp;
use store::Window;

use crate::http::query::Query;

/// The longest window, in days.
const DAYS_MAX: i64 = 1825;

/// Why a window is refused. `Display` is the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error(
        "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime."
    )]
    Missing,
    #[error("The value '{value}' of the parameter '{name}' is not a valid date-time.")]
    Unreadable { name: &'static str, value: String },
    #[error("The end of the time window is earlier than its start.")]
    Backwards,
    #[error(
        "Your request can't be completed. The range between the start and end dates is greater than the allowed range. \
         Maximum number of days: {DAYS_MAX}"
    )]
    TooLong,
    #[error("The time window holds more than {occurrences_max} occurrences; ask for a shorter one.")]
    TooMany { occurrences_max: u64 },
}

impl WindowError {
    /// Graph's code; the status is 400.
    pub fn code(&self) -> &'static str {
        match self {
            WindowError::Missing | WindowError::Unreadable { .. } => "ErrorInvalidParameter",
            WindowError::Backwards => "ErrorCalendarEndDateIsEarlierThanStartDate",
            WindowError::TooLong => "ErrorInvalidRequest",
            WindowError::TooMany { .. } => "ErrorExceededFindCountLimit",
        }
    }
}

/// Reads `startDateTime` and `endDateTime` of a query.
pub fn of_query(query: &Query) -> Result<Window, WindowError> {
    let [start, end] = ["startDateTime", "endDateTime"].map(|name| query.get(name).filter(|value| !value.is_empty()));
    of_texts(start.ok_or(WindowError::Missing)?, end.ok_or(WindowError::Missing)?)
}

/// Reads a window from its two ends.
pub fn of_texts(start: &str, end: &str) -> Result<Window, WindowError> {
    checked(Window { from: time("startDateTime", start)?, until: time("endDateTime", end)? })
}

/// Refuses a window that is longer than the longest, or ends before it begins.
pub fn checked(window: Window) -> Result<Window, WindowError> {
    if window.until < window.from {
        return Err(WindowError::Backwards);
    }
    if window.until.since(window.from) > DAYS_MAX * 24 * 60 * 60 * 1_000_000 {
        return Err(WindowError::TooLong);
    }
    Ok(window)
}

/// A date-time with an offset, or without one in UTC, or a date. A `+` that was read as a blank is one again.
fn time(name: &'static str, text: &str) -> Result<Timestamp, WindowError> {
    let wrong = || WindowError::Unreadable { name, value: text.chars().take(64).collect() };
    let text = text.trim().trim_matches(['\'', '"']).replace(' ', "+");
    let with_offset = text.parse::<Timestamp>();
    let with_offset = with_offset.or_else(|_| format!("{text}Z").parse());
    with_offset.or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_however_clients_write_them() {
        for (text, read) in [
            ("2026-11-08T19:00:00-08:00", "2026-11-09T03:00:00Z"),
            ("2026-11-08T19:00:00 01:00", "2026-11-08T18:00:00Z"),
            ("2026-11-08T19:00:00.0000000", "2026-11-08T19:00:00Z"),
            ("2026-11-08T19:00", "2026-11-08T19:00:00Z"),
            ("2026-11-08", "2026-11-08T00:00:00Z"),
        ] {
            assert_eq!(of_texts(text, "2027-01-01").unwrap().from.to_string(), read, "{text}");
        }
    }

    #[test]
    fn a_window_that_is_none_is_refused() {
        assert_eq!(of_query(&Query::read("startDateTime=2026-01-01").unwrap()), Err(WindowError::Missing));
        assert_eq!(of_texts("2026-01-02", "2026-01-01"), Err(WindowError::Backwards));
        assert_eq!(of_texts("2026-01-01", "2031-01-01"), Err(WindowError::TooLong));
        assert!(of_texts("2026-01-01", "2030-12-31").is_ok());
        assert!(matches!(of_texts("soon", "2026-01-01"), Err(WindowError::Unreadable { .. })));
    }
}
