//! `POST …/reply`, `…/replyAll` and `…/forward`: 202, the answer is in Sent Items and on its way.
//! `POST …/createReply` and its like: 201 with a draft. `comment` and `message/body` exclude each other.

use graph::mailbox::{self, Answering};
use graph::path::ItemPath;
use graph::schema::{self, Answer};
use http::StatusCode;
use serde_json::json;
use store::CommitError;

use super::attachments::carry;
use super::{find, location, whole};
use crate::http::answer;
use crate::http::error::ApiError;
use crate::http::graph::send_mail::departure;
use crate::http::graph::{Call, TRIES};

pub async fn send(call: &Call<'_>, path: &ItemPath, how: Answering) -> Result<answer::Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let asked = parameters(call, how)?;
    for _ in 0..TRIES {
        let original = find(call, &owner, path).await?;
        let mut sent = mailbox::send_answer(&owner, &call.fresh(), &original, how, asked.clone())?;
        if how == Answering::Forward {
            carry(call, &owner, &original, &mut sent.message).await?;
        }
        let (mutation, submit) = departure(call, &owner, sent).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(answer::Answer::empty(StatusCode::ACCEPTED)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}

pub async fn draft(call: &Call<'_>, path: &ItemPath, how: Answering) -> Result<answer::Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let asked = parameters(call, how)?;
    for _ in 0..TRIES {
        let original = find(call, &owner, path).await?;
        let written = mailbox::answer_draft(&owner, &call.fresh(), &original, how, asked.clone())?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => {
                return Ok(whole(call, StatusCode::CREATED, &written.item).at(location(call, &written.item)));
            }
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}

/// An answer needs no body.
fn parameters(call: &Call<'_>, how: Answering) -> Result<Answer, ApiError> {
    let body = if call.body.is_empty() { json!({}) } else { call.json()? };
    Ok(schema::answer(body, how == Answering::Forward)?)
}
