//! `POST …/extensions`: 201 with the extension. A name is used once on an item: else 409.

use graph::mailbox::extension;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::super::find;
use super::{segment, whole};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn create(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        let (made, written) = extension::add(&owner, &call.fresh(), &item, body.clone())?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => {
                let id = made["id"].as_str().unwrap_or_default();
                let location = call.url(&format!("{}('{id}')", segment(call, &item)));
                return Ok(whole(call, StatusCode::CREATED, &item, &made).at(location));
            }
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
