//! Harnesses for a fuzzer: what must hold for any bytes given to the readers of foreign formats.

use serde_json::{Value, json};

use crate::fuzz::{fresh, owner};
use crate::mailbox::{self, meeting};
use crate::mbox::{Piece, Splitter};
use crate::mime::Origin;
use crate::{Item, Kind, Properties, Timestamp, html, ical, mime, vcard};

/// A message is refused or becomes bounded, well-named properties; the same bytes give the same.
pub fn fuzz_mime(data: &[u8]) {
    for origin in [Origin::Delivered, Origin::Archive] {
        let parsed = mime::parse(data, origin);
        if let Ok(message) = &parsed {
            check(&message.properties, data.len());
            let preview = message.properties.get("bodyPreview").and_then(Value::as_str).unwrap_or_default();
            assert!(preview.chars().count() <= mailbox::PREVIEW_CHARS_MAX);
            assert!(message.properties["internetMessageId"].is_string());
            let written = mime::write(&message.properties, &[], uuid::Uuid::nil());
            let again = mime::parse(&written, Origin::Delivered).expect("what is written can be read");
            assert!(again.properties["sentDateTime"].is_string());
        }
        assert_eq!(parsed, mime::parse(data, origin));
    }
}

/// HTML that was made safe is safe: doing it again changes nothing, and no tag begins what may not stay.
pub fn fuzz_html(data: &[u8]) {
    let safe = html::sanitise(&String::from_utf8_lossy(data));
    assert_eq!(html::sanitise(&safe), safe);
    for begun in safe.split('<').skip(1) {
        let begun = begun.to_ascii_lowercase();
        assert!(!["script", "iframe", "svg", "form", "!"].iter().any(|bad| begun.starts_with(bad)), "{safe}");
        assert!(begun.starts_with('/') || begun.starts_with(|c: char| c.is_ascii_lowercase()), "{safe}");
    }
    assert!(safe.len() <= 16 * data.len(), "{} bytes from {}", safe.len(), data.len());
}

/// A calendar is refused or becomes bounded, well-named events with a start that is not after the end.
pub fn fuzz_ical(data: &[u8]) {
    let Ok(parsed) = ical::parse(data, "owner@example.org") else { return };
    for event in &parsed.events {
        check(event, data.len());
        let time = |name: &str| event[name]["dateTime"].as_str().unwrap_or_default().to_owned();
        assert_eq!(time("start").len(), "2026-11-21T23:52:24.0000000".len());
        assert!(time("start") <= time("end"));
        let written = ical::write(event, Timestamp::default());
        let again = ical::parse(written.as_bytes(), "owner@example.org").expect("what is written can be read");
        assert_eq!(again.events.len(), 1, "{written}");
        assert_eq!((&again.events[0]["start"], &again.events[0]["end"]), (&event["start"], &event["end"]), "{written}");
    }
}

/// What a calendar part tells of a meeting is bounded and well-named, and does no harm to a calendar, however
/// often and in whatever order it comes; the message about it can be written, and read again.
pub fn fuzz_meeting(data: &[u8]) {
    const SENDER: &str = "a@b";
    let (owner, told) = (owner(), String::from_utf8_lossy(data));
    let mut events: Vec<Item> = Vec::new();
    for (number, method) in (1..).zip(["REQUEST", "REPLY", "REQUEST", "CANCEL", "REQUEST"]) {
        let text = format!("BEGIN:VCALENDAR\nMETHOD:{method}\n{told}\nEND:VCALENDAR\n");
        let Some(meeting) = ical::read_meeting(&text, method, SENDER) else { continue };
        check(&meeting.event, text.len());
        let from = json!({ "emailAddress": { "address": SENDER } });
        let mail = Properties::from_iter([("from".to_owned(), from)]);
        let fresh = fresh(number);
        let arrived = meeting::receive_meeting(&owner, &fresh, &mail, &meeting, &events);
        let arrived = arrived.expect("the message comes, whatever is said of the calendar");
        for item in arrived.puts {
            if item.id.kind == Kind::Message {
                let written = mime::write(&item.properties, &[], fresh.uuid);
                mime::parse(&written, Origin::Delivered).expect("what is written can be read");
            } else {
                assert!(meeting::events_of_meeting(&owner, &meeting).contains(&item.id));
                events = vec![item];
            }
        }
    }
}

/// A file of cards is refused or becomes bounded, well-named contacts.
pub fn fuzz_vcard(data: &[u8]) {
    let Ok(parsed) = vcard::parse(data) else { return };
    for contact in &parsed.contacts {
        check(contact, data.len());
        assert!(contact["displayName"].is_string());
        let again = vcard::parse(vcard::write(contact).as_bytes()).expect("what is written can be read");
        assert_eq!(again.contacts.len() + again.unreadable.len(), 1);
    }
}

/// Splitting does not depend on the chunks, yields no more bytes than it got, and keeps to the limit.
pub fn fuzz_mbox(data: &[u8]) {
    let split = |chunk: usize| {
        let mut splitter = Splitter::new(64);
        let mut found = Vec::new();
        for part in data.chunks(chunk) {
            splitter.feed(part, &mut found);
        }
        splitter.finish(&mut found);
        found
    };
    let whole = split(data.len().max(1));
    assert_eq!(whole, split(3));
    let mut total = 0;
    for piece in &whole {
        total += match piece {
            Piece::Message { bytes, .. } => {
                assert!(bytes.len() <= 64);
                bytes.len() as u64
            }
            Piece::TooLarge { bytes, .. } | Piece::Garbage { bytes } => *bytes,
        };
    }
    assert!(total <= data.len() as u64);
}

/// Names are Graph's (`camelCase`, `@odata.…`), and the output is bounded by the input.
fn check(properties: &Properties, input_bytes: usize) {
    for (name, value) in properties {
        check_name(name);
        check_value(value);
    }
    let bytes = serde_json::to_vec(properties).map(|json| json.len()).unwrap_or(0);
    assert!(bytes <= 4_096 + 64 * input_bytes, "{bytes} bytes of JSON from {input_bytes}");
}

fn check_value(value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                check_name(name);
                check_value(value);
            }
        }
        Value::Array(values) => values.iter().for_each(check_value),
        Value::Number(number) => assert!(number.as_f64().is_some_and(f64::is_finite)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn check_name(name: &str) {
    let rest = name.strip_prefix("@odata.").unwrap_or(name);
    assert!(rest.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
    assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that resemble the format: its own words, in any order, with noise between them.
    fn soup(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..12),
            1 => "[0-9TZ+:;,=-]{1,16}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(word, 0..80).prop_map(|words| words.concat())
    }

    const MIME: &[&str] = &[
        "\r\n",
        "\n",
        "\n\n",
        "From: ",
        "To: ",
        "Subject: ",
        "Date: ",
        "Message-ID: <",
        "References: <a> <b>",
        "a@b.c",
        ">",
        "Content-Type: ",
        "text/calendar; method=request",
        "BEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:u\nDTSTART:20260105T090000Z\nORGANIZER:mailto:a@b.c\n",
        "multipart/mixed; boundary=b",
        "multipart/digest; boundary=\"b\"",
        "multipart/alternative;boundary=c",
        "message/rfc822",
        "text/html; charset=utf-16",
        "text/plain; charset=",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        "--b",
        "--b--",
        "--c",
        "=C3=",
        "=?utf-8?q?",
        "?=",
        "Status: RO",
        "Content-Disposition: attachment; filename*0*=x",
        "Received: from a by b; ",
        "Sat, 21 Nov 65535 25:61:61 +9999",
        "group: ;",
    ];
    const ICAL: &[&str] = &[
        "\r\n",
        "\n",
        "\n ",
        "BEGIN:VCALENDAR\n",
        "END:VCALENDAR\n",
        "BEGIN:VEVENT\n",
        "END:VEVENT\n",
        "BEGIN:VALARM\n",
        "END:VALARM\n",
        "DTSTART",
        "DTSTART:20260105T090000Z\n",
        "DTEND",
        ";TZID=Europe/Berlin",
        ";VALUE=DATE",
        ":20260105\n",
        ":99991231T235960Z\n",
        "DURATION:-P99999999W\n",
        "RRULE:",
        "FREQ=",
        "YEARLY",
        "MONTHLY",
        ";BYDAY=-1SU,53MO",
        ";BYMONTH=13L",
        ";UNTIL=00000000T000000Z",
        ";COUNT=4294967295",
        ";INTERVAL=0",
        "EXDATE:",
        "RECURRENCE-ID:",
        "TRIGGER:-PT1M\n",
        "GEO:1e400;NaN\n",
        "SUMMARY:",
        "\\n",
        "\"",
        "ATTENDEE;CN=\"x\":mailto:a@b\n",
        "X-ALT-DESC;FMTTYPE=text/html:<p>\n",
        "BEGIN:VTIMEZONE\nTZID:y\nBEGIN:STANDARD\nTZOFFSETTO:-9959\nRRULE:FREQ=YEARLY;BYMONTH=13;BYDAY=1SU\nDTSTART:00000000T999999\n",
        "END:STANDARD\nBEGIN:DAYLIGHT\nTZOFFSETTO:+0100\nDTSTART:16010325T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:DAYLIGHT\nEND:VTIMEZONE\n",
        ";TZID=y",
        "UID:u\n",
        "SEQUENCE:",
        "ORGANIZER:mailto:a@b\n",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b\n",
        "RECURRENCE-ID:20260112T090000Z\n",
        "RRULE:FREQ=WEEKLY\n",
        "BEGIN:VTIMEZONE\nTZID:x\nX-MICROSOFT-CDO-TZID:4\nEND:VTIMEZONE\n",
    ];
    const VCARD: &[&str] = &[
        "\r\n",
        "\n",
        "\n ",
        "BEGIN:VCARD\n",
        "END:VCARD\n",
        "VERSION:2.1\n",
        "VERSION:3.0\n",
        "VERSION:4.0\n",
        "FN:",
        "N:",
        ";",
        ",",
        "ORG:",
        "EMAIL;TYPE=HOME:",
        "TEL;CELL:",
        "TEL;VALUE=uri:tel:",
        "ADR;WORK:",
        "BDAY:",
        "--0412",
        "19800229",
        "99999999",
        "KIND:group\n",
        ";ENCODING=QUOTED-PRINTABLE;CHARSET=utf-7:",
        ";ENCODING=b:",
        "=C3=BC",
        "PHOTO;ENCODING=BASE64:AAAA\n",
        "item1.",
        "RELATED;TYPE=spouse:",
    ];
    const HTML: &[&str] = &[
        "<p>",
        "</p>",
        "<div ",
        ">",
        "<b",
        "</b>",
        "<a href=",
        "<img src='",
        "'",
        "\"",
        " style=\"",
        " onclick=x",
        "/>",
        "<style>",
        "</style>",
        "<script>",
        "</script>",
        "<svg>",
        "</svg>",
        "<!--",
        "-->",
        "<!",
        "<![CDATA[",
        "]]>",
        "<title>",
        "</title>",
        "javascript:",
        "data:image/png,",
        "cid:x",
        "expression(",
        "@import",
        "&#13;",
        "&#0;",
        "&lt;",
        "&amp",
        "&nbsp;",
        "=",
        " ",
        "\n",
        "\r",
        "\0",
        "\u{a0}",
        "<meta http-equiv=content-type>",
        "<plaintext>",
        "<textarea>",
        "x",
    ];
    const MBOX: &[&str] =
        &["\n", "\r\n", "\n\n", "From ", "From a@b Sat Nov 21 23:52:24 2026\n", ">From ", ">>From x", "body", "12:34"];

    proptest! {
        #[test]
        fn any_bytes_do_no_harm_to_mime(data in soup(MIME)) {
            fuzz_mime(&data);
        }

        #[test]
        fn any_bytes_come_out_as_safe_html(data in soup(HTML)) {
            fuzz_html(&data);
        }

        #[test]
        fn any_bytes_do_no_harm_to_ical(data in soup(ICAL)) {
            fuzz_ical(&data);
        }

        #[test]
        fn any_news_of_a_meeting_do_no_harm_to_a_calendar(data in soup(ICAL)) {
            fuzz_meeting(&data);
            let head = b"BEGIN:VEVENT\nUID:u\nORGANIZER:mailto:a@b\nATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b\n";
            fuzz_meeting(&[head, data.as_slice(), b"\nEND:VEVENT\n"].concat());
        }

        #[test]
        fn any_bytes_do_no_harm_to_vcard(data in soup(VCARD)) {
            fuzz_vcard(&data);
        }

        #[test]
        fn any_bytes_do_no_harm_to_mbox(data in soup(MBOX)) {
            fuzz_mbox(&data);
        }
    }
}
