//! `DELETE` of an upload's URL: 204; what was sent is forgotten.

use http::StatusCode;
use store::Upload;

use crate::app::AppState;
use crate::http::answer::Answer;
use crate::http::error::ApiError;

pub async fn cancel(state: &AppState, upload: &Upload) -> Result<Answer, ApiError> {
    state.store.end_upload(upload.mailbox, upload.id).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
