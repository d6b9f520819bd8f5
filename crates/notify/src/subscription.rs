//! A subscription as an app asked for it, and what of it decides whether a change is heard.

use graph::registry::ResourceKind;
use graph::{AppId, Change, ChangeType, FolderId, ItemKey, Kind, Partition, Scope, SubscriptionId, TenantId};
use graph::{Timestamp, TopicId, UserId};
use serde::{Deserialize, Serialize};

use crate::topic::Filter;
use crate::{EventSubscription, Position};

/// The longest origin that is kept: a scheme, a name of 253 bytes and a port.
const ORIGIN_BYTES_MAX: usize = 300;

/// What an app asked to hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub id: SubscriptionId,
    pub tenant: TenantId,
    pub app: AppId,
    /// The signed-in user, or the app's service principal (`creatorId`).
    pub creator: UserId,
    /// The `resource` exactly as the app sent it.
    pub resource: String,
    pub target: Target,
    pub change_types: ChangeTypes,
    /// The `changeType` exactly as the app sent it.
    pub change_type: String,
    pub notification_url: String,
    pub lifecycle_url: Option<String>,
    pub client_state: Option<String>,
    /// The `latestSupportedTlsVersion`; `v1_2` unless given.
    pub tls_version: TlsVersion,
    /// Boxed, so that it costs the many that have none of it next to nothing.
    #[serde(default)]
    pub extras: Option<Box<Extras>>,
    /// Asked for with `Prefer: IdType="ImmutableId"`: it is told of items by the id that stays when they
    /// move. It never changes.
    #[serde(default)]
    pub immutable_ids: bool,
    /// When its app last showed that it may be told: it made, patched or reauthorized it. Before `created`: that
    /// was not kept.
    #[serde(default)]
    pub authorized: Timestamp,
    pub expires: Timestamp,
    /// Tenths of a microsecond that the app asked for beyond `expires`, so that it reads what it wrote.
    /// Nothing else heeds them.
    #[serde(default)]
    pub expires_tenths: u8,
    pub created: Timestamp,
}

/// The latest version of TLS that an app's endpoints speak, of those that this server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// Older ones were kept once, though never spoken.
    #[default]
    #[serde(rename = "v1_2", alias = "v1_0", alias = "v1_1")]
    V1_2,
    #[serde(rename = "v1_3")]
    V1_3,
}

impl TlsVersion {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            TlsVersion::V1_2 => "v1_2",
            TlsVersion::V1_3 => "v1_3",
        }
    }
}

/// What few subscriptions have. What the app sent is exactly as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extras {
    /// Base64 of the certificate that resource data is sealed for.
    pub encryption_certificate: Option<String>,
    /// By what the app knows which key opens it.
    pub encryption_certificate_id: Option<String>,
    /// The app that validation tokens are made for instead of the subscribing one.
    pub notification_url_app_id: Option<String>,
    pub notification_query_options: Option<String>,
    pub notification_content_type: Option<String>,
    /// It is told of items with their content, sealed for the certificate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_resource_data: bool,
    /// The partner topic that its `EventGrid:` URLs name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicId>,
    /// If it is told of content or through a topic: the scheme, host and port under which its app last asked for it, which
    /// it knows the issuer of tokens by, and which the URLs in events begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// When the access token runs out with which it was last authorized, if the profile heeds that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lapses: Option<Timestamp>,
    /// Of an event subscription whose filter was changed: those that it had, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier_filters: Vec<EarlierFilter>,
}

/// A filter that an event subscription had, up to this position of its log: whoever matches records again that lie before
/// the change finds what it let in then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EarlierFilter {
    pub filter: Filter,
    pub through: Position,
}

/// So many are remembered.
const EARLIER_FILTERS_MAX: usize = 16;

/// What a subscription watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Target {
    /// Items of one kind, in one mailbox, perhaps in one folder.
    Items { mailbox: UserId, kind: Kind, folder: Option<FolderId> },
    /// Resources outside of mailboxes.
    Resource(Box<Watched>),
    /// Events of a partner topic.
    Topic(Box<EventSubscription>),
}

/// The resources of one kind in a tenant that a subscription watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    pub resource: ResourceKind,
    /// Whose they are, if they are a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The texts of the places where they are heard of, each once.
    pub places: Vec<String>,
}

impl Target {
    /// The mailbox that it lies in.
    pub fn mailbox(&self) -> Option<UserId> {
        match self {
            Target::Items { mailbox, .. } => Some(*mailbox),
            Target::Resource(_) | Target::Topic(_) => None,
        }
    }

    /// The event subscription whose events are pushed: no app of Graph knows of such a subscription.
    pub fn event_subscription(&self) -> Option<&EventSubscription> {
        match self {
            Target::Items { .. } | Target::Resource(_) => None,
            Target::Topic(pushed) => Some(pushed),
        }
    }
}

/// A set of change types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<ChangeType>", into = "Vec<ChangeType>")]
pub struct ChangeTypes(u8);

impl ChangeTypes {
    pub fn contains(self, change: ChangeType) -> bool {
        self.0 & (1 << change as u8) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = ChangeType> {
        ChangeType::ALL.into_iter().filter(move |change| self.contains(*change))
    }
}

impl FromIterator<ChangeType> for ChangeTypes {
    fn from_iter<I: IntoIterator<Item = ChangeType>>(changes: I) -> Self {
        Self(changes.into_iter().fold(0, |set, change| set | (1 << change as u8)))
    }
}

impl From<Vec<ChangeType>> for ChangeTypes {
    fn from(changes: Vec<ChangeType>) -> Self {
        changes.into_iter().collect()
    }
}

impl From<ChangeTypes> for Vec<ChangeType> {
    fn from(set: ChangeTypes) -> Self {
        set.iter().collect()
    }
}

impl Extras {
    /// `None` if there is nothing in it.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl Subscription {
    /// `expirationDateTime`.
    pub fn expiration(&self) -> String {
        self.expires.to_string_with_tenths(self.expires_tenths)
    }

    /// What it and every change that it can see lie in.
    pub fn scope(&self) -> Scope {
        match &self.target {
            Target::Items { mailbox, .. } => Scope::from(*mailbox),
            Target::Resource(watched) => Scope::of_resources(self.tenant, watched.resource),
            Target::Topic(pushed) => Scope::from(pushed.topic),
        }
    }

    /// Its `notificationQueryOptions`.
    pub fn query_options(&self) -> Option<&str> {
        self.extras.as_ref()?.notification_query_options.as_deref()
    }

    /// Whether it is told of items with their content.
    pub fn is_rich(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.include_resource_data)
    }

    pub fn partition(&self) -> Partition {
        Partition::of(self.scope())
    }

    /// Its app has shown at `now` that it may be told; with a token that runs out at `lapses`, if that counts.
    pub fn authorized_at(self, now: Timestamp, lapses: Option<Timestamp>) -> Self {
        let extras = Extras { lapses, ..self.extras.map(|extras| *extras).unwrap_or_default() };
        Self { authorized: now, extras: extras.boxed(), ..self }
    }

    /// The same asked for under `origin`, if it matters there. One that is no host's is not kept.
    pub fn asked_under(mut self, origin: &str) -> Self {
        if (self.is_rich() || self.topic().is_some())
            && let Some(extras) = &mut self.extras
        {
            extras.origin = (origin.len() <= ORIGIN_BYTES_MAX).then(|| origin.to_owned());
        }
        self
    }

    /// An event subscription that replaces `before` by a record at `position`, with the filters that it had. Whoever
    /// writes the record calls this, and writes the same into the row and into the record.
    #[must_use]
    pub fn in_place_of(mut self, before: &Subscription, position: Position) -> Self {
        let (Target::Topic(old), Target::Topic(new)) = (&before.target, &self.target) else { return self };
        let mut filters = before.extras.as_ref().map(|extras| extras.earlier_filters.clone()).unwrap_or_default();
        if old.filter != new.filter {
            filters.push(EarlierFilter { filter: old.filter.clone(), through: position });
            filters.drain(..filters.len().saturating_sub(EARLIER_FILTERS_MAX));
        }
        let extras = self.extras.map(|extras| *extras).unwrap_or_default();
        self.extras = Extras { earlier_filters: filters, ..extras }.boxed();
        self
    }

    /// The filter of an event subscription for the record at `position`.
    pub fn filter_at(&self, position: Position) -> Option<&Filter> {
        let Target::Topic(pushed) = &self.target else { return None };
        let earlier = self.extras.iter().flat_map(|extras| &extras.earlier_filters);
        Some(
            earlier
                .map(|one| (&one.filter, one.through))
                .find(|(_, through)| position <= *through)
                .map_or(&pushed.filter, |(filter, _)| filter),
        )
    }

    /// The partner topic that it is told through.
    pub fn topic(&self) -> Option<TopicId> {
        self.extras.as_ref()?.topic
    }

    /// If it is told of content or through a topic: under which name its app knows this server.
    pub fn origin(&self) -> Option<&str> {
        self.extras.as_ref()?.origin.as_deref()
    }

    /// When its app's access token runs out, if that counts.
    pub fn lapses(&self) -> Option<Timestamp> {
        self.extras.as_ref()?.lapses
    }

    /// Since when, and until when, its app is authorized to be told.
    pub fn authorization(&self) -> (Timestamp, Timestamp) {
        let until = self.lapses().map_or(self.expires, |lapses| lapses.min(self.expires));
        (self.authorized.max(self.created), until)
    }

    /// The id by which this subscription is told of a change's item. Order holds among changes of one.
    pub fn item_key(&self, change: &Change) -> ItemKey {
        change.key(self.immutable_ids)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As it was before there were extras.
    fn stored() -> Subscription {
        let id = "5f7c0a11-2222-4333-8444-555566667777";
        let stored = json!({
            "id": id, "tenant": id, "app": id, "creator": id, "resource": "me/messages",
            "target": { "mailbox": id, "kind": "message", "folder": null }, "changeTypes": ["created"],
            "changeType": "created", "notificationUrl": "https://h/", "lifecycleUrl": null, "clientState": null,
            "tlsVersion": "v1_1", "expires": "2026-11-21T10:00:00.123456Z", "created": "2026-11-21T09:00:00Z",
        });
        serde_json::from_value(stored).unwrap()
    }

    #[test]
    fn a_subscription_that_was_stored_before_there_were_extras_is_read() {
        let read = stored();
        assert_eq!((read.tls_version, &read.extras, read.immutable_ids), (TlsVersion::V1_2, &None, false));
        assert_eq!(read.expiration(), "2026-11-21T10:00:00.123456Z");
    }

    #[test]
    fn what_a_subscription_with_content_has_more_is_stored_with_it_alone() {
        let rich = Extras { include_resource_data: true, origin: Some("https://h".to_owned()), ..Extras::default() };
        let stored = serde_json::to_value(&rich).unwrap();
        assert_eq!((&stored["includeResourceData"], &stored["origin"]), (&json!(true), &json!("https://h")));
        assert_eq!(serde_json::from_value::<Extras>(stored).unwrap(), rich);
        let basic = serde_json::to_value(Extras::default()).unwrap();
        assert_eq!((basic.get("includeResourceData"), basic.get("origin")), (None, None));
    }

    #[test]
    fn under_which_origin_an_app_asked_is_kept_where_content_is_told() {
        let extras = Extras { include_resource_data: true, ..Extras::default() };
        let rich = Subscription { extras: extras.boxed(), ..stored() };
        let kept = |of: Subscription| of.extras.and_then(|extras| extras.origin);
        assert_eq!(kept(rich.clone().asked_under("https://h:8443")).as_deref(), Some("https://h:8443"));
        assert_eq!(kept(rich.clone().asked_under(&format!("https://{}", "h".repeat(300)))), None);
        assert_eq!(kept(stored().asked_under("https://h")), None);
    }

    /// A million of them are in memory; beside this there are their texts.
    #[test]
    fn what_few_have_costs_the_others_a_word() {
        assert_eq!(size_of::<Option<Box<Extras>>>(), size_of::<usize>());
        assert!(size_of::<Subscription>() <= 320, "{}", size_of::<Subscription>());
    }
}
