//! Harnesses for arbitrary input, as plain functions that any runner can call. Each panics only if
//! the code under it is wrong.

use crate::cloud_event::{CloudEvent, Extension, Received};
use crate::envelope::diagnosis::{Failure, examine};
use crate::envelope::{EncryptedContent, OpeningKey, open};
use crate::event_grid::EventField;
use crate::event_grid::management::{self, Resource, TopicUpdate, WantedEventSubscription, WantedTopic};
use crate::event_grid::pull::{LOCK_TOKENS_MAX, Route, lock_tokens};
use crate::event_grid::push::{Content, Delivery, Header, Origin};
use crate::event_grid::shared_access::Signature;
use crate::handshake::{validation_token, validation_url, verdict};
use crate::subscription::SubscriptionRequest;
use crate::{ErrorBody, ReceivedCollection, SubscriptionResource};

/// Reading a request never panics, and a refusal says something.
pub fn subscription_request(input: &[u8]) {
    for parse in [SubscriptionRequest::parse_create, SubscriptionRequest::parse_patch] {
        if let Err(error) = parse(input) {
            assert!(!error.message().is_empty() && !error.to_string().is_empty());
        }
    }
}

/// Tokens are bounded, and a refusal says something.
pub fn pull(input: &[u8]) {
    match lock_tokens(input) {
        Ok(tokens) => assert!((1..=LOCK_TOKENS_MAX).contains(&tokens.len())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whatever is presented as a signature is refused with words, or opens nothing without its key.
pub fn shared_access(text: &str) {
    let outcome = Signature::parse(text).and_then(|signature| signature.opens("h", "/topics/t:publish", ["a2V5"], 0));
    assert!(outcome.is_err_and(|error| !error.to_string().is_empty()));
}

/// Whatever is asked of topics by path and body is refused with words, or understood.
pub fn topic_management(path: &str, body: &[u8]) {
    if let Some(route) = Route::parse(path) {
        assert!(!route.topic().is_empty());
    }
    let Some(Resource::EventSubscription(topic, name)) = management::resource(path) else { return };
    assert!(!name.is_empty() && !topic.topic.is_empty());
    let put = WantedEventSubscription::parse_put(body, &topic).err();
    let patch = WantedEventSubscription::parse_patch(body, &topic).err();
    let topic = [WantedTopic::parse(body).err(), TopicUpdate::parse(body).err()];
    let refusals = [put, patch, management::check_partner(body).err()].into_iter().chain(topic);
    assert!(refusals.flatten().all(|error| !error.to_string().is_empty()));
}

/// Whatever an event subscription adds as a header, with whatever an event has for it, is one header of printable ASCII or
/// none, and what is said of it is words.
pub fn pushed_header(name: &str, text: &str, event: &[u8]) {
    if let Err(error) = Header::fixed(name, text) {
        assert!(!error.to_string().is_empty());
    }
    let field = EventField::parse(text);
    let (Ok(event), Ok(field)) = (CloudEvent::from_json(event), &field) else {
        assert!(field.err().is_none_or(|error| !error.to_string().is_empty()));
        return;
    };
    let headers: Vec<_> =
        [Header::fixed(name, text).ok(), Header::of_events(name, field, &[&event])].into_iter().flatten().collect();
    let (origin, event_subscription) = (Origin::default(), "fuzz");
    let delivery = Delivery { origin: &origin, event_subscription, delivery_count: 0, headers: &headers, bearer: None };
    let request = delivery.request(Content::Binary(&event));
    let is_token = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && byte != b':';
    for (name, value) in request.headers {
        assert!(
            name.bytes().all(is_token) && value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{name}: {value}"
        );
    }
}

/// Reading what another party sent never panics.
pub fn received(input: &[u8]) {
    let _ = serde_json::from_slice::<ReceivedCollection>(input);
    let _ = serde_json::from_slice::<ErrorBody<'static>>(input);
    let _ = serde_json::from_slice::<SubscriptionResource<'static>>(input);
}

/// What is taken for a certificate is one in each of its forms, and a refusal says something.
#[cfg(feature = "certificate")]
pub fn certificate(text: &str) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::certificate;

    match certificate::read(text) {
        Ok(der) => assert_eq!(certificate::read(&STANDARD.encode(&der)), Ok(der)),
        Err(error) => assert!(!error.to_string().is_empty() && !error.advice().is_empty()),
    }
}

/// Whatever became of sealed JSON on its way, it opens as one of those that were sealed or does not open; then
/// there is a diagnosis.
pub fn envelope(content: &EncryptedContent, key: &OpeningKey, sealed: &[&[u8]]) {
    match open(content, key) {
        Ok(opened) => assert!(sealed.contains(&opened.as_slice()) && examine(content, key).is_ok()),
        Err(error) => {
            let diagnosis = examine(content, key).expect_err("it did not open");
            assert_eq!(diagnosis.failure, Failure::Open(error));
            assert!(!error.to_string().is_empty() && !diagnosis.guess().is_empty());
        }
    }
}

/// Whatever is given as a private key gets a verdict.
pub fn opening_key(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for read in [OpeningKey::from_der(input), OpeningKey::from_pem(&text)] {
        if let Err(error) = read {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Whatever comes as an event is refused with words, or is one that each mode writes so that it is read as the same.
pub fn cloud_event(headers: &[(&str, &[u8])], body: &[u8]) {
    let over_nats = CloudEvent::from_nats(headers, body).map(Received::One);
    for received in [Received::from_http(headers, body), over_nats] {
        let events = match received {
            Ok(Received::One(event)) => vec![event],
            Ok(Received::Batch(events)) => events,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        events.iter().for_each(is_read_as_written);
        let http = CloudEvent::batch_to_http(&events);
        assert_eq!(Received::from_http(&borrowed(&http.headers), &http.body), Ok(Received::Batch(events)));
    }
}

fn is_read_as_written(event: &CloudEvent) {
    let http = event.to_structured_http();
    assert_eq!(Received::from_http(&borrowed(&http.headers), &http.body), Ok(Received::One(event.clone())));
    let nats = event.to_nats();
    let over_nats = CloudEvent::from_nats(&borrowed(&nats.headers), &nats.payload);
    is_the_same_in_headers(event, &nats.headers, over_nats.as_ref().ok());
    if let Ok(http) = event.to_binary_http() {
        match Received::from_http(&borrowed(&http.headers), &http.body) {
            Ok(Received::One(read)) => is_the_same_in_headers(event, &http.headers, Some(&read)),
            other => panic!("written in binary mode, read as {other:?}"),
        }
    }
}

/// Headers are printable ASCII, and know neither numbers nor an inferred content type nor data of no length.
fn is_the_same_in_headers(event: &CloudEvent, headers: &[(String, String)], read: Option<&CloudEvent>) {
    assert!(headers.iter().all(|(name, value)| name.is_ascii() && value.bytes().all(|b| (0x20..0x7f).contains(&b))));
    let mut expected = event.attributes().clone();
    expected.data_content_type = event.content_type_of_data().map(str::to_owned);
    for value in expected.extensions.values_mut() {
        *value = Extension::Text(value.to_string());
    }
    let read = read.expect("what was written is read");
    assert_eq!(read.attributes(), &expected);
    let bytes = |event: &CloudEvent| event.data().map(|data| data.bytes().to_vec()).unwrap_or_default();
    assert_eq!(bytes(read).trim_ascii(), bytes(event).trim_ascii());
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// A URL keeps its own text, and the token is found again after one decoding.
pub fn handshake(url: &str, body: &[u8]) {
    let token = validation_token(url);
    let extended = validation_url(url, &token);
    let (before, encoded) = extended.rsplit_once("validationToken=").expect("the token is at the end");
    assert!(before.starts_with(url));
    assert_eq!(decode(encoded), token.as_bytes());
    assert_eq!(verdict(&token, 200, Some("text/plain"), body).is_ok(), body == token.as_bytes());
}

fn decode(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}
