//! `POST …/move` and `POST …/copy`: 201 with the item in its new place, under a new id.

use graph::mailbox::{self, Fresh, Owner, Written};
use graph::path::ItemPath;
use graph::render::{self, View};
use graph::schema;
use graph::{FolderId, Item, Refusal};
use http::StatusCode;
use store::CommitError;

use super::{find, location};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

type Rule = fn(&Owner, &Fresh, &Item, FolderId) -> Result<Written, Refusal>;

pub async fn move_(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    relocate(call, path, mailbox::move_item).await
}

pub async fn copy(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    relocate(call, path, mailbox::copy_item).await
}

async fn relocate(call: &Call<'_>, path: &ItemPath, rule: Rule) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let destination = schema::destination(path.kind, call.json()?)?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        let folder = call.filing_folder(owner.id, &destination).await?;
        let written = rule(&owner, &call.fresh(), &item, folder)?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => {
                // An action's answer is of a type, not of a collection.
                let context = call.metadata(path.kind.type_name());
                let view = View { context: Some(&context), select: None, prefer: &call.prefer };
                let answer = Answer::written(StatusCode::CREATED, render::shown_item(&written.item, view).to_json());
                return Ok(answer.at(location(call, &written.item)));
            }
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
