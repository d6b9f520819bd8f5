//! Notifications with content, over real sockets: sealed for each app's certificate, vouched for with tokens, and
//! counted where they could not be told whole.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{AppId, ChangeType, Kind, SubscriptionId};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use notify::subscription::{Extras, Target, TlsVersion};
use notify::{AbandonReason, LedgerDelta, NodeConfig, Subscription};
use protocol::envelope::{EncryptedContent, OpeningKey, open};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use store::{App, Makers, SubscriptionLimits, TokenVersion};
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::server::{Running, Settings, start};
use tidings_server::{ids, seed};
use tokio::sync::{Semaphore, mpsc};

use crate::delivery::{call_with, receiver, settings};

/// What an app seals for, and opens with.
struct Pair {
    certificate: String,
    key: OpeningKey,
}

/// The same two in all stories: making one takes longer than most of them.
fn pair(number: usize) -> &'static Pair {
    static PAIRS: [OnceLock<Pair>; 2] = [const { OnceLock::new() }; 2];
    PAIRS[number].get_or_init(|| {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        Pair {
            certificate: STANDARD.encode(certificate.der()),
            key: OpeningKey::from_der(&key.serialize_der()).unwrap(),
        }
    })
}

/// A subscription of the seeded app to Megan's messages, as it came to be however it did.
pub fn subscription(server: &Running, url: &str, extras: Extras) -> Subscription {
    let (megan, now) = (seed::users()[0].id, server.state.clock.wall());
    Subscription {
        id: SubscriptionId(ids::new_uuid()),
        tenant: seed::TENANT,
        app: seed::APP,
        creator: megan,
        resource: "me/messages?$select=subject,isRead".to_owned(),
        target: Target::Items { mailbox: megan, kind: Kind::Message, folder: None },
        change_types: ChangeType::ALL.into_iter().collect(),
        change_type: "created,updated,deleted".to_owned(),
        notification_url: url.to_owned(),
        lifecycle_url: None,
        client_state: Some("s3cret".to_owned()),
        tls_version: TlsVersion::V1_2,
        extras: extras.boxed(),
        immutable_ids: false,
        authorized: now,
        expires: now.plus_minutes(60),
        expires_tenths: 0,
        created: now,
    }
}

pub fn sealed_for(number: usize) -> Extras {
    Extras {
        include_resource_data: true,
        encryption_certificate: Some(pair(number).certificate.clone()),
        encryption_certificate_id: Some(format!("pair {number}")),
        origin: Some("http://tidings.test:8443".to_owned()),
        ..Extras::default()
    }
}

pub async fn begin(server: &Running, subscription: Subscription) -> SubscriptionId {
    let id = subscription.id;
    let limits = SubscriptionLimits { per_scope: 100, refuse_duplicates: false, makers: Makers::default() };
    server.state.store.begin_subscription(Arc::new(subscription), limits).await.unwrap();
    id
}

async fn call(server: &Running, method: &str, path: &str, body: Value) -> Value {
    let state = &server.state;
    let grant = Grant::Delegated(&seed::users()[0], SCOPES);
    let token = state.tokens.issue(&seed::app(), grant, state.clock.wall(), 60).unwrap();
    let (status, answer) = call_with(&token, server, method, path, body).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

pub async fn draft(server: &Running, subject: &str) -> String {
    let made = call(server, "POST", "/v1.0/me/messages", json!({"subject": subject})).await;
    made["id"].as_str().unwrap().to_owned()
}

/// What the content of a notification says to who has that pair.
pub fn opened(told: &Value, number: usize) -> Value {
    let sealed: EncryptedContent = serde_json::from_value(told["encryptedContent"].clone()).unwrap();
    serde_json::from_slice(&open(&sealed, &pair(number).key).unwrap()).unwrap()
}

/// The claims of a token that the published keys verify.
async fn verified(server: &Running, token: &str) -> Value {
    let keys = call_with("", server, "GET", "/common/discovery/v2.0/keys", json!(null)).await.1;
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_aud = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

/// The ledger, once it says that all matches have ended.
pub async fn ended(server: &Running, id: SubscriptionId, matched: u64) -> LedgerDelta {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
    for _ in 0..2_000 {
        look.tick().await;
        let ledger = server.state.store.ledger(id).await.unwrap();
        assert!(ledger.balances(), "{ledger:?}");
        if ledger.matched == matched && ledger.parked == 0 {
            return ledger;
        }
    }
    panic!("after ten seconds not all matches have ended");
}

#[tokio::test]
async fn content_reaches_who_has_the_key_and_a_token_says_from_whom() {
    let (url, mut heard) = receiver().await;
    let server = start(settings()).await.unwrap();
    let id = begin(&server, subscription(&server, &url, sealed_for(0))).await;
    let item = draft(&server, "Hello").await;
    let created = heard.recv().await.unwrap();
    let told = &created["value"][0];
    assert_eq!(opened(told, 0), json!({"subject": "Hello", "isRead": true}));
    assert_eq!(told["encryptedContent"]["encryptionCertificateId"], "pair 0");
    let resource = format!("Users('{}')/messages('{item}')", seed::users()[0].id);
    assert_eq!((&told["resource"], &told["resourceData"]["@odata.id"]), (&json!(resource), &json!(resource)));
    assert_eq!(told["resourceData"]["@odata.type"], "#microsoft.graph.message");
    let path = format!("/v1.0/{resource}");
    assert_eq!(
        call(&server, "GET", &path, json!(null)).await["subject"],
        "Hello",
        "it can be read where it is said to lie"
    );

    let tokens = created["validationTokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 1);
    let claims = verified(&server, tokens[0].as_str().unwrap()).await;
    let publisher = protocol::validation_token::PUBLISHER_ID;
    assert_eq!((&claims["aud"], &claims["tid"]), (&json!(seed::APP), &json!(seed::TENANT)));
    assert_eq!(
        (&claims["appid"], &claims["azp"], &claims["ver"]),
        (&json!(publisher), &json!(publisher), &json!("1.0"))
    );

    call(&server, "PATCH", &path, json!({"subject": "Hello again"})).await;
    let updated = heard.recv().await.unwrap();
    assert_eq!(opened(&updated["value"][0], 0), json!({"subject": "Hello again", "isRead": true}));
    assert_ne!(
        updated["value"][0]["encryptedContent"]["dataKey"], told["encryptedContent"]["dataKey"],
        "a key of its own"
    );
    assert_eq!(updated["validationTokens"], created["validationTokens"], "a token is made once");

    call(&server, "POST", &format!("{path}/permanentDelete"), json!(null)).await;
    let deleted = heard.recv().await.unwrap();
    let told = &deleted["value"][0];
    assert_eq!((&told["changeType"], &told["resource"]), (&json!("deleted"), &json!(resource)));
    assert_eq!(
        (told.get("encryptedContent"), deleted.get("validationTokens")),
        (None, None),
        "of nothing there is no content"
    );
    assert_eq!(ended(&server, id, 3).await.delivered, 3);
    server.drain().await;
}

#[tokio::test]
async fn one_request_may_be_for_several_audiences_and_for_who_wants_no_content() {
    let (url, mut heard) = receiver().await;
    let server = start(settings()).await.unwrap();
    let another = AppId(ids::new_uuid());
    let named = Extras { notification_url_app_id: Some(another.to_string()), ..sealed_for(1) };
    for extras in [sealed_for(0), named, Extras::default()] {
        begin(&server, subscription(&server, &url, extras)).await;
    }
    draft(&server, "Hello").await;
    let request = heard.recv().await.unwrap();
    let told = request["value"].as_array().unwrap();
    assert_eq!(told.len(), 3, "{request}");
    let of = |id: Option<&str>| {
        told.iter().find(|told| told["encryptedContent"]["encryptionCertificateId"].as_str() == id).unwrap()
    };
    for (number, id) in ["pair 0", "pair 1"].into_iter().enumerate() {
        assert_eq!(opened(of(Some(id)), number)["subject"], "Hello");
    }
    let basic = of(None);
    assert!(basic["resource"].as_str().unwrap().contains("/Messages/AAMk"), "{basic}");
    assert_eq!(
        (&basic["resourceData"]["@odata.type"], basic.get("encryptedContent")),
        (&json!("#Microsoft.Graph.Message"), None)
    );
    let mut audiences = Vec::new();
    for token in request["validationTokens"].as_array().unwrap() {
        audiences.push(verified(&server, token.as_str().unwrap()).await["aud"].clone());
    }
    audiences.sort_by_key(ToString::to_string);
    let mut expected = [json!(seed::APP), json!(another)];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(audiences, expected);
    server.drain().await;
}

#[tokio::test]
async fn an_app_that_takes_tokens_of_version_2_gets_them_under_the_name_it_knows_the_server_by() {
    let (url, mut heard) = receiver().await;
    let server = start(settings()).await.unwrap();
    let before = server.state.store.app(seed::APP).await.unwrap().unwrap();
    let after = App { access_token_version: TokenVersion::V2, ..before.clone() };
    server.state.directory.change(|store| async move { store.replace_app(before, after).await }).await.unwrap();
    begin(&server, subscription(&server, &url, sealed_for(0))).await;
    draft(&server, "Hello").await;
    let request = heard.recv().await.unwrap();
    let claims = verified(&server, request["validationTokens"][0].as_str().unwrap()).await;
    assert_eq!(claims["iss"], format!("http://tidings.test:8443/{}/v2.0", seed::TENANT));
    assert_eq!(claims["ver"], "2.0");
    server.drain().await;
}

/// A receiver that answers a request each time that it is let.
async fn slow_receiver() -> (String, mpsc::UnboundedReceiver<Value>, Arc<Semaphore>) {
    type Slow = (mpsc::UnboundedSender<Value>, Arc<Semaphore>);
    async fn hook(State((seen, let_go)): State<Slow>, body: Bytes) -> StatusCode {
        seen.send(serde_json::from_slice(&body).unwrap()).unwrap();
        let_go.acquire().await.unwrap().forget();
        StatusCode::ACCEPTED
    }
    let (seen, heard) = mpsc::unbounded_channel();
    let let_go = Arc::new(Semaphore::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(hook)).with_state((seen, let_go.clone()));
    tokio::spawn(axum::serve(listener, router).into_future());
    (url, heard, let_go)
}

#[tokio::test]
async fn what_is_built_after_a_rotation_is_sealed_for_the_new_certificate() {
    let (url, mut heard, let_go) = slow_receiver().await;
    let server = start(settings()).await.unwrap();
    let id = begin(&server, subscription(&server, &url, sealed_for(0))).await;
    let item = draft(&server, "Hello").await;
    let first = heard.recv().await.unwrap();
    // A change of the same item waits for the one in flight.
    call(&server, "PATCH", &format!("/v1.0/me/messages/{item}"), json!({"subject": "Hello again"})).await;
    let rotated = json!({"encryptionCertificate": pair(1).certificate, "encryptionCertificateId": "pair 1"});
    call(&server, "PATCH", &format!("/v1.0/subscriptions/{}", id.0), rotated).await;
    let_go.add_permits(2);
    let second = heard.recv().await.unwrap();
    assert_eq!(opened(&first["value"][0], 0)["subject"], "Hello", "what is in flight is as it was built");
    assert_eq!(opened(&second["value"][0], 1)["subject"], "Hello again");
    let thumbprint =
        |request: &Value| request["value"][0]["encryptedContent"]["encryptionCertificateThumbprint"].clone();
    assert_eq!(second["value"][0]["encryptedContent"]["encryptionCertificateId"], "pair 1");
    assert_ne!(thumbprint(&first), thumbprint(&second));
    assert_eq!(ended(&server, id, 2).await.delivered, 2);
    server.drain().await;
}

#[tokio::test]
async fn content_that_is_too_large_is_left_out_and_counted() {
    let (url, mut heard) = receiver().await;
    let delivery = NodeConfig { content_bytes_max: 200, ..NodeConfig::default() };
    let server = start(Settings { delivery, ..settings() }).await.unwrap();
    let id = begin(&server, subscription(&server, &url, sealed_for(0))).await;
    let large = draft(&server, &"Hello ".repeat(40)).await;
    let request = heard.recv().await.unwrap();
    let told = &request["value"][0];
    assert_eq!(told["resource"], format!("Users('{}')/messages('{large}')", seed::users()[0].id));
    assert_eq!((told.get("encryptedContent"), request.get("validationTokens")), (None, None));
    draft(&server, "Hello").await;
    assert_eq!(opened(&heard.recv().await.unwrap()["value"][0], 0)["subject"], "Hello");
    let ledger = ended(&server, id, 2).await;
    assert_eq!((ledger.delivered, ledger.abandoned), (1, [(AbandonReason::TooLarge, 1)].into()));
    server.drain().await;
}

#[tokio::test]
async fn who_was_not_told_of_content_is_told_once_that_something_was_missed() {
    let (url, mut heard) = receiver().await;
    let delivery = NodeConfig { content_bytes_max: 200, ..NodeConfig::default() };
    let server = start(Settings { delivery, ..settings() }).await.unwrap();
    let asked =
        Subscription { lifecycle_url: Some(format!("{url}?life")), ..subscription(&server, &url, sealed_for(0)) };
    let id = begin(&server, asked).await;
    draft(&server, &"Hello ".repeat(40)).await;
    assert_eq!(heard.recv().await.unwrap()["value"][0].get("encryptedContent"), None, "it is told without its content");
    let request = heard.recv().await.unwrap();
    let told = &request["value"][0];
    assert_eq!((&told["lifecycleEvent"], &told["subscriptionId"]), (&json!("missed"), &json!(id)));
    draft(&server, "Hello").await;
    assert_eq!(opened(&heard.recv().await.unwrap()["value"][0], 0)["subject"], "Hello", "the subscription lives on");
    let ledger = ended(&server, id, 3).await;
    assert_eq!((ledger.delivered, ledger.abandoned), (2, [(AbandonReason::TooLarge, 1)].into()));
    server.drain().await;
}

#[tokio::test]
async fn what_cannot_be_sealed_any_more_is_told_to_nobody_and_counted() {
    let (url, mut heard) = receiver().await;
    let server = start(settings()).await.unwrap();
    let broken = Extras { encryption_certificate: Some("AAAA".to_owned()), ..sealed_for(0) };
    let id = begin(&server, subscription(&server, &url, broken)).await;
    draft(&server, "Nobody may read this").await;
    let ledger = ended(&server, id, 1).await;
    assert_eq!((ledger.delivered, ledger.abandoned), (0, [(AbandonReason::CertificateUnusable, 1)].into()));
    assert!(heard.try_recv().is_err(), "no request was made");

    // In one request with others it is missing.
    let other = begin(&server, subscription(&server, &url, Extras::default())).await;
    draft(&server, "Hello").await;
    let request = heard.recv().await.unwrap();
    let told: Vec<_> = request["value"].as_array().unwrap().iter().map(|told| &told["subscriptionId"]).collect();
    assert_eq!(told, [&json!(other)]);
    assert_eq!(ended(&server, other, 1).await.delivered, 1);
    let ledger = ended(&server, id, 2).await;
    assert_eq!(ledger.abandoned, [(AbandonReason::CertificateUnusable, 2)].into());

    // With a certificate that can be used it goes on.
    let mended = json!({"encryptionCertificate": pair(0).certificate});
    call(&server, "PATCH", &format!("/v1.0/subscriptions/{}", id.0), mended).await;
    draft(&server, "Hello again").await;
    let mut all = Vec::new();
    while all.len() < 2 {
        all.extend(heard.recv().await.unwrap()["value"].as_array().unwrap().clone());
    }
    let told = all.iter().find(|told| told["subscriptionId"] == json!(id)).unwrap();
    assert_eq!(opened(told, 0)["subject"], "Hello again");
    server.drain().await;
}
