//! `POST` of `snoozeReminder` and `dismissReminder` of an event, a series or an occurrence: 200, empty. The
//! event is updated.

use graph::mailbox::{self, Remind};
use graph::path::{ItemAction, ItemPath};
use http::StatusCode;
use store::CommitError;

use super::{master, named};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES, items};

pub async fn remind(call: &Call<'_>, path: &ItemPath, action: ItemAction) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let what = match action {
        ItemAction::SnoozeReminder => Remind::At(mailbox::new_reminder_time(call.json()?)?),
        _ => Remind::Never,
    };
    for _ in 0..TRIES {
        let fresh = call.fresh();
        let mutation = match named(path) {
            Some(id) => {
                let master = master(call, &owner, path, id).await?;
                mailbox::remind_of_occurrence(&owner, &fresh, &master, id.date, what)?
            }
            None => mailbox::remind(&owner, &fresh, &items::find(call, &owner, path).await?, what)?,
        };
        match call.commit(&owner, mutation, None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::OK)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
