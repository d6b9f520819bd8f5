//! An app subscribes, renews and ends; and is refused where Graph would refuse it.

use base64::Engine as _;
use http::StatusCode;
use notify::Profile;
use notify::subscription::TlsVersion;
use protocol::HandshakeError;
use serde_json::{Value, json};
use tidings_server::seed;

use crate::world::{CERTIFICATE, World, ok, settled};

const HOOK: &str = "https://hook.example.net/graph?tenant=7";

/// A create request that is sound, with these changes.
fn asked(world: &World, changes: Value) -> Value {
    let mut body = json!({
        "changeType": "created,Updated",
        "notificationUrl": HOOK,
        "resource": "/me/mailFolders('Inbox')/messages",
        "expirationDateTime": world.state.clock.wall().plus_minutes(60).to_string(),
        "clientState": "s3cret",
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn refusal(world: &World, changes: Value) -> String {
    world.megan().post("/v1.0/subscriptions", asked(world, changes)).await.refusal()
}

#[tokio::test]
async fn a_subscription_lives_from_201_to_404() {
    let world = World::new().await;
    let megan = world.megan();
    let lifecycle = json!({"lifecycleNotificationUrl": HOOK, "@odata.type": "#microsoft.graph.Subscription"});
    let made = ok(megan.post("/v1.0//subscriptions", asked(&world, lifecycle)).await, StatusCode::CREATED);
    insta::assert_json_snapshot!("subscription", settled(&made.json));
    assert_eq!(*world.receivers.asked.lock().unwrap(), [HOOK, HOOK], "both URLs, even when equal");

    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let read = ok(megan.get(&path).await, StatusCode::OK);
    assert_eq!(read.json, made.json);
    let listed = ok(megan.get("/v1.0/subscriptions").await, StatusCode::OK);
    insta::assert_json_snapshot!("subscription_list", settled(&listed.json));

    let later = world.state.clock.wall().plus_minutes(120).to_string();
    let renewed = ok(megan.patch(&path, json!({"expirationDateTime": later})).await, StatusCode::OK);
    assert_eq!(renewed.text("/expirationDateTime"), later);
    assert_eq!(renewed.json.as_object().unwrap().len(), made.json.as_object().unwrap().len());
    assert_eq!(world.receivers.asked.lock().unwrap().len(), 2, "a renewal asks nobody");
    let reauthorized = megan.send("POST", &format!("{path}/reauthorize"), String::new()).await;
    ok(reauthorized, StatusCode::NO_CONTENT);

    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(world.engine.0.lock().unwrap().len(), 1, "the engine applied the end before the answer");
    let gone = "404 ResourceNotFound: The object was not found.";
    assert_eq!(megan.delete(&path).await.refusal(), gone);
    assert_eq!(megan.get(&path).await.refusal(), gone);
    assert_eq!(megan.patch(&path, json!({"expirationDateTime": later})).await.refusal(), gone);
    assert_eq!(megan.get("/v1.0/subscriptions/no-guid").await.refusal(), gone);
}

#[tokio::test]
async fn others_do_not_see_it_but_the_app_itself_does() {
    let world = World::new().await;
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    assert_eq!(world.adele().get(&path).await.status, 404);
    assert_eq!(world.adele().get("/v1.0/subscriptions").await.json["value"], json!([]));
    ok(world.app().get(&path).await, StatusCode::OK);
}

#[tokio::test]
async fn a_short_life_is_raised_and_a_long_one_refused_with_the_limit() {
    let world = World::new().await;
    let short = world.state.clock.wall().plus_minutes(5);
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({"expirationDateTime": short}))).await;
    let given: graph::Timestamp = made.text("/expirationDateTime").parse().unwrap();
    assert!(given >= short.plus_minutes(39) && given <= short.plus_minutes(41));
    let long = world.state.clock.wall().plus_minutes(4_320);
    assert_eq!(
        refusal(&world, json!({"expirationDateTime": long})).await,
        "400 ExtensionError: Subscription expiration can only be 4230 minutes in the future."
    );
}

#[tokio::test]
async fn what_only_the_server_sets_is_passed_over_and_the_rest_comes_back_as_sent() {
    let world = World::new().await;
    let (megan, other) = (seed::users()[0].id.to_string(), "7b1fd1ea-0000-4000-8000-000000000001");
    let resource = "me/mailfolders('Drafts')/messages?$select=Subject,isRead&$filter=isRead eq false";
    let sent = json!({
        "id": other, "applicationId": other, "creatorId": other, "resource": resource, "changeType": "Created, updated",
        "includeResourceData": false, "lifecycleNotificationUrl": "https://hook.example.net/Life?k=%2F",
    });
    let made = ok(world.megan().post("/v1.0/subscriptions", asked(&world, sent.clone())).await, StatusCode::CREATED);
    assert!(made.text("/id").parse::<uuid::Uuid>().is_ok() && made.text("/id") != other);
    assert_eq!((made.text("/applicationId"), made.text("/creatorId")), (seed::APP.to_string(), megan));
    for name in ["resource", "changeType", "lifecycleNotificationUrl"] {
        assert_eq!(made.json[name], sent[name], "{name}");
    }
    assert_eq!(made.json["includeResourceData"], Value::Null);
    assert_eq!((made.text("/notificationUrl"), made.text("/clientState")), (HOOK.to_owned(), "s3cret".to_owned()));
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    assert_eq!(ok(world.megan().get(&path).await, StatusCode::OK).json, made.json);
}

#[tokio::test]
async fn both_urls_and_a_new_one_are_offered_the_tls_that_the_subscription_says() {
    let world = World::new().await;
    for (sent, offered) in [("v1_3", TlsVersion::V1_3), ("v1_2", TlsVersion::V1_2)] {
        let types = if sent == "v1_3" { "created" } else { "updated" };
        let asked = asked(
            &world,
            json!({"latestSupportedTlsVersion": sent, "lifecycleNotificationUrl": HOOK, "changeType": types}),
        );
        let made = ok(world.megan().post("/v1.0/subscriptions", asked).await, StatusCode::CREATED);
        assert_eq!(made.text("/latestSupportedTlsVersion"), sent);
        let moved = json!({"notificationUrl": "https://other.example.net/"});
        ok(world.megan().patch(&format!("/v1.0/subscriptions/{}", made.text("/id")), moved).await, StatusCode::OK);
        assert_eq!(std::mem::take(&mut *world.receivers.offered.lock().unwrap()), [offered; 3]);
    }
}

/// What asks for content, with these changes; it lacks a `$select`.
fn rich(changes: Value) -> Value {
    let mut asked =
        json!({"includeResourceData": true, "encryptionCertificate": CERTIFICATE, "encryptionCertificateId": "one"});
    for (name, value) in changes.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

#[tokio::test]
async fn a_subscription_with_content_says_so_and_keeps_it_and_its_certificate() {
    let world = World::new().await;
    let megan = world.megan();
    let resource = "/me/Messages?$select=Subject,from&$filter=isRead eq false";
    let body = asked(&world, rich(json!({"includeResourceData": "True", "resource": resource})));
    let made = ok(megan.post("/v1.0/subscriptions", body).await, StatusCode::CREATED);
    assert_eq!((&made.json["includeResourceData"], &made.json["resource"]), (&json!(true), &json!(resource)));
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    assert_eq!(ok(megan.get(&path).await, StatusCode::OK).json, made.json);
    assert_eq!(megan.get("/v1.0/subscriptions").await.json["value"][0]["includeResourceData"], true);

    // An app sends back what it read, with another expiry and certificate.
    let mut renewal = made.json.clone();
    renewal["expirationDateTime"] = world.state.clock.wall().plus_minutes(1_439).to_string().into();
    (renewal["encryptionCertificate"], renewal["encryptionCertificateId"]) = (certificate().into(), "two".into());
    let renewed = ok(megan.patch(&path, renewal.clone()).await, StatusCode::OK);
    assert_eq!(renewed.json, renewal);
    let fixed = "400 InvalidRequest: The property 'includeResourceData' of a subscription cannot be changed; delete the \
                 subscription and create a new one.";
    let basic = json!({"includeResourceData": false, "encryptionCertificateId": "three"});
    assert_eq!(megan.patch(&path, basic).await.refusal(), fixed);
    let emptied = json!({"encryptionCertificate": "", "encryptionCertificateId": "", "notificationUrl": HOOK});
    assert_eq!(ok(megan.patch(&path, emptied).await, StatusCode::OK).json, renewed.json);
    let long = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(1_500)});
    let too_long = "400 ExtensionError: Subscription expiration can only be 1440 minutes in the future.";
    assert_eq!(megan.patch(&path, long).await.refusal(), too_long);
}

#[tokio::test]
async fn where_an_app_last_asked_for_content_is_kept() {
    let world = World::new().await;
    let body = asked(&world, rich(json!({"resource": "me/contacts?$select=displayName"})));
    let made = ok(world.megan().post("/v1.0/subscriptions", body).await, StatusCode::CREATED).text("/id");
    let kept = async || {
        let found = world.state.store.subscription(made.parse().unwrap()).await.unwrap().unwrap();
        found.extras.as_ref().unwrap().origin.clone().unwrap()
    };
    let first = kept().await;
    let elsewhere = format!("http://mail.example:8443/v1.0/subscriptions/{made}/reauthorize");
    ok(world.megan().send("POST", &elsewhere, String::new()).await, StatusCode::NO_CONTENT);
    assert_eq!((first.as_str(), kept().await.as_str()), ("http://graph.test:8443", "http://mail.example:8443"));
}

#[tokio::test]
async fn what_content_lacks_stands_in_the_details() {
    let world = World::new().await;
    for (resource, lacking) in [
        (
            "me/messages",
            "notifications with content need a $select in the resource: the properties that they show, such as subject",
        ),
        (
            "me/events?$select=exceptionOccurrences",
            "$select cannot name 'exceptionOccurrences', which changes do not carry",
        ),
    ] {
        let body = asked(&world, rich(json!({"resource": resource})));
        let refused = world.megan().post("/v1.0/subscriptions", body).await;
        assert_eq!(refused.text("/error/details/0/message"), lacking);
    }
}

/// Base64 of the DER form of a certificate with a new RSA key.
fn certificate() -> String {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    base64::engine::general_purpose::STANDARD.encode(certificate.der())
}

#[tokio::test]
async fn a_certificate_is_kept_shown_and_rotated() {
    let world = World::new().await;
    let megan = world.megan();
    let (first, second) = (certificate(), certificate());
    let extras = json!({
        "encryptionCertificate": first, "encryptionCertificateId": "first",
        "notificationUrlAppId": "7B1FD1EA-0000-4000-8000-000000000001", "notificationContentType": "application/json",
    });
    let made = ok(megan.post("/v1.0/subscriptions", asked(&world, extras.clone())).await, StatusCode::CREATED);
    for (name, value) in extras.as_object().unwrap() {
        assert_eq!(made.json[name], *value, "{name}");
    }
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    assert_eq!(ok(megan.get(&path).await, StatusCode::OK).json, made.json);
    let listed = megan.get("/v1.0/subscriptions").await;
    assert_eq!(listed.text("/value/0/encryptionCertificate"), first);

    let rotation = json!({"encryptionCertificate": second, "encryptionCertificateId": "second"});
    let rotated = ok(megan.patch(&path, rotation).await, StatusCode::OK);
    let mut expected = made.json.clone();
    expected["encryptionCertificate"] = second.as_str().into();
    expected["encryptionCertificateId"] = "second".into();
    assert_eq!(rotated.json, expected, "nothing else has changed, the expiry neither");
    assert_eq!(world.receivers.asked.lock().unwrap().len(), 1, "a rotation asks nobody");
    // `null` is what is absent: it removes nothing.
    let renewal = json!({"encryptionCertificate": null, "encryptionCertificateId": "third"});
    let renamed = ok(megan.patch(&path, renewal).await, StatusCode::OK);
    assert_eq!(renamed.text("/encryptionCertificate"), second);
    assert_eq!(renamed.text("/encryptionCertificateId"), "third");
    let refused = megan.patch(&path, json!({"encryptionCertificate": "MIID"})).await;
    let message = "Certificate validation error: Cannot find the requested object.";
    assert_eq!(refused.refusal(), format!("400 InvalidRequest: {message}"));
    assert!(refused.text("/error/details/0/message").contains("the base64 of its DER form"));
    assert_eq!(megan.get(&path).await.json, renamed.json);
    ok(megan.patch(&path, renamed.json.clone()).await, StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_with_a_url_stands_in_the_details() {
    let world = World::new().await;
    let refused =
        world.megan().post("/v1.0/subscriptions", asked(&world, json!({"notificationUrl": "h?k=s3cret"}))).await;
    assert_eq!(refused.refusal(), "400 InvalidRequest: Invalid notification url='h…'.");
    assert_eq!(refused.text("/error/details/0/target"), "notificationUrl");
    assert_eq!(refused.text("/error/details/0/message"), "it is not an absolute URL");
}

#[tokio::test]
async fn an_expiry_comes_back_with_the_digits_that_were_sent() {
    let world = World::new().await;
    let date = world.state.clock.wall().plus_minutes(90).whole_seconds().to_string();
    let date = date.trim_end_matches('Z');
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    for (sent, answered) in
        [("+00:00", "Z"), (".9Z", ".9Z"), (".934Z", ".934Z"), (".2257768+00:00", ".2257768Z"), (".0000000Z", "Z")]
    {
        let renewed = world.megan().patch(&path, json!({"expirationDateTime": format!("{date}{sent}")})).await;
        assert_eq!(ok(renewed, StatusCode::OK).text("/expirationDateTime"), format!("{date}{answered}"));
        assert_eq!(world.megan().get(&path).await.text("/expirationDateTime"), format!("{date}{answered}"));
    }
}

#[tokio::test]
async fn refusals_at_create_have_graphs_words() {
    let world = World::new().await;
    let mut seen = Vec::new();
    for changes in [
        json!({"colour": "red"}),
        json!({"expirationDateTime": "2018-09-5"}),
        json!({"expirationDateTime": null}),
        json!({"changeType": "moved"}),
        json!({"notificationUrl": "http://hook.example.net/"}),
        json!({"lifecycleNotificationUrl": "hook?key=s3cret"}),
        json!({"notificationUrlAppId": "my app"}),
        json!({"encryptionCertificate": "MIID"}),
        json!({"latestSupportedTlsVersion": "v1_0"}),
        json!({"clientState": "x".repeat(129)}),
        json!({"resource": "me/messages?$filter=isRead eq 'no'"}),
        json!({"resource": "me/messages?$filter=contains(body/content,'x')"}),
        json!({"resource": "me/messages?$select=subjekt"}),
        json!({"resource": "me/messages?$select=subject&$top=5"}),
        json!({"includeResourceData": true}),
        json!({"includeResourceData": "true", "encryptionCertificate": CERTIFICATE}),
        rich(json!({})),
        rich(json!({"resource": "me/messages?$select=*&$filter=isRead"})),
        rich(json!({"resource": "me/events?$select=subject,Body"})),
        rich(json!({"resource": "me/messages?$select=subject,internetMessageHeaders"})),
        rich(json!({"resource": "me/contacts?$select=displayName&$expand=extensions"})),
        rich(json!({"resource": "users", "changeType": "updated"})),
        rich(json!({"resource": "me/events?$select=subject",
                    "expirationDateTime": world.state.clock.wall().plus_minutes(1_441)})),
        json!({"notificationUrl": "EventHub:https://x"}),
        json!({"webPushEncryptionSecret": "x"}),
        json!({"resource": "me/drive"}),
        json!({"resource": "me/messages/AAMk"}),
        json!({"resource": "me/mailFolders/nowhere/messages"}),
        json!({"resource": "users/nobody@contoso.test/messages"}),
        json!({"resource": "users/adele@contoso.test/messages"}),
    ] {
        let mut named = changes.clone();
        for (name, shown) in [("clientState", "xxx…"), ("encryptionCertificate", "MIID…"), ("expirationDateTime", "…")]
        {
            if named[name].as_str().is_some_and(|value| value.len() > 20) {
                named[name] = shown.into();
            }
        }
        seen.push(format!("{named} -> {}", refusal(&world, changes).await));
    }
    let app = world.app().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    seen.push(format!("me, by an app -> {}", app.refusal()));
    let json = world.megan().send("POST", "/v1.0/subscriptions", "{".into()).await;
    seen.push(format!("broken JSON -> {}", json.refusal()));
    insta::assert_json_snapshot!("subscription_refusals", seen);
    assert_eq!(world.megan().get("/v1.0/subscriptions").await.json["value"], json!([]), "nothing was half-made");
}

#[tokio::test]
async fn a_receiver_that_does_not_echo_gets_no_subscription() {
    let world = World::new().await;
    let (silent, closed) = ("https://silent.example.net/", "https://closed.example.net/");
    world.receivers.fails(silent, HandshakeError::TimedOut);
    world.receivers.fails(closed, HandshakeError::Status(403));
    assert_eq!(
        refusal(&world, json!({"notificationUrl": silent})).await,
        "400 ValidationError: Subscription validation request timed out."
    );
    assert_eq!(
        refusal(&world, json!({"lifecycleNotificationUrl": closed})).await,
        "400 ValidationError: Subscription validation request failed. Notification endpoint must respond with 200 OK \
         to validation request."
    );
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let moved = world.megan().patch(&path, json!({"notificationUrl": silent})).await;
    assert_eq!(moved.refusal(), "400 ValidationError: Subscription validation request timed out.");
    let detail = (moved.text("/error/details/0/target"), moved.text("/error/details/0/message"));
    let told = "https://silent.example.net/ did not answer whole within 10 seconds";
    assert_eq!(detail, ("notificationUrl".to_owned(), told.to_owned()), "who that is, is said beside Graph's words");
    assert_eq!(world.megan().get(&path).await.text("/notificationUrl"), HOOK);
    let moved = world.megan().patch(&path, json!({"notificationUrl": "https://other.example.net/"})).await;
    assert_eq!(ok(moved, StatusCode::OK).text("/notificationUrl"), "https://other.example.net/");
}

#[tokio::test]
async fn an_equal_subscription_and_one_too_many_are_refused() {
    let world = World::with(Profile { subscriptions_per_mailbox_max: 2, ..Profile::documented() }).await;
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    assert_eq!(
        refusal(&world, json!({})).await,
        format!("409 Conflict: Subscription Id {} already exists for the requested combination", made.text("/id"))
    );
    // Another creator is another combination, but the mailbox is the same.
    let inbox = format!("users/{}/mailFolders/inbox/messages", seed::users()[0].id);
    let app = world.app().post("/v1.0/subscriptions", asked(&world, json!({"resource": inbox}))).await;
    assert_eq!(ok(app, StatusCode::CREATED).text("/creatorId"), seed::SERVICE_PRINCIPAL.to_string());
    assert_eq!(
        refusal(&world, json!({"resource": "me/events"})).await,
        "403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of \
         subscriptions has been reached: 2 for each mailbox]"
    );
}

#[tokio::test]
async fn a_failed_handshake_is_refused_in_the_words_of_the_profile() {
    let (older, newer) = (World::new().await, World::with(Profile::observed()).await);
    let named = "Subscription validation request failed. HTTP status code is 'NotFound'. Notification endpoint must \
                 respond with 200 OK to validation request.";
    let plain = named.replace(" HTTP status code is 'NotFound'.", "");
    for (world, message) in [(&older, plain.as_str()), (&newer, named)] {
        world.receivers.fails(HOOK, HandshakeError::Status(404));
        let reply = world.megan().post("/v1.0/subscriptions", asked(world, json!({}))).await;
        assert_eq!(reply.refusal(), format!("400 ValidationError: {message}"));
        let detail = json!([{"code": "ValidationError", "message": "the endpoint answered 404 NotFound",
                             "target": "notificationUrl"}]);
        assert_eq!(reply.json["error"]["details"], detail);
        assert_eq!(reply.header("content-type").split(';').next(), Some("application/json"));
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("request-id"), reply.text("/error/innerError/request-id"));
        assert_eq!(reply.header("client-request-id"), reply.text("/error/innerError/client-request-id"));
        assert!(reply.header("x-ms-ags-diagnostic").starts_with("{\"ServerInfo\":"));
    }
}
