//! What a request to create or patch a subscription must look like, apart from what only the store or
//! a receiver can tell. Knows no HTTP: a refusal is a value with Graph's code and message.

use graph::path::{Watch, WatchError, watch};
use graph::refinement::{Refinement, RefinementRefusal};
use graph::registry::{self, Asked, AskedRefusal, Entry, Open, Place};
use graph::{ChangeType, Content, Timestamp};
use protocol::SubscriptionRequest;
use protocol::certificate::{self, CERTIFICATE_ID_CHARS_MAX, CertificateError};
use protocol::error::{Operation, extension_message};
use uuid::Uuid;

use crate::event_grid_url::{EventGridUrl, InvalidEventGridUrl, is_event_grid};
use crate::subscription::{ChangeTypes, Extras, Target, TlsVersion};
use crate::topic::TopicRefusal;
use crate::{Profile, Subscription};

/// The three change types, with room for blanks and repetition.
const CHANGE_TYPE_BYTES_MAX: usize = 128;

/// What Graph's documentation says of versions before 1.2: subscribing fails until the endpoint is upgraded.
const OLD_TLS: &str = "TLS 1.0 and 1.1 are retired: the notification endpoint must support TLS 1.2 or later; \
                       send v1_2 or v1_3, or leave the property out.";

/// Which of a subscription's two URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlRole {
    Notification,
    Lifecycle,
}

impl UrlRole {
    /// The URL's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            UrlRole::Notification => "NotificationUrl",
            UrlRole::Lifecycle => "LifecycleNotificationUrl",
        }
    }

    /// The property that holds the URL.
    pub fn property(self) -> &'static str {
        match self {
            UrlRole::Notification => "notificationUrl",
            UrlRole::Lifecycle => "lifecycleNotificationUrl",
        }
    }
}

/// Why a request is refused. `Display` is the message that the caller gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A date-time that cannot be read; the property's name.
    #[error("Could not process subscription creation payload. Are all property names spelled and camelCased properly?")]
    Date(&'static str),
    #[error("{0} must be provided with the subscription.")]
    Missing(&'static str),
    #[error("Invalid 'changeType' attribute: '{0}'.")]
    ChangeType(String),
    #[error("clientState can only be {0} characters long.")]
    ClientStateTooLong(usize),
    #[error("Invalid 'latestSupportedTlsVersion' attribute: '{0}'.")]
    TlsVersion(String),
    /// A version that nobody should speak any more, this server included.
    #[error("Invalid 'latestSupportedTlsVersion' attribute: '{version}'. {advice}", version = .0, advice = OLD_TLS)]
    TlsRetired(String),
    #[error(transparent)]
    Certificate(CertificateError),
    /// What content cannot be sealed without; the property's name.
    #[error("{0} must be provided with the subscription when includeResourceData is true.")]
    MissingToSeal(&'static str),
    #[error("encryptionCertificateId can only be {CERTIFICATE_ID_CHARS_MAX} characters long.")]
    CertificateIdTooLong,
    #[error("Invalid 'notificationUrlAppId' attribute: '{0}'.")]
    AppId(String),
    /// `is_rich`: the limit is that of resource data.
    #[error("Subscription expiration can only be {minutes_max} minutes in the future.")]
    TooLong { minutes_max: i64, is_rich: bool },
    #[error("{}", extension_message(Operation::Create, 400, .0.graph_text()))]
    Resource(WatchError),
    /// What stands behind the path of the resource.
    #[error("{}", extension_message(Operation::Create, 400, .0.graph_text()))]
    Refinement(RefinementRefusal),
    /// The same of a resource outside of mailboxes.
    #[error("{}", extension_message(Operation::Create, 400, .0.graph_text()))]
    Asked(AskedRefusal),
    /// `notificationQueryOptions` that cannot be read.
    #[error("Invalid 'notificationQueryOptions' attribute.")]
    QueryOptions(AskedRefusal),
    #[error(
        "lifecycleNotificationUrl is a required property for subscription creation on this resource when the \
         expirationDateTime value is set to greater than 1 hour."
    )]
    LifecycleUrl,
    /// A feature of Graph that this server does not have (yet).
    #[error("{0} is not supported by this server: {1}.")]
    Unsupported(&'static str, &'static str),
    #[error("Subscription must contain either the 'expirationDateTime' or 'notificationUrl' property and its value.")]
    NothingToPatch,
    /// An `EventGrid:` URL that names no topic; the property's name.
    #[error("Invalid '{0}' attribute: {1}.")]
    TopicUrl(&'static str, InvalidEventGridUrl),
    #[error("notificationUrl and lifecycleNotificationUrl must name the same partner topic.")]
    TwoTopics,
    /// The topic that it names is not to be had.
    #[error("Invalid 'notificationUrl' attribute: {0}.")]
    Topic(TopicRefusal),
    #[error("The property '{0}' of a subscription cannot be changed; delete the subscription and create a new one.")]
    Fixed(&'static str),
}

impl Refusal {
    /// Graph's error code.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TooLong { .. } | Refusal::Resource(_) | Refusal::Refinement(_) | Refusal::Asked(_) => {
                "ExtensionError"
            }
            _ => "InvalidRequest",
        }
    }

    /// What the verbatim message leaves unsaid.
    pub fn detail(&self) -> Option<String> {
        match self {
            Refusal::Date(name) => Some(format!("{name} must be a date-time such as 2026-11-21T10:00:00Z")),
            Refusal::TooLong { minutes_max, is_rich: true } => {
                Some(format!("with includeResourceData a subscription lives for {minutes_max} minutes at most"))
            }
            Refusal::Resource(error) => Some(error.to_string()),
            Refusal::Refinement(error) => Some(error.to_string()),
            Refusal::Certificate(error) => Some(error.advice().to_owned()),
            Refusal::AppId(_) => Some("notificationUrlAppId must be the id of an app, a GUID".to_owned()),
            Refusal::Asked(error) | Refusal::QueryOptions(error) => Some(error.to_string()),
            _ => None,
        }
    }
}

/// A create request that is sound in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Exactly as sent, query included.
    pub resource: String,
    /// What `resource` asks to watch.
    pub watch: Watching,
    pub change_type: String,
    pub change_types: ChangeTypes,
    pub notification_url: String,
    pub lifecycle_url: Option<String>,
    /// The partner topic that these name, one of them or both.
    pub topic: Option<EventGridUrl>,
    pub client_state: Option<String>,
    pub tls_version: TlsVersion,
    pub extras: Option<Box<Extras>>,
    /// Not below the floor, not above the limit.
    pub expires: Expiry,
}

/// What a `resource` asks to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watching {
    Items(Watch),
    /// A resource outside of mailboxes.
    Place(Place),
}

impl Watching {
    fn entry(&self) -> Option<&'static Entry> {
        match self {
            Watching::Items(_) => None,
            Watching::Place(place) => Some(place.kind.entry()),
        }
    }
}

/// When a subscription is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub at: Timestamp,
    /// The seventh fractional digit of what was asked for.
    pub tenths: u8,
}

/// A patch that is sound in itself and changes at least one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub expires: Option<Expiry>,
    pub notification_url: Option<String>,
    pub certificate: Option<String>,
    pub certificate_id: Option<String>,
}

impl Patch {
    /// The subscription after the patch.
    pub fn applied(self, current: &Subscription) -> Subscription {
        let mut after = current.clone();
        if let Some(expires) = self.expires {
            (after.expires, after.expires_tenths) = (expires.at, expires.tenths);
        }
        after.notification_url = self.notification_url.unwrap_or(after.notification_url);
        if self.certificate.is_some() || self.certificate_id.is_some() {
            let extras = after.extras.get_or_insert_default();
            extras.encryption_certificate = self.certificate.or(extras.encryption_certificate.take());
            extras.encryption_certificate_id = self.certificate_id.or(extras.encryption_certificate_id.take());
        }
        after
    }
}

/// Checks the body of `POST /subscriptions`.
pub fn create(request: &SubscriptionRequest, now: Timestamp, profile: &Profile) -> Result<Draft, Refusal> {
    let required = |value: &Option<String>, name| value.clone().ok_or(Refusal::Missing(name));
    let notification_url = required(&request.notification_url, "notificationUrl")?;
    let change_type = required(&request.change_type, "changeType")?;
    let resource = required(&request.resource, "resource")?;
    let expires = time(&request.expiration_date_time)?.ok_or(Refusal::Missing("expirationDateTime"))?;
    check_features(request)?;
    let is_rich = request.include_resource_data == Some(true);
    let change_types = change_types(&change_type)?;
    let watch = read_resource(&resource, is_rich);
    let entry = watch.as_ref().ok().and_then(Watching::entry);
    if entry.is_some_and(|entry| !change_types.iter().all(|change| entry.change_types().any(|known| known == change))) {
        return Err(Refusal::ChangeType(shortened(&change_type)));
    }
    if is_rich && entry.is_some() {
        return Err(Refusal::Unsupported("includeResourceData", "only messages, events and contacts have it"));
    }
    let chars_max = profile.client_state_chars_max;
    if request.client_state.as_ref().is_some_and(|text| text.chars().count() > chars_max) {
        return Err(Refusal::ClientStateTooLong(chars_max));
    }
    let tls_version = tls_version(request.latest_supported_tls_version.as_deref())?;
    let topic = topic(request)?;
    if topic.is_some() && is_rich {
        return Err(Refusal::Unsupported("includeResourceData", "the events of a partner topic carry no content"));
    }
    if topic.is_some() && entry.is_some() {
        return Err(Refusal::Unsupported("EventGrid", "only messages, events and contacts are told of as events"));
    }
    let extras = extras(request)?.boxed();
    let has_lifecycle_url = request.lifecycle_notification_url.is_some();
    let expires = match entry {
        None => expiry(expires, now, profile, is_rich)?,
        Some(entry) => expiry_of_resource(expires, now, profile, (entry, has_lifecycle_url))?,
    };
    // Graph leaves this to the part behind its front end, so it comes last.
    let watch = watch?;
    check_query_options(request, watch.entry())?;
    Ok(Draft {
        watch,
        resource,
        change_type,
        change_types,
        notification_url,
        lifecycle_url: request.lifecycle_notification_url.clone(),
        topic,
        client_state: request.client_state.clone(),
        tls_version,
        extras,
        expires,
    })
}

/// Checks the body of `PATCH /subscriptions/{id}`. Other properties may come along if they are as in
/// `current`, because clients send whole objects back.
pub fn patch(
    request: &SubscriptionRequest,
    current: &Subscription,
    now: Timestamp,
    profile: &Profile,
) -> Result<Patch, Refusal> {
    check_features(request)?;
    check_fixed(request, current)?;
    let expires = time(&request.expiration_date_time)?;
    let notification_url = request.notification_url.clone();
    let certificate = certificate(&request.encryption_certificate)?;
    let certificate_id = certificate_id(&request.encryption_certificate_id)?;
    let lived = |asked| match &current.target {
        Target::Items { .. } | Target::Topic(_) => expiry(asked, now, profile, current.is_rich()),
        Target::Resource(watched) => {
            expiry_of_resource(asked, now, profile, (watched.resource.entry(), current.lifecycle_url.is_some()))
        }
    };
    let expires = expires.map(lived).transpose()?;
    let patch = Patch { expires, notification_url, certificate, certificate_id };
    if patch == Patch::default() {
        return Err(Refusal::NothingToPatch);
    }
    Ok(patch)
}

/// The expiry that an app gets when it asks for `asked`: short lives are raised, long ones refused.
fn expiry(asked: Expiry, now: Timestamp, profile: &Profile, is_rich: bool) -> Result<Expiry, Refusal> {
    let minutes_max = if is_rich { profile.rich_life_minutes_max } else { profile.life_minutes_max };
    lived(asked, now, profile, minutes_max).ok_or(Refusal::TooLong { minutes_max, is_rich })
}

/// The same of a resource outside of mailboxes, which has a longest life of its own.
fn expiry_of_resource(
    asked: Expiry,
    now: Timestamp,
    profile: &Profile,
    (entry, has_lifecycle_url): (&Entry, bool),
) -> Result<Expiry, Refusal> {
    let minutes_max = entry.life_minutes_max;
    let expires = lived(asked, now, profile, minutes_max).ok_or(Refusal::TooLong { minutes_max, is_rich: false })?;
    let beyond = entry.lifecycle_url_beyond_minutes.map(|minutes| now.plus_minutes(minutes));
    match beyond.is_some_and(|beyond| expires.at > beyond) && !has_lifecycle_url {
        true => Err(Refusal::LifecycleUrl),
        false => Ok(expires),
    }
}

/// `None`: it is asked for longer than `minutes_max`.
fn lived(asked: Expiry, now: Timestamp, profile: &Profile, minutes_max: i64) -> Option<Expiry> {
    let floor = now.plus_minutes(profile.life_minutes_min);
    let given = if asked.at < floor { Expiry { at: floor, tenths: 0 } } else { asked };
    (asked.at <= now.plus_minutes(minutes_max)).then_some(given)
}

/// Reads `created, Updated` and the like.
pub fn change_types(text: &str) -> Result<ChangeTypes, Refusal> {
    let refused = || Refusal::ChangeType(shortened(text));
    if text.len() > CHANGE_TYPE_BYTES_MAX {
        return Err(refused());
    }
    let one = |word: &str| {
        ChangeType::ALL.into_iter().find(|change| change.as_str().eq_ignore_ascii_case(word.trim())).ok_or_else(refused)
    };
    text.split(',').map(one).collect::<Result<ChangeTypes, Refusal>>()
}

fn tls_version(text: Option<&str>) -> Result<TlsVersion, Refusal> {
    match text {
        None | Some("v1_2") => Ok(TlsVersion::V1_2),
        Some("v1_3") => Ok(TlsVersion::V1_3),
        Some(old @ ("v1_0" | "v1_1")) => Err(Refusal::TlsRetired(old.to_owned())),
        Some(other) => Err(Refusal::TlsVersion(shortened(other))),
    }
}

fn check_features(request: &SubscriptionRequest) -> Result<(), Refusal> {
    let webhook = "use a webhook's notificationUrl";
    let web_push = [
        &request.vapid_public_key,
        &request.web_push_encryption_p256dh_public_key,
        &request.web_push_encryption_secret,
    ];
    if web_push.into_iter().any(|value| given(value).is_some()) {
        return Err(Refusal::Unsupported("Web Push", webhook));
    }
    if given(&request.blob_store_url).is_some() {
        return Err(Refusal::Unsupported("blobStoreUrl", webhook));
    }
    match given(&request.notification_content_type) {
        None | Some("application/json") => Ok(()),
        Some(_) => Err(Refusal::Unsupported("notificationContentType", "use application/json")),
    }
}

/// A property that is set: apps send back the empty texts that older answers had for unset ones.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.is_empty())
}

fn extras(request: &SubscriptionRequest) -> Result<Extras, Refusal> {
    let is_rich = request.include_resource_data == Some(true);
    let needed = |value: Option<String>, name| match value {
        None if is_rich => Err(Refusal::MissingToSeal(name)),
        value => Ok(value),
    };
    let certificate = certificate(&request.encryption_certificate)?;
    let certificate_id = certificate_id(&request.encryption_certificate_id)?;
    Ok(Extras {
        encryption_certificate: needed(certificate, "encryptionCertificate")?,
        encryption_certificate_id: needed(certificate_id, "encryptionCertificateId")?,
        notification_url_app_id: app_id(&request.notification_url_app_id)?,
        notification_query_options: given(&request.notification_query_options).map(str::to_owned),
        notification_content_type: given(&request.notification_content_type).map(str::to_owned),
        include_resource_data: is_rich,
        ..Extras::default()
    })
}

fn certificate(value: &Option<String>) -> Result<Option<String>, Refusal> {
    let Some(text) = given(value) else { return Ok(None) };
    certificate::read(text).map_err(Refusal::Certificate)?;
    Ok(Some(text.to_owned()))
}

fn certificate_id(value: &Option<String>) -> Result<Option<String>, Refusal> {
    match given(value) {
        Some(text) if text.chars().count() > CERTIFICATE_ID_CHARS_MAX => Err(Refusal::CertificateIdTooLong),
        id => Ok(id.map(str::to_owned)),
    }
}

fn app_id(value: &Option<String>) -> Result<Option<String>, Refusal> {
    match given(value) {
        // With its hyphens, and without braces.
        Some(text) if text.len() != 36 || Uuid::parse_str(text).is_err() => Err(Refusal::AppId(shortened(text))),
        id => Ok(id.map(str::to_owned)),
    }
}

fn read_resource(resource: &str, is_rich: bool) -> Result<Watching, Refusal> {
    match watch(resource) {
        Ok(watched) => {
            let refinement = Refinement::read(watched.kind, &watched.options).map_err(Refusal::Refinement)?;
            if is_rich {
                Content::try_from(refinement).map_err(Refusal::Refinement)?;
            }
            Ok(Watching::Items(watched))
        }
        Err(WatchError::UnsupportedWorkload) => {
            let place = registry::place(resource).map_err(Refusal::Resource)?;
            Asked::read(&place, None).map_err(Refusal::Asked)?;
            Ok(Watching::Place(place))
        }
        Err(error) => Err(Refusal::Resource(error)),
    }
}

/// Whether what is watched has `notificationQueryOptions`, if there are some.
fn check_query_options(request: &SubscriptionRequest, entry: Option<&Entry>) -> Result<(), Refusal> {
    let given = given(&request.notification_query_options);
    let unsupported = |why| Refusal::Unsupported("notificationQueryOptions", why);
    match (given, entry) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(unsupported("Outlook resources do not have it")),
        (Some(text), Some(entry)) if entry.has_query_options => {
            Open::read_query_options(text).map(drop).map_err(Refusal::QueryOptions)
        }
        (Some(_), Some(_)) => Err(unsupported("this resource does not have it")),
    }
}

/// Where a URL leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// To a receiver. Whether it may be called is the outbound policy's to say.
    Webhook,
    /// Into a partner topic: nobody is called.
    Topic,
}

/// The channel that a URL asks for, if this server has it.
pub fn channel(role: UrlRole, url: &str) -> Result<Channel, Refusal> {
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("EventHub") {
        return Err(Refusal::Unsupported("EventHub", "use a webhook's https URL or a partner topic"));
    }
    if !is_event_grid(url) {
        return Ok(Channel::Webhook);
    }
    EventGridUrl::parse(url).map_err(|error| Refusal::TopicUrl(role.property(), error))?;
    Ok(Channel::Topic)
}

/// The one topic that the URLs of a request name.
fn topic(request: &SubscriptionRequest) -> Result<Option<EventGridUrl>, Refusal> {
    let named = |role: UrlRole, url: &Option<String>| match url.as_deref().filter(|url| is_event_grid(url)) {
        None => Ok(None),
        Some(url) => EventGridUrl::parse(url).map(Some).map_err(|error| Refusal::TopicUrl(role.property(), error)),
    };
    let notification = named(UrlRole::Notification, &request.notification_url)?;
    let lifecycle = named(UrlRole::Lifecycle, &request.lifecycle_notification_url)?;
    match (notification, lifecycle) {
        (Some(one), Some(other)) if !(one.names_the_topic_of(&other) && one.has_the_path_of(&other)) => {
            Err(Refusal::TwoTopics)
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn check_fixed(request: &SubscriptionRequest, current: &Subscription) -> Result<(), Refusal> {
    let kept = [
        ("resource", &request.resource, Some(&current.resource)),
        ("changeType", &request.change_type, Some(&current.change_type)),
        ("clientState", &request.client_state, current.client_state.as_ref()),
        ("lifecycleNotificationUrl", &request.lifecycle_notification_url, current.lifecycle_url.as_ref()),
    ];
    for (name, sent, now) in kept {
        if sent.is_some() && sent.as_ref() != now {
            return Err(Refusal::Fixed(name));
        }
    }
    // Nothing leads out of a topic, and into none that it was not made with.
    if request.notification_url.as_ref().is_some_and(|sent| {
        *sent != current.notification_url && (is_event_grid(sent) || is_event_grid(&current.notification_url))
    }) {
        return Err(Refusal::Fixed("notificationUrl"));
    }
    if request.include_resource_data.is_some_and(|sent| sent != current.is_rich()) {
        return Err(Refusal::Fixed("includeResourceData"));
    }
    let none = Extras::default();
    let extras = current.extras.as_deref().unwrap_or(&none);
    for (name, sent, now) in [
        ("notificationUrlAppId", &request.notification_url_app_id, &extras.notification_url_app_id),
        ("notificationQueryOptions", &request.notification_query_options, &extras.notification_query_options),
        ("notificationContentType", &request.notification_content_type, &extras.notification_content_type),
    ] {
        if given(sent).is_some() && sent != now {
            return Err(Refusal::Fixed(name));
        }
    }
    if request.latest_supported_tls_version.as_deref().is_some_and(|sent| sent != current.tls_version.as_str()) {
        return Err(Refusal::Fixed("latestSupportedTlsVersion"));
    }
    Ok(())
}

fn time(text: &Option<String>) -> Result<Option<Expiry>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let (at, tenths) = Timestamp::with_tenths(text).map_err(|_| Refusal::Date("expirationDateTime"))?;
    Ok(Some(Expiry { at, tenths }))
}

/// The start of what a caller sent, fit for a message.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use graph::{AppId, Kind, SubscriptionId, TenantId, UserId};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const APP: &str = "7b1fd1ea-0000-4000-8000-000000000001";
    const CERTIFICATE: &str = include_str!("../../protocol/tests/data/throwaway_certificate_2048.pem");
    const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200); // 2026-11-21T10:00:00Z

    fn create_with(changes: Value) -> Result<Draft, Refusal> {
        let mut body = json!({
            "changeType": "created,updated",
            "notificationUrl": "https://hook.example.net/graph?tenant=7",
            "resource": "/me/messages",
            "expirationDateTime": "2026-11-21T12:00:00Z",
            "clientState": "s3cret",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let request = SubscriptionRequest::parse_create(body.to_string().as_bytes()).unwrap();
        create(&request, NOW, &Profile::documented())
    }

    fn current() -> Subscription {
        Subscription {
            id: SubscriptionId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            app: AppId(Uuid::from_u128(3)),
            creator: UserId(Uuid::from_u128(4)),
            resource: "me/messages".into(),
            target: Target::Items { mailbox: UserId(Uuid::from_u128(4)), kind: Kind::Message, folder: None },
            change_types: change_types("created").unwrap(),
            change_type: "created".into(),
            notification_url: "https://hook.example.net/".into(),
            lifecycle_url: None,
            client_state: Some("s3cret".into()),
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            authorized: NOW,
            expires: NOW.plus_minutes(60),
            expires_tenths: 0,
            created: NOW,
        }
    }

    fn current_rich() -> Subscription {
        let extras = Extras {
            include_resource_data: true,
            encryption_certificate: Some(CERTIFICATE.to_owned()),
            encryption_certificate_id: Some("one".to_owned()),
            ..Extras::default()
        };
        Subscription { resource: "me/messages?$select=subject".to_owned(), extras: extras.boxed(), ..current() }
    }

    fn patch_of(current: &Subscription, body: Value) -> Result<Patch, Refusal> {
        let request = SubscriptionRequest::parse_create(body.to_string().as_bytes()).unwrap();
        patch(&request, current, NOW, &Profile::documented())
    }

    fn too_long(minutes_max: i64) -> Refusal {
        Refusal::TooLong { minutes_max, is_rich: false }
    }

    fn patch_with(body: Value) -> Result<Patch, Refusal> {
        patch_of(&current(), body)
    }

    #[test]
    fn what_apps_send_is_kept_exactly() {
        let draft = create_with(json!({"changeType": "Created, updated", "includeResourceData": "False"})).unwrap();
        assert_eq!(draft.resource, "/me/messages");
        assert_eq!(draft.change_type, "Created, updated");
        assert_eq!(draft.change_types.iter().collect::<Vec<_>>(), [ChangeType::Created, ChangeType::Updated]);
        assert_eq!(draft.notification_url, "https://hook.example.net/graph?tenant=7");
        assert_eq!((draft.tls_version, draft.expires.at), (TlsVersion::V1_2, NOW.plus_minutes(120)));
    }

    #[test]
    fn refusals_carry_graphs_words() {
        let long = "x".repeat(129);
        let payload =
            "Could not process subscription creation payload. Are all property names spelled and camelCased properly?";
        let table = [
            (json!({"expirationDateTime": "2026-11-22"}), payload),
            (json!({"expirationDateTime": null}), "expirationDateTime must be provided with the subscription."),
            (json!({"changeType": null}), "changeType must be provided with the subscription."),
            (json!({"resource": null}), "resource must be provided with the subscription."),
            (json!({"notificationUrl": null}), "notificationUrl must be provided with the subscription."),
            (json!({"changeType": "created,moved"}), "Invalid 'changeType' attribute: 'created,moved'."),
            (json!({"changeType": ""}), "Invalid 'changeType' attribute: ''."),
            (json!({"clientState": long}), "clientState can only be 128 characters long."),
            (
                json!({"vapidPublicKey": "x"}),
                "Web Push is not supported by this server: use a webhook's notificationUrl.",
            ),
            (
                json!({"resource": "me/messages?$top=5"}),
                "Operation: Create; Exception: [Status Code: BadRequest; Reason: $top, $skip, $orderby, \
                 $select=body,uniqueBody and $expand other than \
                 singleValueExtendedProperties,multiValueExtendedProperties are not supported in subscription resource \
                 Url.]",
            ),
            (
                json!({"resource": "me/messages?$filter=colour eq 'red'"}),
                "Operation: Create; Exception: [Status Code: BadRequest; Reason: The value of parameter 'Resource' is \
                 invalid.]",
            ),
            (
                json!({"resource": "me/drive"}),
                "Operation: Create; Exception: [Status Code: BadRequest; Reason: Unsupported workload.]",
            ),
            (json!({"latestSupportedTlsVersion": "v2"}), "Invalid 'latestSupportedTlsVersion' attribute: 'v2'."),
            (
                json!({"latestSupportedTlsVersion": "v1_1"}),
                "Invalid 'latestSupportedTlsVersion' attribute: 'v1_1'. TLS 1.0 and 1.1 are retired: the notification \
                 endpoint must support TLS 1.2 or later; send v1_2 or v1_3, or leave the property out.",
            ),
            (
                json!({"blobStoreUrl": "https://x"}),
                "blobStoreUrl is not supported by this server: use a webhook's notificationUrl.",
            ),
            (
                json!({"notificationQueryOptions": "$filter=isRead eq false"}),
                "notificationQueryOptions is not supported by this server: Outlook resources do not have it.",
            ),
            (
                json!({"notificationContentType": "application/xml"}),
                "notificationContentType is not supported by this server: use application/json.",
            ),
            (
                json!({"encryptionCertificate": "MIID"}),
                "Certificate validation error: Cannot find the requested object.",
            ),
            (
                json!({"encryptionCertificateId": "é".repeat(129)}),
                "encryptionCertificateId can only be 128 characters long.",
            ),
            (json!({"notificationUrlAppId": "my app"}), "Invalid 'notificationUrlAppId' attribute: 'my app'."),
            (
                json!({"notificationUrlAppId": APP.replace('-', "")}),
                "Invalid 'notificationUrlAppId' attribute: '7b1fd1ea000040008000000000000001'.",
            ),
            (
                json!({"expirationDateTime": "2026-11-24T08:30:01Z"}),
                "Subscription expiration can only be 4230 minutes in the future.",
            ),
        ];
        for (changes, message) in table {
            let refusal = create_with(changes.clone()).expect_err(&changes.to_string());
            assert_eq!(refusal.to_string(), message, "{changes}");
        }
        let refusal = channel(UrlRole::Notification, "eventhub:https://x").unwrap_err().to_string();
        assert_eq!(refusal, "EventHub is not supported by this server: use a webhook's https URL or a partner topic.");
    }

    #[test]
    fn what_few_ask_for_is_kept_as_it_was_sent_and_what_is_empty_is_unset() {
        let draft = create_with(json!({
            "encryptionCertificateId": "é".repeat(128), "notificationUrlAppId": APP.to_uppercase(),
            "notificationContentType": "application/json", "encryptionCertificate": "", "includeResourceData": false,
        }));
        let extras = *draft.unwrap().extras.unwrap();
        assert_eq!(extras.encryption_certificate_id, Some("é".repeat(128)));
        assert_eq!(extras.notification_url_app_id, Some(APP.to_uppercase()));
        assert_eq!(extras.notification_content_type.as_deref(), Some("application/json"));
        assert_eq!(extras.encryption_certificate, None);
        let empty = json!({"encryptionCertificateId": "", "notificationUrlAppId": "", "notificationContentType": ""});
        assert_eq!(create_with(empty).unwrap().extras, None);
    }

    fn rich(changes: Value) -> Result<Draft, Refusal> {
        let mut body = json!({
            "includeResourceData": true, "encryptionCertificate": CERTIFICATE, "encryptionCertificateId": "one",
            "resource": "me/messages?$select=subject",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        create_with(body)
    }

    #[test]
    fn content_needs_a_certificate_its_id_and_a_selection_of_what_changes_carry() {
        let behind =
            |reason: &str| format!("Operation: Create; Exception: [Status Code: BadRequest; Reason: {reason}]");
        let no_select = behind("select clause should be present in query string to support rich notifications");
        let to_seal =
            |name: &str| format!("{name} must be provided with the subscription when includeResourceData is true.");
        let forbidden = behind(
            "$top, $skip, $orderby, $select=body,uniqueBody and $expand other than \
             singleValueExtendedProperties,multiValueExtendedProperties are not supported in subscription resource Url.",
        );
        let unsupported = behind("The value of parameter 'Resource' is not supported.");
        for (changes, message) in [
            (json!({"encryptionCertificate": null}), to_seal("encryptionCertificate")),
            (json!({"encryptionCertificate": ""}), to_seal("encryptionCertificate")),
            (json!({"encryptionCertificateId": null}), to_seal("encryptionCertificateId")),
            (json!({"resource": "me/messages"}), no_select.clone()),
            (json!({"resource": "me/events?$select=*"}), no_select),
            (json!({"resource": "me/contacts?$select=displayName,extensions"}), unsupported.clone()),
            (json!({"resource": "me/messages?$select=subject,body"}), forbidden.clone()),
            (json!({"resource": "me/messages?$select=subject&$expand=attachments"}), forbidden),
            (json!({"resource": "me/messages?$select=internetMessageHeaders"}), unsupported),
        ] {
            let refusal = rich(changes.clone()).expect_err(&changes.to_string());
            assert_eq!(refusal.to_string(), message, "{changes}");
        }
    }

    #[test]
    fn messages_events_and_contacts_have_content_whatever_the_change_types() {
        for (resource, types) in [
            ("me/messages?$select=subject&$filter=isRead eq false", "created"),
            ("me/events?$select=subject,start", "created,updated,deleted"),
            ("me/contacts?$select=displayName&$expand=singleValueExtendedProperties", "deleted"),
        ] {
            for sent in [json!(true), json!("True")] {
                let changes = json!({"resource": resource, "changeType": types, "includeResourceData": sent});
                let extras = rich(changes).unwrap().extras.unwrap();
                assert!(extras.include_resource_data, "{resource}");
            }
        }
        let other = json!({"resource": "users", "changeType": "updated", "includeResourceData": true});
        assert_eq!(
            create_with(other).unwrap_err().to_string(),
            "includeResourceData is not supported by this server: only messages, events and contacts have it."
        );
    }

    #[test]
    fn a_subscription_with_content_lives_a_day_at_most_however_it_is_renewed() {
        let until = |minutes| json!({"expirationDateTime": NOW.plus_minutes(minutes).to_string()});
        assert_eq!(rich(until(1_440)).map(|draft| draft.expires), Ok(after(1_440)));
        let refusal = rich(until(1_441)).unwrap_err();
        assert_eq!(refusal, Refusal::TooLong { minutes_max: 1_440, is_rich: true });
        assert_eq!(refusal.to_string(), too_long(1_440).to_string());
        assert_eq!(refusal.detail().unwrap(), "with includeResourceData a subscription lives for 1440 minutes at most");
        let renewed = |minutes| patch_of(&current_rich(), until(minutes)).map(|patch| patch.expires);
        assert_eq!((renewed(1_440), renewed(1_441)), (Ok(Some(after(1_440))), Err(refusal)));
    }

    #[test]
    fn content_is_neither_added_nor_taken_away_and_its_certificate_only_replaced() {
        let later = |include| json!({"includeResourceData": include, "expirationDateTime": "2026-11-21T13:00:00Z"});
        let fixed = Err(Refusal::Fixed("includeResourceData"));
        assert_eq!(patch_of(&current_rich(), later(false)), fixed);
        assert_eq!(patch_of(&current_rich(), json!({"includeResourceData": false})), fixed);
        assert_eq!(patch_of(&current(), later(true)), fixed);
        for (subscription, include) in [(current_rich(), true), (current(), false)] {
            assert!(patch_of(&subscription, later(include)).is_ok());
        }
        let emptied = json!({"encryptionCertificate": "", "encryptionCertificateId": null});
        assert_eq!(patch_of(&current_rich(), emptied), Err(Refusal::NothingToPatch));
        let rotated = json!({"encryptionCertificate": CERTIFICATE, "encryptionCertificateId": "two"});
        let rotated = patch_of(&current_rich(), rotated).unwrap().applied(&current_rich());
        assert!(rotated.is_rich());
        assert_eq!(rotated.extras.unwrap().encryption_certificate_id.as_deref(), Some("two"));
    }

    #[test]
    fn what_a_resource_has_of_its_own_is_asked_of_the_table() {
        let draft = |resource: &str, types: &str, minutes: i64| {
            let expires = NOW.plus_minutes(minutes).to_string();
            create_with(json!({"resource": resource, "changeType": types, "expirationDateTime": expires}))
        };
        for (resource, types, minutes) in [
            ("users", "updated,deleted", 41_760),
            ("groups/7", "updated", 41_760),
            ("me/drive/root", "updated", 42_300),
            ("sites/a/lists/b", "updated", 42_300),
            ("chats/c/messages", "created,updated,deleted", 60),
            ("security/alerts?$filter=status eq 'new'", "updated", 43_200),
            ("print/taskDefinitions/d/tasks", "created", 4_230),
            ("communications/callRecords", "created", 60),
        ] {
            let draft = draft(resource, types, minutes).unwrap_or_else(|refusal| panic!("{resource}: {refusal}"));
            assert!(matches!(draft.watch, Watching::Place(_)), "{resource}");
            assert_eq!(draft.expires.at, NOW.plus_minutes(minutes), "{resource}");
        }
        let not_a_type = |types: &str| format!("Invalid 'changeType' attribute: '{types}'.");
        let too_long = |most: i64| format!("Subscription expiration can only be {most} minutes in the future.");
        let lifecycle = "lifecycleNotificationUrl is a required property for subscription creation on this resource \
                         when the expirationDateTime value is set to greater than 1 hour.";
        for (resource, types, minutes, message) in [
            ("users", "created", 60, not_a_type("created")),
            ("groups", "updated,created", 60, not_a_type("updated,created")),
            ("me/drive/root", "updated,deleted", 60, not_a_type("updated,deleted")),
            ("sites/a/lists/b", "created", 60, not_a_type("created")),
            ("users", "updated", 41_761, too_long(41_760)),
            ("communications/presences/7", "updated", 61, too_long(60)),
            ("chats/c/messages", "created", 61, lifecycle.to_owned()),
            (
                "users?$filter=accountEnabled",
                "updated",
                60,
                "Operation: Create; Exception: [Status Code: BadRequest; Reason: The value of parameter 'Resource' is \
                 not supported.]"
                    .to_owned(),
            ),
            (
                "communications/onlineMeetings",
                "updated",
                60,
                "Operation: Create; Exception: [Status Code: BadRequest; Reason: The value of parameter 'Resource' is \
                 invalid.]"
                    .to_owned(),
            ),
        ] {
            let refusal = draft(resource, types, minutes).expect_err(resource);
            assert_eq!(refusal.to_string(), message, "{resource}");
        }
    }

    #[test]
    fn query_options_are_taken_of_print_jobs_alone() {
        let of = |resource: &str, types: &str, options: &str| {
            create_with(json!({"resource": resource, "changeType": types, "notificationQueryOptions": options}))
        };
        let jobs = of("print/printers/p/jobs", "updated", "$filter = isFetchable eq true").unwrap();
        assert_eq!(jobs.extras.unwrap().notification_query_options.unwrap(), "$filter = isFetchable eq true");
        let refused = |refusal: Result<Draft, Refusal>| {
            let refusal = refusal.unwrap_err();
            (refusal.to_string(), refusal.detail())
        };
        let (message, detail) = refused(of("print/printers/p/jobs", "updated", "isFetchable eq true"));
        assert_eq!(message, "Invalid 'notificationQueryOptions' attribute.");
        assert_eq!(
            detail.unwrap(),
            "notificationQueryOptions must be $filter=…, such as $filter = isFetchable eq true"
        );
        let outlook = "notificationQueryOptions is not supported by this server: Outlook resources do not have it.";
        assert_eq!(refused(of("me/messages", "updated", "$filter=isRead")).0, outlook);
        let other = "notificationQueryOptions is not supported by this server: this resource does not have it.";
        assert_eq!(refused(of("users", "updated", "$filter=accountEnabled")).0, other);
    }

    #[test]
    fn a_renewal_keeps_to_the_life_of_its_resource() {
        let watched = crate::subscription::Watched {
            resource: registry::ResourceKind::ChatMessage,
            owner: None,
            places: vec!["chats/getAllMessages".to_owned()],
        };
        let mut chats = Subscription { target: Target::Resource(Box::new(watched)), ..current() };
        let renew = |chats: &Subscription, minutes| {
            let body = json!({"expirationDateTime": NOW.plus_minutes(minutes).to_string()});
            let request = SubscriptionRequest::parse_create(body.to_string().as_bytes()).unwrap();
            patch(&request, chats, NOW, &Profile::documented()).map(|patch| patch.expires.map(|expires| expires.at))
        };
        assert_eq!(renew(&chats, 60), Ok(Some(NOW.plus_minutes(60))));
        assert_eq!(renew(&chats, 61), Err(Refusal::LifecycleUrl));
        chats.lifecycle_url = Some("https://hook.example.net/l".to_owned());
        assert_eq!(renew(&chats, 4_320), Ok(Some(NOW.plus_minutes(4_320))));
        assert_eq!(renew(&chats, 4_321), Err(too_long(4_320)));
    }

    /// It is kept as it was sent, with every copy of the subscription.
    #[test]
    fn a_change_type_that_repeats_itself_without_end_is_refused() {
        assert!(change_types("created, Updated ,deleted").is_ok());
        let endless = "created,".repeat(1_000) + "created";
        assert_eq!(change_types(&endless), Err(Refusal::ChangeType(endless.chars().take(64).collect())));
    }

    fn after(minutes: i64) -> Expiry {
        Expiry { at: NOW.plus_minutes(minutes), tenths: 0 }
    }

    #[test]
    fn the_seventh_digit_of_an_expiry_is_kept_unless_it_is_raised() {
        let profile = Profile::documented();
        let digits = |minutes| expiry(Expiry { tenths: 7, ..after(minutes) }, NOW, &profile, false).unwrap().tenths;
        assert_eq!((digits(46), digits(4_230), digits(44)), (7, 7, 0));
    }

    #[test]
    fn lives_between_floor_and_limit_are_kept() {
        let profile = Profile::documented();
        for (asked, given) in [(-60, 45), (0, 45), (44, 45), (45, 45), (60, 60), (4_229, 4_229), (4_230, 4_230)] {
            assert_eq!(expiry(after(asked), NOW, &profile, false), Ok(after(given)));
        }
        for asked in [4_231, 4_320, 10_080, 1_000_000_000] {
            assert_eq!(expiry(after(asked), NOW, &profile, false), Err(too_long(4_230)));
        }
    }

    #[test]
    fn a_patch_changes_expiry_url_or_certificate_and_nothing_else() {
        let patch = patch_with(json!({"expirationDateTime": "2026-11-21T13:00:00Z", "resource": "me/messages"}));
        assert_eq!(patch, Ok(Patch { expires: Some(after(180)), ..Patch::default() }));
        for (body, refusal) in [
            (json!({}), Refusal::NothingToPatch),
            (json!({"clientState": "s3cret"}), Refusal::NothingToPatch),
            (json!({"clientState": "other"}), Refusal::Fixed("clientState")),
            (json!({"latestSupportedTlsVersion": "v1_3"}), Refusal::Fixed("latestSupportedTlsVersion")),
            (json!({"notificationUrlAppId": APP}), Refusal::Fixed("notificationUrlAppId")),
            (json!({"notificationContentType": "application/json"}), Refusal::Fixed("notificationContentType")),
            (json!({"includeResourceData": false, "notificationUrlAppId": ""}), Refusal::NothingToPatch),
            (json!({"encryptionCertificate": "", "encryptionCertificateId": ""}), Refusal::NothingToPatch),
            (json!({"encryptionCertificate": "MIID"}), Refusal::Certificate(CertificateError::Unreadable)),
            (json!({"encryptionCertificateId": "x".repeat(129)}), Refusal::CertificateIdTooLong),
            (json!({"lifecycleNotificationUrl": "https://x/"}), Refusal::Fixed("lifecycleNotificationUrl")),
            (json!({"changeType": "deleted"}), Refusal::Fixed("changeType")),
            (json!({"expirationDateTime": "2030-01-01T00:00:00Z"}), too_long(4_230)),
        ] {
            assert_eq!(patch_with(body.clone()), Err(refusal), "{body}");
        }
    }
}
