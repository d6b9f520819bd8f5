//! `DELETE` of an item, and `POST …/permanentDelete`: 204. By the first, a message goes to Deleted Items, from
//! there to Recoverable Items, and from there for good; events and contacts are gone at once. By the second,
//! an item is gone for good, wherever it lay. The attendees of an organizer's meeting are told that it is off.

use graph::mailbox::{self, Fresh, Owner, meeting};
use graph::path::ItemPath;
use graph::{Item, Mutation};
use http::StatusCode;
use store::CommitError;

use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES, meetings};

type Rule = fn(&Owner, &Fresh, &Item) -> Mutation;

pub async fn delete(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    take_away(call, path, mailbox::delete).await
}

pub async fn permanent_delete(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    take_away(call, path, mailbox::remove).await
}

async fn take_away(call: &Call<'_>, path: &ItemPath, rule: Rule) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        call.check_match(&item)?;
        let fresh = call.fresh();
        let mutation = rule(&owner, &fresh, &item);
        let notice = meeting::cancellation(&owner, &fresh, &item.properties, "");
        let submit = meetings::submission(call, &owner, notice).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
