//! `PATCH` of a calendar: 200 with the calendar. Its name, colour and provider of online meetings can be
//! set; the default calendar keeps its name.

use graph::mailbox;
use graph::path::{FolderKey, UserKey};
use http::StatusCode;

use super::{all, existing, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::folders::committed;
use crate::http::graph::{Call, TRIES};

pub async fn patch(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let calendar = existing(call, &owner, key).await?;
        let folders = all(call, &owner).await?;
        let written = mailbox::patch_calendar(&calendar, &folders, body.clone())?;
        if committed(call, &owner, written.mutation).await? {
            return Ok(single(call, &owner, &written.folder, None, StatusCode::OK));
        }
    }
    Err(ApiError::Contended)
}
