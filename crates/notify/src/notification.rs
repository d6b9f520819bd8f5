//! Which notification a match gives, and what it looks like. Content is sealed by others: the keys and the
//! randomness for that are not known here.

use std::borrow::Cow;
use std::sync::Arc;

use graph::registry::{Ingested, MEETING_URL, Telling};
use graph::{Change, ChangeType, Content, Kind, SubscriptionId};
use protocol::envelope::{EncryptedContent, data_chars};
use protocol::notification::{ChangeNotification, CollectionWriter, LifecycleNotification, ResourceData};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::node::{Lack, Notification};
use crate::{LifecycleEvent, Record, Subscription};

/// Namespace of notification ids; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x9a1c_52f4_3e0b_4f6d_a7d8_11c2_60e9_b35f);

/// What a notification needs in a body, before its variable parts.
const NOTIFICATION_BYTES: usize = 640;
/// What sealing adds to a notification, apart from the content.
const SEAL_BYTES: usize = KEY_BYTES + SIGNATURE_BYTES + CERTIFICATE_NAMES_BYTES + MEMBER_NAMES_BYTES;
/// A key encrypted for RSA-4096, the longest that is taken, in base64.
const KEY_BYTES: usize = (4_096 / 8_usize).div_ceil(3) * 4;
/// HMAC-SHA256 in base64.
const SIGNATURE_BYTES: usize = 32_usize.div_ceil(3) * 4;
/// A certificate's id, of 128 characters at most, and its thumbprint in hexadecimal.
const CERTIFICATE_NAMES_BYTES: usize = 128 + 40;
/// Of `encryptedContent` and what is in it, with their punctuation.
const MEMBER_NAMES_BYTES: usize = 140;
/// How much longer properties are when they are shown and sealed. Base64 adds a third; annotations of types as much
/// again as there are short members: with many recipients or attendees it was 2.1 and 2.8 times in all.
const CONTENT_FACTOR: usize = 3;

/// The id of the notification that tells `subscription` of `record`: hashed from what is told, never
/// from where it lies, who sends it, or when.
pub fn id(subscription: SubscriptionId, record: &Record, change: Option<ChangeType>) -> Uuid {
    let (told, what) = match record.original() {
        Record::Change(told) => (told.id.0, 1 + change.unwrap_or(told.change) as u8),
        Record::Ingested(told) => (told.id.0, 1 + change.unwrap_or(ChangeType::Updated) as u8),
        Record::Lifecycle { id, event: LifecycleEvent::Missed, .. } => (id.0, 0x11),
        Record::Lifecycle { id, event: LifecycleEvent::SubscriptionRemoved, .. } => (id.0, 0x12),
        Record::Lifecycle { id, event: LifecycleEvent::ReauthorizationRequired, .. } => (id.0, 0x13),
        // Of a life only its end is told, once.
        Record::Subscription { id, .. } => (id.0, 0x12),
        Record::Submit(submission) => (submission.id.0, 0),
        Record::Event(event) => {
            let attributes = event.event.attributes();
            let name = [attributes.source.as_bytes(), &[0], attributes.id.as_bytes()].concat();
            (Uuid::new_v5(&event.topic.0, &name), 0x20)
        }
        // A replay holds none itself.
        Record::Replayed { subscription, .. } => (subscription.0, 0),
    };
    let mut name = [0u8; 33];
    name[..16].copy_from_slice(told.as_bytes());
    name[16..32].copy_from_slice(subscription.0.as_bytes());
    name[32] = what;
    Uuid::new_v5(&NAMESPACE, &name)
}

/// What content is sealed and vouched for with: whoever implements it has the keys, and remembers what was parsed.
pub trait Sealing {
    /// What the subscription's resource shows of items.
    fn content(&self, subscription: &Arc<Subscription>) -> Result<Arc<Content>, Lack>;
    /// What is shown of an item, sealed for the subscription's certificate.
    fn seal(&self, subscription: &Arc<Subscription>, content: &[u8]) -> Result<EncryptedContent, Lack>;
    /// What proves to the subscription's [`audience`] that this server tells it of content.
    fn token(&self, subscription: &Arc<Subscription>) -> Result<String, NoToken>;
}

/// Content cannot be sent, since nothing can prove from whom it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no validation token can be made")]
pub struct NoToken;

/// What an attempt sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// A `changeNotificationCollection`; `None`: there is nothing that may be sent.
    pub bytes: Option<Vec<u8>>,
    /// What of the notifications is not told whole, by place.
    pub lacks: Vec<(usize, Lack)>,
}

/// The body of the POST that tells of `notifications`. Content that would be longer than `content_bytes_max` when sealed
/// is left out of it.
pub fn body(notifications: &[Notification], content_bytes_max: usize, sealing: &dyn Sealing) -> Result<Body, NoToken> {
    let mut collection = CollectionWriter::with_capacity(notifications.len());
    let (mut lacks, mut told_content) = (Vec::new(), Vec::new());
    let mut texts: Option<Texts<'_>> = None;
    for (place, notification) in notifications.iter().enumerate() {
        let content = match content(notification, content_bytes_max, sealing) {
            Ok(content) => content,
            Err(lack @ (Lack::TooLarge | Lack::AccessLost)) => {
                lacks.push((place, lack));
                None
            }
            Err(lack @ (Lack::CertificateUnusable | Lack::Injected | Lack::Gone)) => {
                lacks.push((place, lack));
                continue;
            }
        };
        if content.is_some() {
            told_content.push(&notification.subscription);
        }
        // Those of one subscription mostly follow on each other.
        let known = texts.take().filter(|texts| Arc::ptr_eq(texts.of, &notification.subscription));
        let texts = texts.insert(known.unwrap_or_else(|| Texts::new(&notification.subscription)));
        push(&mut collection, notification, texts, content);
    }
    if collection.items() == 0 {
        return Ok(Body { bytes: None, lacks });
    }
    let tokens = tokens(&told_content, sealing)?;
    Ok(Body { bytes: Some(collection.finish_with_tokens(&tokens)), lacks })
}

/// The content that a notification is told with. `None`: its subscription asked for none, or there is none.
fn content(
    notification: &Notification,
    content_bytes_max: usize,
    sealing: &dyn Sealing,
) -> Result<Option<EncryptedContent>, Lack> {
    let subscription = &notification.subscription;
    let Some(change) = notification.with_content() else {
        return if notification.is_withheld() { Err(Lack::AccessLost) } else { Ok(None) };
    };
    let shown = sealing.content(subscription)?.shown(change, subscription.immutable_ids);
    let Some(content) = shown else { return Ok(None) };
    if data_chars(content.len()) > content_bytes_max {
        return Err(Lack::TooLarge);
    }
    sealing.seal(subscription, &content).map(Some)
}

/// One for each audience in each tenant.
fn tokens(told_content: &[&Arc<Subscription>], sealing: &dyn Sealing) -> Result<Vec<String>, NoToken> {
    let mut audiences = Vec::new();
    let mut tokens = Vec::new();
    for subscription in told_content {
        let audience = (subscription.tenant, audience(subscription));
        if !audiences.contains(&audience) {
            audiences.push(audience);
            tokens.push(sealing.token(subscription)?);
        }
    }
    Ok(tokens)
}

/// The id of the app that validation tokens are made for.
pub fn audience(subscription: &Subscription) -> String {
    let named = subscription.extras.as_ref().and_then(|extras| extras.notification_url_app_id.clone());
    named.unwrap_or_else(|| subscription.app.to_string())
}

/// About how many bytes of a body the notification of `record` needs; of tokens, which are few, nothing is counted.
pub(crate) fn estimated_bytes(subscription: &Subscription, record: &Record, content_bytes_max: usize) -> usize {
    let plain = NOTIFICATION_BYTES + subscription.client_state.as_ref().map_or(0, String::len);
    match record.original() {
        Record::Change(change) if subscription.is_rich() => {
            plain + SEAL_BYTES + change.after.text().len().saturating_mul(CONTENT_FACTOR).min(content_bytes_max)
        }
        _ => plain,
    }
}

impl Notification {
    /// The change whose content it tells of, if its subscription asked for that and its app has access.
    pub fn with_content(&self) -> Option<&Change> {
        self.asked_for().filter(|_| !self.access_lost)
    }

    /// Whether there is content that its subscription asked for, and that its app has lost access to.
    fn is_withheld(&self) -> bool {
        self.access_lost && self.asked_for().is_some_and(|change| change.folder_after().is_some())
    }

    /// The change whose content its subscription asked for.
    fn asked_for(&self) -> Option<&Change> {
        match self.record.original() {
            Record::Change(change) if self.subscription.is_rich() => Some(change),
            _ => None,
        }
    }
}

/// What all notifications of a subscription say alike.
struct Texts<'a> {
    of: &'a Arc<Subscription>,
    id: String,
    expiration: String,
    tenant: String,
}

impl<'a> Texts<'a> {
    fn new(of: &'a Arc<Subscription>) -> Self {
        Self { of, id: of.id.to_string(), expiration: of.expiration(), tenant: of.tenant.to_string() }
    }
}

fn push(
    collection: &mut CollectionWriter,
    notification: &Notification,
    texts: &Texts<'_>,
    content: Option<EncryptedContent>,
) {
    let subscription = &*notification.subscription;
    match notification.record.original() {
        Record::Change(change) => push_change(collection, notification, texts, &item(subscription, change), content),
        Record::Ingested(change) => push_change(collection, notification, texts, &thing(subscription, change), None),
        Record::Lifecycle { event, .. } => push_lifecycle(collection, notification, texts, *event),
        record if record.is_last_word() => {
            push_lifecycle(collection, notification, texts, LifecycleEvent::SubscriptionRemoved);
        }
        // The node matches no others.
        Record::Subscription { .. } | Record::Submit(_) | Record::Replayed { .. } | Record::Event(_) => {}
    }
}

fn push_change(
    collection: &mut CollectionWriter,
    notification: &Notification,
    texts: &Texts<'_>,
    Named { resource, data }: &Named<'_>,
    encrypted_content: Option<EncryptedContent>,
) {
    let subscription = &*notification.subscription;
    let resource_data = data.as_ref().map(|data| ResourceData {
        odata_type: data.odata_type.into(),
        odata_id: data.odata_id.as_ref().unwrap_or(resource).into(),
        odata_etag: data.odata_etag.as_deref().map(Into::into),
        id: data.id.as_str().into(),
    });
    collection.push_change(&ChangeNotification {
        subscription_id: texts.id.as_str().into(),
        subscription_expiration_date_time: texts.expiration.as_str().into(),
        change_type: notification.change.unwrap_or(ChangeType::Updated).as_str().into(),
        resource: resource.into(),
        resource_data,
        client_state: subscription.client_state.as_deref().map(Into::into),
        tenant_id: texts.tenant.as_str().into(),
        encrypted_content,
        id: Some(notification.id.to_string().into()),
    });
}

/// Where something lies, and what it is.
struct Named<'a> {
    resource: String,
    /// `None`: only the place is told.
    data: Option<NamedData<'a>>,
}

struct NamedData<'a> {
    odata_type: &'a str,
    /// `None`: the resource.
    odata_id: Option<String>,
    odata_etag: Option<Cow<'a, str>>,
    id: String,
}

/// An item, in the form that goes with content or in the one that goes without.
fn item<'a>(subscription: &Subscription, change: &Change) -> Named<'a> {
    let (id, kind) = (subscription.item_key(change).text(), change.item.kind);
    let mut mailbox = [0; Hyphenated::LENGTH];
    let mailbox = &*change.mailbox.0.as_hyphenated().encode_lower(&mut mailbox);
    let (resource, odata_type) = if subscription.is_rich() {
        let odata_type = match kind {
            Kind::Message => "#microsoft.graph.message",
            Kind::Event => "#microsoft.graph.event",
            Kind::Contact => "#microsoft.graph.contact",
        };
        (["Users('", mailbox, "')/", kind.collection(), "('", &id, "')"].concat(), odata_type)
    } else {
        let (segment, odata_type) = match kind {
            Kind::Message => ("Messages", "#Microsoft.Graph.Message"),
            Kind::Event => ("Events", "#Microsoft.Graph.Event"),
            Kind::Contact => ("Contacts", "#Microsoft.Graph.Contact"),
        };
        (["Users/", mailbox, "/", segment, "/", &id].concat(), odata_type)
    };
    let odata_etag = Some(change.id.etag().into());
    Named { resource, data: Some(NamedData { odata_type, odata_id: None, odata_etag, id: (*id).to_owned() }) }
}

fn thing<'a>(subscription: &'a Subscription, change: &'a Ingested) -> Named<'a> {
    let thing = &change.thing;
    let (resource, named) = match thing.row.telling {
        Telling::Thing { resource, odata_id } => {
            (thing.shown(resource), Some((Some(thing.shown(odata_id)), thing.id())))
        }
        Telling::Place => {
            let path = subscription.resource.split('?').next().unwrap_or_default();
            (path.trim_matches('/').to_owned(), None)
        }
        Telling::Meeting => {
            let url = change.meeting_url().unwrap_or_default().replace('\'', "''");
            let query = format!("communications/onlineMeetings?$filter={MEETING_URL}+eq+'{url}'");
            (query.clone(), Some((None, query)))
        }
    };
    let data = named.map(|(odata_id, id)| NamedData {
        odata_type: thing.kind.entry().odata_type,
        odata_id,
        odata_etag: change.etag().map(Into::into),
        id,
    });
    Named { resource, data }
}

fn push_lifecycle(
    collection: &mut CollectionWriter,
    notification: &Notification,
    texts: &Texts<'_>,
    event: LifecycleEvent,
) {
    let subscription = &*notification.subscription;
    collection.push_lifecycle(&LifecycleNotification {
        lifecycle_event: event.as_str().into(),
        subscription_id: texts.id.as_str().into(),
        subscription_expiration_date_time: texts.expiration.as_str().into(),
        client_state: subscription.client_state.as_deref().map(Into::into),
        tenant_id: texts.tenant.as_str().into(),
        id: Some(notification.id.to_string().into()),
    });
}

#[cfg(test)]
mod tests {
    use graph::registry;
    use graph::{AppId, ChangeId, FolderId, ItemId, Properties, TenantId, Timestamp, UserId};

    use super::*;
    use crate::EndReason;
    use crate::Position;
    use crate::subscription::{Extras, Target, TlsVersion};

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn subscription() -> Arc<Subscription> {
        let mailbox = UserId(uuid(2));
        Arc::new(Subscription {
            id: SubscriptionId(uuid(1)),
            tenant: TenantId(uuid(3)),
            app: AppId(uuid(4)),
            creator: mailbox,
            resource: "me/messages".to_owned(),
            target: Target::Items { mailbox, kind: Kind::Message, folder: None },
            change_types: [ChangeType::Created].into_iter().collect(),
            change_type: "created".to_owned(),
            notification_url: "https://hook.example.net/n".to_owned(),
            lifecycle_url: None,
            client_state: Some("s3cret".to_owned()),
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            authorized: Timestamp::from_seconds(1_780_000_000),
            expires: Timestamp::from_seconds(1_790_000_000),
            expires_tenths: 0,
            created: Timestamp::from_seconds(1_780_000_000),
        })
    }

    fn change(id: u128) -> Record {
        Record::Change(Change {
            id: ChangeId(uuid(id)),
            tenant: TenantId(uuid(3)),
            mailbox: UserId(uuid(2)),
            item: ItemId::new(Kind::Message, uuid(9)),
            immutable: None,
            moved: None,
            folder: FolderId::new(Kind::Message, uuid(8)),
            change: ChangeType::Created,
            at: Timestamp::from_seconds(1_789_000_000),
            created: Timestamp::from_seconds(1_789_000_000),
            after: graph::Carried::default(),
            before: Properties::new(),
        })
    }

    fn told(record: Record, seen: Option<ChangeType>) -> Notification {
        let subscription = subscription();
        let (id, record) = (id(subscription.id, &record, seen), Arc::new(record));
        Notification {
            id,
            subscription,
            record,
            position: Position(1),
            change: seen,
            access_lost: false,
            given_up: None,
        }
    }

    /// Its seals are plain text, and so are its tokens. What is called "broken" cannot be sealed for.
    struct Fake;

    impl Sealing for Fake {
        fn content(&self, _: &Arc<Subscription>) -> Result<Arc<Content>, Lack> {
            Ok(Arc::new(Content::of("me/messages?$select=id").unwrap()))
        }

        fn seal(&self, subscription: &Arc<Subscription>, content: &[u8]) -> Result<EncryptedContent, Lack> {
            let extras = subscription.extras.as_ref().ok_or(Lack::CertificateUnusable)?;
            match extras.encryption_certificate_id.clone().unwrap_or_default() {
                broken if broken == "broken" => Err(Lack::CertificateUnusable),
                encryption_certificate_id => Ok(EncryptedContent {
                    data: String::from_utf8_lossy(content).into_owned(),
                    encryption_certificate_id,
                    ..EncryptedContent::default()
                }),
            }
        }

        fn token(&self, subscription: &Arc<Subscription>) -> Result<String, NoToken> {
            Ok(format!("{} for {}", subscription.tenant.0.as_u128(), audience(subscription)))
        }
    }

    fn text(notifications: &[Notification]) -> String {
        let body = body(notifications, 1_000, &Fake).unwrap();
        assert_eq!(body.lacks, []);
        String::from_utf8(body.bytes.unwrap()).unwrap()
    }

    /// The same, to a subscription of that app that asked for content, sealed for that certificate.
    fn rich(told: Notification, app: u128, certificate: &str) -> Notification {
        let extras = Extras {
            include_resource_data: true,
            encryption_certificate_id: Some(certificate.to_owned()),
            ..Extras::default()
        };
        let subscription =
            Subscription { app: AppId(uuid(app)), extras: extras.boxed(), ..Subscription::clone(&told.subscription) };
        Notification { subscription: Arc::new(subscription), ..told }
    }

    fn deleted(id: u128) -> Record {
        match change(id) {
            Record::Change(told) => Record::Change(Change { change: ChangeType::Deleted, ..told }),
            other => other,
        }
    }

    #[test]
    fn a_change_is_told_with_its_content_in_the_form_that_goes_with_it() {
        let text = text(&[rich(told(change(7), Some(ChangeType::Created)), 4, "mine")]);
        insta::assert_snapshot!(text, @r##"{"value":[{"subscriptionId":"00000000-0000-0000-0000-000000000001","subscriptionExpirationDateTime":"2026-09-21T14:13:20Z","changeType":"created","resource":"Users('00000000-0000-0000-0000-000000000002')/messages('AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=')","resourceData":{"@odata.type":"#microsoft.graph.message","@odata.id":"Users('00000000-0000-0000-0000-000000000002')/messages('AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=')","@odata.etag":"W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAAAA\"","id":"AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA="},"clientState":"s3cret","tenantId":"00000000-0000-0000-0000-000000000003","encryptedContent":{"data":"{\"id\":\"AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=\"}","dataKey":"","dataSignature":"","encryptionCertificateId":"mine","encryptionCertificateThumbprint":""},"id":"48b9a526-778a-5d69-8822-3dfc3a61fa95"}],"validationTokens":["3 for 00000000-0000-0000-0000-000000000004"]}"##);
    }

    #[test]
    fn notifications_with_and_without_content_share_a_request_and_each_app_gets_one_token() {
        let created = || told(change(7), Some(ChangeType::Created));
        let elsewhere = |mut told: Notification| {
            let moved = Subscription { tenant: TenantId(uuid(5)), ..Subscription::clone(&told.subscription) };
            told.subscription = Arc::new(moved);
            told
        };
        let named = |mut told: Notification| {
            let mut subscription = Subscription::clone(&told.subscription);
            subscription.extras.as_mut().unwrap().notification_url_app_id = Some("another".to_owned());
            told.subscription = Arc::new(subscription);
            told
        };
        let all = [
            created(),
            rich(created(), 4, "a"),
            rich(created(), 4, "b"),
            elsewhere(rich(created(), 4, "a")),
            named(rich(created(), 4, "a")),
            named(rich(created(), 6, "a")),
        ];
        let body: serde_json::Value = serde_json::from_str(&text(&all)).unwrap();
        let sealed = body["value"].as_array().unwrap().iter().map(|told| told.get("encryptedContent").is_some());
        assert_eq!(sealed.collect::<Vec<_>>(), [false, true, true, true, true, true]);
        let app = uuid(4);
        let tokens = [format!("3 for {app}"), format!("5 for {app}"), "3 for another".to_owned()];
        assert_eq!(body["validationTokens"], serde_json::json!(tokens));
    }

    #[test]
    fn without_content_there_is_no_token() {
        let text = text(&[rich(told(deleted(7), Some(ChangeType::Deleted)), 4, "mine")]);
        assert!(text.contains("\"resource\":\"Users('00000000-0000-0000-0000-000000000002')/messages('AAMk"), "{text}");
        assert!(!text.contains("encryptedContent") && !text.contains("validationTokens"), "{text}");
    }

    #[test]
    fn what_is_too_large_is_told_without_its_content() {
        let all = [told(change(6), Some(ChangeType::Created)), rich(told(change(7), None), 4, "mine")];
        let Record::Change(shown) = change(7) else { panic!("a change") };
        let shown = Fake.content(&all[1].subscription).unwrap().shown(&shown, false).unwrap();
        let whole = data_chars(shown.len());
        assert_eq!(body(&all, whole, &Fake).unwrap().lacks, []);
        let short = body(&all, whole - 1, &Fake).unwrap();
        assert_eq!(short.lacks, [(1, Lack::TooLarge)]);
        let text = String::from_utf8(short.bytes.unwrap()).unwrap();
        assert!(text.contains("#microsoft.graph.message") && !text.contains("encryptedContent"), "{text}");
    }

    #[test]
    fn who_has_lost_access_is_told_without_content() {
        let lost = |record, seen| Notification { access_lost: true, ..rich(told(record, seen), 4, "broken") };
        let all = [
            lost(change(6), Some(ChangeType::Created)),
            lost(deleted(7), Some(ChangeType::Deleted)),
            Notification { access_lost: true, ..told(change(8), Some(ChangeType::Created)) },
            rich(told(change(9), Some(ChangeType::Created)), 5, "mine"),
        ];
        let told = body(&all, 1_000, &Fake).unwrap();
        assert_eq!(told.lacks, [(0, Lack::AccessLost)], "where there was none, none is missing");
        let body: serde_json::Value = serde_json::from_slice(&told.bytes.unwrap()).unwrap();
        let told = body["value"].as_array().unwrap();
        let has_content: Vec<_> = told.iter().map(|told| told.get("encryptedContent").is_some()).collect();
        assert_eq!(has_content, [false, false, false, true]);
        assert_eq!(told[0]["resourceData"]["@odata.type"], "#microsoft.graph.message");
        assert_eq!(body["validationTokens"], serde_json::json!([format!("3 for {}", uuid(5))]));
    }

    #[test]
    fn what_cannot_be_sealed_is_not_told_at_all() {
        let broken = || rich(told(change(7), Some(ChangeType::Created)), 4, "broken");
        let some = body(&[broken(), told(change(6), Some(ChangeType::Created))], 1_000, &Fake).unwrap();
        assert_eq!(some.lacks, [(0, Lack::CertificateUnusable)]);
        let text = String::from_utf8(some.bytes.unwrap()).unwrap();
        assert_eq!(text.matches("subscriptionId").count(), 1, "{text}");
        assert!(!text.contains(&broken().id.to_string()), "{text}");
        let none = body(&[broken(), broken()], 1_000, &Fake).unwrap();
        assert_eq!(none, Body { bytes: None, lacks: [0, 1].map(|place| (place, Lack::CertificateUnusable)).to_vec() });
    }

    #[test]
    fn content_is_counted_by_the_most_that_it_is_when_sealed() {
        let Record::Change(small) = change(7) else { panic!("a change") };
        let subject = "x".repeat(10_000);
        let after = Properties::from_iter([("subject".to_owned(), subject.into())]).into();
        let large = Record::Change(Change { after, ..small.clone() });
        let told = rich(told(Record::Change(small), None), 4, "mine");
        let estimate = |record: &Record, most| estimated_bytes(&told.subscription, record, most);
        assert!((1_600..3_000).contains(&estimate(&told.record, 1 << 20)), "{}", estimate(&told.record, 1 << 20));
        let more = estimate(&large, 1 << 20) - estimate(&told.record, 1 << 20);
        assert!((30_000..30_100).contains(&more), "{more}");
        assert_eq!(estimate(&large, 500), estimate(&told.record, 0) + 500, "what is longer is not sent");
        assert!(estimated_bytes(&subscription(), &large, 1 << 20) < 1_000, "without content its length does not count");
    }

    #[test]
    fn a_change_is_told_in_graphs_form() {
        let text = text(&[told(change(7), Some(ChangeType::Created))]);
        insta::assert_snapshot!(text, @r##"{"value":[{"subscriptionId":"00000000-0000-0000-0000-000000000001","subscriptionExpirationDateTime":"2026-09-21T14:13:20Z","changeType":"created","resource":"Users/00000000-0000-0000-0000-000000000002/Messages/AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=","resourceData":{"@odata.type":"#Microsoft.Graph.Message","@odata.id":"Users/00000000-0000-0000-0000-000000000002/Messages/AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=","@odata.etag":"W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAAAA\"","id":"AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA="},"clientState":"s3cret","tenantId":"00000000-0000-0000-0000-000000000003","id":"48b9a526-778a-5d69-8822-3dfc3a61fa95"}]}"##);
    }

    #[test]
    fn events_and_contacts_are_told_of_under_their_own_names() {
        for (kind, collection, type_name) in [(Kind::Event, "Events", "Event"), (Kind::Contact, "Contacts", "Contact")]
        {
            let Record::Change(message) = change(7) else { panic!("a change") };
            let item = ItemId::new(kind, uuid(9));
            let record = Record::Change(Change { item, ..message });
            let text = text(&[told(record, Some(ChangeType::Updated))]);
            let resource = format!("Users/{}/{collection}/{item}", UserId(uuid(2)));
            assert!(text.contains(&format!("\"resource\":\"{resource}\"")), "{text}");
            assert!(text.contains(&format!("\"@odata.type\":\"#Microsoft.Graph.{type_name}\"")), "{text}");
        }
    }

    /// What is told of a resource that was subscribed to as `resource`, without what is the same for all.
    fn told_of(resource: &str, path: &str, after: serde_json::Value) -> String {
        let thing = registry::thing(path, |_| Err::<UserId, _>(registry::ThingError::Me)).unwrap();
        let record = Record::Ingested(Box::new(Ingested {
            id: ChangeId(uuid(7)),
            tenant: TenantId(uuid(3)),
            thing,
            happened: registry::Happened::Updated,
            at: Timestamp::from_seconds(1_789_000_000),
            before: None,
            after: after.as_object().cloned(),
        }));
        let mut notification = told(record, Some(ChangeType::Updated));
        notification.subscription =
            Arc::new(Subscription { resource: resource.to_owned(), ..Subscription::clone(&notification.subscription) });
        let body: serde_json::Value = serde_json::from_str(&text(&[notification])).unwrap();
        let told = &body["value"][0];
        assert_eq!(told["changeType"], "updated");
        format!("{}\n  {}", told["resource"].as_str().unwrap(), told["resourceData"])
    }

    #[test]
    fn resources_are_told_of_as_the_documentation_shows_them() {
        let none = || serde_json::json!({});
        let chat = "19:a_b@unq.gbl.spaces";
        let meeting = serde_json::json!({ "joinWebUrl": "https://teams.example/l/o'brien" });
        let told = [
            told_of("/me/drive/root", &format!("users/{}/drive/root", uuid(2)), none()),
            told_of("sites/s/lists/l", "sites/s/lists/l", none()),
            told_of("users", &format!("users/{}", uuid(7)), none()),
            told_of("groups/7", "groups/7/members", serde_json::json!({ "@odata.etag": "W/\"1\"" })),
            told_of("chats/getAllMessages", &format!("chats/{chat}/messages/16"), none()),
            told_of("teams/getAllMessages", "teams/t/channels/c/messages/1/replies/2", none()),
            told_of("me/todo/lists/l/tasks", &format!("users/{}/todo/lists/l/tasks/t", uuid(2)), none()),
            told_of("me/tasks/lists/l/tasks", &format!("users/{}/tasks/lists/l/tasks/t", uuid(2)), none()),
            told_of("communications/callRecords", "communications/callRecords/c", none()),
            told_of("communications/presences/p", "communications/presences/p", none()),
            told_of("print/taskDefinitions/d/tasks", "print/taskDefinitions/d/tasks/t", none()),
            told_of("print/printers/p/jobs", "print/printers/p/jobs/1", none()),
            told_of("security/alerts?$filter=a", "security/alerts/a", none()),
            told_of("communications/onlineMeetings", "communications/onlineMeetings/m", meeting),
        ];
        insta::assert_snapshot!(told.join("\n"), @r##"
        me/drive/root
          null
        sites/s/lists/l
          null
        Users/00000000-0000-0000-0000-000000000007
          {"@odata.id":"Users/00000000-0000-0000-0000-000000000007","@odata.type":"#Microsoft.Graph.User","id":"00000000-0000-0000-0000-000000000007"}
        Groups/7
          {"@odata.etag":"W/\"1\"","@odata.id":"Groups/7","@odata.type":"#Microsoft.Graph.Group","id":"7"}
        chats('19:a_b@unq.gbl.spaces')/messages('16')
          {"@odata.id":"chats('19:a_b@unq.gbl.spaces')/messages('16')","@odata.type":"#Microsoft.Graph.chatMessage","id":"16"}
        teams('t')/channels('c')/messages('1')/replies('2')
          {"@odata.id":"teams('t')/channels('c')/messages('1')/replies('2')","@odata.type":"#Microsoft.Graph.chatMessage","id":"2"}
        Users/00000000-0000-0000-0000-000000000002/todo/lists('l')/tasks('t')
          {"@odata.id":"Users/00000000-0000-0000-0000-000000000002/todo/lists('l')/tasks('t')","@odata.type":"#Microsoft.Graph.todoTask","id":"t"}
        Users/00000000-0000-0000-0000-000000000002/tasks/lists('l')/tasks('t')
          {"@odata.id":"Users/00000000-0000-0000-0000-000000000002/tasks/lists('l')/tasks('t')","@odata.type":"#Microsoft.Graph.baseTask","id":"t"}
        communications/callRecords/c
          {"@odata.id":"communications/callRecords/c","@odata.type":"#Microsoft.Graph.callRecord","id":"c"}
        communications/presences/p
          {"@odata.id":"users/p/presence","@odata.type":"#microsoft.graph.presence","id":"p"}
        print/taskDefinitions('d')/tasks('t')
          {"@odata.id":"print/taskDefinitions('d')/tasks('t')","@odata.type":"#Microsoft.Graph.printTask","id":"t"}
        print/printers('p')/jobs('1')
          {"@odata.id":"print/printers('p')/jobs('1')","@odata.type":"#Microsoft.Graph.printJob","id":"1"}
        security/alerts/a
          {"@odata.id":"security/alerts/a","@odata.type":"#Microsoft.Graph.alert","id":"a"}
        communications/onlineMeetings?$filter=joinWebUrl+eq+'https://teams.example/l/o''brien'
          {"@odata.id":"communications/onlineMeetings?$filter=joinWebUrl+eq+'https://teams.example/l/o''brien'","@odata.type":"#microsoft.graph.onlineMeeting","id":"communications/onlineMeetings?$filter=joinWebUrl+eq+'https://teams.example/l/o''brien'"}
        "##);
    }

    #[test]
    fn a_lifecycle_event_tells_of_no_item() {
        let record = Record::Lifecycle {
            id: ChangeId(uuid(7)),
            subscription: SubscriptionId(uuid(1)),
            event: LifecycleEvent::Missed,
            cause: None,
        };
        let text = text(&[told(record, None)]);
        insta::assert_snapshot!(text, @r##"{"value":[{"lifecycleEvent":"missed","subscriptionId":"00000000-0000-0000-0000-000000000001","subscriptionExpirationDateTime":"2026-09-21T14:13:20Z","clientState":"s3cret","tenantId":"00000000-0000-0000-0000-000000000003","id":"5bc2637c-f27c-540d-9f36-de9cadf9778d"}]}"##);
    }

    #[test]
    fn lifecycle_events_have_graphs_names() {
        for (event, name) in [
            (LifecycleEvent::Missed, "missed"),
            (LifecycleEvent::SubscriptionRemoved, "subscriptionRemoved"),
            (LifecycleEvent::ReauthorizationRequired, "reauthorizationRequired"),
        ] {
            let (id, subscription) = (ChangeId(uuid(7)), SubscriptionId(uuid(1)));
            let record = Record::Lifecycle { id, subscription, event, cause: None };
            let text = text(&[told(record, None)]);
            assert!(text.contains(&format!("{{\"lifecycleEvent\":\"{name}\",")), "{text}");
        }
    }

    #[test]
    fn an_end_that_the_app_did_not_bring_about_is_told_as_removal() {
        let ended = |reason| Record::Subscription {
            id: SubscriptionId(uuid(1)),
            event: crate::SubscriptionEvent::Ended(reason),
        };
        for (reason, is_told) in [
            (EndReason::Deleted, false),
            (EndReason::Expired, false),
            (EndReason::UserDisabled, true),
            (EndReason::SessionsEnded, true),
            (EndReason::UserRemoved, true),
            (EndReason::AppRemoved, true),
        ] {
            let body = body(&[told(ended(reason), None)], 0, &Fake).unwrap();
            let text = String::from_utf8(body.bytes.unwrap_or_default()).unwrap();
            assert_eq!(text.contains(r#""lifecycleEvent":"subscriptionRemoved""#), is_told, "{text}");
        }
    }

    #[test]
    fn the_id_follows_from_what_is_told_and_to_whom() {
        let subscription = SubscriptionId(uuid(1));
        let told = id(subscription, &change(7), Some(ChangeType::Created));
        assert_eq!(told, id(subscription, &change(7), Some(ChangeType::Created)));
        assert_ne!(told, id(SubscriptionId(uuid(5)), &change(7), Some(ChangeType::Created)));
        assert_ne!(told, id(subscription, &change(8), Some(ChangeType::Created)));
        assert_ne!(told, id(subscription, &change(7), Some(ChangeType::Deleted)));
    }
}
