use protocol::envelope::{EncryptedContent, OpenError};
use protocol::validation_token::Version;
use serde_json::{Value, json};

use super::*;
use crate::duplicates::Duplicates;
use crate::issuer::{APP, AUTHORITY, Certificate, Issuer, OTHER_TENANT, TENANT, after};

const STATE: &str = "s3cret";

fn builder() -> Builder {
    Receiver::builder()
        .client_state(STATE)
        .app_id(APP)
        .authority(AUTHORITY)
        .keys(Issuer::first().keys())
        .private_key("old", Certificate::first().opening())
        .private_key("new", Certificate::second().opening())
}

fn receiver() -> Receiver {
    builder().build().unwrap()
}

/// A notification with these members besides the usual ones.
fn item(members: Value) -> Value {
    let mut item = json!({
        "subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z", "changeType": "created",
        "resource": "Users('u')/messages('m')", "clientState": STATE, "tenantId": TENANT
    });
    for (name, value) in members.as_object().unwrap() {
        item[name] = value.clone();
    }
    item
}

fn body(items: &[Value], tokens: &[String]) -> Vec<u8> {
    json!({"value": items, "validationTokens": tokens}).to_string().into_bytes()
}

fn token() -> String {
    Issuer::first().token(TENANT, Version::V1)
}

fn receive(items: &[Value], tokens: &[String]) -> Result<Received, Refusal> {
    receiver().receive(&body(items, tokens), after(60))
}

fn sealed(subject: &str, seed: u8) -> EncryptedContent {
    Certificate::first().seal(&json!({"subject": subject}).to_string(), seed, "old")
}

fn opened(change: &Change) -> Result<Value, ContentError> {
    receiver().open(change)?.json()
}

fn changes(received: Received) -> Vec<Change> {
    let change = |notification| match notification {
        Notification::Change(change) => change,
        other => panic!("no change: {other:?}"),
    };
    received.into_notifications().map(change).collect()
}

#[test]
fn sealed_data_is_opened_with_the_key_of_its_certificate() {
    let new = Certificate::second().seal(r#"{"subject":"new"}"#, 2, "new");
    let items = [item(json!({"encryptedContent": sealed("old", 1)})), item(json!({"encryptedContent": new}))];
    let subjects: Vec<Value> = changes(receive(&items, &[token()]).unwrap())
        .iter()
        .map(|change| opened(change).unwrap()["subject"].clone())
        .collect();
    assert_eq!(subjects, ["old", "new"]);
}

#[test]
fn data_without_a_token_of_its_tenant_is_refused() {
    let mut with_data = [item(json!({"encryptedContent": sealed("a", 1)}))];
    let of_another = [Issuer::first().token(OTHER_TENANT, Version::V1)];
    assert_eq!(receive(&with_data, &[]), Err(Refusal::NoToken(TENANT.into())));
    assert_eq!(receive(&with_data, &of_another), Err(Refusal::NoToken(TENANT.into())));
    let [of_another] = of_another;
    assert!(receive(&with_data, &[of_another, token()]).is_ok());
    with_data[0]["tenantId"] = Value::Null;
    assert_eq!(receive(&with_data, &[token()]), Err(Refusal::NoToken(String::new())));
}

#[test]
fn one_bad_token_spoils_the_request() {
    let with_data = item(json!({"encryptedContent": sealed("a", 1)}));
    let forged = Issuer::second().token(TENANT, Version::V1);
    let refusal = Refusal::Token(TokenError::UnknownKey("second".into()));
    assert_eq!(receive(&[with_data], &[token(), forged.clone()]), Err(refusal.clone()));
    assert_eq!(receive(&[item(json!({}))], &[forged]), Err(refusal), "without data, too");
    let many = vec![token(); TOKENS_MAX + 1];
    assert_eq!(receive(&[item(json!({}))], &many), Err(Refusal::TooManyTokens));
}

#[test]
fn data_is_refused_where_nobody_could_vouch_for_it() {
    let basic = Receiver::builder().client_state(STATE).build().unwrap();
    let body = body(&[item(json!({"encryptedContent": sealed("a", 1)}))], &[token()]);
    assert_eq!(basic.receive(&body, after(60)), Err(Refusal::DataNotExpected));
    let unsafe_to_open = Receiver::builder().client_state(STATE).private_key("old", Certificate::first().opening());
    assert_eq!(unsafe_to_open.build().err(), Some(BuildError::NoAppId));
    let deaf = Receiver::builder().client_state(STATE).app_id(APP);
    assert_eq!(deaf.build().err(), Some(BuildError::NoKeys));
}

#[test]
fn a_receiver_without_a_client_state_is_not_built() {
    assert_eq!(Receiver::builder().build().err(), Some(BuildError::NoClientState));
}

#[test]
fn forged_notification_without_the_client_state_of_a_subscription_is_left_out() {
    let stranger = item(json!({"subscriptionId": "x", "clientState": "guess"}));
    let received = receive(&[stranger.clone(), item(json!({}))], &[]).unwrap();
    assert!(received.0[0] == Err(Refused::WrongClientState("x".into())) && received.0[1].is_ok());
    assert_eq!(received.status(), 202);
    let without = item(json!({"clientState": null}));
    let received = receive(&[stranger, without], &[]).unwrap();
    assert_eq!(received.refused().nth(1), Some(&Refused::NoClientState("s".into())));
    assert_eq!((received.notifications().count(), received.status()), (0, 401));
    assert_eq!(receive(&[], &[]).unwrap().status(), 202);
}

#[test]
fn a_notification_of_no_kind_is_refused_alone_and_does_not_come_again() {
    let neither = item(json!({"changeType": null}));
    let received = receive(&[item(json!({})), neither.clone()], &[]).unwrap();
    assert!(received.0[0].is_ok() && received.0[1] == Err(Refused::Kind("s".into())));
    assert_eq!((received.status(), receive(&[neither], &[]).unwrap().status()), (202, 202));
}

#[test]
fn each_refusal_has_its_status() {
    for (refusal, status) in [
        (Refusal::Read(ReadError::TooLong { bytes_max: 1 }), 413),
        (Refusal::Read(ReadError::NotACollection { line: 1, column: 1 }), 400),
        (Refusal::Token(TokenError::Expired), 401),
        (Refusal::KeysUnavailable("x".into()), 503),
    ] {
        assert_eq!(refusal.status(), status, "{refusal}");
    }
}

#[test]
fn the_names_of_the_keys_are_known_before_the_tokens_are_verified() {
    let tokens = [token(), token(), Issuer::second().token(TENANT, Version::V1), "rubbish".to_owned()];
    let empty = receiver().read(&body(&[], &tokens)).unwrap();
    assert!(empty.key_ids().is_empty(), "nobody has keys looked for without a notification of ours");
    let unverified = receiver().read(&body(&[item(json!({}))], &tokens)).unwrap();
    assert_eq!(unverified.key_ids().into_iter().collect::<Vec<_>>(), ["first", "second"]);
}

/// A change that came with this sealed data.
fn bearing(data: EncryptedContent) -> Change {
    changes(receive(&[item(json!({"encryptedContent": data}))], &[token()]).unwrap()).remove(0)
}

#[test]
fn altered_content_or_a_part_of_another_is_not_opened() {
    let (first, second) = (sealed("first", 1), sealed("second", 2));
    for (member, error) in [("data", OpenError::SignatureDiffers), ("dataKey", OpenError::SignatureDiffers)] {
        let mut mixed = serde_json::to_value(&first).unwrap();
        mixed[member] = serde_json::to_value(&second).unwrap()[member].clone();
        let change = bearing(serde_json::from_value(mixed).unwrap());
        assert_eq!(opened(&change), Err(ContentError::Open(error)), "{member}");
    }
    let wrong = EncryptedContent { data_signature: second.data_signature.clone(), ..first.clone() };
    assert_eq!(opened(&bearing(wrong)), Err(ContentError::Open(OpenError::SignatureDiffers)));
    let truncated = EncryptedContent { data: first.data[..first.data.len() - 8].to_owned(), ..first };
    assert!(matches!(opened(&bearing(truncated)), Err(ContentError::Open(OpenError::DataLength(_)))));
}

#[test]
fn data_is_opened_with_no_other_key_than_its_certificates() {
    let renamed = EncryptedContent { encryption_certificate_id: "new".into(), ..sealed("a", 1) };
    assert_eq!(opened(&bearing(renamed)), Err(ContentError::Open(OpenError::DataKeyNotDecrypted)));
    let unknown = EncryptedContent { encryption_certificate_id: "older".into(), ..sealed("a", 1) };
    assert_eq!(opened(&bearing(unknown)), Err(ContentError::UnknownCertificate("older".into())));
    let Some(basic) = changes(receive(&[item(json!({}))], &[]).unwrap()).pop() else { panic!() };
    assert_eq!(opened(&basic), Err(ContentError::None));
}

/// `tests/data/vectors.py`, there and in `protocol`, made the tokens, the keys and the envelope with libraries of Python.
#[test]
fn what_an_independent_implementation_signed_and_sealed_is_received_and_opened() {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/data/tokens_by_python.json")).unwrap();
    let sealed: Value =
        serde_json::from_str(include_str!("../../../protocol/tests/data/sealed_by_python.json")).unwrap();
    let key = OpeningKey::from_pem(include_str!("../../../protocol/tests/data/throwaway_key_2048.pem")).unwrap();
    let keys = KeySet::read(vectors["jwks"].to_string().as_bytes()).unwrap();
    let builder = Receiver::builder().client_state(STATE).app_id(APP).tenant(TENANT).keys(keys);
    let receiver = builder.private_key("throwaway", key).build().unwrap();
    let items = [item(json!({"encryptedContent": sealed}))];
    for tokens in vectors["validationTokens"].as_array().unwrap().chunks(1) {
        let body = json!({"value": items, "validationTokens": tokens}).to_string();
        let change = changes(receiver.receive(body.as_bytes(), after(60)).unwrap()).remove(0);
        let content = receiver.open(&change).unwrap();
        assert_eq!(content.bytes(), include_bytes!("../../../protocol/tests/data/content.json"));
    }
}

/// What cannot be seen: nothing in whole sealed data says which notification it belongs to. Who can exchange it on its
/// way could as well seal something else: against both stand TLS, `clientState` and the tokens.
#[test]
fn whole_data_that_was_exchanged_between_two_notifications_is_opened() {
    let items = [
        item(json!({"resource": "a", "encryptedContent": sealed("of b", 2)})),
        item(json!({"resource": "b", "encryptedContent": sealed("of a", 1)})),
    ];
    let changes = changes(receive(&items, &[token()]).unwrap());
    assert_eq!(opened(&changes[0]).unwrap()["subject"], "of b");
}

#[test]
fn replayed_notification_is_genuine_and_a_duplicate() {
    let body =
        body(&[item(json!({"id": "1", "encryptedContent": sealed("a", 1)})), item(json!({"id": "2"}))], &[token()]);
    let mut duplicates = Duplicates::default();
    let mut new = |seconds| {
        let received = receiver().receive(&body, after(seconds)).unwrap();
        let now = Duration::from_secs(seconds);
        received.notifications().filter(|notification| duplicates.is_new(notification, now)).count()
    };
    assert_eq!([new(60), new(61), new(3_600)], [2, 0, 0]);
    let late = receiver().receive(&body, after(100_000));
    assert_eq!(late, Err(Refusal::Token(TokenError::Expired)), "and its token does not hold for ever");
}

#[test]
fn nothing_shows_what_is_secret() {
    let data = sealed("s3cret subject", 1);
    let change = bearing(data.clone());
    let content = receiver().open(&change).unwrap();
    let shown = format!("{:?} {change:?} {content:?}", receiver());
    assert!(!shown.contains(STATE) && !shown.contains("subject") && !shown.contains(&data.data), "{shown}");
    let shape = content.json::<Vec<u8>>().unwrap_err();
    assert!(matches!(shape, ContentError::Shape { line: 1, .. }) && !shape.to_string().contains("subject"));
}
