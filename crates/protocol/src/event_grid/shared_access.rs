//! Shared access: what whoever has a topic's key presents, the key itself or a signature made with it. A signature is for
//! one URL and all below it, until a time, which the ways of making one write in three forms.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest signature that is looked at, in bytes.
const SIGNATURE_BYTES_MAX: usize = 4_096;

/// What a request presents.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Key(String),
    Signature(String),
    /// An access token.
    Bearer(String),
}

/// Where credentials stand in a request. What is not there, or is no text, is `None`.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a> {
    pub authorization: Option<&'a str>,
    /// The header `aeg-sas-key`.
    pub key_header: Option<&'a str>,
    /// `aeg-sas-key` in the query, decoded.
    pub key_query: Option<&'a str>,
    /// The header `aeg-sas-token`.
    pub token_header: Option<&'a str>,
}

impl Credential {
    /// The first of `Authorization`, the two headers and the query.
    pub fn of(presented: &Presented<'_>) -> Option<Self> {
        let Presented { authorization, key_header, key_query, token_header } = *presented;
        let authorized = authorization.and_then(Self::authorized);
        authorized
            .or_else(|| key_header.map(|key| Self::Key(key.to_owned())))
            .or_else(|| token_header.map(|token| Self::Signature(token.to_owned())))
            .or_else(|| key_query.map(|key| Self::Key(key.to_owned())))
    }

    fn authorized(header: &str) -> Option<Self> {
        let (scheme, value) = header.trim().split_once(' ')?;
        let value = value.trim().to_owned();
        match scheme.to_ascii_lowercase().as_str() {
            "sharedaccesskey" => Some(Self::Key(value)),
            "sharedaccesssignature" => Some(Self::Signature(value)),
            "bearer" => Some(Self::Bearer(value)),
            _ => None,
        }
    }
}

/// Whether a key that somebody presents is this one. It takes as long whichever letters differ.
pub fn is_key(presented: &str, key: &str) -> bool {
    constant_time::verify_slices_are_equal(presented.as_bytes(), key.as_bytes()).is_ok()
}

/// `r={URL}&e={time}&s={signature}`, each percent-encoded; the signature is of what stands before `&s=`, as it is written.
#[derive(Clone)]
pub struct Signature {
    signed: String,
    resource: String,
    /// In seconds since 1970.
    expires: i64,
    signature: Vec<u8>,
}

/// Why a signature opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    #[error("write a shared access signature as r={{URL}}&e={{time}}&s={{signature}}, each percent-encoded")]
    Form,
    #[error("the shared access signature is longer than {SIGNATURE_BYTES_MAX} bytes")]
    TooLong,
    #[error("'e' is no time; write it as 2026-06-15T18:20:15Z, 2026-06-15 18:20:15 or 6/15/2026 6:20:15 PM, in UTC")]
    Time,
    #[error("'s' is not base64; it is that of the HMAC with SHA-256 of all before it, by the bytes of the key")]
    Base64,
    #[error("the shared access signature has expired")]
    Expired,
    #[error("the shared access signature is for another URL")]
    Elsewhere,
    #[error("the shared access signature was made with none of the topic's keys, or for something else")]
    Forged,
}

impl Signature {
    pub fn parse(text: &str) -> Result<Self, InvalidSignature> {
        if text.len() > SIGNATURE_BYTES_MAX {
            return Err(InvalidSignature::TooLong);
        }
        let (signed, _) = text.split_once("&s=").ok_or(InvalidSignature::Form)?;
        let mut parts = form_urlencoded::parse(text.as_bytes());
        let mut part = |name: &str| {
            let (found, value) = parts.next().ok_or(InvalidSignature::Form)?;
            if found == name { Ok(value.into_owned()) } else { Err(InvalidSignature::Form) }
        };
        let (resource, expires, signature) = (part("r")?, part("e")?, part("s")?);
        if parts.next().is_some() {
            return Err(InvalidSignature::Form);
        }
        let expires = seconds(&expires).ok_or(InvalidSignature::Time)?;
        // A plus that nobody encoded has become a blank.
        let signature = STANDARD.decode(signature.replace(' ', "+")).map_err(|_| InvalidSignature::Base64)?;
        Ok(Self { signed: signed.to_owned(), resource, expires, signature })
    }

    /// Whether it opens `path` of the server that its caller knows by `host` (with the port, if it named one), by one of
    /// these keys, at `now` in seconds since 1970.
    pub fn opens<'a>(
        &self,
        host: &str,
        path: &str,
        keys: impl IntoIterator<Item = &'a str>,
        now: i64,
    ) -> Result<(), InvalidSignature> {
        // The signature first: whoever cannot sign learns nothing but that.
        if !keys.into_iter().any(|key| self.is_signed_with(key)) {
            return Err(InvalidSignature::Forged);
        }
        if !self.covers(host, path) {
            return Err(InvalidSignature::Elsewhere);
        }
        if now < self.expires { Ok(()) } else { Err(InvalidSignature::Expired) }
    }

    fn is_signed_with(&self, key: &str) -> bool {
        let Ok(key) = STANDARD.decode(key) else { return false };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        // Compares in constant time.
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
    }

    fn covers(&self, host: &str, path: &str) -> bool {
        let resource = self.resource.split(['?', '#']).next().unwrap_or_default();
        let rest = resource.split_once("://").map_or(resource, |(_, rest)| rest);
        let (named, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let below = below.trim_end_matches('/');
        let begins = path.get(..below.len()).is_some_and(|start| start.eq_ignore_ascii_case(below));
        let ends = path.get(below.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']));
        without_port(named).eq_ignore_ascii_case(without_port(host)) && begins && ends
    }
}

/// Without the port that goes without saying.
fn without_port(host: &str) -> &str {
    host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host)
}

/// A time in UTC, in one of the three forms, in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.contains('/') { american(text) } else { international(text) }
}

/// `2026-06-15T18:20:15`, with `T` or a blank; a fraction, `Z` or an offset may follow.
fn international(text: &str) -> Option<i64> {
    let (day, rest) = (text.get(..10)?, text.get(10..)?);
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let [year, month, day] = numbers(day, '-')?;
    let (clock, rest) = (time.get(..8)?, time.get(8..)?);
    let rest =
        rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    let offset_minutes = match rest.chars().next() {
        None | Some('Z' | 'z') if rest.len() <= 1 => 0,
        Some(sign @ ('+' | '-')) => {
            let [hours, minutes] = numbers(&rest[1..], ':')?;
            let minutes = within(hours, 0, 23)? * 60 + within(minutes, 0, 59)?;
            if sign == '-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let [hour, minute, second] = numbers(clock, ':')?;
    Some(at([year, month, day], [hour, minute, second])? - offset_minutes * 60)
}

/// `6/15/2026 6:20:15 PM`, with whichever blank before the last.
fn american(text: &str) -> Option<i64> {
    let mut parts = text.split_whitespace();
    let (day, clock, half) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let [month, day, year] = numbers(day, '/')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let noon = match half.to_ascii_uppercase().as_str() {
        "AM" => 0,
        "PM" => 12,
        _ => return None,
    };
    let hour = within(hour, 1, 12)? % 12 + noon;
    at([year, month, day], [hour, minute, second])
}

fn numbers<const COUNT: usize>(text: &str, parted_by: char) -> Option<[i64; COUNT]> {
    let mut numbers = [0; COUNT];
    let mut parts = text.split(parted_by);
    for number in &mut numbers {
        let digits = parts.next().filter(|part| part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn within(number: i64, least: i64, most: i64) -> Option<i64> {
    (least..=most).contains(&number).then_some(number)
}

fn at([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<i64> {
    let year = within(year, 1970, 9_999)?;
    let month = within(month, 1, 12)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let place = usize::try_from(month - 1).ok()?;
    let day = within(day, 1, days_of[place])?;
    let of_month: i64 = days_of[..place].iter().sum();
    let leap_days = |before: i64| (before / 4) - (before / 100) + (before / 400);
    let days = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) + of_month + day - 1;
    Some(((days * 24 + within(hour, 0, 23)?) * 60 + within(minute, 0, 59)?) * 60 + within(second, 0, 59)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of the bytes 0 to 31.
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const EXPIRES: i64 = 1_781_547_615;

    // Made by PyPI's azure-eventgrid and by Python's hmac, with the key above, until 2026-06-15 18:20:15.
    const BY_PYTHON: &str = "r=https%3A%2F%2Fmail.example%2Ftopics%2Forders%3FapiVersion%3D2018-01-01&e=2026-06-15%2018%3A20%3A15&s=a624fW%2FI8mpBOLFIhAqHPVFbcmJGl6NtyXLRkmkFohw%3D";
    const BY_ISO: &str = "r=https%3A%2F%2Fmail.example%2Ftopics%2Forders&e=2026-06-15T18%3A20%3A15Z&s=reVmOdLdHC7gc381Y52iS3TOx3L2rCDTGwoRSabK9tk%3D";
    const BY_CSHARP: &str = "r=https%3a%2f%2fmail.example%2ftopics%2forders&e=6%2f15%2f2026+6%3a20%3a15+PM&s=FStdLsIOSLt%2fh18ECYQjDrK02f5ajYWDAkfDfJivrJM%3d";

    fn opens(text: &str, host: &str, path: &str, now: i64) -> Result<(), InvalidSignature> {
        Signature::parse(text)?.opens(host, path, ["b3RoZXI=", KEY], now)
    }

    #[test]
    fn signatures_made_elsewhere_open_what_they_are_for_until_their_time() {
        for made in [BY_PYTHON, BY_ISO, BY_CSHARP] {
            assert_eq!(opens(made, "mail.example", "/topics/orders:publish", EXPIRES - 1), Ok(()), "{made}");
            let expired = opens(made, "mail.example", "/topics/orders:publish", EXPIRES);
            assert_eq!(expired, Err(InvalidSignature::Expired), "{made}");
        }
    }

    #[test]
    fn a_signature_is_for_its_url_and_all_below_it() {
        for path in ["/topics/orders", "/topics/orders:publish", "/TOPICS/orders/eventsubscriptions/a:receive"] {
            assert_eq!(opens(BY_ISO, "mail.example:443", path, 0), Ok(()), "{path}");
        }
        for path in ["/topics/orders2:publish", "/topics/order:publish", "/topics", "/"] {
            assert_eq!(opens(BY_ISO, "mail.example", path, 0), Err(InvalidSignature::Elsewhere), "{path}");
        }
        assert_eq!(opens(BY_ISO, "other.example", "/topics/orders", 0), Err(InvalidSignature::Elsewhere));
    }

    #[test]
    fn whatever_of_a_signature_is_changed_it_opens_nothing() {
        let path = "/topics/orders:publish";
        for forged in [
            BY_ISO.replace("orders", "others"),
            BY_ISO.replace("2026", "2036"),
            BY_ISO.replace("r=https", "r=Https"),
            BY_ISO.replace("&s=", "&s=AA"),
        ] {
            let refusal = opens(&forged, "mail.example", path, 0).unwrap_err();
            assert!([InvalidSignature::Forged, InvalidSignature::Base64].contains(&refusal), "{forged}: {refusal:?}");
        }
        let other = Signature::parse(BY_ISO).unwrap().opens("mail.example", path, ["b3RoZXI=", "", "no base64"], 0);
        assert_eq!(other, Err(InvalidSignature::Forged));
    }

    #[test]
    fn what_is_no_signature_is_told_what_one_looks_like() {
        let long = "r=a&e=b&s=".repeat(500);
        for (text, refusal) in [
            ("", InvalidSignature::Form),
            ("r=a&e=b", InvalidSignature::Form),
            ("e=2026-06-15T18:20:15Z&r=a&s=AA==", InvalidSignature::Form),
            ("r=a&e=2026-06-15T18:20:15Z&s=AA==&x=1", InvalidSignature::Form),
            ("r=a&e=tomorrow&s=AA==", InvalidSignature::Time),
            ("r=a&e=2026-06-15T18:20:15Z&s=!", InvalidSignature::Base64),
            (long.as_str(), InvalidSignature::TooLong),
        ] {
            assert_eq!(Signature::parse(text).err(), Some(refusal), "{text}");
        }
    }

    #[test]
    fn times_are_read_in_three_forms() {
        for text in [
            "2026-06-15T18:20:15Z",
            "2026-06-15T18:20:15",
            "2026-06-15T18:20:15.123456Z",
            "2026-06-15 18:20:15",
            "2026-06-15 18:20:15.123456+00:00",
            "2026-06-15 20:20:15+02:00",
            "6/15/2026 6:20:15 PM",
            "06/15/2026 06:20:15 pm",
            "6/15/2026 6:20:15\u{202f}PM",
        ] {
            assert_eq!(seconds(text), Some(EXPIRES), "{text}");
        }
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2/29/2028 12:00:00 AM"), Some(1_835_395_200));
        assert_eq!(seconds("2100-03-01T00:00:00Z"), Some(4_107_542_400));
        for bad in [
            "",
            "1781547615",
            "2026-06-15",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-06-15T24:00:00Z",
            "2026-06-15T18:20:15ZZ",
            "2026-06-15T18:20:15+1",
            "2026-06-15T18:20:1é",
            "15/6/2026 6:20:15 PM",
            "6/15/2026 13:20:15 PM",
            "6/15/2026 0:20:15 PM",
            "6/15/2026 6:20:15",
            "6/15/99999 6:20:15 PM",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_credential_stands_in_one_of_five_places() {
        let of = |presented| Credential::of(&presented);
        let none = Presented::default();
        let authorization = |header| of(Presented { authorization: Some(header), ..none });
        assert!(authorization("SharedAccessKey abc=") == Some(Credential::Key("abc=".to_owned())));
        assert!(authorization("sharedaccesssignature r=a") == Some(Credential::Signature("r=a".to_owned())));
        assert!(authorization("Bearer t") == Some(Credential::Bearer("t".to_owned())));
        assert!(authorization("Basic t").is_none() && authorization("Bearer").is_none());
        assert!(of(Presented { key_header: Some("k"), ..none }) == Some(Credential::Key("k".to_owned())));
        assert!(of(Presented { key_query: Some("k"), ..none }) == Some(Credential::Key("k".to_owned())));
        assert!(of(Presented { token_header: Some("r=a"), ..none }) == Some(Credential::Signature("r=a".to_owned())));
        assert!(of(none).is_none());
    }

    #[test]
    fn a_key_is_the_same_to_the_letter() {
        assert!(is_key(KEY, KEY));
        assert!(!is_key("", KEY) && !is_key(&KEY[1..], KEY) && !is_key(&KEY.to_lowercase(), KEY));
    }
}
