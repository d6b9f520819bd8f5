//! `PATCH` of an item: 200 with the item. `If-Match` is honoured; without it the last writer wins,
//! property by property.

use graph::mailbox::{self, meeting};
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::{find, whole};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES, meetings};

pub async fn patch(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        call.check_match(&item)?;
        let fresh = call.fresh();
        let written = mailbox::patch(&owner, &fresh, &item, body.clone())?;
        if written.mutation == graph::Mutation::default() {
            return Ok(whole(call, StatusCode::OK, &item));
        }
        let notice = meeting::update(&owner, &fresh, &item, &written.item)?;
        let submit = meetings::submission(call, &owner, notice).await?;
        match call.commit(&owner, written.mutation, submit).await {
            Ok(()) => return Ok(whole(call, StatusCode::OK, &written.item)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
