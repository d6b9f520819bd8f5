//! `POST …/attachments/createUploadSession`: 201 with a URL to which the file goes in parts, by whoever
//! has that URL.

use graph::Refusal;
use graph::mailbox::attachment::{self, ATTACHMENTS_MAX};
use graph::path::ItemPath;
use http::StatusCode;
use store::Upload;

use super::super::find as find_item;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::uploads;
use crate::ids;

pub async fn create(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let (properties, size) = attachment::upload(call.json()?)?;
    let item = find_item(call, &owner, path).await?;
    if call.state.store.attachments(owner.id, item.immutable).await?.len() >= ATTACHMENTS_MAX {
        return Err(Refusal::TooManyAttachments { attachments_max: ATTACHMENTS_MAX }.into());
    }
    let secret = ids::new_secret();
    let upload = Upload {
        id: uploads::id_of(&secret),
        mailbox: owner.id,
        item: item.immutable_id(),
        properties,
        size,
        received: 0,
        expires: uploads::expiry(call.context.now),
    };
    call.state.store.begin_upload(upload.clone(), call.context.now).await?;
    let mut body = uploads::session(&upload);
    body["@odata.context"] = call.metadata("microsoft.graph.uploadSession").into();
    body["uploadUrl"] = uploads::url(&call.context.origin, owner.id, &secret).into();
    Ok(Answer::json(StatusCode::CREATED, &body))
}
