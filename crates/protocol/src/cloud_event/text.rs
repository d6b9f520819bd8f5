//! What the texts of attributes may be: characters, URIs, points in time, media types.

/// What a string of CloudEvents must not have: control characters, and code points that Unicode keeps free.
pub(super) fn is_forbidden(letter: char) -> bool {
    let code = u32::from(letter);
    letter.is_control() || code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}

/// The characters of a URI reference, with each `%` followed by two hexadecimal digits. Which of them stands where is
/// not looked at: nobody here takes one apart.
pub(super) fn is_uri_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_encoded = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => is_encoded(at),
        b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' => true,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
        other => other.is_ascii_alphanumeric(),
    })
}

/// A URI reference with a scheme.
pub(super) fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_plain)
        && is_uri_reference(text)
}

/// The media type without its parameters, in lower case.
pub(super) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `type/subtype`, each a token; parameters may follow, in printable ASCII.
pub(super) fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(is_plain)
    };
    let essence = essence(text);
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// A date-time of RFC 3339, with any number of fractional digits.
pub fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        Some(digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let stands = |at: usize, letters: &[u8]| bytes.get(at).is_some_and(|byte| letters.contains(byte));
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else { return false };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 13), number(14, 16), number(17, 19)) else {
        return false;
    };
    let is_separated = [(4, "-"), (7, "-"), (10, "Tt"), (13, ":"), (16, ":")]
        .into_iter()
        .all(|(at, letters)| stands(at, letters.as_bytes()));
    let has_day = (1..=12).contains(&month) && (1..=days(year, month)).contains(&day);
    // 60: a leap second.
    is_separated && has_day && hour < 24 && minute < 60 && second <= 60 && is_rest(&text[19..])
}

fn days(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A fraction, or none, and then `Z` or an offset.
fn is_rest(rest: &str) -> bool {
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
        None => rest,
    };
    match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let is_number = [h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit);
            is_number && [*h1, *h2] < *b"24" && [*m1, *m2] < *b"60"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_real_one_with_an_offset() {
        for good in [
            "2024-05-22T22:24:31.3062901Z",
            "2018-04-05T17:31:00Z",
            "2024-02-29t00:00:00z",
            "2024-03-01T12:00:00+01:00",
            "2016-12-31T23:59:60Z",
            "0000-01-01T00:00:00.123456789012345-23:59",
        ] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "2024-05-22",
            "2024-05-22T22:24:31",
            "2024-05-22 22:24:31Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+1:00",
            "2024-01-01T00:00:00+01:60",
            "2024-01-01T00:00:00ZZ",
            "2024-01-01T00:00:00é",
            "+024-01-01T00:00:00Z",
            "2024-01-01T0é:00:00Z",
            "1700000000",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn uris_have_the_characters_of_uris() {
        for good in ["/tenants/1/applications/2", "https://h/p?q=%20#f", "urn:uuid:6e8b", "1-555-123-4567", "[::1]"] {
            assert!(is_uri_reference(good), "{good}");
        }
        for bad in ["/tenants/<id>", "a b", "%2", "%zz", "é", "a\"b", "a\\b", "{a}", "a^b", "a`b", "a|b"] {
            assert!(!is_uri_reference(bad), "{bad}");
        }
        assert!(is_uri("https://h/schema") && is_uri("urn:x:y"));
        for bad in ["/schema", "schema", ":x", "1a:x", "h ttp:x"] {
            assert!(!is_uri(bad), "{bad}");
        }
    }

    #[test]
    fn media_types_are_two_tokens_and_whatever_parameters() {
        for good in ["application/json", "text/plain; charset=utf-8", "application/vnd.x+json", "image/png;a=\"b c\""] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "json", "/json", "text/", "a b/c", "text/plain; charset=\u{e9}", "text/plain\r\nX: y"] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
