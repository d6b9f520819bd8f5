//! `GET` of `$count` of a collection of items: how many there are, or `$filter` finds, as plain text.

use graph::Kind;
use graph::path::{FolderKey, UserKey};
use graph::search::RESULTS_MAX;

use super::list::{asked, is_search, place};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn count(call: &Call<'_>, user: &UserKey, kind: Kind, folder: Option<FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$filter", "$search"])?;
    let query = call.query.items(kind)?;
    let owner = call.owner(user).await?;
    let place = place(call, &owner, kind, folder.as_ref()).await?;
    let count = call.state.store.count_items(asked(&owner, place, query)).await?;
    let count = if is_search(call) { count.min(RESULTS_MAX) } else { count };
    Ok(Answer::bytes("text/plain", count.to_string().into_bytes()))
}
