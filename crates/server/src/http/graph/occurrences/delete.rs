//! `DELETE` of one occurrence: 204. It is among the series master's cancelled ones from then on; the change
//! that is told of is one of the master. The attendees of an organizer's meeting are told that it is off.

use graph::OccurrenceId;
use graph::mailbox::meeting::{self, Entry};
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::master;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES, meetings};

pub async fn delete(call: &Call<'_>, path: &ItemPath, id: OccurrenceId) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let master = master(call, &owner, path, id).await?;
        call.check_match(&master)?;
        let fresh = call.fresh();
        let entry = Entry::of_occurrence(&master, id.date)?;
        let mutation = entry.remove(&owner, &fresh)?;
        let notice = meeting::cancellation(&owner, &fresh, entry.properties(), "");
        let submit = meetings::submission(call, &owner, notice).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
