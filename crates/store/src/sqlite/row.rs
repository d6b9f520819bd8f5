//! How values stand in rows.

/// The JSON that stands in a row.
pub(super) use graph::to_json;
use graph::{AttachmentId, FolderId, ImmutableId, ItemId, Kind, Partition, UserId};
use notify::{Position, StreamKind};
use uuid::Uuid;

/// An item's or folder's id in a row: its kind, then its UUID. Sorts as the id does.
pub(super) type Key = [u8; 17];

pub(super) fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Message => 0,
        Kind::Event => 1,
        Kind::Contact => 2,
    }
}

/// `None`: a kind that this release does not know.
pub(super) fn kind_of(byte: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind_byte(*kind) == byte)
}

fn key(kind: Kind, uuid: Uuid) -> Key {
    let mut key = [0; 17];
    key[0] = kind_byte(kind);
    key[1..].copy_from_slice(uuid.as_bytes());
    key
}

pub(super) fn item_key(id: ItemId) -> Key {
    key(id.kind, id.uuid)
}

pub(super) fn immutable_key(id: ImmutableId) -> Key {
    key(id.kind, id.uuid)
}

pub(super) fn attachment_key(id: AttachmentId) -> Key {
    key(id.kind, id.uuid)
}

pub(super) fn attachment_id(key: Key) -> Option<AttachmentId> {
    parts(key).map(|(kind, uuid)| AttachmentId { kind, uuid })
}

pub(super) fn folder_key(id: FolderId) -> Key {
    key(id.kind, id.uuid)
}

/// The kind and UUID of a key; `None` for a kind that this release does not know.
fn parts(key: Key) -> Option<(Kind, Uuid)> {
    let kind = kind_of(key[0])?;
    let uuid = Uuid::from_slice(&key[1..]).ok()?;
    Some((kind, uuid))
}

pub(super) fn item_id(key: Key) -> Option<ItemId> {
    parts(key).map(|(kind, uuid)| ItemId { kind, uuid })
}

pub(super) fn folder_id(key: Key) -> Option<FolderId> {
    parts(key).map(|(kind, uuid)| FolderId { kind, uuid })
}

pub(super) fn stream_kind_number(kind: StreamKind) -> i64 {
    match kind {
        StreamKind::Changes => 0,
        StreamKind::Lifecycle => 1,
        StreamKind::DeadLetters => 2,
    }
}

pub(super) fn stream_kind(number: i64) -> Option<StreamKind> {
    StreamKind::ALL.into_iter().find(|kind| stream_kind_number(*kind) == number)
}

/// A number of the domain in a row; rows are signed, and what does not fit is never reached.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A short key for a folder, or for something in it: the partition above, hashed bits below. Two things
/// may share one, so rows that are found by it are looked at again. Part of the stored format.
pub(super) fn place_key(mailbox: UserId, folder: FolderId, what: &[u8]) -> i64 {
    let name = [&folder_key(folder), what].concat();
    let (high, _) = Uuid::new_v5(&mailbox.0, &name).as_u64_pair();
    (i64::from(Partition::of(mailbox).0) << POSITION_BITS) | (high >> 16).cast_signed()
}

/// Bits of a key that is led by a time which keep apart what has the same time.
const HASHED_BITS: u32 = 6;

/// The key of a text in something, led by a time in milliseconds below the partition, instead of hashed bits alone: what was
/// made one after the other lies together then, and a transaction writes fewer pages. 42 bits of time are 139 years. Part of
/// the stored format.
pub(super) fn led_by(millis: u64, key: i64) -> i64 {
    let (partition, hashed) = (key >> POSITION_BITS, key & ((1 << HASHED_BITS) - 1));
    let time = (millis << HASHED_BITS) & ((1 << POSITION_BITS) - 1);
    (partition << POSITION_BITS) | time.cast_signed() | hashed
}

/// Bits of a log key that hold the position.
const POSITION_BITS: u32 = 48;

/// The key of a record: the partition above, the position below.
pub(super) fn log_key(partition: Partition, position: Position) -> i64 {
    let position = signed(position.0).min((1 << POSITION_BITS) - 1);
    (i64::from(partition.0) << POSITION_BITS) | position
}

/// The greatest key that a partition's record can have.
pub(super) fn log_key_max(partition: Partition) -> i64 {
    log_key(partition, Position(u64::MAX))
}

pub(super) fn log_partition(key: i64) -> Partition {
    Partition(u16::try_from(key >> POSITION_BITS).unwrap_or(u16::MAX))
}

pub(super) fn log_position(key: i64) -> Position {
    Position((key & ((1 << POSITION_BITS) - 1)).unsigned_abs())
}
