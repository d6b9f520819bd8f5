use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::mailbox::{Fresh, Owner, create};
use crate::{ChangeId, Timestamp, WellKnown};

fn made(n: u8, well_known: WellKnown, body: Value) -> Item {
    made_at("2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap().plus_minutes(n.into()), n, well_known, body)
}

fn made_at(now: Timestamp, n: u8, well_known: WellKnown, body: Value) -> Item {
    let owner = Owner {
        tenant: "84bd8158-6d4d-4958-8b9f-9d6445542f95".parse().unwrap(),
        id: "622eaaff-0683-4862-9de4-f2ec83c2bd98".parse().unwrap(),
        address: "megan@contoso.test".to_owned(),
        name: "Megan".to_owned(),
    };
    let fresh = Fresh {
        now,
        uuid: Uuid::from_u128(n.into()),
        change: ChangeId(Uuid::from_u128(n.into())),
        removal: ChangeId(Uuid::from_u128(u128::from(n) + 100)),
    };
    create(&owner, &fresh, well_known.id_in(owner.id), body).unwrap().item
}

/// A received message, unread, of the n-th minute.
fn message(n: u8, subject: &str, from: &str) -> Item {
    let mut item = made(n, WellKnown::Drafts, json!({ "subject": subject, "categories": ["Red"] }));
    item.properties.insert("from".to_owned(), json!({ "emailAddress": { "name": "A", "address": from } }));
    item.properties.insert("isRead".to_owned(), false.into());
    item.properties.insert("receivedDateTime".to_owned(), item.created.to_string().into());
    item.properties.insert(
        "singleValueExtendedProperties".to_owned(),
        json!([{ "id": "String {00020329-0000-0000-C000-000000000046} Name Trace", "value": "42" }]),
    );
    item
}

fn event() -> Item {
    let time = |hour: u8| json!({ "dateTime": format!("2026-11-25T{hour}:00:00"), "timeZone": "UTC" });
    made(1, WellKnown::Calendar, json!({ "subject": "Plan", "start": time(10), "end": time(11) }))
}

fn contact() -> Item {
    let body = json!({ "givenName": "Adele", "emailAddresses": [{ "name": "A", "address": "Adele@contoso.test" }] });
    made(1, WellKnown::Contacts, body)
}

fn finds(item: &Item, filter: &str) -> bool {
    match Query::read(item.id.kind, Some(filter), None) {
        Ok(query) => query.matches(item),
        Err(refusal) => panic!("{filter}: {refusal:?}"),
    }
}

fn scan(filter: Option<&str>, orderby: Option<&str>) -> String {
    let scan = Query::read(Kind::Message, filter, orderby).unwrap().scan();
    let bound = |bound: &Bound<Cell>, open: &str| match bound {
        Bound::Included(Cell::Integer(cell)) => format!("={cell}"),
        Bound::Included(Cell::Text(cell)) => format!("={cell}"),
        Bound::Excluded(Cell::Integer(cell)) => format!("{open}{cell}"),
        Bound::Excluded(Cell::Text(cell)) => format!("{open}{cell}"),
        Bound::Unbounded => "*".to_owned(),
    };
    let (low, high) = (bound(&scan.low, ">"), bound(&scan.high, "<"));
    let order = if scan.in_order { ["ascending", "descending"][usize::from(scan.descending)] } else { "unordered" };
    format!("{:?} {low} {high} {order}", scan.column)
}

#[test]
fn filters_that_clients_send_find_what_they_should() {
    let item = message(1, "Quarterly report", "Adele@contoso.test");
    for filter in [
        "isRead eq false".to_owned(),
        "receivedDateTime ge 2026-11-21T10:01:00Z and receivedDateTime le 2026-11-21T11:01:00+01:00".to_owned(),
        "ReceivedDateTime gt 2026-11-21 AND subject EQ 'quarterly REPORT'".to_owned(),
        "from/emailAddress/address eq 'adele@contoso.test'".to_owned(),
        "hasAttachments eq false and importance eq 'Normal'".to_owned(),
        "importance eq microsoft.graph.importance'normal'".to_owned(),
        "contains(subject,'ORT') and startswith(subject,'quarter') and endsWith(subject,'report')".to_owned(),
        "createdDateTime ge 2026-11-21T10:01Z and lastModifiedDateTime lt 2027-01-01T00:00:00Z".to_owned(),
        "categories/any(c:c eq 'red')".to_owned(),
        "flag/flagStatus eq 'notFlagged'".to_owned(),
        "singleValueExtendedProperties/any(ep: ep/id eq 'String {00020329-0000-0000-c000-000000000046} Name Trace' \
         and ep/value eq '42')"
            .to_owned(),
        format!("id eq '{}'", item.id),
        format!("parentFolderId eq '{}'", item.folder),
        format!("conversationId eq '{}'", item.properties["conversationId"].as_str().unwrap()),
        format!("internetMessageId eq '{}'", item.properties["internetMessageId"].as_str().unwrap()),
    ] {
        assert!(finds(&item, &filter), "{filter}");
    }
    for filter in [
        "isRead eq true".to_owned(),
        "not (subject eq 'Quarterly report')".to_owned(),
        "receivedDateTime gt 2026-11-21T10:01:00Z".to_owned(),
        "categories/all(c:c eq 'blue')".to_owned(),
        format!("id eq '{}'", item.id.to_string().to_lowercase()),
    ] {
        assert!(!finds(&item, &filter), "{filter}");
    }
}

#[test]
fn events_are_found_by_their_times_with_or_without_quotes() {
    for (filter, found) in [
        ("start/dateTime ge '2026-11-25T10:00'", true),
        ("start/dateTime ge '2026-11-25T10:00:00.0000000' and end/dateTime le '2026-11-25T11:00:00Z'", true),
        ("start/dateTime lt 2026-11-25T12:00:00+02:00", false),
        ("start/dateTime gt '2026-11-25'", true),
        ("type eq 'singleInstance' and showAs ne 'free'", true),
        ("contains(start/dateTime,'T10:')", true),
    ] {
        assert_eq!(finds(&event(), filter), found, "{filter}");
    }
}

#[test]
fn contacts_are_found_by_any_of_their_addresses() {
    assert!(finds(&contact(), "emailAddresses/any(a:a/address eq 'adele@contoso.test')"));
    assert!(!finds(&contact(), "emailAddresses/any(a:a/address eq 'lee@contoso.test')"));
    assert!(finds(&contact(), "surname eq null and givenName eq 'Adele'"));
}

#[test]
fn what_is_found_comes_in_the_order_that_is_asked_for() {
    let items = [message(1, "b", "x@a.test"), message(2, "A", "y@a.test"), message(3, "b", "x@a.test")];
    let sorted = |filter: Option<&str>, orderby: &str| {
        let query = Query::read(Kind::Message, filter, Some(orderby)).unwrap();
        let mut order = [0, 1, 2];
        order.sort_by(|a, b| query.compare(&items[*a], &items[*b]));
        order
    };
    assert_eq!(sorted(None, "receivedDateTime"), [0, 1, 2]);
    assert_eq!(sorted(None, "receivedDateTime desc"), [2, 1, 0]);
    let all = "startswith(subject,'') or receivedDateTime ge 2026-01-01 or sentDateTime ge 2026-01-01";
    assert_eq!(sorted(Some(all), "subject"), [1, 2, 0]);
    assert_eq!(sorted(Some(all), "subject desc,receivedDateTime asc"), [0, 2, 1]);
}

/// Five drafts, or contacts: two of one second, two of the next, and one of a later. Their ids are in
/// the order in which they were made, which is not that of lists.
fn made_in_a_row(folder: WellKnown) -> Vec<Item> {
    let times = ["10:00:00.1", "10:00:00.9", "10:00:01", "10:00:01.000001", "10:00:02"].into_iter().zip(0..);
    let made = times.map(|(time, n)| {
        let now = format!("2026-11-21T{time}Z").parse().unwrap();
        made_at(now, n + 1, folder, json!({}))
    });
    made.collect()
}

fn found(items: &[Item], filter: Option<&str>, orderby: Option<&str>) -> Vec<usize> {
    let query = Query::read(items[0].id.kind, filter, orderby).unwrap();
    let mut found: Vec<usize> = (0..items.len()).filter(|index| query.matches(&items[*index])).collect();
    found.sort_by(|a, b| query.compare(&items[*a], &items[*b]));
    found
}

#[test]
fn of_what_was_made_in_one_second_the_last_is_the_newest() {
    for (folder, time) in [(WellKnown::Drafts, "receivedDateTime"), (WellKnown::Contacts, "createdDateTime")] {
        let items = made_in_a_row(folder);
        assert_eq!(found(&items, None, None), [4, 3, 2, 1, 0], "{time}");
        assert_eq!(found(&items, None, Some(&format!("{time} desc"))), [4, 3, 2, 1, 0]);
        assert_eq!(found(&items, None, Some(time)), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn what_is_shown_as_one_second_is_compared_as_one_second() {
    for (folder, time) in [(WellKnown::Drafts, "receivedDateTime"), (WellKnown::Contacts, "createdDateTime")] {
        let mut items = made_in_a_row(folder);
        for (filter, expected) in [
            ("eq 2026-11-21T10:00:00Z", &[1, 0][..]),
            ("gt 2026-11-21T10:00:00Z", &[4, 3, 2]),
            ("ge 2026-11-21T10:00:01Z", &[4, 3, 2]),
            ("le 2026-11-21T10:00:01Z", &[3, 2, 1, 0]),
            ("lt 2026-11-21T10:00:01Z", &[1, 0]),
            ("lt 2026-11-21T10:00:00.5Z", &[1, 0]),
        ] {
            assert_eq!(found(&items, Some(&format!("{time} {filter}")), None), expected, "{time} {filter}");
            let all = crate::render::item(&items[0], crate::render::View::default());
            assert_eq!(all[time], "2026-11-21T10:00:00Z");
        }
        for (item, title) in items.iter_mut().zip(["b", "a", "b", "a", "a"]) {
            item.properties.insert("subject".to_owned(), title.into());
            item.properties.insert("title".to_owned(), title.into());
        }
        let second = if folder == WellKnown::Drafts { "subject" } else { "title" };
        assert_eq!(found(&items, None, Some(&format!("{time},{second}"))), [1, 0, 3, 2, 4]);
    }
}

#[test]
fn the_order_of_messages_must_stand_in_their_filter_first() {
    let read = |filter, orderby| Query::read(Kind::Message, Some(filter), Some(orderby)).map(drop);
    assert_eq!(read("receivedDateTime ge 2026-01-01 and isRead eq false", "receivedDateTime desc"), Ok(()));
    assert_eq!(read("isRead eq false", "receivedDateTime desc"), Err(QueryRefusal::Inefficient));
    let swapped = read("isRead eq false and receivedDateTime ge 2026-01-01", "receivedDateTime desc");
    assert_eq!(swapped, Err(QueryRefusal::Inefficient));
    assert_eq!(Query::read(Kind::Message, None, Some("subject")).map(drop), Ok(()));
    assert_eq!(Query::read(Kind::Contact, Some("givenName eq 'x'"), Some("displayName")).map(drop), Ok(()));
}

#[test]
fn the_best_column_is_scanned() {
    let from = "from/emailAddress/address eq 'A@b.test'";
    let long = format!("subject eq '{}'", "x".repeat(200));
    let since = "receivedDateTime ge 1970-01-01T00:00:01Z";
    for (filter, orderby, expected) in [
        (None, None, "SortKey * * descending"),
        (None, Some("receivedDateTime"), "SortKey * * ascending"),
        (None, Some("subject desc"), "Subject * * descending"),
        (None, Some("subject,receivedDateTime desc"), "Subject * * ascending"),
        (None, Some("subject,receivedDateTime"), "Subject * * unordered"),
        (None, Some("isRead"), "Unread * * descending"),
        (None, Some("importance"), "SortKey * * unordered"),
        (None, Some("conversationId"), "SortKey * * unordered"),
        (Some("isRead eq false"), None, "Unread =1 =1 ascending"),
        (Some("not isRead"), None, "Unread =1 =1 ascending"),
        (Some("isRead eq true"), None, "SortKey * * descending"),
        (Some("internetMessageId eq '<A@b>' and isRead eq false"), None, "InternetMessageId =<A@b> =<A@b> ascending"),
        (Some("'Conv' eq conversationId"), None, "ConversationId =Conv =Conv ascending"),
        (Some(from), Some("from/emailAddress/address"), "From =a@b.test =a@b.test ascending"),
        (Some("startswith(subject,'Re:')"), None, "Subject =re: <re; unordered"),
        (Some("startswith(subject,'Re:')"), Some("subject"), "Subject =re: <re; ascending"),
        (Some(since), Some("receivedDateTime desc"), "SortKey =1000000 * descending"),
        (
            Some("receivedDateTime gt 1970-01-01T00:00:01Z and receivedDateTime lt 1970-01-01T00:00:02Z"),
            Some("receivedDateTime asc"),
            "SortKey >1000000 <2999999 ascending",
        ),
        (
            Some("receivedDateTime gt 1970-01-01T00:00:02Z and receivedDateTime lt 1970-01-01T00:00:01Z"),
            None,
            "SortKey =1999999 <1999999 descending",
        ),
        (Some("isRead eq false or subject eq 'x'"), None, "SortKey * * descending"),
    ] {
        assert_eq!(scan(filter, orderby), expected, "{filter:?} {orderby:?}");
    }
    assert!(scan(Some(&long), None).len() < 300);
    let both = Query::read(Kind::Message, Some("receivedDateTime ge 1970-01-01T00:00:01Z and isRead eq false"), None);
    let both = both.unwrap().scan();
    assert_eq!((both.column, both.sort_keys.0), (Column::Unread, Bound::Included(1_000_000)));
}

#[test]
fn a_refusal_says_where_and_what() {
    let refused = |filter: &str| match Query::read(Kind::Message, Some(filter), None) {
        Err(QueryRefusal::Filter(problems)) => problems.to_string(),
        other => panic!("{filter}: {other:?}"),
    };
    for (filter, message) in [
        ("subjekt eq 'x'", "could not find a property named 'subjekt' on type 'microsoft.graph.message' at position 0"),
        (
            "from/emailAddress/mail eq 'x'",
            "could not find a property named 'mail' on type 'microsoft.graph.emailAddress' at position 18",
        ),
        ("webLink eq 'x'", "the property 'webLink' cannot be used here at position 0"),
        (
            "isRead eq 'false'",
            "a binary operator with incompatible types was detected; found operand types 'Edm.Boolean' and \
             'Edm.String' for operator 'eq' at position 0",
        ),
        ("subject eq", "syntax error: a property, literal or function expected, the end found at position 10"),
    ] {
        assert_eq!(refused(filter), message);
    }
}
