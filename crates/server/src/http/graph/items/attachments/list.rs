//! `GET …/attachments`: 200 with all of them, oldest first; files with their content, unless `$select`
//! leaves it away. A page ends early when it has grown large. `GET …/attachments/$count`: their number.

use graph::mailbox::attachment;
use graph::path::ItemPath;
use graph::render;
use http::StatusCode;
use serde_json::json;

use super::super::find as find_item;
use super::{Shown, context};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::Page;

/// Content that one page shows, apart from that of its first attachment.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub async fn list(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand", "$top", "$skip", "$count"])?;
    let shown = Shown::read(call)?;
    let page = Page::read(&call.query)?;
    let top = if call.query.get("$top").is_some() { page.top as usize } else { usize::MAX };
    let owner = call.owner(&path.user).await?;
    let item = find_item(call, &owner, path).await?;
    let all = call.state.store.attachments(owner.id, item.immutable).await?;
    let (mut value, mut bytes) = (Vec::new(), 0);
    let skip = usize::try_from(page.skip).unwrap_or(usize::MAX);
    let mut rest = all.iter().skip(skip).peekable();
    while let Some(found) = rest.next_if(|_| value.len() < top) {
        let mut content = Vec::new();
        if shown.view(None).shows_content() {
            bytes += attachment::size(found);
            if bytes > PAGE_BYTES_MAX && !value.is_empty() {
                break;
            }
            let whole = call.state.store.attachment(owner.id, item.immutable, found.id).await?;
            content = whole.map(|(_, content)| content).unwrap_or_default();
        }
        value.push(render::attachment(found, &content, shown.view(None)));
    }
    let mut body = json!({ "@odata.context": context(call, &item, "") });
    if page.count {
        body["@odata.count"] = all.len().into();
    }
    let next = page.skip.saturating_add(value.len() as u64);
    if !value.is_empty() && next < all.len() as u64 {
        body["@odata.nextLink"] = call.next_page(next).into();
    }
    body["value"] = value.into();
    Ok(Answer::json(StatusCode::OK, &body))
}

pub async fn count(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let item = find_item(call, &owner, path).await?;
    let count = call.state.store.attachments(owner.id, item.immutable).await?.len();
    Ok(Answer::bytes("text/plain", count.to_string().into_bytes()))
}
