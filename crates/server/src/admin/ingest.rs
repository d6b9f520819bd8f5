//! `POST /admin/ingest/changes`: takes changes of resources outside of mailboxes from whoever has these resources.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Failure;
use super::request::Body;
use crate::directory::Directory;
use crate::sources::ingest::{self, Answer, BATCH_CHANGES_MAX, Batch};

#[utoipa::path(
    post,
    path = "/admin/ingest/changes",
    request_body = Batch,
    responses(
        (status = 200, body = Answer, description = "What is accepted is durable; what is refused says why"),
        (status = 400, body = Failure, description = "The body is no batch"),
        (status = 413, body = Failure, description = "The batch has more than 8 MiB or 1,000 changes"),
        (status = 503, body = Failure, description = "Send the same batch again: keys that are known count once")
    )
)]
pub(super) async fn changes(
    State(directory): State<Directory>,
    Body(batch): Body<Batch>,
) -> Result<Json<Answer>, Failure> {
    if !batch.has_good_size() {
        let why = format!("a batch has 1 to {BATCH_CHANGES_MAX} changes");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    Ok(Json(ingest::accept(&directory, &batch).await?))
}
