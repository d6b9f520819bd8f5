//! `GET` of `$count` of a collection of folders: how many there are, or `$filter` finds, as plain text.

use graph::Kind;
use graph::path::{FolderKey, UserKey};
use graph::schema::Entity;

use super::list::found;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn count(call: &Call<'_>, user: &UserKey, kind: Kind, parent: Option<FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$filter"])?;
    let asked = call.query.shown(Entity::folder_of(kind))?;
    let owner = call.owner(user).await?;
    let found = found(call, &owner, kind, parent.as_ref(), &asked).await?;
    Ok(Answer::bytes("text/plain", found.len().to_string().into_bytes()))
}
