//! When a receiver may be asked again, as its answer says. There is no clock here: a date counts from the date of the
//! answer itself, so that it does not matter whose clock is wrong.

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use notify::retry::RetryAfter;

/// What an answer asks for: seconds, or until a date. What has passed is none at all; what is neither, stands there twice
/// or goes without the answer's date is as good as absent.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<RetryAfter> {
    let asked = only(headers, RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|letter| letter.is_ascii_digit()) {
        // More than can be counted is more than is granted.
        return Some(RetryAfter::from_seconds(asked.parse().unwrap_or(u64::MAX)));
    }
    let date = |text| httpdate::parse_http_date(text).ok();
    let (until, answered) = (date(asked)?, date(only(headers, DATE)?)?);
    Some(RetryAfter::from_seconds(until.duration_since(answered).unwrap_or_default().as_secs()))
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NOON: &str = "Sun, 29 Nov 2026 12:00:00 GMT";

    fn read(asked: &[&str], date: Option<&str>) -> Option<RetryAfter> {
        let mut headers = HeaderMap::new();
        for asked in asked {
            headers.append(RETRY_AFTER, HeaderValue::from_bytes(asked.as_bytes()).unwrap());
        }
        headers.extend(date.map(|date| (DATE, HeaderValue::from_str(date).unwrap())));
        retry_after(&headers)
    }

    fn seconds(seconds: u64) -> Option<RetryAfter> {
        Some(RetryAfter::from_seconds(seconds))
    }

    #[test]
    fn seconds_and_dates_are_read_in_all_forms_of_http() {
        assert_eq!(read(&["0"], None), seconds(0));
        assert_eq!(read(&["0120"], None), seconds(120));
        for date in ["Sun, 29 Nov 2026 12:02:00 GMT", "Sunday, 29-Nov-26 12:02:00 GMT", "Sun Nov 29 12:02:00 2026"] {
            assert_eq!(read(&[date], Some(NOON)), seconds(120), "{date}");
        }
        assert_eq!(read(&["Sun, 29 Nov 2026 11:00:00 GMT"], Some(NOON)), seconds(0), "it has passed");
    }

    #[test]
    fn stalling_by_retry_after_fails_since_no_wait_is_longer_than_the_longest() {
        // Of events; for notifications it is less, which `notify::retry` sees to.
        let longest = seconds(24 * 3_600);
        for asked in ["86401", "99999999999", "18446744073709551615", "18446744073709551616", &"9".repeat(4_000)] {
            assert_eq!(read(&[asked], None), longest, "{asked}");
        }
        assert_eq!(read(&["Fri, 31 Dec 9999 23:59:59 GMT"], Some(NOON)), longest);
        assert_eq!(read(&["Fri, 31 Dec 9999 23:59:59 GMT"], Some("Thu, 01 Jan 1970 00:00:00 GMT")), longest);
    }

    #[test]
    fn what_cannot_be_read_is_as_good_as_absent() {
        let strange =
            ["", " ", "-1", "+7", "1.5", "1e3", "0x10", "7 s", "7, 8", "soon", "\u{664}", "\u{ff17}", "\u{9}7"];
        for asked in strange.into_iter().chain(["Sun, 31 Feb 2026 12:00:00 GMT", "Sun, 29 Nov 1926 12:00:00 GMT"]) {
            assert_eq!(read(&[asked], Some(NOON)), None, "{asked:?}");
        }
        assert_eq!(read(&[], Some(NOON)), None);
        assert_eq!(read(&["7", "7"], Some(NOON)), None, "twice");
        for date in [None, Some("yesterday")] {
            assert_eq!(read(&["Sun, 29 Nov 2026 12:02:00 GMT"], date), None, "{date:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_read_as_a_longer_wait(asked: Vec<u8>, date: Vec<u8>) {
            let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
            let mut headers = HeaderMap::new();
            headers.extend(value(&asked).map(|asked| (RETRY_AFTER, asked)));
            headers.extend(value(&date).map(|date| (DATE, date)));
            let least = notify::retry::least_wait_micros(1, retry_after(&headers));
            prop_assert!((5_000_000..=600_000_000).contains(&least));
        }
    }
}
