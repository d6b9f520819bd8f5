//! Items as an answer shows them, with the relations that `$expand` asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::expand::{Expand, Relation};
use graph::render::{self, View};
use graph::{Attachment, Item};
use serde_json::Value;

use crate::http::error::ApiError;
use crate::http::graph::Call;

/// An answer with attachments ends after the item that makes them longer than this; the next page goes on.
const ATTACHMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The first of these items, as many as one answer has room for.
pub async fn shown(call: &Call<'_>, expand: &Expand, items: &[Item], view: View<'_>) -> Result<Vec<Value>, ApiError> {
    let mut value = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for item in items {
        let mut shown = render::item(item, view);
        expand.show(&item.properties, &mut shown);
        if let Some(relation) = expand.attachments() {
            let attachments = call.state.store.attachments(item.mailbox, item.immutable).await?;
            bytes += attachments.iter().map(size).sum::<u64>();
            shown["attachments"] = members(call, item, attachments, relation).await?.into();
        }
        value.push(shown);
        if bytes > ATTACHMENT_BYTES_MAX {
            break;
        }
    }
    Ok(value)
}

fn size(attachment: &Attachment) -> u64 {
    attachment.properties.get("size").and_then(Value::as_u64).unwrap_or(0)
}

async fn members(
    call: &Call<'_>,
    item: &Item,
    attachments: Vec<Attachment>,
    relation: &Relation,
) -> Result<Vec<Value>, ApiError> {
    let mut all = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let id = attachment.id;
        let is_file =
            attachment.properties.get("@odata.type").and_then(Value::as_str) == Some("#microsoft.graph.fileAttachment");
        let mut shown = Value::Object(attachment.properties);
        shown["id"] = id.to_string().into();
        if is_file
            && relation.shows("contentBytes")
            && let Some((_, content)) = call.state.store.attachment(item.mailbox, item.immutable, id).await?
        {
            shown["contentBytes"] = STANDARD.encode(content).into();
        }
        all.push(shown);
    }
    Ok(relation.members(all))
}
