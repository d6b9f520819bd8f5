//! `GET /subscriptions`: the subscriptions that the caller sees, by pages, without their `clientState`.

use graph::SubscriptionId;
use http::StatusCode;
use notify::{Subscription, access};
use protocol::SubscriptionList;
use store::SubscriptionQuery;

use super::resource;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::QueryError;

const PAGE: u64 = 100;

pub async fn list(call: &Call<'_>) -> Result<Answer, ApiError> {
    call.query.allow(&["$skiptoken"])?;
    let after = match call.query.get("$skiptoken") {
        None => None,
        Some(text) => Some(text.parse::<SubscriptionId>().map_err(|_| QueryError::Malformed)?),
    };
    let listed = access::listed(call.principal);
    let query = SubscriptionQuery {
        tenant: call.principal.tenant,
        app: listed.app,
        creator: listed.creator,
        mailbox: None,
        after,
        limit: PAGE,
    };
    let found = call.state.store.subscriptions(query).await?;
    let next = found.last().filter(|_| found.len() as u64 == PAGE);
    let next = next.map(|last| call.url(&format!("subscriptions?$skiptoken={}", last.id)));
    let suffices = |found: &Subscription| call.principal.suffices(access::to_hold(found).0, true);
    let readable = found.iter().filter(|found| !listed.by_need || suffices(found));
    let resources = readable.map(|found| resource(found, None));
    let list = SubscriptionList::new(call.metadata("subscriptions").into(), resources, next.map(Into::into));
    Ok(Answer::json(StatusCode::OK, &list))
}
