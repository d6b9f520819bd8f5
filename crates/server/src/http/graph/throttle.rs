//! Lets a request in, or says that its app has asked too much. The rule is `notify::throttle`'s; this has the
//! lock around it, and gives the place back when the request is over.

use std::sync::{Mutex, PoisonError};

use graph::path::Resource;
use http::Method;
use notify::throttle::{Demand, SubscriptionOperation, Throttle, ThrottleLimits};

use super::{Head, mailbox_of};
use crate::app::AppState;
use crate::http::error::ApiError;

/// What all requests of this server have asked.
pub struct Throttling(Mutex<Throttle>);

/// The place of a request that is under way.
pub(super) struct Entered<'a> {
    throttling: &'a Throttling,
    demand: Demand,
}

impl Throttling {
    pub fn new(limits: ThrottleLimits) -> Self {
        Self(Mutex::new(Throttle::new(limits)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Throttle) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.throttling.with(|throttle| throttle.end(&self.demand));
    }
}

/// Counts a request, where requests are throttled at all.
pub(super) async fn enter<'a>(
    state: &'a AppState,
    method: &Method,
    head: &Head<'_>,
    body_bytes: usize,
) -> Result<Option<Entered<'a>>, ApiError> {
    let Some(throttling) = &state.throttling else { return Ok(None) };
    let uploads = [Method::POST, Method::PATCH, Method::PUT].contains(method);
    let demand = Demand {
        app: head.principal.app,
        tenant: head.principal.tenant,
        mailbox: mailbox_of(state, head).await,
        subscriptions: subscriptions(method, &head.resource),
        upload_bytes: if uploads { body_bytes as u64 } else { 0 },
    };
    throttling.with(|throttle| throttle.begin(&demand, state.clock.mono())).map_err(ApiError::Throttled)?;
    Ok(Some(Entered { throttling, demand }))
}

fn subscriptions(method: &Method, resource: &Resource) -> Option<SubscriptionOperation> {
    let reads = method == Method::GET;
    match resource {
        Resource::Subscriptions if reads => Some(SubscriptionOperation::List),
        Resource::Subscription(_) if reads => Some(SubscriptionOperation::Get),
        Resource::Subscriptions | Resource::Subscription(_) => Some(SubscriptionOperation::Write),
        Resource::Reauthorize(_) => Some(SubscriptionOperation::Reauthorize),
        _ => None,
    }
}
