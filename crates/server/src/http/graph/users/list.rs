//! `GET /users`: all users of the tenant by UPN, for callers that may read the directory.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::shown;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count"])?;
    let page = Page::read(&call.query)?;
    let users = call.state.store.users(call.principal.tenant).await?;
    let total = users.len() as u64;
    let (skip, top) = (usize::try_from(page.skip).unwrap_or(usize::MAX), page.top as usize);
    let value = users.iter().skip(skip).take(top).map(|user| shown(call, user));
    let value: Vec<Map<String, Value>> = value.collect::<Result<_, _>>()?;
    let mut body = json!({"@odata.context": call.metadata("users")});
    if page.count {
        body["@odata.count"] = total.into();
    }
    if page.skip.saturating_add(page.top) < total {
        body["@odata.nextLink"] = call.next_page(page.skip + page.top).into();
    }
    body["value"] = value.into();
    Ok(Answer::json(StatusCode::OK, &body))
}
