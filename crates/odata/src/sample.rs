//! A small schema with a property of every shape, and items of it, for harnesses, tests and measurements.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::check::Enumeration;
use crate::{Property, Scalar, Schema, Shape, Value};

/// Types of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    Message,
    Recipient,
    Address,
    Extra,
    Time,
}

impl Schema for Fields {
    fn name(&self) -> Cow<'static, str> {
        format!("sample.{self:?}").to_lowercase().into()
    }

    fn property(&self, name: &str) -> Option<Property<Self>> {
        let all = self.properties();
        let (name, shape, is_collection) = all.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        Some(Property { name: Cow::Borrowed(name), shape, is_collection })
    }
}

impl Fields {
    fn properties(self) -> Vec<(&'static str, Shape<Self>, bool)> {
        static IMPORTANCE: LazyLock<Vec<String>> =
            LazyLock::new(|| ["low", "normal", "high"].map(str::to_owned).to_vec());
        let importance = Enumeration { name: "sample.importance".into(), members: Cow::Borrowed(&IMPORTANCE) };
        match self {
            Fields::Message => vec![
                ("id", Shape::Key, false),
                ("subject", Shape::Text, false),
                ("isRead", Shape::Boolean, false),
                ("size", Shape::Integer, false),
                ("score", Shape::Double, false),
                ("receivedDateTime", Shape::Instant, false),
                ("day", Shape::Date, false),
                ("clock", Shape::Time, false),
                ("guid", Shape::Guid, false),
                ("importance", Shape::Enumeration(importance), false),
                ("categories", Shape::Text, true),
                ("from", Shape::Structure(Fields::Recipient), false),
                ("toRecipients", Shape::Structure(Fields::Recipient), true),
                ("start", Shape::Structure(Fields::Time), false),
                ("extras", Shape::Structure(Fields::Extra), true),
                ("secret", Shape::Closed, false),
            ],
            Fields::Recipient => vec![("emailAddress", Shape::Structure(Fields::Address), false)],
            Fields::Address => vec![("name", Shape::Text, false), ("address", Shape::Text, false)],
            Fields::Extra => {
                vec![("id", Shape::Text, false), ("value", Shape::Text, false), ("values", Shape::Text, true)]
            }
            Fields::Time => vec![("dateTime", Shape::LocalTime, false), ("timeZone", Shape::Text, false)],
        }
    }
}

/// A value, in the form that JSON has.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<Datum>),
    Record(BTreeMap<String, Datum>),
}

impl Datum {
    pub fn text(text: &str) -> Self {
        Datum::Text(text.to_owned())
    }

    pub fn record<const N: usize>(members: [(&str, Datum); N]) -> Self {
        Datum::Record(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// An element of `toRecipients`.
    pub fn recipient(name: &str, address: &str) -> Self {
        let address = Datum::record([("name", Datum::text(name)), ("address", Datum::text(address))]);
        Datum::record([("emailAddress", address)])
    }
}

impl<'a> Value<'a> for &'a Datum {
    fn member(&self, name: &str) -> Option<Self> {
        if let Datum::Record(members) = self { members.get(name) } else { None }
    }

    fn elements(&self) -> impl Iterator<Item = Self> {
        let members: &[Datum] = if let Datum::List(members) = self { members } else { &[] };
        members.iter()
    }

    fn scalar(&self) -> Scalar<'a> {
        match self {
            Datum::Null => Scalar::Null,
            Datum::Boolean(value) => Scalar::Boolean(*value),
            Datum::Integer(value) => Scalar::Integer(*value),
            Datum::Double(value) => Scalar::Double(*value),
            Datum::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Datum::List(_) | Datum::Record(_) => Scalar::Compound,
        }
    }
}

/// A message with a value in every property.
pub fn message() -> Datum {
    let list = |texts: &[&str]| Datum::List(texts.iter().map(|text| Datum::text(text)).collect());
    let people = vec![Datum::recipient("Adele", "adele@contoso.test"), Datum::recipient("Lee", "lee@contoso.test")];
    let extra = Datum::record([
        ("id", Datum::text("String {0} Name Trace")),
        ("value", Datum::text("42")),
        ("values", list(&["a", "B"])),
    ]);
    let start =
        Datum::record([("dateTime", Datum::text("2026-11-25T10:00:00.0000000")), ("timeZone", Datum::text("UTC"))]);
    Datum::record([
        ("id", Datum::text("AAMkAD=")),
        ("subject", Datum::text("Quarterly report")),
        ("isRead", Datum::Boolean(false)),
        ("size", Datum::Integer(1500)),
        ("score", Datum::Double(0.5)),
        ("receivedDateTime", Datum::text("2026-11-21T10:00:00Z")),
        ("day", Datum::text("2026-11-21")),
        ("clock", Datum::text("10:30:00")),
        ("guid", Datum::text("622eaaff-0683-4862-9de4-f2ec83c2bd98")),
        ("importance", Datum::text("high")),
        ("categories", list(&["Red", "Blue"])),
        ("from", Datum::recipient("Megan", "megan@contoso.test")),
        ("toRecipients", Datum::List(people)),
        ("start", start),
        ("extras", Datum::List(vec![extra])),
    ])
}

/// Filters that hold for [`message`], one for each part of the language.
pub const FILTERS: [&str; 36] = [
    "isRead eq false",
    "not isRead",
    "IsRead NE True and (size GT 10 or size lt 0)",
    "subject eq 'quarterly REPORT' and id eq 'AAMkAD='",
    "id ne 'aamkad='",
    "startswith(subject,'quarter') and endswith(subject,'Report') and contains(subject,'ly r')",
    "tolower(subject) eq toupper(subject)",
    "trim(concat('  ',subject)) eq subject",
    "length(subject) eq 16 and indexof(subject,'Report') eq 10 and indexof(subject,'x') eq -1",
    "substring(subject,10) eq 'report' and substring(subject,0,4) eq 'quar'",
    "receivedDateTime ge 2026-11-21T10:00:00Z and receivedDateTime le 2026-11-21T11:00+01:00",
    "receivedDateTime gt 2026-11-21 and receivedDateTime lt 2026-11-22",
    "year(receivedDateTime) eq 2026 and month(receivedDateTime) eq 11 and day(receivedDateTime) eq 21",
    "hour(receivedDateTime) eq 10 and minute(clock) eq 30 and second(clock) eq 0",
    "date(receivedDateTime) eq 2026-11-21 and time(receivedDateTime) eq 10:00",
    "day eq 2026-11-21 and day lt 2026-11-21T00:00:01Z and clock ge 10:30:00",
    "guid eq 622EAAFF-0683-4862-9de4-f2ec83c2bd98 and guid eq guid'622eaaff-0683-4862-9de4-f2ec83c2bd98'",
    "importance eq 'High' and importance ne sample.importance'low'",
    "importance in ('normal','high')",
    "size in (1,1500.0,3)",
    "score ge 5e-1 and score lt 1",
    "from/emailAddress/address eq 'Megan@contoso.test'",
    "start/dateTime ge '2026-11-25T10:00' and start/dateTime lt 2026-11-25T10:00:01Z",
    "startswith(start/dateTime,'2026-11')",
    "categories/any(c:c eq 'red') and categories/all(c:length(c) ge 3)",
    "categories/any() and not toRecipients/any(r:r/emailAddress/address eq subject)",
    "toRecipients/all(r:endswith(r/emailAddress/address,'contoso.test'))",
    "extras/any(e:e/id eq 'string {0} name trace' and e/values/any(v:v eq 'b' and e/value eq '42'))",
    "from ne null and start/timeZone ne null",
    "not (subject eq null) and null eq null",
    "not (size gt null)",
    "isRead eq (size eq 1)",
    "(size gt 1 eq true) and true",
    "'it''s' ne subject",
    "not not not isRead",
    "isRead or not contains(subject,'menu') and true",
];
