//! What a mailbox that apps live in needs: ids that stay, revisions, attachments, uploads, and the columns
//! that lists are found by.

use rusqlite::{Connection, Transaction};

use crate::sqlite::mailbox::columns::Columns;
use crate::sqlite::row::item_id;

const TABLES: &str = "
    ALTER TABLE folder ADD COLUMN properties BLOB; -- JSON; NULL: none
    ALTER TABLE folder ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

    -- Of messages alone: what lists are filtered and ordered by. Of events alone: when the last ends.
    ALTER TABLE item ADD COLUMN immutable BLOB; -- NULL: the same as the id
    ALTER TABLE item ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE item ADD COLUMN from_address TEXT;
    ALTER TABLE item ADD COLUMN subject TEXT;
    ALTER TABLE item ADD COLUMN internet_message_id TEXT;
    ALTER TABLE item ADD COLUMN conversation_id TEXT;
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
    CREATE INDEX item_by_revision ON item (partition, mailbox, folder, revision);
    CREATE INDEX item_by_unread ON item (partition, mailbox, folder, sort_key DESC, id) WHERE unread = 1;
    CREATE INDEX item_by_from ON item (partition, mailbox, folder, from_address, sort_key DESC, id)
        WHERE from_address IS NOT NULL;
    CREATE INDEX item_by_subject ON item (partition, mailbox, folder, subject, sort_key DESC, id)
        WHERE subject IS NOT NULL;
    CREATE INDEX item_by_message_id ON item (partition, mailbox, folder, internet_message_id, sort_key DESC, id)
        WHERE internet_message_id IS NOT NULL;
    CREATE INDEX item_by_conversation ON item (partition, mailbox, folder, conversation_id, sort_key DESC, id)
        WHERE conversation_id IS NOT NULL;
    CREATE INDEX item_by_end ON item (partition, mailbox, folder, last_end, sort_key, id) WHERE last_end IS NOT NULL;
";

pub(super) fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    fill_columns(transaction)?;
    transaction.execute_batch(INDEXES)
}

/// A row that cannot be read keeps its columns empty; whoever reads it hears that it is corrupt.
fn fill_columns(connection: &Connection) -> rusqlite::Result<()> {
    let mut write = connection.prepare(
        "UPDATE item SET from_address = ?2, subject = ?3, internet_message_id = ?4, conversation_id = ?5, last_end = ?6
            WHERE number = ?1",
    )?;
    let mut read = connection.prepare("SELECT id, sort_key, properties FROM item WHERE number = ?1")?;
    let last: i64 = connection.query_row("SELECT COALESCE(MAX(number), 0) FROM item", (), |row| row.get(0))?;
    for number in 1..=last {
        let found = read.query_row([number], |row| {
            Ok((item_id(row.get(0)?), row.get::<_, i64>(1)?, serde_json::from_slice(row.get_ref(2)?.as_blob()?)))
        });
        let Ok((Some(id), sort_key, Ok(properties))) = found else { continue };
        let columns = Columns::of_row(id, sort_key, properties);
        let Columns { from, subject, internet_message_id, conversation_id, last_end } = columns;
        write.execute((number, from, subject, internet_message_id, conversation_id, last_end))?;
    }
    Ok(())
}
