//! `PATCH` of one occurrence: 200 with it. It becomes an exception; the change that is told of is one of the
//! series master, and the attendees of an organizer's meeting hear of that occurrence. 400
//! `ErrorOccurrenceCrossingBoundary` if it would cross or overlap its neighbours.

use graph::OccurrenceId;
use graph::mailbox::{self, meeting};
use graph::path::ItemPath;
use graph::render::{self, View};
use http::StatusCode;
use store::CommitError;

use super::master;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES, meetings};

pub async fn patch(call: &Call<'_>, path: &ItemPath, id: OccurrenceId) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let master = master(call, &owner, path, id).await?;
        call.check_match(&master)?;
        let fresh = call.fresh();
        let written = mailbox::patch_occurrence(&owner, &fresh, &master, id.date, body.clone())?;
        let notice = meeting::update(&owner, &fresh, &written.before.item, &written.occurrence.item)?;
        let submit = meetings::submission(call, &owner, notice).await?;
        match call.commit(&owner, written.mutation, submit).await {
            Ok(()) => {
                let context = render::context(&call.base(), owner.id, path.kind.collection(), None, true);
                let view = View { context: Some(&context), select: None, prefer: &call.prefer };
                return Ok(Answer::json(StatusCode::OK, &render::occurrence(&written.occurrence, view)));
            }
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
