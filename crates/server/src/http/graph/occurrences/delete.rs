//! `DELETE` of one occurrence: 204. It is among the series master's cancelled ones from then on; the change
//! that is told of is one of the master.

use graph::OccurrenceId;
use graph::mailbox;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::master;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn delete(call: &Call<'_>, path: &ItemPath, id: OccurrenceId) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let master = master(call, &owner, path, id).await?;
        call.check_match(&master)?;
        let mutation = mailbox::cancel_occurrence(&owner, &call.fresh(), &master, id.date)?;
        match call.commit(&owner, mutation, None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
