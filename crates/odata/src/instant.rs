//! Dates and times as texts: points in time as whole microseconds since 1970 in UTC, of the years 1 to 9999.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// A date, a date with a time, or a date with a time and an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Date(Date),
    /// A date and time without an offset.
    Local(i64),
    Instant(i64),
}

impl Read {
    /// The point in time; what has no offset is in UTC, what has no time is at midnight.
    pub fn in_utc(self) -> i64 {
        match self {
            Read::Date(date) => midnight(date),
            Read::Local(micros) | Read::Instant(micros) => micros,
        }
    }
}

/// Reads `2026-01-31`, `2026-01-31T10:00`, `2026-01-31T10:00:00.1234567` with `Z`, `+02:00` or nothing
/// behind. What is finer than a microsecond is cut.
pub fn read(text: &str) -> Option<Read> {
    let mut rest = Digits(text.as_bytes());
    let (year, _) = (rest.number(4)?, rest.expect(b"-")?);
    let (month, _) = (rest.number(2)?, rest.expect(b"-")?);
    let day = rest.number(2)?;
    let date = Date::new(year as i16, month as i8, day as i8).ok().filter(|date| date.year() >= 1)?;
    if rest.0.is_empty() {
        return Some(Read::Date(date));
    }
    rest.expect(b"Tt")?;
    let local = midnight(date) + rest.time()?;
    let offset = match rest.0 {
        [] => return Some(Read::Local(local)),
        [b'Z' | b'z'] => 0,
        _ => rest.offset()?,
    };
    Some(Read::Instant(local - offset)).filter(|_| date_time(local - offset).is_some())
}

/// Reads `10:00`, `10:00:00` or `10:00:00.123`, to the microsecond.
pub fn read_time(text: &str) -> Option<Time> {
    let mut rest = Digits(text.as_bytes());
    let micros = rest.time().filter(|_| rest.0.is_empty())?;
    Some(Time::midnight().wrapping_add(SignedDuration::from_micros(micros)))
}

/// The start of a day.
pub fn midnight(date: Date) -> i64 {
    let since = date.to_datetime(Time::midnight()).duration_since(EPOCH);
    since.as_secs() * MICROS
}

/// The date and time in UTC; `None` outside the years 1 to 9999.
pub fn date_time(micros: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_micros(micros)).ok().filter(|at| at.year() >= 1)
}

const MICROS: i64 = 1_000_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// What is left of a text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    }

    fn expect(&mut self, any_of: &[u8]) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        any_of.contains(first).then_some(())
    }

    /// Microseconds since midnight.
    fn time(&mut self) -> Option<i64> {
        let (hour, _) = (self.number(2).filter(|hour| *hour < 24)?, self.expect(b":")?);
        let minute = self.number(2).filter(|minute| *minute < 60)?;
        let mut micros = (hour * 60 + minute) * 60 * MICROS;
        if self.0.first() == Some(&b':') {
            self.expect(b":")?;
            micros += self.number(2).filter(|second| *second < 60)? * MICROS;
            if self.0.first() == Some(&b'.') {
                self.expect(b".")?;
                micros += self.fraction()?;
            }
        }
        Some(micros)
    }

    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at_checked(digits).filter(|_| (1..=12).contains(&digits))?;
        self.0 = rest;
        let padded = fraction.iter().chain(b"000000").take(6);
        Some(padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    fn offset(&mut self) -> Option<i64> {
        let sign = if self.0.first() == Some(&b'-') { -1 } else { 1 };
        self.expect(b"+-")?;
        let (hours, _) = (self.number(2).filter(|hours| *hours <= 14)?, self.expect(b":")?);
        let minutes = self.number(2).filter(|minutes| *minutes < 60 && self.0.is_empty())?;
        Some(sign * (hours * 60 + minutes) * 60 * MICROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_in_every_form() {
        let day = 86_400 * MICROS;
        for (text, read_as) in [
            ("1970-01-02", Some(Read::Date(Date::constant(1970, 1, 2)))),
            ("1970-01-02T00:00", Some(Read::Local(day))),
            ("1970-01-02T00:00:01.1234567", Some(Read::Local(day + 1_123_456))),
            ("1970-01-02T02:00+02:00", Some(Read::Instant(day))),
            ("1970-01-01t23:30:00.5-00:30", Some(Read::Instant(day + 500_000))),
            ("9999-12-31T23:59:59Z", Some(Read::Instant(253_402_300_799 * MICROS))),
            ("9999-12-31T23:59:59-01:00", None),
            ("0000-01-01", None),
            ("2026-02-30", None),
            ("2026-01-01T24:00Z", None),
            ("2026-01-01T10:00:00.Z", None),
            ("2026-01-01T10:00:00+0200", None),
            ("2026-01-01T10Z", None),
            ("2026-1-1", None),
            ("é026-01-01", None),
            ("", None),
        ] {
            assert_eq!(read(text), read_as, "{text}");
        }
        assert_eq!(read_time("10:30"), Some(Time::constant(10, 30, 0, 0)));
        assert_eq!(read_time("10:30Z"), None);
    }
}
