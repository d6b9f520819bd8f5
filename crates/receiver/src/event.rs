//! CloudEvents, as topics and webhooks of Event Grid carry them, and what those of Outlook tell.

use std::collections::BTreeMap;

use protocol::cloud_event::{Attributes, CloudEvent};
pub use protocol::cloud_event::{Extension, InvalidEvent};
use protocol::envelope::EncryptedContent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::client_state::ClientState;
use crate::notification::{Change, ChangeType, Lifecycle, LifecycleEvent, Notification};

/// How the types of all events begin that tell of Outlook, in any case.
const GRAPH: &str = "microsoft.graph.";

/// A CloudEvent. Its members are `pub` to be read and, of one that you publish, to be set.
///
/// ```
/// use tidings_receiver::Event;
///
/// let mut event = Event::new("4711", "/shop", "com.example.ordered").with_json(&serde_json::json!({"sum": 12}))?;
/// event.subject = Some("orders/4711".to_owned());
/// assert_eq!(event.json::<serde_json::Value>()?["sum"], 12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// With `source` it names the event: what comes again has the same two.
    pub id: String,
    /// Who tells it: a URI reference, `/tenants/{tenant}/applications/{app}` of what Graph tells.
    pub source: String,
    /// `type`: what happened, such as `Microsoft.Graph.MessageCreated`.
    pub kind: String,
    /// To what.
    pub subject: Option<String>,
    /// When: RFC 3339, as it was written.
    pub time: Option<String>,
    /// `datacontenttype`: the media type of the data. JSON goes without saying.
    pub data_content_type: Option<String>,
    /// `dataschema`: a URI that says what the data looks like.
    pub data_schema: Option<String>,
    /// Attributes that CloudEvents does not name.
    pub extensions: BTreeMap<String, Extension>,
    /// What the event carries.
    pub data: Option<Data>,
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// JSON, as it was written: [`Event::json`] reads it.
    Json(String),
    /// Text of another media type.
    Text(String),
    /// Anything else.
    Binary(Vec<u8>),
}

/// Why the data is not what you asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is none.
    #[error("the event has no data")]
    None,
    /// Its media type is another.
    #[error("the event's data is no JSON")]
    NotJson,
    /// It is JSON of another shape. The data itself is not repeated.
    #[error("the event's data has another shape: see line {line}, column {column}")]
    Shape {
        /// Where it went wrong, from 1.
        line: usize,
        /// Likewise, in bytes.
        column: usize,
    },
}

/// Why an event tells nothing of Outlook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOutlook {
    /// Its type is of something else.
    #[error("events of the type {0:?} do not tell of Outlook")]
    Kind(String),
    /// There is no data, or no JSON.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A member that every such event has is missing, or no text.
    #[error("the event's data has no text {0:?}")]
    Member(&'static str),
}

impl Event {
    /// One without data.
    pub fn new(id: impl Into<String>, source: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { id: id.into(), source: source.into(), kind: kind.into(), ..Self::default() }
    }

    /// The same with this as its data, in JSON.
    pub fn with_json(self, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { data: Some(Data::Json(serde_json::to_string(data)?)), ..self })
    }

    /// The data, read into a type of yours or into `serde_json::Value`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        match &self.data {
            None => Err(DataError::None),
            Some(Data::Json(text)) => serde_json::from_str(text)
                .map_err(|error| DataError::Shape { line: error.line(), column: error.column() }),
            Some(_) => Err(DataError::NotJson),
        }
    }

    /// What an event of Outlook tells, whichever of the three shapes of `data` its topic has: `documented`, `observed` or
    /// `graph`. The notification's id is the event's.
    ///
    /// ```
    /// use tidings_receiver::{Event, Notification};
    ///
    /// # let data = serde_json::json!({"subscriptionId": "7f1d", "changeType": "created",
    /// #     "SubscriptionExpirationDateTime": "2026-12-01T10:00:00.0000000Z",
    /// #     "resource": "https://graph.example/api/beta/Users('me@contoso')/Messages('AAMk')", "resourceData": {}});
    /// let event = Event::new("1", "/tenants/t/applications/a", "Microsoft.Graph.MessageCreated").with_json(&data)?;
    /// if let Notification::Change(change) = event.notification()? {
    ///     assert_eq!(change.resource, "Users/me/Messages/AAMk"); // GET {server}/v1.0/{resource}
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notification(&self) -> Result<Notification, NotOutlook> {
        if !self.kind.get(..GRAPH.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRAPH)) {
            return Err(NotOutlook::Kind(self.kind.chars().take(100).collect()));
        }
        let data = Members(self.json()?);
        let subscription_id = data.needed("subscriptionId")?;
        let subscription_expires = data.text("subscriptionExpirationDateTime").unwrap_or_default();
        let (id, tenant_id) = (Some(self.id.clone()), data.text("tenantId"));
        if let Some(event) = data.text("lifecycleEvent") {
            let event = LifecycleEvent::from(event);
            return Ok(Notification::Lifecycle(Lifecycle {
                event,
                subscription_id,
                subscription_expires,
                tenant_id,
                id,
            }));
        }
        let change_type = ChangeType::from(data.needed("changeType")?.to_ascii_lowercase());
        let (resource, tenant_of_resource) = relative(data.needed("resource")?);
        let item = data.members("resourceData");
        Ok(Notification::Change(Change {
            change_type,
            resource,
            item_id: item.text("id"),
            odata_type: item.text("@odata.type"),
            etag: item.text("@odata.etag"),
            subscription_id,
            subscription_expires,
            tenant_id: tenant_id.or(tenant_of_resource),
            id,
            encrypted_content: data.read::<EncryptedContent>("encryptedContent"),
        }))
    }

    /// Whether an event of Outlook repeats the `clientState` of its subscription. What you pull comes from your topic;
    /// what is pushed may come from anybody, and this tells.
    pub fn has_client_state(&self, state: &ClientState) -> bool {
        let data = self.json().map(Members).ok();
        data.and_then(|data| data.text("clientState")).is_some_and(|given| state.is(&given))
    }

    /// In the form that is written; checks what must hold for every event.
    #[cfg_attr(not(feature = "pull"), allow(dead_code))]
    pub(crate) fn checked(&self) -> Result<CloudEvent, InvalidEvent> {
        use protocol::cloud_event::{Data as Carried, Json};
        let attributes = Attributes {
            id: self.id.clone(),
            source: self.source.clone(),
            event_type: self.kind.clone(),
            subject: self.subject.clone(),
            time: self.time.clone(),
            data_content_type: self.data_content_type.clone(),
            data_schema: self.data_schema.clone(),
            extensions: self.extensions.clone(),
        };
        let data = match &self.data {
            None => None,
            Some(Data::Json(text)) => Some(Carried::Json(Json::parse(text.as_bytes())?)),
            Some(Data::Text(text)) => Some(Carried::Text(text.clone())),
            Some(Data::Binary(bytes)) => Some(Carried::Binary(bytes.clone())),
        };
        CloudEvent::new(attributes, data)
    }
}

impl From<CloudEvent> for Event {
    fn from(event: CloudEvent) -> Self {
        use protocol::cloud_event::Data as Carried;
        let data = event.data().map(|data| match data {
            Carried::Json(json) => Data::Json(json.as_str().to_owned()),
            Carried::Text(text) => Data::Text(text.clone()),
            Carried::Binary(bytes) => Data::Binary(bytes.clone()),
        });
        let Attributes { id, source, event_type, subject, time, data_content_type, data_schema, extensions } =
            event.attributes().clone();
        Self { id, source, kind: event_type, subject, time, data_content_type, data_schema, extensions, data }
    }
}

/// An object whose members begin with a small letter or a capital one: that depends on the topic.
struct Members(Map<String, Value>);

impl Members {
    fn get(&self, name: &str) -> Option<&Value> {
        let capital = || {
            let (first, rest) = name.split_at_checked(1)?;
            self.0.get(&(first.to_ascii_uppercase() + rest))
        };
        self.0.get(name).or_else(capital).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn needed(&self, name: &'static str) -> Result<String, NotOutlook> {
        self.text(name).ok_or(NotOutlook::Member(name))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|value| serde_json::from_value(value.clone()).ok())
    }

    fn members(&self, name: &str) -> Members {
        Members(self.get(name).and_then(Value::as_object).cloned().unwrap_or_default())
    }
}

/// A resource as it stands behind the version of the API, and the tenant if it names that: the documented shape has
/// `https://…/Users('{user}@{tenant}')/Messages('{id}')`.
fn relative(resource: String) -> (String, Option<String>) {
    let read = || {
        let (_, after_scheme) = resource.split_once("://")?;
        let (_, path) = after_scheme.split_once("/Users('")?;
        let (owner, rest) = path.split_once("')/")?;
        let (user, tenant) = owner.rsplit_once('@')?;
        let (collection, id) = rest.strip_suffix("')")?.split_once("('")?;
        Some((format!("Users/{user}/{collection}/{id}"), Some(tenant.to_owned())))
    };
    read().unwrap_or((resource, None))
}

#[cfg(test)]
mod tests {
    use protocol::event_grid::{
        ItemChange, ItemEvent, ItemKind, LifecycleKind, Profile, Subscription, item_event, lifecycle_event,
    };
    use serde_json::json;

    use super::*;

    const SUBSCRIPTION: Subscription<'_> = Subscription {
        id: "7f1d",
        tenant: "84bd",
        app: "507c",
        expiration: "2026-12-01T10:00:00Z",
        client_state: Some("s3cret"),
        public_base: "https://tidings.example",
    };

    fn told(profile: Profile) -> Event {
        let told = ItemEvent {
            id: "n",
            time: "2026-11-24T10:00:00Z",
            position: 9,
            kind: ItemKind::Message,
            change: ItemChange::Updated,
            user: "0b1c",
            item: "AAMk=",
            etag: "W/\"1\"",
        };
        item_event(profile, &SUBSCRIPTION, &told).unwrap().into()
    }

    #[test]
    fn a_change_is_read_from_each_shape_of_data() {
        for profile in Profile::ALL {
            let event = told(profile);
            let Notification::Change(change) = event.notification().unwrap() else { panic!("{event:?}") };
            assert_eq!(
                (change.change_type, change.resource.as_str()),
                (ChangeType::Updated, "Users/0b1c/Messages/AAMk=")
            );
            assert_eq!((change.subscription_id.as_str(), change.tenant_id.as_deref()), ("7f1d", Some("84bd")));
            let texts = [change.item_id, change.etag, change.id].map(Option::unwrap);
            assert_eq!(texts, ["AAMk=", "W/\"1\"", "n"], "{profile:?}");
            assert!(change.subscription_expires.starts_with("2026-12-01T10:00:00"));
            assert!(change.odata_type.unwrap().to_lowercase().ends_with(".message"));
            assert!(event.has_client_state(&ClientState::new("s3cret")));
            assert!(!event.has_client_state(&ClientState::new("guess")));
        }
    }

    #[test]
    fn a_step_in_a_life_is_read() {
        for (kind, event) in [
            (LifecycleKind::Missed, LifecycleEvent::Missed),
            (LifecycleKind::SubscriptionRemoved, LifecycleEvent::SubscriptionRemoved),
            (LifecycleKind::ReauthorizationRequired, LifecycleEvent::ReauthorizationRequired),
        ] {
            let told = Event::from(lifecycle_event(&SUBSCRIPTION, "n", "2026-11-24T10:00:00Z", kind).unwrap());
            let Notification::Lifecycle(lifecycle) = told.notification().unwrap() else { panic!("{told:?}") };
            assert_eq!((lifecycle.event, lifecycle.id.as_deref()), (event, Some("n")));
        }
    }

    #[test]
    fn what_tells_nothing_of_outlook_says_why() {
        let of = |kind: &str, data: Value| Event::new("1", "/s", kind).with_json(&data).unwrap().notification();
        assert_eq!(of("com.example.x", json!({})), Err(NotOutlook::Kind("com.example.x".to_owned())));
        let kind = "Microsoft.Graph.MessageCreated";
        assert_eq!(of(kind, json!({})), Err(NotOutlook::Member("subscriptionId")));
        assert_eq!(of(kind, json!({"SubscriptionId": "s", "changeType": 1})), Err(NotOutlook::Member("changeType")));
        assert!(matches!(of(kind, json!([])), Err(NotOutlook::Data(DataError::Shape { .. }))));
        assert_eq!(Event::new("1", "/s", kind).notification(), Err(NotOutlook::Data(DataError::None)));
        let text = Event { data: Some(Data::Text("x".to_owned())), ..Event::new("1", "/s", kind) };
        assert_eq!(text.notification(), Err(NotOutlook::Data(DataError::NotJson)));
    }

    #[test]
    fn a_resource_of_an_unknown_form_stays_as_it_is() {
        for resource in
            ["Users/u/Messages/m", "https://x/Users('u')/Messages('m')", "https://x", "Users('a@b')/Messages('m')"]
        {
            assert_eq!(relative(resource.to_owned()), (resource.to_owned(), None));
        }
    }

    #[test]
    fn an_event_is_written_as_it_was_read() {
        let mut event = told(Profile::Graph);
        event.extensions.insert("place".to_owned(), Extension::Integer(3));
        assert_eq!(Event::from(event.checked().unwrap()), event);
        let binary = Event { data: Some(Data::Binary(vec![0, 255])), ..Event::new("1", "/s", "t") };
        assert_eq!(Event::from(binary.checked().unwrap()), binary);
        assert_eq!(Event::new("", "/s", "t").checked(), Err(InvalidEvent::Empty("id")));
        let broken = Event { data: Some(Data::Json("{".to_owned())), ..Event::new("1", "/s", "t") };
        assert!(matches!(broken.checked(), Err(InvalidEvent::Json(_))));
    }
}
