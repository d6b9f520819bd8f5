//! Attachments, each with its content in the last column, which a list does not touch.

use graph::{Attachment, AttachmentId, NewAttachment, Partition, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::StoreError;
use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::{attachment_id, attachment_key};

/// An attachment in its stored form.
pub(super) struct EncodedAttachment {
    pub item: Uuid,
    pub id: AttachmentId,
    properties: Vec<u8>,
    content: Vec<u8>,
}

impl EncodedAttachment {
    pub fn new(new: NewAttachment) -> Result<Self, StoreError> {
        let NewAttachment { item, attachment, content } = new;
        let json = serde_json::to_vec(&attachment.properties);
        let properties = json.map_err(|error| corrupt(("attachment", "properties"), attachment.id, error))?;
        Ok(Self { item, id: attachment.id, properties, content })
    }
}

/// The attachments of one mailbox, to write.
pub(super) struct Attachments<'a> {
    pub connection: &'a Connection,
    pub partition: Partition,
    pub mailbox: UserId,
}

impl Attachments<'_> {
    /// Adds or replaces one; what is replaced keeps its place.
    pub fn put(&self, new: &EncodedAttachment) -> Result<(), StoreError> {
        let sql = "UPDATE attachment SET properties = ?5, content = ?6
            WHERE partition = ?1 AND mailbox = ?2 AND item = ?3 AND id = ?4";
        let (partition, mailbox, key) = (self.partition.0, self.mailbox.0.as_bytes(), attachment_key(new.id));
        let row = params![partition, mailbox, new.item.as_bytes(), key, new.properties, new.content];
        if self.connection.prepare_cached(sql)?.execute(row)? == 0 {
            let sql = "INSERT INTO attachment (partition, mailbox, item, id, properties, content)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            self.connection.prepare_cached(sql)?.execute(row)?;
        }
        Ok(())
    }

    pub fn remove(&self, item: Uuid, id: AttachmentId) -> Result<(), StoreError> {
        let sql = "DELETE FROM attachment WHERE partition = ?1 AND mailbox = ?2 AND item = ?3 AND id = ?4";
        let key = params![self.partition.0, self.mailbox.0.as_bytes(), item.as_bytes(), attachment_key(id)];
        self.connection.prepare_cached(sql)?.execute(key)?;
        Ok(())
    }

    /// Gives `to` what `from` has; what of it `to` has already goes first.
    pub fn copy(&self, from: Uuid, to: Uuid) -> Result<(), StoreError> {
        if from == to {
            return Ok(());
        }
        let key = params![self.partition.0, self.mailbox.0.as_bytes(), from.as_bytes(), to.as_bytes()];
        let sql = "DELETE FROM attachment WHERE partition = ?1 AND mailbox = ?2 AND item = ?4 AND id IN
            (SELECT id FROM attachment WHERE partition = ?1 AND mailbox = ?2 AND item = ?3)";
        self.connection.prepare_cached(sql)?.execute(key)?;
        let sql = "INSERT INTO attachment (partition, mailbox, item, id, properties, content)
            SELECT partition, mailbox, ?4, id, properties, content FROM attachment
            WHERE partition = ?1 AND mailbox = ?2 AND item = ?3 ORDER BY number";
        self.connection.prepare_cached(sql)?.execute(key)?;
        Ok(())
    }

    pub fn remove_all(&self, item: Uuid) -> Result<(), StoreError> {
        let sql = "DELETE FROM attachment WHERE partition = ?1 AND mailbox = ?2 AND item = ?3";
        let key = params![self.partition.0, self.mailbox.0.as_bytes(), item.as_bytes()];
        self.connection.prepare_cached(sql)?.execute(key)?;
        Ok(())
    }
}

pub(in crate::sqlite) fn attachments(
    connection: &Connection,
    mailbox: UserId,
    item: Uuid,
) -> Result<Vec<Attachment>, StoreError> {
    let sql = "SELECT id, properties FROM attachment
        WHERE partition = ?1 AND mailbox = ?2 AND item = ?3 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![Partition::of(mailbox).0, mailbox.0.as_bytes(), item.as_bytes()])?;
    let mut attachments = Vec::new();
    while let Some(row) = rows.next()? {
        attachments.push(read(row, item)?);
    }
    Ok(attachments)
}

pub(in crate::sqlite) fn attachment(
    connection: &Connection,
    mailbox: UserId,
    item: Uuid,
    id: AttachmentId,
) -> Result<Option<(Attachment, Vec<u8>)>, StoreError> {
    let sql = "SELECT id, properties, content FROM attachment
        WHERE partition = ?1 AND mailbox = ?2 AND item = ?3 AND id = ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), item.as_bytes(), attachment_key(id)];
    let whole = |row: &Row<'_>| Ok((read(row, item)?, cell(row, 2, ("attachment", "content"), id)?));
    statement.query_row(key, |row| Ok(whole(row))).optional()?.transpose()
}

fn read(row: &Row<'_>, item: Uuid) -> Result<Attachment, StoreError> {
    let id = attachment_id(cell(row, 0, ("attachment", "id"), item)?);
    let id = id.ok_or_else(|| corrupt(("attachment", "id"), item, "it is of an unknown kind"))?;
    let json: Vec<u8> = cell(row, 1, ("attachment", "properties"), id)?;
    let properties = serde_json::from_slice(&json);
    Ok(Attachment { id, properties: properties.map_err(|error| corrupt(("attachment", "properties"), id, error))? })
}
