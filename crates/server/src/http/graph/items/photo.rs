//! The photo of a contact: `GET …/photo` tells of it, `GET …/photo/$value` gives the picture, `PUT` or
//! `PATCH` of either sets it (200), `DELETE` takes it away (204). Without a photo: 404.

use graph::mailbox::{self, Owner};
use graph::path::{ItemPart, ItemPath};
use graph::{Attachment, Item};
use http::{Method, StatusCode};
use serde_json::json;
use store::CommitError;

use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn photo(call: &Call<'_>, method: &Method, path: &ItemPath, part: &ItemPart) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    match (method.as_str(), part) {
        ("GET", ItemPart::Photo) => about(call, path).await,
        ("GET", _) => value(call, path).await,
        ("PUT" | "PATCH", _) => set(call, path).await,
        ("DELETE", _) => delete(call, path).await,
        _ => Err(ApiError::Method),
    }
}

async fn about(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    let (item, photo, _) = stored(call, path).await?;
    let number = |name: &str| photo.properties.get(name).cloned().unwrap_or_default();
    let (width, height) = (number("width"), number("height"));
    let contact = format!("contacts('{}')", graph::render::item_id(&item, &call.prefer));
    Ok(Answer::json(
        StatusCode::OK,
        &json!({
            "@odata.context": call.metadata(&format!("users('{}')/{contact}/photo/$entity", item.mailbox)),
            "@odata.mediaContentType": photo.properties.get("contentType"),
            "id": format!("{width}X{height}"),
            "height": height,
            "width": width,
        }),
    ))
}

async fn value(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    let (_, photo, content) = stored(call, path).await?;
    let content_type = photo.properties.get("contentType").and_then(|value| value.as_str()).unwrap_or_default();
    Ok(Answer::bytes(content_type.to_owned(), content))
}

async fn set(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        let written = mailbox::set_photo(&owner, &call.fresh(), &item, call.body.to_vec())?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::OK)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}

async fn delete(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        found(call, &owner, &item).await?;
        let written = mailbox::remove_photo(&owner, &call.fresh(), &item);
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}

/// The contact that a path names, with its photo.
async fn stored(call: &Call<'_>, path: &ItemPath) -> Result<(Item, Attachment, Vec<u8>), ApiError> {
    let owner = call.owner(&path.user).await?;
    let item = find(call, &owner, path).await?;
    let (photo, content) = found(call, &owner, &item).await?;
    Ok((item, photo, content))
}

async fn found(call: &Call<'_>, owner: &Owner, item: &Item) -> Result<(Attachment, Vec<u8>), ApiError> {
    let found = call.state.store.attachment(owner.id, item.immutable, mailbox::photo_id(item)).await?;
    found.ok_or(ApiError::ItemNotFound)
}
