//! The stored form of an item's change, which every delivery of it reads: ids and times as bytes, each in its place, and
//! properties as the JSON text that they are kept as.
//!
//! Numbers are big-endian. In order: the byte 2; what the change did, and which of the optional ids follow (one byte);
//! the kinds of the item and of its folder; the ids of change, tenant, mailbox, item and folder (16 bytes each); the times
//! of the change and of the item's creation, in microseconds (8 each); the item's immutable UUID (16) and the folder at the
//! other end of a move (its kind and 16), if it has them; the length of the properties after the change (4), these, and the
//! old values; then the CRC-32 of all that. A change that is to say more needs another first byte.

use graph::{Carried, Change, ChangeId, ChangeType, FolderId, ItemId, Properties, TenantId, Timestamp, UserId};
use uuid::Uuid;

use crate::sqlite::row::{kind_byte, kind_of};

/// The first byte. JSON begins with another, and what is sealed does, too.
pub(super) const FORM: u8 = 2;
/// What is there in every change, but for the texts.
const FIXED_BYTES: usize = 4 + 5 * 16 + 2 * 8;
const OPTIONAL_BYTES: usize = 16 + 17;
const LENGTH_BYTES: usize = 4;
const SUM_BYTES: usize = 4;

const DID: u8 = 0b0011;
const HAS_IMMUTABLE: u8 = 0b0100;
const HAS_MOVED: u8 = 0b1000;

/// Why the bytes are no change.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("its checksum is wrong")]
    Sum,
    #[error("it is cut short, or has a value that this release does not know")]
    Form,
    #[error("{0}")]
    Text(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

pub(super) fn encode(change: &Change) -> serde_json::Result<Vec<u8>> {
    // Whole, so that nothing is left out that a change comes to have.
    let Change { id, tenant, mailbox, item, immutable, folder, moved, change: did, at, created, after, before } =
        change;
    let after = after.text();
    let before = if before.is_empty() { Vec::new() } else { graph::to_json(before)? };
    let texts = LENGTH_BYTES + after.len() + before.len();
    let mut bytes = Vec::with_capacity(FIXED_BYTES + OPTIONAL_BYTES + texts + SUM_BYTES);
    let has = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
    let flags = did_bits(*did) | has(immutable.is_some(), HAS_IMMUTABLE) | has(moved.is_some(), HAS_MOVED);
    bytes.extend([FORM, flags, kind_byte(item.kind), kind_byte(folder.kind)]);
    for uuid in [id.0, tenant.0, mailbox.0, item.uuid, folder.uuid] {
        bytes.extend_from_slice(uuid.as_bytes());
    }
    for time in [at, created] {
        bytes.extend_from_slice(&time.as_micros().to_be_bytes());
    }
    if let Some(immutable) = immutable {
        bytes.extend_from_slice(immutable.as_bytes());
    }
    if let Some(moved) = moved {
        bytes.push(kind_byte(moved.kind));
        bytes.extend_from_slice(moved.uuid.as_bytes());
    }
    // No item is nearly that large.
    bytes.extend_from_slice(&(after.len() as u32).to_be_bytes());
    bytes.extend_from_slice(after.as_bytes());
    bytes.extend_from_slice(&before);
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    Ok(bytes)
}

pub(super) fn decode(stored: &[u8]) -> Result<Change, Unreadable> {
    let (bytes, sum) = stored.split_last_chunk::<SUM_BYTES>().ok_or(Unreadable::Form)?;
    if crc32fast::hash(bytes) != u32::from_be_bytes(*sum) {
        return Err(Unreadable::Sum);
    }
    let mut rest = Rest(bytes);
    let mut change = rest.fixed().ok_or(Unreadable::Form)?;
    let length = rest.take().map(u32::from_be_bytes).ok_or(Unreadable::Form)? as usize;
    let (after, before) = rest.0.split_at_checked(length).ok_or(Unreadable::Form)?;
    if !(after.starts_with(b"{") && after.ends_with(b"}")) {
        return Err(Unreadable::Form);
    }
    change.after = Carried::from_text(str::from_utf8(after)?.into());
    if !before.is_empty() {
        change.before = serde_json::from_slice(before)?;
    }
    Ok(change)
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn uuid(&mut self) -> Option<Uuid> {
        self.take().map(Uuid::from_bytes)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_be_bytes).map(Timestamp::from_micros)
    }

    /// All but the texts.
    fn fixed(&mut self) -> Option<Change> {
        let [form, flags, item_kind, folder_kind] = self.take()?;
        if form != FORM || flags & !(DID | HAS_IMMUTABLE | HAS_MOVED) != 0 {
            return None;
        }
        let mut change = Change {
            id: ChangeId(self.uuid()?),
            tenant: TenantId(self.uuid()?),
            mailbox: UserId(self.uuid()?),
            item: ItemId::new(kind_of(item_kind)?, self.uuid()?),
            immutable: None,
            folder: FolderId::new(kind_of(folder_kind)?, self.uuid()?),
            moved: None,
            change: ChangeType::ALL.into_iter().find(|did| did_bits(*did) == flags & DID)?,
            at: self.time()?,
            created: self.time()?,
            after: Carried::default(),
            before: Properties::new(),
        };
        if flags & HAS_IMMUTABLE != 0 {
            change.immutable = Some(self.uuid()?);
        }
        if flags & HAS_MOVED != 0 {
            let [kind] = self.take()?;
            change.moved = Some(FolderId::new(kind_of(kind)?, self.uuid()?));
        }
        Some(change)
    }
}

fn did_bits(change: ChangeType) -> u8 {
    match change {
        ChangeType::Created => 0,
        ChangeType::Updated => 1,
        ChangeType::Deleted => 2,
    }
}

#[cfg(test)]
mod tests {
    use graph::Kind;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn properties() -> impl Strategy<Value = Properties> {
        let value =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), ".{0,12}".prop_map(Value::from)];
        prop::collection::btree_map(".{0,8}", value, 0..4).prop_map(Properties::from_iter)
    }

    fn change() -> impl Strategy<Value = Change> {
        let ids = (any::<[u128; 5]>(), any::<Option<u128>>(), any::<Option<u128>>());
        let kinds = [0..3_usize, 0..3, 0..3];
        (ids, kinds, 0..3_usize, any::<[i64; 2]>(), properties(), properties()).prop_map(
            |((ids, immutable, moved), kinds, did, [at, created], after, before)| {
                let [id, tenant, mailbox, item, folder] = ids.map(Uuid::from_u128);
                let [item_kind, folder_kind, moved_kind] = kinds.map(|kind| Kind::ALL[kind]);
                Change {
                    id: ChangeId(id),
                    tenant: TenantId(tenant),
                    mailbox: UserId(mailbox),
                    item: ItemId::new(item_kind, item),
                    immutable: immutable.map(Uuid::from_u128),
                    folder: FolderId::new(folder_kind, folder),
                    moved: moved.map(|moved| FolderId::new(moved_kind, Uuid::from_u128(moved))),
                    change: ChangeType::ALL[did],
                    at: Timestamp::from_micros(at),
                    created: Timestamp::from_micros(created),
                    after: after.into(),
                    before,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_change_is_read_as_it_was_written(change in change()) {
            prop_assert_eq!(decode(&encode(&change).unwrap()).unwrap(), change);
        }

        #[test]
        fn a_byte_that_was_altered_is_noticed(change in change(), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let mut bytes = encode(&change).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert!(decode(&bytes).is_err());
        }
    }

    /// The same with a right sum.
    fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_be_bytes());
        bytes
    }

    #[test]
    fn bytes_that_are_no_change_are_refused_though_their_sum_is_right() {
        let whole = encode(&moved()).unwrap();
        let whole = &whole[..whole.len() - SUM_BYTES];
        decode(&summed(whole.to_vec())).unwrap();
        let length_at = FIXED_BYTES + OPTIONAL_BYTES;
        let after_at = length_at + LENGTH_BYTES;
        let before_at = after_at + moved().after.text().len();
        for length in 0..whole.len() {
            let cut = decode(&summed(whole[..length].to_vec()));
            // Without old values it is a change as well.
            assert_eq!(cut.is_ok(), length == before_at, "cut to {length}");
        }
        for (at, byte, refusal) in [
            (0, 1, "a value that this release does not know"),
            (1, 0b0001_1100, "a value that this release does not know"),
            (1, 0b1111, "a value that this release does not know"),
            (2, 3, "a value that this release does not know"),
            (3, 3, "a value that this release does not know"),
            (FIXED_BYTES + 16, 3, "a value that this release does not know"),
            (length_at, 1, "it is cut short"),
            (after_at, b'[', "a value that this release does not know"),
            (after_at + 1, 0xff, "invalid utf-8"),
            (whole.len() - 1, b',', "EOF while parsing"),
        ] {
            let mut altered = whole.to_vec();
            altered[at] = byte;
            let error = decode(&summed(altered)).unwrap_err().to_string();
            assert!(error.contains(refusal), "byte {at}: {error}");
        }
    }

    fn moved() -> Change {
        let uuid = |number| Uuid::from_u128(number);
        Change {
            id: ChangeId(uuid(1)),
            tenant: TenantId(uuid(2)),
            mailbox: UserId(uuid(3)),
            item: ItemId::new(Kind::Event, uuid(4)),
            immutable: Some(uuid(6)),
            folder: FolderId::new(Kind::Event, uuid(5)),
            moved: Some(FolderId::new(Kind::Event, uuid(7))),
            change: ChangeType::Created,
            at: Timestamp::from_micros(8),
            created: Timestamp::from_micros(9),
            after: Properties::from_iter([("subject".to_owned(), json!("A"))]).into(),
            before: Properties::from_iter([("subject".to_owned(), Value::Null)]),
        }
    }

    /// Once it is released it is never written again.
    #[test]
    fn what_is_stored_stays_as_it_is() {
        let id = |number: u8| format!("{number:032x}");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let [after, before] = [r#"{"subject":"A"}"#, r#"{"subject":null}"#].map(|text| hex(text.as_bytes()));
        let ids: String = (1..=5).map(id).collect();
        let times = "00000000000000080000000000000009";
        let stored = format!("020c0101{ids}{times}{}01{}0000000f{after}{before}85f897df", id(6), id(7));
        assert_eq!(hex(&encode(&moved()).unwrap()), stored);
    }
}
