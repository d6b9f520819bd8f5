//! Indexes that new items are written to the end of, so that a transaction writes fewer pages: the newest items are last, and
//! the keys of texts that say when they were made lead with that time.

use rusqlite::Transaction;

use super::v3::each_item;
use crate::sqlite::mailbox::columns::Columns;

/// They are read backwards.
const INDEXES: &str = "
    DROP INDEX item_by_folder;
    CREATE INDEX item_by_folder ON item (partition, mailbox, folder, sort_key, id DESC);
    DROP INDEX item_by_unread;
    CREATE INDEX item_by_unread ON item (place, sort_key) WHERE unread = 1;
";

pub(super) fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut write = transaction.prepare(
        "UPDATE item SET message_id_key = ?2, conversation_key = ?3
            WHERE number = ?1 AND (message_id_key, conversation_key) IS NOT (?2, ?3)",
    )?;
    each_item(transaction, |number, item| {
        let Columns { message_id, conversation, .. } = Columns::of(&item);
        write.execute((number, message_id, conversation))
    })?;
    transaction.execute_batch(INDEXES)
}
