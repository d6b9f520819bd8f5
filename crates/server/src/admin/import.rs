//! `POST /admin/import`: takes a batch of items that a client has read and mapped.

use axum::Json;
use axum::extract::{Query, State};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Admin, Failure};
use crate::sources::import::accept::{AcceptError, accept};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    quiet: bool,
}

#[utoipa::path(
    post,
    path = "/admin/import",
    params(("quiet" = Option<bool>, Query, description = "Raise no notifications")),
    request_body(
        content = String,
        content_type = "application/x-ndjson",
        description = "One item on each line: {\"user\",\"kind\",\"folder\"?,\"properties\",\"meeting\"?,\"onceKey\"?}"
    ),
    responses(
        (status = 200, description = "{\"imported\",\"duplicates\",\"failed\":[{\"index\",\"why\",\"noUser\"?}]}"),
        (status = 413, body = Failure),
        (status = 503, body = Failure)
    )
)]
pub(super) async fn import(
    State(admin): State<Admin>,
    Query(options): Query<Options>,
    batch: Bytes,
) -> Result<Json<Value>, Failure> {
    let to = (&admin.state.store, admin.state.directory.room());
    let answer = accept(to, &admin.fresh, &batch, options.quiet).await;
    let answer = answer.map_err(|error| {
        let status = match error {
            AcceptError::TooLarge | AcceptError::TooManyItems => StatusCode::PAYLOAD_TOO_LARGE,
            AcceptError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure::new(status, error.to_string())
    })?;
    serde_json::to_value(answer)
        .map(Json)
        .map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
