//! `GET` of one folder, by id or well-known name: 200.

use graph::Kind;
use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;

use super::{collection, existing, select, shown};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, user: &UserKey, kind: Kind, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand"])?;
    let select = select(call, kind)?;
    let expand = call.query.expand(Entity::folder_of(kind))?;
    let owner = call.owner(user).await?;
    let found = existing(call, &owner, kind, key).await?;
    let context = render::context(&call.base(), owner.id, collection(kind), select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref(), prefer: &call.prefer };
    let mut shown = shown(&found, &owner, view);
    expand.show(&found.folder.properties, &mut shown);
    Ok(Answer::json(StatusCode::OK, &shown))
}
