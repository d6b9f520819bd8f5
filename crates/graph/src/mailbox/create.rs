//! `POST` of a message draft, an event or a contact.

use serde_json::Value;
use uuid::Uuid;

use super::{Fresh, Owner, Written, complete, put_new, series};
use crate::{Change, FolderId, Item, Kind, Properties, Refusal, schema};

/// Makes an item of the folder's kind in it.
pub fn create(owner: &Owner, fresh: &Fresh, folder: FolderId, body: Value) -> Result<Written, Refusal> {
    let mut properties = schema::read(folder.kind.into(), body)?;
    if folder.kind == Kind::Message {
        begin_draft(&mut properties)?;
    }
    complete(owner, fresh, folder.kind, &mut properties)?;
    if folder.kind == Kind::Event {
        series::begin(&mut properties)?;
    }
    Ok(put_new(owner, fresh, folder, properties))
}

/// The UUID of an event that is made with a `transactionId` that has made `nth` events before, all of them
/// gone since: whoever makes it again finds it there.
pub fn transaction_uuid(owner: &Owner, transaction: &str, nth: u32) -> Uuid {
    let name = [&nth.to_be_bytes(), transaction.as_bytes()].concat();
    Uuid::new_v5(&owner.id.0, &name)
}

/// Writes a new item once more: subscribers hear that it was created, and then that it was updated.
pub fn write_again(owner: &Owner, fresh: &Fresh, written: Written) -> Written {
    let Written { item: first, mut mutation } = written;
    let item = Item { version: fresh.removal, ..first.clone() };
    mutation.puts = vec![item.clone()];
    mutation.changes.push(Change::updated(owner.tenant, &first, &item, fresh.now));
    Written { item, mutation }
}

/// A draft's times and state are the server's; headers that are not the client's own cannot be set.
pub(super) fn begin_draft(properties: &mut Properties) -> Result<(), Refusal> {
    properties.remove("receivedDateTime");
    properties.remove("sentDateTime");
    properties.insert("isDraft".to_owned(), true.into());
    if properties.get("isRead").is_none_or(Value::is_null) {
        properties.insert("isRead".to_owned(), true.into());
    }
    let headers = properties.get("internetMessageHeaders").and_then(Value::as_array);
    for header in headers.into_iter().flatten() {
        let name = header.get("name").and_then(Value::as_str).unwrap_or_default();
        if !name.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-")) {
            return Err(Refusal::invalid("internetMessageHeaders/name", "a name that begins with x-"));
        }
    }
    Ok(())
}
