//! Harnesses for query options: what reads remote text must never fail on an item, and what a query finds
//! must lie where it says to look.

use std::cmp::Ordering;
use std::ops::RangeBounds as _;

use serde_json::json;
use uuid::Uuid;

use crate::expand::Expand;
use crate::mailbox::{Fresh, Owner, create};
use crate::query::{Query, cell};
use crate::schema::Entity;
use crate::search::Search;
use crate::{ChangeId, Item, Kind, TenantId, UserId, WellKnown};

/// A filter or order that is read finds items only within the range that it gives a store.
pub fn fuzz_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let items = items();
    // One text for both, with a bar between.
    let (filter, orderby) = text.split_once('|').unwrap_or((text, ""));
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    for kind in [Kind::Message, Kind::Event, Kind::Contact] {
        let Ok(query) = Query::read(kind, given(filter), given(orderby)) else { continue };
        let scan = query.scan();
        for item in items.iter().filter(|item| query.matches(item)) {
            let cell = cell(item, scan.column).expect("what is found has a value in the column");
            assert!((scan.low.clone(), scan.high.clone()).contains(&cell), "{text}: {cell:?} is not in {scan:?}");
            assert!(scan.sort_keys.contains(&item.sort_key().as_micros()), "{text}: {scan:?}");
        }
        for (a, b) in items.iter().zip(items.iter().skip(1)) {
            assert_eq!(query.compare(a, b), query.compare(b, a).reverse(), "{text}");
            assert_eq!(query.compare(a, a), Ordering::Equal, "{text}");
        }
    }
}

/// A search or expansion that is read can be carried out.
pub fn fuzz_search(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let items = items();
    if let Ok(search) = Search::read(text) {
        for item in &items {
            assert!(item.id.kind == Kind::Message || !search.matches(item, &[]));
        }
    }
    for entity in Entity::ALL {
        if let Ok(expand) = Expand::read(entity, text) {
            let mut shown = json!({});
            expand.show(&items[0].properties, &mut shown);
            assert!(shown.as_object().is_some_and(|shown| shown.len() <= 4), "{text}");
        }
    }
}

/// A few items of each kind.
fn items() -> Vec<Item> {
    let owner = Owner {
        tenant: TenantId(Uuid::from_u128(1)),
        id: UserId(Uuid::from_u128(2)),
        address: "megan@contoso.test".to_owned(),
        name: "Megan".to_owned(),
    };
    let person = |address: &str| json!({ "emailAddress": { "name": "A", "address": address } });
    let time = json!({ "dateTime": "2026-11-25T10:00:00", "timeZone": "UTC" });
    let extra = json!([{ "id": "String {00020329-0000-0000-C000-000000000046} Name Trace", "value": "42" }]);
    let bodies = [
        (
            WellKnown::Drafts,
            json!({ "subject": "Quarterly report", "isRead": false, "singleValueExtendedProperties": extra }),
        ),
        (
            WellKnown::Drafts,
            json!({ "subject": "ΣΑΣ", "isRead": true, "from": person("ADELE@contoso.test"),
            "body": { "contentType": "html", "content": "<b>noon</b>" }, "importance": "high" }),
        ),
        (
            WellKnown::Drafts,
            json!({ "isRead": false, "receivedDateTime": "2026-01-01T00:00:00Z", "categories": ["Red"],
            "from": person("lee@contoso.test"), "toRecipients": [person("megan@contoso.test")] }),
        ),
        (WellKnown::Calendar, json!({ "subject": "Plan", "start": time, "end": time })),
        (WellKnown::Contacts, json!({ "givenName": "Ada", "emailAddresses": [{ "address": "ada@contoso.test" }] })),
        (WellKnown::Contacts, json!({ "surname": "Lee" })),
    ];
    let made = bodies.into_iter().zip(1u8..).filter_map(|((place, body), n)| {
        let fresh = Fresh {
            // Three in one second, which is that of some terms, and three in the next.
            now: crate::Timestamp::from_micros(1_794_999_999_700_000 + i64::from(n) * 300_000),
            uuid: Uuid::from_u128(n.into()),
            change: ChangeId(Uuid::from_u128(n.into())),
            removal: ChangeId(Uuid::from_u128(u128::from(n) + 100)),
        };
        create(&owner, &fresh, place.id_in(owner.id), body).ok().map(|made| made.item)
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const TERMS: [&str; 31] = [
        "isRead eq false",
        "not isRead",
        "isRead",
        "subject eq 'quarterly REPORT'",
        "subject eq 'σασ'",
        "startswith(subject,'q')",
        "startswith(subject,'Σ')",
        "startswith(subject,'')",
        "startswith(from/emailAddress/address,'adele@')",
        "from/emailAddress/address eq 'Adele@contoso.test'",
        "'lee@contoso.test' eq from/emailAddress/address",
        "receivedDateTime ge 2026-01-01T00:00:00Z",
        "receivedDateTime lt 2026-06-01",
        "2026-01-01T00:00:00Z le receivedDateTime",
        "receivedDateTime eq 2026-01-01T01:00:00+01:00",
        "createdDateTime gt 2026-01-01",
        "receivedDateTime eq 2026-11-18T11:06:40Z",
        "receivedDateTime le 2026-11-18T11:06:40Z",
        "receivedDateTime lt 2026-11-18T11:06:40.5Z",
        "createdDateTime eq 2026-11-18T11:06:41Z",
        "createdDateTime le 2026-11-18T11:06:41Z",
        "start/dateTime ge '2026-11-25T10:00'",
        "start/dateTime lt 2026-11-25T10:00:00Z",
        "internetMessageId ne null",
        "conversationId ne 'x'",
        "categories/any(c:c eq 'red')",
        "importance in ('high','low')",
        "subject ne null",
        "givenName eq 'ada'",
        "singleValueExtendedProperties/any(e:e/value eq '42')",
        "null eq null",
    ];
    const ORDERS: [&str; 9] = [
        "",
        "receivedDateTime",
        "receivedDateTime desc",
        "subject desc",
        "subject,receivedDateTime desc",
        "isRead desc",
        "start/dateTime",
        "createdDateTime,givenName",
        "from/emailAddress/address,importance",
    ];
    const PIECES: [&str; 32] = [
        " ",
        "\"",
        "\\\"",
        "(",
        ")",
        ":",
        "=",
        "<>",
        ">=",
        "..",
        "*",
        "-",
        "+",
        " AND ",
        " OR ",
        "NOT ",
        "noon",
        "report",
        "Σ",
        "subject",
        "from",
        "received",
        "sent",
        "size",
        "hasAttachment",
        "2026-11-21",
        "1/2/2026",
        "10kb",
        "true",
        "attachments",
        "extensions($filter=id eq 'x')",
        "$top",
    ];

    proptest! {
        #[test]
        fn what_a_query_finds_lies_where_it_says(
            terms in prop::collection::vec((select(&TERMS[..]), select(&[" and ", " or "][..])), 1..5),
            order in select(&ORDERS[..]),
        ) {
            let filter = terms.iter().map(|(term, _)| *term).collect::<Vec<_>>().join(terms[0].1);
            fuzz_query(format!("{filter}|{order}").as_bytes());
            fuzz_query(format!("|{order}").as_bytes());
        }

        #[test]
        fn searches_and_expansions_hold_their_promises(pieces in prop::collection::vec(select(&PIECES[..]), 0..16)) {
            fuzz_search(pieces.concat().as_bytes());
        }

        #[test]
        fn arbitrary_bytes_hold_their_promises(data in prop::collection::vec(any::<u8>(), 0..48)) {
            fuzz_query(&data);
            fuzz_search(&data);
        }
    }
}
