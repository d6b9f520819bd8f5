//! What a mailbox keeps besides items and folders: categories, and overrides of the focused inbox.

pub mod categories;
pub mod mailbox;
pub mod overrides;

use graph::mailbox::{Owner, Settings};
use graph::{Folder, Properties, WellKnown};
use http::StatusCode;
use serde_json::{Value, json};

use super::folders::committed;
use super::{Call, TRIES};
use crate::http::answer::Answer;
use crate::http::error::ApiError;

/// The root folder, which keeps the settings.
pub(super) async fn root(call: &Call<'_>, owner: &Owner) -> Result<Folder, ApiError> {
    let id = WellKnown::MsgFolderRoot.id_in(owner.id);
    Ok(call.state.store.folder(owner.id, id).await?.ok_or(ApiError::ItemNotFound)?.folder)
}

/// Changes the settings. Of two who do at a time, the second sees what the first wrote.
async fn change<T>(
    call: &Call<'_>,
    owner: &Owner,
    act: impl Fn(&mut Settings) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    for _ in 0..TRIES {
        let root = root(call, owner).await?;
        let mut settings = Settings::of(&root);
        let done = act(&mut settings)?;
        if committed(call, owner, settings.kept_in(&root)).await? {
            return Ok(done);
        }
    }
    Err(ApiError::Contended)
}

fn list(call: &Call<'_>, owner: &Owner, place: &str, members: &[Properties]) -> Answer {
    let context = call.metadata(&format!("users('{}')/{place}", owner.id));
    Answer::json(StatusCode::OK, &json!({ "@odata.context": context, "value": members }))
}

fn single(call: &Call<'_>, owner: &Owner, place: &str, member: Properties, status: StatusCode) -> Answer {
    let mut shown = member;
    let context = call.metadata(&format!("users('{}')/{place}/$entity", owner.id));
    shown.insert("@odata.context".to_owned(), context.into());
    Answer::json(status, &Value::Object(shown))
}

fn named<'a>(members: &'a [Properties], id: &str) -> Result<&'a Properties, ApiError> {
    let is = |member: &&Properties| {
        member.get("id").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(id))
    };
    members.iter().find(is).ok_or(ApiError::ItemNotFound)
}
