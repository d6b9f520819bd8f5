//! What a mailbox that apps live in needs: ids that stay, revisions, attachments, uploads, and the columns
//! that lists are found by.

use graph::{Item, Partition, UserId};
use rusqlite::{Connection, OptionalExtension, Transaction};
use uuid::Uuid;

use crate::sqlite::mailbox::columns::Columns;
use crate::sqlite::mailbox::item::{self, COLUMNS};
use crate::sqlite::row::{Key, folder_id, place_key};

const TABLES: &str = "
    ALTER TABLE folder ADD COLUMN properties BLOB; -- JSON; NULL: none
    ALTER TABLE folder ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE folder ADD COLUMN place INTEGER NOT NULL DEFAULT 0; -- a short key, which another may share

    -- Of messages alone: what lists are filtered and ordered by. Of events alone: when the last ends.
    ALTER TABLE item ADD COLUMN immutable BLOB; -- NULL: the same as the id
    ALTER TABLE item ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE item ADD COLUMN place INTEGER NOT NULL DEFAULT 0; -- of the folder
    ALTER TABLE item ADD COLUMN from_address TEXT;
    ALTER TABLE item ADD COLUMN subject TEXT;
    ALTER TABLE item ADD COLUMN message_id_key INTEGER; -- short keys of texts in their folder
    ALTER TABLE item ADD COLUMN conversation_key INTEGER;
    ALTER TABLE item ADD COLUMN last_end INTEGER;

    -- An item left a folder, or (where folder is empty) a folder left the mailbox.
    CREATE TABLE tombstone (
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        folder BLOB NOT NULL,
        revision INTEGER NOT NULL,
        id BLOB NOT NULL,
        immutable BLOB, -- NULL: the same as the id
        at INTEGER NOT NULL,
        PRIMARY KEY (partition, mailbox, folder, revision, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tombstone_by_time ON tombstone (partition, mailbox, at, revision, id);

    -- The last revision of which a tombstone has been forgotten.
    CREATE TABLE delta_floor (
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        revision INTEGER NOT NULL,
        PRIMARY KEY (partition, mailbox)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE attachment (
        number INTEGER PRIMARY KEY,
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        item BLOB NOT NULL, -- the item's immutable UUID
        id BLOB NOT NULL,
        properties BLOB NOT NULL, -- JSON
        content BLOB NOT NULL
    ) STRICT;
    CREATE INDEX attachment_by_item ON attachment (partition, mailbox, item);

    CREATE TABLE upload (
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        id BLOB NOT NULL,
        item BLOB NOT NULL,
        properties BLOB NOT NULL, -- JSON
        size INTEGER NOT NULL,
        received INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (partition, mailbox, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE upload_chunk (
        number INTEGER PRIMARY KEY,
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        upload BLOB NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE INDEX upload_chunk_by_upload ON upload_chunk (partition, mailbox, upload);

    -- Older rows get revisions in the order in which they were made.
    UPDATE item SET revision = number;
    UPDATE folder SET revision = numbered.number FROM (
        SELECT partition, mailbox, id, ROW_NUMBER() OVER (ORDER BY partition, mailbox, id) AS number FROM folder
    ) AS numbered
    WHERE folder.partition = numbered.partition AND folder.mailbox = numbered.mailbox AND folder.id = numbered.id;
";

/// Made after the columns are filled.
const INDEXES: &str = "
    CREATE UNIQUE INDEX item_by_immutable ON item (partition, mailbox, immutable) WHERE immutable IS NOT NULL;
    CREATE INDEX item_by_revision ON item (place, revision);
    CREATE INDEX item_by_unread ON item (place, sort_key DESC) WHERE unread = 1;
    CREATE INDEX item_by_from ON item (place, from_address, sort_key DESC) WHERE from_address IS NOT NULL;
    CREATE INDEX item_by_subject ON item (place, subject, sort_key DESC) WHERE subject IS NOT NULL;
    CREATE INDEX item_by_message_id ON item (message_id_key) WHERE message_id_key IS NOT NULL;
    CREATE INDEX item_by_conversation ON item (conversation_key, sort_key DESC) WHERE conversation_key IS NOT NULL;
    CREATE INDEX item_by_end ON item (place, last_end) WHERE last_end IS NOT NULL;
";

pub(super) fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    fill_folders(transaction)?;
    fill_items(transaction)?;
    transaction.execute_batch(INDEXES)
}

fn fill_folders(connection: &Connection) -> rusqlite::Result<()> {
    let mut read = connection.prepare("SELECT mailbox, id FROM folder")?;
    let keys = read.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let keys = keys.collect::<rusqlite::Result<Vec<([u8; 16], Key)>>>()?;
    let mut write =
        connection.prepare("UPDATE folder SET place = ?3 WHERE partition = ?4 AND mailbox = ?1 AND id = ?2")?;
    for (mailbox, key) in keys {
        let owner = UserId(Uuid::from_bytes(mailbox));
        let Some(folder) = folder_id(key) else { continue };
        write.execute((mailbox, key, place_key(owner, folder, &[]), Partition::of(owner).0))?;
    }
    Ok(())
}

/// A row that cannot be read keeps its columns empty; whoever reads it hears that it is corrupt.
fn fill_items(connection: &Connection) -> rusqlite::Result<()> {
    let mut write = connection.prepare(
        "UPDATE item SET place = ?2, from_address = ?3, subject = ?4, message_id_key = ?5, conversation_key = ?6,
            last_end = ?7 WHERE number = ?1",
    )?;
    each_item(connection, |number, item| {
        let Columns { place, from, subject, message_id, conversation, last_end } = Columns::of(&item);
        write.execute((number, place, from, subject, message_id, conversation, last_end))
    })
}

/// Hands over every item that can be read, with its row's number.
pub(super) fn each_item(
    connection: &Connection,
    mut write: impl FnMut(i64, Item) -> rusqlite::Result<usize>,
) -> rusqlite::Result<()> {
    let mut read = connection.prepare(&format!("SELECT {COLUMNS}, mailbox FROM item WHERE number = ?1"))?;
    let last: i64 = connection.query_row("SELECT COALESCE(MAX(number), 0) FROM item", (), |row| row.get(0))?;
    for number in 1..=last {
        let found =
            read.query_row([number], |row| Ok(item::read(row, UserId(Uuid::from_bytes(row.get(7)?))))).optional()?;
        let Some(Ok(item)) = found else { continue };
        write(number, item)?;
    }
    Ok(())
}
