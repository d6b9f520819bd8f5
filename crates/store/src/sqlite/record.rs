//! How the log's records stand in rows: changes of items in a form of their own, the others as JSON; those of
//! subscriptions and events, which carry secrets, sealed.

use std::borrow::Cow;
use std::sync::Arc;

use graph::Partition;
use notify::{Position, Record};

use super::error::corrupt;
use super::row::to_json;
use super::writer::Encoded;
use crate::StoreError;
use crate::seal::{Keys, UnsealError};

mod change;

const TABLE: (&str, &str) = ("log", "record");
/// What a record is sealed as, for its partition.
const SEALED_AS: &str = "log.record";

/// A record with its stored form.
pub(super) fn encode(keys: &Keys, partition: Partition, record: Record) -> Result<Encoded, StoreError> {
    let written = match &record {
        Record::Change(change) => change::encode(change),
        record => to_json(record),
    };
    let written = written.map_err(|error| corrupt(TABLE, "new", error))?;
    let stored = if is_sealed(&record) { seal(keys, partition, &written) } else { written };
    Ok((Arc::new(record), stored))
}

pub(super) fn decode(
    keys: &Keys,
    partition: Partition,
    position: Position,
    stored: &[u8],
) -> Result<Arc<Record>, StoreError> {
    let json = match stored.first() {
        Some(&change::FORM) => {
            let change = change::decode(stored).map_err(|error| corrupt(TABLE, position, error))?;
            return Ok(Arc::new(Record::Change(change)));
        }
        // As an older release wrote changes, too.
        Some(b'{') => Cow::Borrowed(stored),
        _ => Cow::Owned(open(keys, partition, stored).map_err(|error| corrupt(TABLE, position, error))?),
    };
    let record: Record = serde_json::from_slice(&json).map_err(|error| corrupt(TABLE, position, error))?;
    match (&json, is_sealed(&record)) {
        (Cow::Borrowed(_), true) => Err(corrupt(TABLE, position, UnsealError::NotSealed)),
        _ => Ok(Arc::new(record)),
    }
}

fn is_sealed(record: &Record) -> bool {
    match record {
        Record::Subscription { .. } | Record::Event(_) => true,
        Record::Replayed { record, .. } => is_sealed(record),
        _ => false,
    }
}

/// Seals the JSON of a record.
pub(super) fn seal(keys: &Keys, partition: Partition, json: &[u8]) -> Vec<u8> {
    keys.seal(SEALED_AS, &partition.0.to_be_bytes(), json)
}

pub(super) fn open(keys: &Keys, partition: Partition, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
    keys.open(SEALED_AS, &partition.0.to_be_bytes(), sealed)
}
