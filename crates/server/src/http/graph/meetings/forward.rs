//! `POST /events/{id}/forward`: 202. Others are invited; an organizer who did not forward it hears of it.

use graph::mailbox::meeting;
use graph::path::ItemPath;
use graph::schema;
use http::StatusCode;
use store::CommitError;

use super::{find, submission};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn forward(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let (to, comment) = schema::event_forward(call.json()?)?;
    for _ in 0..TRIES {
        let named = find(call, &owner, path).await?;
        let (mutation, notice) = meeting::forward_event(&owner, &call.fresh(), &named.entry()?, to.clone(), &comment)?;
        let submit = submission(call, &owner, Some(notice)).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::ACCEPTED)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
