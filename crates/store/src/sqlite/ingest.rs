//! Changes of resources outside of mailboxes: they go to the log, each once by its key, and nowhere else.

use graph::{Partition, Scope};
use notify::Record;

use super::once;
use super::record::encode;
use super::writer::{Encoded, Tx};
use crate::seal::Keys;
use crate::{Ingest, Once, StoreError};

/// A batch in its stored form.
pub(super) struct EncodedIngest {
    scope: Scope,
    partition: Partition,
    changes: Vec<(Once, Encoded)>,
}

impl EncodedIngest {
    pub fn new(ingest: Ingest, keys: &Keys) -> Result<Self, StoreError> {
        let partition = Partition::of(ingest.scope);
        let encoded = |change| encode(keys, partition, Record::Ingested(Box::new(change)));
        let changes = ingest.changes.into_iter().map(|(once, change)| Ok((once, encoded(change)?)));
        Ok(Self { scope: ingest.scope, partition, changes: changes.collect::<Result<_, StoreError>>()? })
    }
}

/// Appends what is not remembered; whether each was.
pub(super) fn ingest(tx: &mut Tx<'_>, batch: &EncodedIngest) -> Result<Vec<bool>, StoreError> {
    let (partition, scope) = (batch.partition, batch.scope);
    let mut answers = Vec::with_capacity(batch.changes.len());
    let mut records = Vec::new();
    for (once, record) in &batch.changes {
        let is_new = !once::is_known(tx.connection, partition, scope, once)?;
        if is_new {
            once::remember(tx.connection, partition, scope, once)?;
            records.push(record.clone());
        }
        answers.push(is_new);
    }
    if !records.is_empty() {
        tx.append(partition, &records)?;
    }
    Ok(answers)
}
