//! Dead letters: what is kept of an event that was given up, and under which name. The record is the event itself with a
//! few more attributes, as Event Grid writes it for CloudEvents, so it can be read, looked for and sent again.
//!
//! The same dead letter has the same name however often it is written, and no name leads out of its container.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cloud_event::{CloudEvent, InvalidEvent, has_unique_id};

/// The largest record that is read: an event of the largest size in its longest spelling.
pub const RECORD_BYTES_MAX: usize = 15 << 17;
/// A longer name of a topic or event subscription is not written out in a path.
const SEGMENT_CHARS_MAX: usize = 100;

/// The attributes that a record has beside the event's own. The last two are ours.
const TOLD: [&str; 6] =
    ["deadletterreason", "deliveryattempts", "lastdeliveryoutcome", "publishtime", "lasthttpstatuscode", "resenttime"];

/// What is told of an event that was given up, in the spelling of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Why it was given up, in Event Grid's words.
    #[serde(rename = "deadletterreason")]
    pub dead_letter_reason: String,
    /// How often it was tried, in all.
    #[serde(rename = "deliveryattempts")]
    pub delivery_attempts: u32,
    /// What the last attempt came to, in Event Grid's words.
    #[serde(rename = "lastdeliveryoutcome")]
    pub last_delivery_outcome: String,
    /// When it was published into its topic: RFC 3339 in `Z`.
    #[serde(rename = "publishtime")]
    pub publish_time: String,
    /// What the receiver answered last, if it did.
    #[serde(rename = "lasthttpstatuscode", default, skip_serializing_if = "Option::is_none")]
    pub last_http_status_code: Option<u16>,
    /// When it was sent again last, if it had been a dead letter before: RFC 3339 in `Z`.
    #[serde(rename = "resenttime", default, skip_serializing_if = "Option::is_none")]
    pub resent_time: Option<String>,
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub event: CloudEvent,
    pub told: Told,
}

/// What is no dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeadLetter {
    #[error("it is not the JSON of a dead letter: {0}")]
    Json(String),
    #[error(transparent)]
    Event(#[from] InvalidEvent),
}

impl DeadLetter {
    /// The record. What the event itself has under a name of these attributes gives way.
    pub fn to_json(&self) -> Vec<u8> {
        let mut record = self.event.without_extensions(&TOLD).to_json();
        let told = serde_json::to_vec(&self.told).expect("texts and numbers can be written as JSON");
        record.pop();
        record.push(b',');
        record.extend_from_slice(&told[1..]);
        record
    }

    /// Reads a record. The event is as it was before it was given up.
    pub fn from_json(record: &[u8]) -> Result<Self, InvalidDeadLetter> {
        let malformed = |error: serde_json::Error| InvalidDeadLetter::Json(error.to_string());
        let told: Told = serde_json::from_slice(record).map_err(malformed)?;
        let Members(members) = serde_json::from_slice(record).map_err(malformed)?;
        let mut event = Vec::with_capacity(record.len());
        for (name, value) in members.iter().filter(|(name, _)| !TOLD.contains(&name.as_str())) {
            event.push(if event.is_empty() { b'{' } else { b',' });
            serde_json::to_writer(&mut event, name).map_err(malformed)?;
            event.push(b':');
            event.extend_from_slice(value.get().as_bytes());
        }
        event.push(b'}');
        Ok(Self { event: CloudEvent::from_long_json(&event)?, told })
    }

    /// Where it lies in its container: `topic/event subscription/year/month/day/hour/name.json`, by the time when it was
    /// published.
    pub fn path(&self, topic: &str, event_subscription: &str) -> String {
        let [year, month, day, hour] = date_and_hour(&self.told.publish_time);
        let folder = folder(topic, event_subscription);
        format!("{folder}/{year}/{month}/{day}/{hour}/{}.json", self.name())
    }

    /// The event's id, if that is unique and fit for a name, else one that follows from id and source; and the times when it
    /// was published and sent again: one that is given up again lies beside the one before.
    fn name(&self) -> String {
        let attributes = self.event.attributes();
        let is_fit = has_unique_id(&self.event) && attributes.id.bytes().all(|byte| !byte.is_ascii_uppercase());
        let name = if is_fit { attributes.id.clone() } else { hashed(&[&attributes.source, &attributes.id]) };
        let digits =
            |time: &String| time.chars().filter(char::is_ascii_digit).take(TIME_DIGITS_MAX).collect::<String>();
        let resent = self.told.resent_time.as_ref().map(|time| format!("-{}", digits(time))).unwrap_or_default();
        format!("{name}-{}{resent}", digits(&self.told.publish_time))
    }
}

/// Of a time to the nanosecond.
const TIME_DIGITS_MAX: usize = 23;

/// Where the dead letters of an event subscription lie in their container.
pub fn folder(topic: &str, event_subscription: &str) -> String {
    format!("{}/{}", segment(topic), segment(event_subscription))
}

/// Whether Azure takes it as the name of a container: 3 to 63 lower-case letters, digits and hyphens, no hyphen at an end
/// or beside another.
pub fn is_container_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// A name as one step of a path, in lower case as names differ in nothing else; if it cannot stand there, what
/// follows from it.
fn segment(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_fit = (1..=SEGMENT_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_plain);
    if is_fit { name.to_ascii_lowercase() } else { hashed(&[name]) }
}

/// In the form of a UUID.
fn hashed(parts: &[&str]) -> String {
    let mut input = Vec::new();
    for part in parts {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    let mut text = String::with_capacity(36);
    for (place, byte) in digest(&SHA256, &input).as_ref()[..16].iter().enumerate() {
        let hyphen = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
        let _ = write!(text, "{hyphen}{byte:02x}");
    }
    text
}

/// Year, month, day and hour of a time of RFC 3339, without leading zeros; zeros for what is none.
fn date_and_hour(time: &str) -> [u32; 4] {
    let number = |range| time.get(range).and_then(|text: &str| text.parse().ok()).unwrap_or(0);
    [number(0..4), number(5..7), number(8..10), number(11..13)]
}

/// An object's members in their order, unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> serde::de::Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cloud_event::{Attributes, Data, EXTENSIONS_MAX, Extension, Json};

    const ID: &str = "00d8a100-2e92-4bfa-86e1-0056dacd0fce";

    const SOURCE: &str =
        "/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0";

    fn event(id: &str) -> CloudEvent {
        let attributes = Attributes {
            id: id.to_owned(),
            source: SOURCE.to_owned(),
            event_type: "Microsoft.Graph.MessageCreated".to_owned(),
            subject: Some("Messages/AAMk=".to_owned()),
            data_content_type: Some("application/json".to_owned()),
            extensions: [("comexample".to_owned(), Extension::Integer(7))].into(),
            ..Attributes::default()
        };
        CloudEvent::new(attributes, Some(Data::Json(Json::parse(br#"{"b":1.50,"a":[]}"#).unwrap()))).unwrap()
    }

    fn dead_letter(event: CloudEvent) -> DeadLetter {
        let told = Told {
            dead_letter_reason: "MaxDeliveryAttemptsExceeded".to_owned(),
            delivery_attempts: 30,
            last_delivery_outcome: "Busy".to_owned(),
            publish_time: "2026-01-04T09:00:00.25Z".to_owned(),
            last_http_status_code: Some(503),
            resent_time: None,
        };
        DeadLetter { event, told }
    }

    #[test]
    fn a_record_is_the_event_with_why_it_was_given_up() {
        let record = String::from_utf8(dead_letter(event(ID)).to_json()).unwrap();
        insta::assert_snapshot!(record.replace(",\"", ",\n\""), @r#"
        {"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        "type":"Microsoft.Graph.MessageCreated",
        "source":"/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
        "subject":"Messages/AAMk=",
        "datacontenttype":"application/json",
        "specversion":"1.0",
        "comexample":7,
        "data":{"b":1.50,
        "a":[]},
        "deadletterreason":"MaxDeliveryAttemptsExceeded",
        "deliveryattempts":30,
        "lastdeliveryoutcome":"Busy",
        "publishtime":"2026-01-04T09:00:00.25Z",
        "lasthttpstatuscode":503}
        "#);
        assert!(CloudEvent::from_json(record.as_bytes()).is_ok(), "it is an event itself");
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_the_event_is_the_original() {
        let written = dead_letter(event(ID));
        assert_eq!(DeadLetter::from_json(&written.to_json()), Ok(written));
        let mut unanswered = dead_letter(event("b"));
        unanswered.told.last_http_status_code = None;
        unanswered.told.resent_time = Some("2026-01-05T09:00:00Z".to_owned());
        assert!(!String::from_utf8_lossy(&unanswered.to_json()).contains("lasthttpstatuscode"));
        assert_eq!(DeadLetter::from_json(&unanswered.to_json()), Ok(unanswered));
    }

    #[test]
    fn an_event_with_as_many_attributes_and_bytes_as_it_may_have_is_kept_whole() {
        let extensions = (0..EXTENSIONS_MAX).map(|n| (format!("x{n}"), Extension::Boolean(true))).collect();
        let attributes = Attributes { extensions, ..event("a").attributes().clone() };
        let full = CloudEvent::new(attributes, Some(Data::Binary(vec![0; 1 << 20]))).unwrap();
        let written = dead_letter(full);
        let record = written.to_json();
        assert!(record.len() <= RECORD_BYTES_MAX, "{}", record.len());
        assert_eq!(DeadLetter::from_json(&record), Ok(written));
    }

    #[test]
    fn an_event_that_was_a_dead_letter_before_tells_of_the_last_time() {
        let again = CloudEvent::from_json(&dead_letter(event(ID)).to_json()).unwrap();
        let mut second = dead_letter(again);
        second.told.delivery_attempts = 2;
        let record = String::from_utf8(second.to_json()).unwrap();
        assert_eq!(record.matches("deliveryattempts").count(), 1, "{record}");
        assert_eq!(DeadLetter::from_json(record.as_bytes()).unwrap().event, event(ID));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let record = String::from_utf8(dead_letter(event(ID)).to_json()).unwrap();
        let without = record.replace(r#""deadletterreason":"MaxDeliveryAttemptsExceeded","#, "");
        for (text, why) in [
            ("", "EOF"),
            ("[]", "not the JSON of a dead letter"),
            (&without, "missing field `deadletterreason`"),
            (&record.replace("\"type\"", "\"tipe\""), "'type' is missing"),
        ] {
            let refusal = DeadLetter::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn a_dead_letter_lies_where_event_grid_puts_it_and_always_at_the_same_place() {
        let path = |id: &str| dead_letter(event(id)).path("Mail-Events", "Worker");
        insta::assert_snapshot!(path(ID), @"mail-events/worker/2026/1/4/9/00d8a100-2e92-4bfa-86e1-0056dacd0fce-2026010409000025.json");
        assert!(path("../1").starts_with("mail-events/worker/2026/1/4/9/") && !path("../1").contains(".."));
        assert_eq!(path("../1"), path("../1"));
        assert_ne!(path(&ID.to_uppercase()), path(ID), "file systems may not tell them apart");
    }

    #[test]
    fn what_is_given_up_again_lies_beside_the_dead_letter_before() {
        let resent = |time: Option<&str>| {
            let mut letter = dead_letter(event(ID));
            letter.told.resent_time = time.map(str::to_owned);
            letter.path("t", "e")
        };
        let first = resent(None);
        let [second, third] = ["2026-01-05T09:00:00Z", "2026-01-05T09:00:00.000001Z"].map(|time| resent(Some(time)));
        let folder = |path: &str| path.rsplit_once('/').unwrap().0.to_owned();
        assert!(first != second && second != third && first != third);
        assert!([&second, &third].iter().all(|path| folder(path) == folder(&first)), "by when it was published");
    }

    #[test]
    fn one_id_of_two_sources_is_that_of_two_dead_letters() {
        let of = |source: &str| {
            let attributes = Attributes { source: source.to_owned(), ..event(ID).attributes().clone() };
            dead_letter(CloudEvent::new(attributes, None).unwrap()).path("t", "e")
        };
        let names = [of(SOURCE), of("/orders"), of("/billing"), of(&format!("{SOURCE}1"))];
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{names:?}");
    }

    #[test]
    fn containers_have_names_as_azures() {
        for name in ["abc", "dead-letters", "a1-b2", &"a".repeat(63)] {
            assert!(is_container_name(name), "{name}");
        }
        for name in ["", "ab", "Abc", "-abc", "abc-", "a--b", "a_b", "a/b", "...", "abc\n", &"a".repeat(64)] {
            assert!(!is_container_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn dead_letter_out_of_its_container_is_never_named(
            id in "\\PC{1,40}|[./\\\\]{1,9}|[0-9A-F-]{36}", topic in "\\PC{0,40}|[./]{0,9}", one in "\\PC{0,40}", time in "\\PC{0,30}"
        ) {
            let mut letter = dead_letter(event(&id));
            letter.told.resent_time = Some(time.clone());
            letter.told.publish_time = time;
            let path = letter.path(&topic, &one);
            let steps: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(steps.len(), 7);
            for step in steps {
                let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
                prop_assert!(!step.is_empty() && step.len() <= 100 && step.chars().all(is_plain), "{}", path);
                prop_assert!(!step.starts_with('.'), "{}", path);
            }
        }

        #[test]
        fn two_events_have_two_names(one in "[a-c/|]{1,4}", other in "[a-c/|]{1,4}", source in "[a-c]{1,2}") {
            let named = |id: &str, source: &str| {
                let attributes = Attributes { source: source.to_owned(), ..event(id).attributes().clone() };
                dead_letter(CloudEvent::new(attributes, None).unwrap()).path("t", "e")
            };
            prop_assert_eq!(named(&one, "a") == named(&other, &source), one == other && source == "a");
        }
    }
}
