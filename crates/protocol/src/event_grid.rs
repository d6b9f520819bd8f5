//! What Event Grid's partner topics carry of Outlook: nine types of events, and three of subscriptions' lives, as
//! CloudEvents. Profiles say what `data` looks like, since what is published and what was seen differ.

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::LifecycleNotification;
use crate::cloud_event::{Attributes, CloudEvent, Data, InvalidEvent, Json};

pub mod dead_letter;
mod field;
mod filter;
pub mod handshake;
pub mod management;
pub mod pull;
pub mod push;
pub mod shared_access;

pub use field::{EventField, FIELD_CHARS_MAX, InvalidField};
pub use filter::{AdvancedFilter, EventSubscriptionFilter};

/// What the data of a topic's events looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The published samples, which are those of Outlook's own notifications.
    #[default]
    Documented,
    /// What was seen of the service: members in two spellings.
    Observed,
    /// Graph's `changeNotification`, which Microsoft's samples for other resources read.
    Graph,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::Documented, Self::Observed, Self::Graph];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Observed => "observed",
            Self::Graph => "graph",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text)
    }
}

/// What all events say alike that one subscription leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    pub id: &'a str,
    pub tenant: &'a str,
    /// The app that subscribed.
    pub app: &'a str,
    /// When it ends: RFC 3339 in `Z`.
    pub expiration: &'a str,
    pub client_state: Option<&'a str>,
    /// Where this server is reached, as `https://host`, without a slash at the end.
    pub public_base: &'a str,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    Event,
    Contact,
    Message,
}

impl ItemKind {
    pub const ALL: [Self; 3] = [Self::Event, Self::Contact, Self::Message];

    /// As the types of events and entities have it.
    fn name(self) -> &'static str {
        match self {
            Self::Event => "Event",
            Self::Contact => "Contact",
            Self::Message => "Message",
        }
    }
}

/// How it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemChange {
    Created,
    Updated,
    Deleted,
}

impl ItemChange {
    pub const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    fn name(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Updated => "Updated",
            Self::Deleted => "Deleted",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// The type of the event that tells of it.
pub fn item_event_type(kind: ItemKind, change: ItemChange) -> String {
    format!("Microsoft.Graph.{}{}", kind.name(), change.name())
}

/// One change that a subscription hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemEvent<'a> {
    /// The notification's id, which is equal whenever it is told.
    pub id: &'a str,
    /// When it happened: RFC 3339 in `Z`.
    pub time: &'a str,
    /// Where it stands in its log.
    pub position: u64,
    pub kind: ItemKind,
    pub change: ItemChange,
    /// The object id of the user whose mailbox it is in.
    pub user: &'a str,
    /// The item's id in the form that the subscription asked for.
    pub item: &'a str,
    pub etag: &'a str,
}

/// A step in a subscription's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifecycleKind {
    ReauthorizationRequired,
    SubscriptionRemoved,
    Missed,
}

impl LifecycleKind {
    pub const ALL: [Self; 3] = [Self::ReauthorizationRequired, Self::SubscriptionRemoved, Self::Missed];

    /// The first is documented for Event Grid; the others are named in its way.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::ReauthorizationRequired => "Microsoft.Graph.SubscriptionReauthorizationRequired",
            Self::SubscriptionRemoved => "Microsoft.Graph.SubscriptionRemoved",
            Self::Missed => "Microsoft.Graph.Missed",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::ReauthorizationRequired => "reauthorizationRequired",
            Self::SubscriptionRemoved => "subscriptionRemoved",
            Self::Missed => "missed",
        }
    }
}

/// The event that tells of a change. It is refused where a text that was given cannot stand in an event.
pub fn item_event(profile: Profile, of: &Subscription<'_>, told: &ItemEvent<'_>) -> Result<CloudEvent, InvalidEvent> {
    let collection = format!("{}s", told.kind.name());
    let subject = match profile {
        Profile::Documented => format!("{collection}/{}", told.item),
        Profile::Observed | Profile::Graph => format!("Users/{}/{collection}/{}", told.user, told.item),
    };
    let data = match profile {
        Profile::Documented => json(&documented::data(of, told)),
        Profile::Observed => json(&observed::data(of, told, &subject)),
        Profile::Graph => json(&graph::data(of, told, &subject)),
    };
    event(of, told.id, told.time, item_event_type(told.kind, told.change), subject, data)
}

/// The event that tells of a step in the life of the subscription, in every profile the same.
pub fn lifecycle_event(
    of: &Subscription<'_>,
    id: &str,
    time: &str,
    kind: LifecycleKind,
) -> Result<CloudEvent, InvalidEvent> {
    let data = json(&LifecycleNotification {
        lifecycle_event: kind.word().into(),
        subscription_id: of.id.into(),
        subscription_expiration_date_time: of.expiration.into(),
        client_state: of.client_state.map(Into::into),
        tenant_id: of.tenant.into(),
        id: None,
    });
    event(of, id, time, kind.event_type().to_owned(), format!("Subscriptions/{}", of.id), data)
}

fn event(
    of: &Subscription<'_>,
    id: &str,
    time: &str,
    event_type: String,
    subject: String,
    data: Json,
) -> Result<CloudEvent, InvalidEvent> {
    let attributes = Attributes {
        id: id.to_owned(),
        source: format!("/tenants/{}/applications/{}", of.tenant, of.app),
        event_type,
        subject: Some(subject),
        time: Some(with_seven_digits(time)),
        data_content_type: Some("application/json".to_owned()),
        ..Attributes::default()
    };
    CloudEvent::new(attributes, Some(Data::Json(data)))
}

fn json(data: &impl Serialize) -> Json {
    Json::from_raw(to_raw_value(data).expect("texts and numbers can be written as JSON"))
}

/// .NET writes seven fractional digits, and some readers expect them. What is no time in `Z` stays as it is.
fn with_seven_digits(time: &str) -> String {
    let Some(time) = time.strip_suffix('Z') else { return time.to_owned() };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{whole}.{fraction:0<7.7}Z")
}

/// The published samples.
mod documented {
    use super::*;

    #[derive(Serialize)]
    pub(super) struct Notification<'a> {
        #[serde(rename = "@odata.type")]
        odata_type: &'static str,
        /// Always `null`.
        #[serde(rename = "Id")]
        id: Option<()>,
        #[serde(rename = "SubscriptionExpirationDateTime")]
        subscription_expiration_date_time: String,
        #[serde(rename = "ChangeType")]
        change_type: &'static str,
        #[serde(rename = "subscriptionId")]
        subscription_id: &'a str,
        resource: String,
        #[serde(rename = "clientState")]
        client_state: Option<&'a str>,
        #[serde(rename = "resourceData")]
        resource_data: ResourceData<'a>,
    }

    #[derive(Serialize)]
    struct ResourceData<'a> {
        #[serde(rename = "Id")]
        id: &'a str,
        #[serde(rename = "@odata.etag")]
        odata_etag: &'a str,
        #[serde(rename = "@odata.id")]
        odata_id: String,
        #[serde(rename = "@odata.type")]
        odata_type: String,
    }

    pub(super) fn data<'a>(of: &Subscription<'a>, told: &ItemEvent<'a>) -> Notification<'a> {
        let kind = told.kind.name();
        let resource =
            format!("{}/api/beta/Users('{}@{}')/{kind}s('{}')", of.public_base, told.user, of.tenant, told.item);
        Notification {
            odata_type: "#Microsoft.OutlookServices.Notification",
            id: None,
            subscription_expiration_date_time: with_seven_digits(of.expiration),
            change_type: told.change.word(),
            subscription_id: of.id,
            resource: resource.clone(),
            client_state: of.client_state,
            resource_data: ResourceData {
                id: told.item,
                odata_etag: told.etag,
                odata_id: resource,
                odata_type: format!("#Microsoft.OutlookServices.{kind}"),
            },
        }
    }
}

/// What a request that was recorded in 2024 has.
mod observed {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Notification<'a> {
        subscription_id: &'a str,
        subscription_expiration_date_time: &'a str,
        change_type: &'static str,
        resource: &'a str,
        resource_data: ResourceData<'a>,
        #[serde(rename = "clientState")]
        client_state: Option<&'a str>,
        #[serde(rename = "tenantId")]
        tenant_id: &'a str,
    }

    #[derive(Serialize)]
    struct ResourceData<'a> {
        #[serde(rename = "@odata.type")]
        odata_type: String,
        #[serde(rename = "@odata.id")]
        odata_id: &'a str,
        #[serde(rename = "@odata.etag")]
        odata_etag: &'a str,
        #[serde(rename = "Id")]
        id: &'a str,
    }

    pub(super) fn data<'a>(of: &Subscription<'a>, told: &ItemEvent<'a>, resource: &'a str) -> Notification<'a> {
        Notification {
            subscription_id: of.id,
            subscription_expiration_date_time: of.expiration,
            change_type: told.change.word(),
            resource,
            resource_data: ResourceData {
                odata_type: format!("#Microsoft.Graph.{}", told.kind.name()),
                odata_id: resource,
                odata_etag: told.etag,
                id: told.item,
            },
            client_state: of.client_state,
            tenant_id: of.tenant,
        }
    }
}

/// `changeNotification` as Microsoft's samples of Entra's events have it, with all properties of the published table.
mod graph {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Notification<'a> {
        change_type: &'static str,
        client_state: Option<&'a str>,
        resource: &'a str,
        resource_data: ResourceData<'a>,
        subscription_expiration_date_time: &'a str,
        subscription_id: &'a str,
        tenant_id: &'a str,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ResourceData<'a> {
        #[serde(rename = "@odata.type")]
        odata_type: String,
        #[serde(rename = "@odata.id")]
        odata_id: &'a str,
        #[serde(rename = "@odata.etag")]
        odata_etag: &'a str,
        id: &'a str,
        organization_id: &'a str,
        event_time: String,
        /// As text: JavaScript's numbers end at 53 bits.
        sequence_number: String,
    }

    pub(super) fn data<'a>(of: &Subscription<'a>, told: &ItemEvent<'a>, resource: &'a str) -> Notification<'a> {
        Notification {
            change_type: told.change.word(),
            client_state: of.client_state,
            resource,
            resource_data: ResourceData {
                odata_type: format!("#Microsoft.Graph.{}", told.kind.name()),
                odata_id: resource,
                odata_etag: told.etag,
                id: told.item,
                organization_id: of.tenant,
                event_time: with_seven_digits(told.time),
                sequence_number: told.position.to_string(),
            },
            subscription_expiration_date_time: of.expiration,
            subscription_id: of.id,
            tenant_id: of.tenant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
    const USER: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
    const OF: Subscription<'static> = Subscription {
        id: "5f7c0a11-2222-4333-8444-555566667777",
        tenant: TENANT,
        app: "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
        expiration: "2026-12-01T10:00:00Z",
        client_state: Some("s3cret"),
        public_base: "https://tidings.example:8443",
    };
    const TOLD: ItemEvent<'static> = ItemEvent {
        id: "00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        time: "2026-11-24T10:00:00.25Z",
        position: 9_007_199_254_740_993,
        kind: ItemKind::Message,
        change: ItemChange::Created,
        user: USER,
        item: "AAMkAGUwAAA=",
        etag: "W/\"CQAAAA==\"",
    };

    fn pretty(event: &CloudEvent) -> String {
        // A line for each member; nothing that is told here has a comma or brace in it.
        let text = String::from_utf8(event.to_json()).unwrap();
        text.replace(",\"", ",\n\"").replace(":{\"", ":{\n\"")
    }

    #[test]
    fn a_change_in_the_profile_documented() {
        insta::assert_snapshot!(pretty(&item_event(Profile::Documented, &OF, &TOLD).unwrap()), @r##"
        {"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        "type":"Microsoft.Graph.MessageCreated",
        "source":"/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
        "subject":"Messages/AAMkAGUwAAA=",
        "time":"2026-11-24T10:00:00.2500000Z",
        "datacontenttype":"application/json",
        "specversion":"1.0",
        "data":{
        "@odata.type":"#Microsoft.OutlookServices.Notification",
        "Id":null,
        "SubscriptionExpirationDateTime":"2026-12-01T10:00:00.0000000Z",
        "ChangeType":"created",
        "subscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
        "resource":"https://tidings.example:8443/api/beta/Users('622eaaff-0683-4862-9de4-f2ec83c2bd98@84bd8158-6d4d-4958-8b9f-9d6445542f95')/Messages('AAMkAGUwAAA=')",
        "clientState":"s3cret",
        "resourceData":{
        "Id":"AAMkAGUwAAA=",
        "@odata.etag":"W/\"CQAAAA==\"",
        "@odata.id":"https://tidings.example:8443/api/beta/Users('622eaaff-0683-4862-9de4-f2ec83c2bd98@84bd8158-6d4d-4958-8b9f-9d6445542f95')/Messages('AAMkAGUwAAA=')",
        "@odata.type":"#Microsoft.OutlookServices.Message"}}}
        "##);
    }

    #[test]
    fn a_change_in_the_profile_observed_has_its_members_in_two_spellings() {
        insta::assert_snapshot!(pretty(&item_event(Profile::Observed, &OF, &TOLD).unwrap()), @r##"
        {"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        "type":"Microsoft.Graph.MessageCreated",
        "source":"/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
        "subject":"Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwAAA=",
        "time":"2026-11-24T10:00:00.2500000Z",
        "datacontenttype":"application/json",
        "specversion":"1.0",
        "data":{
        "SubscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
        "SubscriptionExpirationDateTime":"2026-12-01T10:00:00Z",
        "ChangeType":"created",
        "Resource":"Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwAAA=",
        "ResourceData":{
        "@odata.type":"#Microsoft.Graph.Message",
        "@odata.id":"Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwAAA=",
        "@odata.etag":"W/\"CQAAAA==\"",
        "Id":"AAMkAGUwAAA="},
        "clientState":"s3cret",
        "tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95"}}
        "##);
    }

    #[test]
    fn a_change_in_the_profile_graph_has_every_property_of_the_published_table() {
        insta::assert_snapshot!(pretty(&item_event(Profile::Graph, &OF, &TOLD).unwrap()), @r##"
        {"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        "type":"Microsoft.Graph.MessageCreated",
        "source":"/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
        "subject":"Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwAAA=",
        "time":"2026-11-24T10:00:00.2500000Z",
        "datacontenttype":"application/json",
        "specversion":"1.0",
        "data":{
        "changeType":"created",
        "clientState":"s3cret",
        "resource":"Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwAAA=",
        "resourceData":{
        "@odata.type":"#Microsoft.Graph.Message",
        "@odata.id":"Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwAAA=",
        "@odata.etag":"W/\"CQAAAA==\"",
        "id":"AAMkAGUwAAA=",
        "organizationId":"84bd8158-6d4d-4958-8b9f-9d6445542f95",
        "eventTime":"2026-11-24T10:00:00.2500000Z",
        "sequenceNumber":"9007199254740993"},
        "subscriptionExpirationDateTime":"2026-12-01T10:00:00Z",
        "subscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
        "tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95"}}
        "##);
    }

    #[test]
    fn lives_are_told_in_the_form_of_webhooks_in_every_profile() {
        let events = LifecycleKind::ALL.map(|kind| lifecycle_event(&OF, TOLD.id, TOLD.time, kind).unwrap());
        insta::assert_snapshot!(pretty(&events[0]), @r#"
        {"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        "type":"Microsoft.Graph.SubscriptionReauthorizationRequired",
        "source":"/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
        "subject":"Subscriptions/5f7c0a11-2222-4333-8444-555566667777",
        "time":"2026-11-24T10:00:00.2500000Z",
        "datacontenttype":"application/json",
        "specversion":"1.0",
        "data":{
        "lifecycleEvent":"reauthorizationRequired",
        "subscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
        "subscriptionExpirationDateTime":"2026-12-01T10:00:00Z",
        "clientState":"s3cret",
        "tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95"}}
        "#);
        let types = events.map(|event| event.attributes().event_type.clone());
        assert_eq!(
            types,
            [
                "Microsoft.Graph.SubscriptionReauthorizationRequired",
                "Microsoft.Graph.SubscriptionRemoved",
                "Microsoft.Graph.Missed"
            ]
        );
    }

    #[test]
    fn without_a_client_state_it_is_null() {
        let of = Subscription { client_state: None, ..OF };
        for profile in Profile::ALL {
            let event = String::from_utf8(item_event(profile, &of, &TOLD).unwrap().to_json()).unwrap();
            assert!(event.contains(r#""clientState":null"#), "{event}");
        }
    }

    #[test]
    fn times_have_seven_digits() {
        for (time, expected) in [
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00.0000000Z"),
            ("2026-11-24T10:00:00.25Z", "2026-11-24T10:00:00.2500000Z"),
            ("2024-05-22T22:24:31.3062901Z", "2024-05-22T22:24:31.3062901Z"),
            ("2024-05-22T22:24:31.306290199Z", "2024-05-22T22:24:31.3062901Z"),
            ("2024-03-01T12:00:00+01:00", "2024-03-01T12:00:00+01:00"),
        ] {
            assert_eq!(with_seven_digits(time), expected);
        }
    }

    #[test]
    fn what_cannot_stand_in_an_event_is_refused() {
        let refused = |of: &Subscription<'_>, told: &ItemEvent<'_>| item_event(Profile::Graph, of, told).unwrap_err();
        assert_eq!(refused(&Subscription { tenant: "a b", ..OF }, &TOLD), InvalidEvent::Source);
        assert_eq!(refused(&OF, &ItemEvent { id: "", ..TOLD }), InvalidEvent::Empty("id"));
        assert_eq!(refused(&OF, &ItemEvent { time: "now", ..TOLD }), InvalidEvent::Time);
        let item = ItemEvent { item: "a\r\nb", ..TOLD };
        assert_eq!(refused(&OF, &item), InvalidEvent::Character("subject".to_owned()));
    }

    #[test]
    fn profiles_are_known_by_their_names() {
        for profile in Profile::ALL {
            assert_eq!(Profile::parse(profile.as_str()), Some(profile));
        }
        assert_eq!(Profile::parse("Documented"), None);
        assert_eq!(Profile::default(), Profile::Documented);
    }
}
