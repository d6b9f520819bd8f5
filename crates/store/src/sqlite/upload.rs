//! Uploads: a row for each, and a row for each piece that has come.

use graph::{ImmutableId, Partition, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::row::{immutable_key, item_id};
use super::writer::Tx;
use crate::{StoreError, Upload, UploadError};

pub(super) fn begin(tx: &mut Tx<'_>, upload: &Upload, now: Timestamp) -> Result<(), StoreError> {
    let (partition, mailbox) = (Partition::of(upload.mailbox).0, upload.mailbox.0.as_bytes());
    let json = serde_json::to_vec(&upload.properties);
    let json = json.map_err(|error| corrupt(("upload", "properties"), upload.id, error))?;
    let sql = "SELECT id FROM upload WHERE partition = ?1 AND mailbox = ?2 AND (expires <= ?3 OR id = ?4)";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let key = params![partition, mailbox, now.as_micros(), upload.id.as_bytes()];
    let over = statement.query_map(key, |row| row.get(0))?.collect::<rusqlite::Result<Vec<[u8; 16]>>>()?;
    for id in over {
        end(tx, upload.mailbox, Uuid::from_bytes(id))?;
    }
    let sql = "INSERT INTO upload (partition, mailbox, id, item, properties, size, received, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.connection.prepare_cached(sql)?.execute(params![
        partition,
        mailbox,
        upload.id.as_bytes(),
        immutable_key(upload.item),
        json,
        upload.size,
        upload.received,
        upload.expires.as_micros(),
    ])?;
    Ok(())
}

pub(super) fn upload(
    connection: &Connection,
    mailbox: UserId,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<Upload>, StoreError> {
    let sql = "SELECT item, properties, size, received, expires FROM upload
        WHERE partition = ?1 AND mailbox = ?2 AND id = ?3 AND expires > ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), id.as_bytes(), now.as_micros()];
    statement.query_row(key, |row| Ok(read(row, mailbox, id))).optional()?.transpose()
}

fn read(row: &Row<'_>, mailbox: UserId, id: Uuid) -> Result<Upload, StoreError> {
    let item = item_id(cell(row, 0, ("upload", "item"), id)?);
    let item = item.ok_or_else(|| corrupt(("upload", "item"), id, "it is of an unknown kind"))?;
    let json: Vec<u8> = cell(row, 1, ("upload", "properties"), id)?;
    Ok(Upload {
        id,
        mailbox,
        item: ImmutableId::new(item.kind, item.uuid),
        properties: serde_json::from_slice(&json).map_err(|error| corrupt(("upload", "properties"), id, error))?,
        size: cell(row, 2, ("upload", "size"), id)?,
        received: cell(row, 3, ("upload", "received"), id)?,
        expires: Timestamp::from_micros(cell(row, 4, ("upload", "expires"), id)?),
    })
}

pub(super) fn append(
    tx: &mut Tx<'_>,
    (mailbox, id): (UserId, Uuid),
    at: u64,
    bytes: &[u8],
    expires: Timestamp,
) -> Result<(), UploadError> {
    let (partition, mailbox) = (Partition::of(mailbox).0, mailbox.0.as_bytes());
    let sql = "SELECT received FROM upload WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let received = statement.query_row(params![partition, mailbox, id.as_bytes()], |row| row.get(0)).optional()?;
    let received: u64 = received.ok_or(UploadError::NotFound)?;
    if received != at {
        return Err(UploadError::OutOfTurn { received });
    }
    let sql = "INSERT INTO upload_chunk (partition, mailbox, upload, bytes) VALUES (?1, ?2, ?3, ?4)";
    tx.connection.prepare_cached(sql)?.execute(params![partition, mailbox, id.as_bytes(), bytes])?;
    let sql = "UPDATE upload SET received = received + ?4, expires = ?5
        WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    let row = params![partition, mailbox, id.as_bytes(), bytes.len() as u64, expires.as_micros()];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(super) fn content(connection: &Connection, mailbox: UserId, id: Uuid) -> Result<Vec<u8>, StoreError> {
    let sql = "SELECT bytes FROM upload_chunk WHERE partition = ?1 AND mailbox = ?2 AND upload = ?3 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![Partition::of(mailbox).0, mailbox.0.as_bytes(), id.as_bytes()])?;
    let mut content = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob();
        content.extend_from_slice(bytes.map_err(|error| corrupt(("upload_chunk", "bytes"), id, error))?);
    }
    Ok(content)
}

pub(super) fn end(tx: &Tx<'_>, mailbox: UserId, id: Uuid) -> Result<(), StoreError> {
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), id.as_bytes()];
    let sql = "DELETE FROM upload_chunk WHERE partition = ?1 AND mailbox = ?2 AND upload = ?3";
    tx.connection.prepare_cached(sql)?.execute(key)?;
    let sql = "DELETE FROM upload WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    tx.connection.prepare_cached(sql)?.execute(key)?;
    Ok(())
}
