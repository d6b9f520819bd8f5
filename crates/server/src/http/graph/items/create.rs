//! `POST` of an item to a collection: 201 with the item. A message is a draft; as `text/plain` it is MIME
//! in base64.

use graph::mailbox;
use graph::path::{FolderKey, UserKey};
use graph::{Kind, WellKnown};
use http::StatusCode;

use super::{location, whole};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, meetings};

pub async fn create(
    call: &Call<'_>,
    user: &UserKey,
    kind: Kind,
    folder: Option<FolderKey>,
) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let folder = match folder {
        Some(key) => call.filing_folder(owner.id, &key).await?,
        None => default_folder(kind).id_in(owner.id),
    };
    if kind == Kind::Event {
        return meetings::create::create(call, &owner, folder).await;
    }
    let fresh = call.fresh();
    let written = match kind {
        Kind::Message if call.is_mime() => mailbox::create_mime(&owner, &fresh, folder, &call.body)?,
        _ => mailbox::create(&owner, &fresh, folder, call.json()?)?,
    };
    call.commit(&owner, written.mutation, None).await?;
    let item = written.item;
    Ok(whole(call, StatusCode::CREATED, &item).at(location(call, &item)))
}

fn default_folder(kind: Kind) -> WellKnown {
    match kind {
        Kind::Message => WellKnown::Drafts,
        Kind::Event => WellKnown::Calendar,
        Kind::Contact => WellKnown::Contacts,
    }
}
