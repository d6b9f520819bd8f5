//! What is said of one attempt, and what of it is shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use graph::{AppId, SubscriptionId, TenantId, Timestamp, TopicId};
use notify::AbandonReason;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::admin::reason_name;

/// Characters of an answer's body that are kept.
const EXCERPT_CHARS_MAX: usize = 200;
/// Bytes of it that are looked at for them.
const EXCERPT_BYTES_MAX: usize = 4 * EXCERPT_CHARS_MAX;

/// An attempt that has ended, as who made it hands it over.
#[derive(Debug)]
pub struct Tried {
    pub ended: Timestamp,
    pub app: AppId,
    /// One for each notification, with its tenant: an app can be in several.
    pub subscriptions: Vec<(TenantId, SubscriptionId)>,
    /// Whose events it pushed.
    pub event_subscription: Option<PushedBy>,
    pub url: Arc<str>,
    pub outcome: &'static str,
    pub status: Option<u16>,
    pub took: Duration,
    /// In how long what it carried is tried again.
    pub retry_micros: Option<u64>,
    /// Why something of what it carried is not tried again.
    pub abandoned: Vec<AbandonReason>,
    /// When the time to live is over of all that it carried.
    pub lives_until: Option<Timestamp>,
    /// Why there was no answer.
    pub cause: Option<String>,
    pub excerpt: Option<String>,
}

/// An event subscription whose events are pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PushedBy {
    /// The id of its topic.
    #[schema(value_type = String, format = "uuid")]
    pub topic: TopicId,
    pub name: String,
}

/// An attempt: one request to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Later ones have higher numbers.
    pub number: u64,
    /// When it ended.
    #[schema(value_type = String, format = "date-time")]
    pub at: Timestamp,
    /// Absent: it was not kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub tenant: Option<TenantId>,
    #[schema(value_type = String, format = "uuid")]
    pub app: AppId,
    #[schema(value_type = Vec<String>)]
    pub subscriptions: Vec<SubscriptionId>,
    /// The event subscription whose events it pushed, if these were events of a topic.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event_subscription: Option<PushedBy>,
    /// Without its query, in which receivers keep secrets.
    pub url: String,
    /// What it came to, as the metrics have it: `acknowledged`, `refused`, `timed_out`, `unreachable`, `unresolved`,
    /// `forbidden`, `not_sent`, `delayed`.
    pub outcome: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    pub latency_micros: u64,
    pub notifications: u64,
    /// When what it carried is tried again. `null`: it is not.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub next_retry_at: Option<Timestamp>,
    /// When what it carried is found to have outlived its time to live, and is given up: an event's age is looked at when its
    /// next attempt would be due.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>, format = "date-time")]
    pub given_up_at: Option<Timestamp>,
    /// Why something of what it carried is not tried again, in the words of the ledger.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub abandoned: Vec<String>,
    /// Why there was no answer.
    pub cause: Option<String>,
    /// How the body of an answer began that did not acknowledge. It is shown only if it is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub excerpt: Option<String>,
}

impl Entry {
    /// One for each tenant, so that nobody is told of another's. `last`: the highest number so far.
    pub fn each(mut tried: Tried, last: u64) -> Vec<Self> {
        let mut of_tenants: BTreeMap<TenantId, Vec<SubscriptionId>> = BTreeMap::new();
        for (tenant, subscription) in std::mem::take(&mut tried.subscriptions) {
            of_tenants.entry(tenant).or_default().push(subscription);
        }
        if of_tenants.len() > 1 {
            // What was answered may repeat what any of them was told.
            tried.excerpt = None;
        }
        let mut entries: Vec<Self> = Vec::with_capacity(of_tenants.len());
        for (tenant, subscriptions) in of_tenants {
            let last = entries.last().map_or(last, |entry| entry.number);
            entries.push(Self::of(&tried, tenant, subscriptions, last));
        }
        entries
    }

    fn of(tried: &Tried, tenant: TenantId, mut subscriptions: Vec<SubscriptionId>, last: u64) -> Self {
        let ended = tried.ended;
        let due = tried.retry_micros.map(|micros| ended.plus_micros(i64::try_from(micros).unwrap_or(i64::MAX)));
        let is_over = due.zip(tried.lives_until).is_some_and(|(due, until)| due >= until);
        let (next_retry_at, given_up_at) = if is_over { (None, due) } else { (due, None) };
        let notifications = subscriptions.len() as u64;
        subscriptions.sort_unstable();
        subscriptions.dedup();
        Self {
            number: u64::try_from(ended.as_micros()).unwrap_or(0).max(last + 1),
            at: ended,
            tenant: Some(tenant),
            app: tried.app,
            subscriptions,
            event_subscription: tried.event_subscription.clone(),
            url: shown(&tried.url),
            outcome: tried.outcome.to_owned(),
            status: tried.status,
            latency_micros: u64::try_from(tried.took.as_micros()).unwrap_or(u64::MAX),
            notifications,
            next_retry_at,
            given_up_at,
            abandoned: tried.abandoned.iter().map(|reason| reason_name(*reason).to_owned()).collect(),
            cause: tried.cause.clone(),
            excerpt: tried.excerpt.clone(),
        }
    }
}

/// A receiver's URL without what may be a secret in it.
fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return String::new() };
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails for a URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// How an answer's body begins, as text that moves no cursor. `None`: there is none.
pub fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES_MAX)]);
    let escaped = text.chars().take(EXCERPT_CHARS_MAX).flat_map(|letter| match letter.is_control() {
        true => letter.escape_default().collect::<Vec<_>>(),
        false => vec![letter],
    });
    (!body.is_empty()).then(|| escaped.collect())
}
