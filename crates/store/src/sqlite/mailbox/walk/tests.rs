//! Every column is walked in its order, over many pieces.

use std::ops::RangeBounds;
use std::sync::Arc;

use graph::query::cell;
use graph::{ChangeId, Item, ItemId, Kind, Mutation, Properties, TenantId, Timestamp, WellKnown};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::seal::{self, Keys};
use crate::sqlite::SqliteStore;
use crate::sqlite::row::item_key;
use crate::sqlite::schema::connect;
use crate::{Commit, Store, Tenant, User};

const MEGAN: UserId = UserId(Uuid::from_u128(1));
const TENANT: TenantId = TenantId(Uuid::from_u128(2));
const COLUMNS: [Column; 6] =
    [Column::SortKey, Column::Unread, Column::From, Column::Subject, Column::InternetMessageId, Column::ConversationId];

/// A message that shares each of its values with others; some have no message id.
fn message(number: u128) -> Item {
    let pick = |of: u128| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_009 % of;
    let mut properties = Properties::from_iter([
        ("isRead".to_owned(), json!(pick(5) != 0)),
        ("subject".to_owned(), json!(format!("Subject {}", pick(4)))),
        ("from".to_owned(), json!({ "emailAddress": { "address": format!("person{}@contoso.test", pick(3)) } })),
        ("conversationId".to_owned(), json!(format!("conversation {}", pick(2)))),
        ("receivedDateTime".to_owned(), json!(Timestamp::from_seconds(1_800_000_000 + pick(40) as i64))),
    ]);
    if !number.is_multiple_of(3) {
        properties.insert("internetMessageId".to_owned(), json!(format!("<{}@contoso.test>", pick(2))));
    }
    Item {
        id: ItemId::new(Kind::Message, Uuid::from_u128(number)),
        immutable: Uuid::from_u128(number),
        mailbox: MEGAN,
        folder: if number.is_multiple_of(7) { WellKnown::Archive.id_in(MEGAN) } else { WellKnown::Inbox.id_in(MEGAN) },
        created: Timestamp::default(),
        modified: Timestamp::default(),
        version: ChangeId(Uuid::from_u128(number)),
        properties: properties.into(),
    }
}

async fn store_of(items: &[Item]) -> TempDir {
    let directory = TempDir::new().unwrap();
    let keys = Keys::new(seal::Key::new(&[1; seal::KEY_BYTES]), Vec::new(), seal::Nonce::default);
    let store = SqliteStore::open(directory.path(), keys, Arc::new(|_, _| {})).unwrap();
    store.add_tenant(Tenant { id: TENANT, domain: "contoso.test".to_owned() }).await.unwrap();
    store.add_user(User::new(MEGAN, TENANT, "megan@contoso.test", "Megan")).await.unwrap();
    let puts = items.to_vec();
    store.commit(Commit::of(TENANT, MEGAN, Mutation { puts, ..Mutation::default() })).await.unwrap();
    directory
}

fn scan(column: Column, (low, high): (Bound<Cell>, Bound<Cell>), descending: bool) -> Scan {
    Scan { column, low, high, descending, ..graph::query::Query::all(Kind::Message).scan() }
}

/// The ranges to walk: for texts that are found as a whole, single values.
fn ranges(column: Column, items: &[Item]) -> Vec<(Bound<Cell>, Bound<Cell>)> {
    let mut values: Vec<Cell> = items.iter().filter_map(|item| cell(item, column)).collect();
    values.sort();
    let (low, high) = (values[values.len() / 5].clone(), values[values.len() * 4 / 5].clone());
    let one = (Bound::Included(low.clone()), Bound::Included(low.clone()));
    if is_keyed(column) {
        return vec![one];
    }
    vec![
        one,
        (Bound::Unbounded, Bound::Unbounded),
        (Bound::Included(low.clone()), Bound::Excluded(high.clone())),
        (Bound::Excluded(low), Bound::Unbounded),
        (Bound::Unbounded, Bound::Included(high.clone())),
        (Bound::Excluded(high.clone()), Bound::Excluded(high)),
    ]
}

fn expected(items: &[Item], scan: &Scan) -> Vec<Key> {
    let mut found: Vec<Place> = items
        .iter()
        .filter(|item| item.folder == WellKnown::Inbox.id_in(MEGAN))
        .filter_map(|item| {
            let value =
                cell(item, scan.column).filter(|value| (scan.low.clone(), scan.high.clone()).contains(value))?;
            let sort_key = item.sort_key().as_micros();
            if scan.column != Column::SortKey && !scan.sort_keys.contains(&sort_key) {
                return None;
            }
            Some(Place { value, sort_key, id: item_key(item.id), descending: scan.descending })
        })
        .collect();
    found.sort();
    found.into_iter().map(|place| place.id).collect()
}

#[tokio::test]
async fn each_column_is_walked_in_order_both_ways() {
    let items: Vec<Item> = (0..400).map(message).collect();
    let directory = store_of(&items).await;
    let connection = connect(&directory.path().join("tidings.db"), None, 1_024).unwrap();
    for column in COLUMNS {
        for range in ranges(column, &items) {
            for descending in [false, true] {
                let mut scan = scan(column, range.clone(), descending);
                if range.0 == range.1 && column != Column::SortKey {
                    scan.sort_keys.0 = Bound::Excluded(items[0].sort_key().plus_micros(10_000_000).as_micros());
                }
                let mut walk = Walk::new(&connection, &scan, MEGAN, WellKnown::Inbox.id_in(MEGAN));
                let mut walked = Vec::new();
                while let Some((place, _)) = walk.next().unwrap() {
                    walked.push(place.id);
                }
                assert_eq!(walked, expected(&items, &scan), "{scan:?}");
            }
        }
    }
}
