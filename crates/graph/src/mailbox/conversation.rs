//! Which messages belong together.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use uuid::{Builder, Uuid};

use crate::Timestamp;

/// Namespace of conversations; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x0a6c_5f2e_71d3_4b8a_9c44_e21f_87b0_35d6);

/// What a conversation's id begins with.
const PREFIX: [u8; 4] = [0x00, 0x04, 0x24, 0x00];

/// Hashed from the root; where that says when it was named, the time leads, so that an index of conversations that began one
/// after the other is written at one place.
fn uuid(root: &str) -> Uuid {
    let hashed = Uuid::new_v5(&NAMESPACE, root.trim().as_bytes());
    let [_, _, _, _, _, _, rest @ ..] = hashed.into_bytes();
    named_at(root).map_or(hashed, |millis| Builder::from_unix_timestamp_millis(millis, &rest).into_uuid())
}

/// A thread that begins with a message.
#[derive(Clone, Copy)]
pub(super) struct Thread(Uuid);

impl Thread {
    /// That of a message with this `internetMessageId`.
    pub fn of(root: &str) -> Self {
        Self(uuid(root))
    }

    /// Its `conversationId`.
    pub fn id(self) -> String {
        let mut bytes = [0u8; 20];
        bytes[..4].copy_from_slice(&PREFIX);
        bytes[4..].copy_from_slice(self.0.as_bytes());
        URL_SAFE.encode(bytes)
    }

    /// The `conversationIndex` of its first message, sent at `at`: the coarse part of the time in Windows' reckoning, then the
    /// thread's GUID.
    pub fn index(self, at: Timestamp) -> String {
        let filetime = windows_time(at).to_be_bytes();
        let mut bytes = [0u8; 22];
        bytes[0] = 1;
        bytes[1..6].copy_from_slice(&filetime[..5]);
        bytes[6..].copy_from_slice(self.0.as_bytes());
        STANDARD.encode(bytes)
    }
}

/// The `conversationId` of a thread, by the `internetMessageId` of its first message.
pub fn conversation_id(root: &str) -> String {
    Thread::of(root).id()
}

/// When a message was named, in milliseconds since 1970, if its `internetMessageId` says so: `<UUID@domain>` with a UUID of
/// version 7, as new messages get here.
pub fn named_at(message_id: &str) -> Option<u64> {
    millis(Uuid::try_parse(message_id.trim().strip_prefix('<')?.split_once('@')?.0).ok()?)
}

/// When the first message of a conversation was named, if the `conversationId` says so.
pub fn began_at(conversation_id: &str) -> Option<u64> {
    let bytes = URL_SAFE.decode(conversation_id).ok()?;
    millis(Uuid::from_slice(bytes.strip_prefix(&PREFIX)?).ok()?)
}

fn millis(uuid: Uuid) -> Option<u64> {
    (uuid.get_version_num() == 7).then(|| uuid.as_u64_pair().0 >> 16)
}

/// The `conversationIndex` of a thread's first message, sent at `at`.
pub fn conversation_index(root: &str, at: Timestamp) -> String {
    Thread::of(root).index(at)
}

/// The longest index that grows: beyond it, answers stand beside what they answer.
const INDEX_BYTES_MAX: usize = 22 + 5 * 200;

/// The `conversationIndex` of an answer, written at `at`, to the message with the index `parent`: five
/// bytes more, which hold the time since the thread began. `root` stands for a parent without an index.
pub fn child_index(parent: &str, root: &str, at: Timestamp, salt: u8) -> String {
    let parent = STANDARD.decode(parent).ok().filter(|bytes| bytes.len() >= 22 && (bytes.len() - 22).is_multiple_of(5));
    let Some(mut bytes) = parent else {
        return conversation_index(root, at);
    };
    if bytes.len() + 5 <= INDEX_BYTES_MAX {
        let mut began = [0u8; 8];
        began[..5].copy_from_slice(&bytes[1..6]);
        let since = windows_time(at).saturating_sub(u64::from_be_bytes(began));
        // Some 1.8 years and more are told coarsely.
        let (code, since) = if since >> 49 == 0 { (0, since >> 18) } else { (1 << 31, since >> 23) };
        let since = code | (since as u32 & 0x7fff_ffff);
        bytes.extend(since.to_be_bytes());
        bytes.push(salt);
    }
    STANDARD.encode(bytes)
}

/// Steps of 100 ns since 1601; 0 for what lies before.
pub(super) fn windows_time(at: Timestamp) -> u64 {
    const MICROS_FROM_1601_TO_1970: i64 = 11_644_473_600_000_000;
    let micros = at.as_micros().saturating_add(MICROS_FROM_1601_TO_1970);
    u64::try_from(micros).unwrap_or_default().saturating_mul(10)
}
