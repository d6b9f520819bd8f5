//! Items as an answer shows them, with the relations that `$expand` asks for.

use graph::expand::{EventExpansion, Expand, Relation};
use graph::mailbox::{attachment, meeting};
use graph::path::UserKey;
use graph::render::{self, AttachmentView, View};
use graph::{Attachment, Item, Kind};
use notify::access::{Level, Need};
use serde_json::Value;

use crate::http::error::ApiError;
use crate::http::graph::{Call, meetings};

/// An answer with attachments or events ends after the item that makes them longer than this; the next page goes
/// on.
pub const RELATED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The first of these items, as many as one answer has room for.
pub async fn shown(call: &Call<'_>, expand: &Expand, items: &[Item], view: View<'_>) -> Result<Vec<Value>, ApiError> {
    let mut value = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for item in items {
        let mut shown = render::item(item, view);
        bytes += relations(call, expand, item, &mut shown).await?;
        value.push(shown);
        if bytes > RELATED_BYTES_MAX {
            break;
        }
    }
    Ok(value)
}

/// Adds to what is shown of an item what `$expand` asks for; how large that is, in bytes.
pub async fn relations(call: &Call<'_>, expand: &Expand, item: &Item, shown: &mut Value) -> Result<u64, ApiError> {
    // A token of a delta query may ask for more than its bearer is allowed to read.
    if call.prefer.basic.contains(&item.id.kind) {
        return Ok(0);
    }
    expand.show(&item.properties, shown);
    let mut bytes = 0;
    if let Some(asked) = expand.event().filter(|_| meeting::message_type(&item.properties).is_some()) {
        let event = event(call, item, asked).await?;
        bytes += event.to_string().len() as u64;
        shown["event"] = event;
    }
    let Some(relation) = expand.attachments() else { return Ok(bytes) };
    let attachments = call.state.store.attachments(item.mailbox, item.immutable).await?;
    bytes += attachments.iter().map(attachment::size).sum::<u64>();
    shown["attachments"] = members(call, item, attachments, relation).await?.into();
    Ok(bytes)
}

/// The event that a message is about; `null` if it is gone.
async fn event(call: &Call<'_>, message: &Item, asked: &EventExpansion) -> Result<Value, ApiError> {
    call.check(Need::Items(Kind::Event, Level::Basic), message.mailbox).await?;
    let owner = call.owner(&UserKey::Id(message.mailbox)).await?;
    let view = View { context: None, select: asked.select.as_ref(), prefer: &call.prefer };
    Ok(meetings::get::event_of(call, &owner, message, view).await?.unwrap_or_default())
}

async fn members(
    call: &Call<'_>,
    item: &Item,
    attachments: Vec<Attachment>,
    relation: &Relation,
) -> Result<Vec<Value>, ApiError> {
    let view = AttachmentView { item: relation.shows_item(), ..AttachmentView::default() };
    let mut all = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let mut content = Vec::new();
        if relation.shows("contentBytes") {
            let whole = call.state.store.attachment(item.mailbox, item.immutable, attachment.id).await?;
            content = whole.map(|(_, content)| content).unwrap_or_default();
        }
        all.push(render::attachment(&attachment, &content, view));
    }
    Ok(relation.members(all))
}
