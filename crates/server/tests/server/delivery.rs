//! The whole server over real sockets: a change reaches a subscriber.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::post;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use notify::{NodeConfig, Profile};
use protocol::event_grid::push::Origin;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tidings_server::app::Limits;
use tidings_server::clock::Clock;
use tidings_server::config::{AttemptLog, Delivery, Retention};
use tidings_server::data_dir::DataDir;
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::outbound::{OutboundConfig, Policy};
use tidings_server::server::{Addresses, Running, Settings, start};
use tidings_server::sinks::SinksConfig;
use tidings_server::{key_file, seed, tls};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

/// An app's webhook: echoes validation tokens and hands over what it is sent.
pub async fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    async fn hook(State(seen): State<mpsc::UnboundedSender<Value>>, RawQuery(query): RawQuery, body: Bytes) -> String {
        let query = query.unwrap_or_default();
        let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken");
        if let Some((_, token)) = token {
            return token.into_owned();
        }
        seen.send(serde_json::from_slice(&body).unwrap()).unwrap();
        String::new()
    }
    let (seen, notifications) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/hook", post(hook)).with_state(seen)).into_future());
    (url, notifications)
}

pub async fn server() -> Running {
    start(settings()).await.unwrap()
}

/// A development server on free ports.
pub fn settings() -> Settings {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let data = DataDir::temporary().unwrap();
    let tls = tls::development(&data, Clock::new().wall()).unwrap();
    Settings {
        data,
        keys: key_file::in_memory(),
        listen: Addresses { http: vec![any], https: vec![any], admin: any, lmtp: Some(any), metrics: Some(any) },
        tls: Some(tls),
        profile: Profile::documented(),
        delivery: NodeConfig::default(),
        sinks: SinksConfig::default(),
        outbound: OutboundConfig { policy: Policy { dev: true, ..Policy::default() }, ..OutboundConfig::default() },
        push_origin: Origin::default(),
        built_in_issuer: true,
        issuers: Vec::new(),
        limits: Limits::default(),
        drain_notice: Duration::ZERO,
        retention: Retention::default().limits(),
        attempt_log: AttemptLog::default().kept(),
        traces: None,
        overdue: Delivery::default().overdue(),
        throttle: false,
        dev: true,
    }
}

pub async fn call(server: &Running, method: &str, path: &str, body: Value) -> (u16, Value) {
    let state = &server.state;
    let grant = Grant::Delegated(&seed::users()[0], SCOPES);
    let token = state.tokens.issue(&seed::app(), grant, state.clock.wall(), 60).unwrap();
    call_with(&token, server, method, path, body).await
}

/// A call of whoever bears this token.
pub async fn call_with(token: &str, server: &Running, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", server.listen.http[0]))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_change_reaches_its_subscriber_and_an_end_silences_it() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    let expires = server.state.clock.wall().plus_minutes(60);
    let subscription = json!({"changeType": "created", "notificationUrl": url, "resource": "me/messages",
                              "expirationDateTime": expires, "clientState": "s3cret"});
    let (status, made) = call(&server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");

    let (_, message) = call(&server, "POST", "/v1.0/me/messages", json!({"subject": "Hello"})).await;
    let heard = notifications.recv().await.unwrap();
    let item = &heard["value"][0];
    assert_eq!(item["resourceData"]["id"], message["id"]);
    assert_eq!((&item["changeType"], &item["clientState"]), (&json!("created"), &json!("s3cret")));
    let (status, read) =
        call(&server, "GET", &format!("/v1.0/{}", item["resource"].as_str().unwrap()), json!({})).await;
    assert_eq!((status, &read["subject"]), (200, &json!("Hello")));

    let mail = json!({"message": {"subject": "To myself", "toRecipients": [{"emailAddress": {"address": "megan@contoso.test"}}]},
                      "saveToSentItems": false});
    assert_eq!(call(&server, "POST", "/v1.0/me/sendMail", mail).await.0, 202);
    let heard = notifications.recv().await.unwrap();
    let path = format!("/v1.0/{}", heard["value"][0]["resource"].as_str().unwrap());
    assert_eq!(call(&server, "GET", &path, json!({})).await.1["subject"], "To myself");

    let path = format!("/v1.0/subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&server, "DELETE", &path, json!({})).await.0, 204);
    call(&server, "POST", "/v1.0/me/messages", json!({"subject": "Unheard"})).await;
    server.drain().await;
    assert!(notifications.try_recv().is_err(), "nothing comes after the end");
}

/// The status of a GET on a new connection.
pub async fn status(url: &str) -> u16 {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    client.get(url.parse().unwrap()).await.unwrap().status().as_u16()
}

pub async fn administer(server: &Running, method: &str, path: &str, body: Value) {
    let (status, answer) = asked_of_admin(server, method, path, body).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
}

/// A call of the admin API.
pub async fn asked_of_admin(server: &Running, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", server.listen.admin))
        .header(header::AUTHORIZATION, format!("Bearer {}", server.admin_token))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn an_app_hears_that_its_access_is_gone_and_then_its_subscription() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    let subscription = json!({"changeType": "created", "notificationUrl": url, "lifecycleNotificationUrl": url,
                              "resource": "me/contacts", "clientState": "s3cret",
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    let (status, made) = call(&server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");
    let permissions = ["Contacts.Read", "Contacts.ReadWrite"];
    let lost = json!({"appId": seed::APP, "grantee": "allUsers", "permissions": permissions});
    administer(&server, "POST", "/admin/consents/revoke", lost).await;
    let heard = |heard: Value| {
        let item = &heard["value"][0];
        assert_eq!((&item["subscriptionId"], &item["clientState"]), (&made["id"], &json!("s3cret")));
        item["lifecycleEvent"].as_str().unwrap().to_owned()
    };
    assert_eq!(heard(notifications.recv().await.unwrap()), "reauthorizationRequired");
    administer(&server, "DELETE", "/admin/users/megan@contoso.test", json!({})).await;
    assert_eq!(heard(notifications.recv().await.unwrap()), "subscriptionRemoved");
    server.drain().await;
    assert!(notifications.try_recv().is_err(), "nothing comes after the end but what tells of it");
}

/// The published example of a condition, and its transitions.
#[tokio::test]
async fn a_filtered_subscription_is_told_of_what_enters_and_leaves_its_view() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    let resource = "me/mailfolders('Drafts')/messages?$select=Subject,bodyPreview&$filter=hasAttachments eq true AND \
                    importance eq 'High'";
    let subscription = json!({"changeType": "created,updated,deleted", "notificationUrl": url, "resource": resource,
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    let (status, made) = call(&server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!((status, &made["resource"]), (201, &json!(resource)), "{made}");

    let (_, draft) = call(&server, "POST", "/v1.0/me/messages", json!({"importance": "high"})).await;
    let path = format!("/v1.0/me/messages/{}", draft["id"].as_str().unwrap());
    let attachment = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "YQ=="});
    assert_eq!(call(&server, "POST", &format!("{path}/attachments"), attachment).await.0, 201);
    for change in [json!({"subject": "Plan"}), json!({"importance": "low"}), json!({"subject": "Unheard"})] {
        assert_eq!(call(&server, "PATCH", &path, change).await.0, 200);
    }
    call(&server, "PATCH", &path, json!({"importance": "High"})).await;
    assert_eq!(call(&server, "DELETE", &path, json!({})).await.0, 204);
    let mut heard = Vec::new();
    while heard.len() < 5 {
        let told = notifications.recv().await.unwrap();
        let items = told["value"].as_array().unwrap().iter();
        heard.extend(items.map(|item| {
            assert_eq!(item["resourceData"]["id"], draft["id"]);
            item["changeType"].as_str().unwrap().to_owned()
        }));
    }
    assert_eq!(heard, ["created", "updated", "deleted", "created", "deleted"]);
    server.drain().await;
    assert!(notifications.try_recv().is_err(), "what happens outside the view is not told");
}

#[tokio::test]
async fn the_development_certificate_serves_http2_to_who_trusts_its_ca() {
    let server = server().await;
    let ca = CertificateDer::from_pem_file(server.data().join(tls::CA_FILE)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = server.listen.https[0];
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));

    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let state = &server.state;
    let grant = Grant::Delegated(&seed::users()[0], SCOPES);
    let token = state.tokens.issue(&seed::app(), grant, state.clock.wall(), 60).unwrap();
    let request = Request::get(format!("https://localhost:{}/v1.0/me", address.port()))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(Bytes::new()))
        .unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let me: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(me["@odata.context"], format!("https://localhost:{}/v1.0/$metadata#users/$entity", address.port()));
    server.drain().await;
}

/// Makes a subscription of Megan's to every change of `resource`.
async fn follow(server: &Running, url: &str, resource: &str) {
    let subscription = json!({"changeType": "created,updated,deleted", "notificationUrl": url, "resource": resource,
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    let (status, made) = call(server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");
}

/// The next `count` items that a receiver is told of.
async fn told(notifications: &mut mpsc::UnboundedReceiver<Value>, count: usize) -> Vec<Value> {
    let mut items = Vec::new();
    while items.len() < count {
        items.extend_from_slice(notifications.recv().await.unwrap()["value"].as_array().unwrap());
    }
    items
}

fn change_types(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["changeType"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_kind_of_item_tells_of_its_creation_change_and_deletion() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    let at = |hour: u8| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
    for (kind, name, item, change) in [
        ("messages", "Message", json!({"subject": "A"}), json!({"isRead": true})),
        ("events", "Event", json!({"subject": "A", "start": at(10), "end": at(11)}), json!({"subject": "B"})),
        ("contacts", "Contact", json!({"givenName": "A"}), json!({"givenName": "B"})),
    ] {
        follow(&server, &url, &format!("me/{kind}")).await;
        let (status, made) = call(&server, "POST", &format!("/v1.0/me/{kind}"), item).await;
        assert_eq!(status, 201, "{made}");
        let path = format!("/v1.0/me/{kind}/{}", made["id"].as_str().unwrap());
        assert_eq!(call(&server, "PATCH", &path, change).await.0, 200);
        assert_eq!(call(&server, "POST", &format!("{path}/permanentDelete"), json!({})).await.0, 204);
        let items = told(&mut notifications, 3).await;
        assert_eq!(change_types(&items), ["created", "updated", "deleted"], "{kind}");
        for item in items {
            assert_eq!(item["resourceData"]["@odata.type"], format!("#Microsoft.Graph.{name}"));
            assert_eq!(item["resourceData"]["id"], made["id"]);
        }
    }
}

/// The published example of a filter.
#[tokio::test]
async fn a_folders_unread_mail_can_be_followed() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    follow(&server, &url, "me/mailFolders('inbox')/messages?$filter=isRead eq false").await;
    let inbox = "/v1.0/me/mailFolders/inbox/messages";
    let (_, made) = call(&server, "POST", inbox, json!({"subject": "A", "isRead": false})).await;
    let path = format!("{inbox}/{}", made["id"].as_str().unwrap());
    for change in [
        json!({"categories": ["Blue"]}),
        json!({"isRead": true}),
        json!({"categories": ["Unheard"]}),
        json!({"isRead": false}),
    ] {
        assert_eq!(call(&server, "PATCH", &path, change).await.0, 200);
    }
    let items = told(&mut notifications, 4).await;
    assert_eq!(change_types(&items), ["created", "updated", "deleted", "created"]);
    server.drain().await;
    assert!(notifications.try_recv().is_err(), "nothing tells of mail that is read");
}

#[tokio::test]
async fn a_folders_mail_can_be_followed_without_a_filter() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    follow(&server, &url, "me/mailFolders('inbox')/messages").await;
    let inbox = "/v1.0/me/mailFolders/inbox/messages";
    let (_, made) = call(&server, "POST", inbox, json!({"subject": "A", "isRead": false})).await;
    let path = format!("{inbox}/{}", made["id"].as_str().unwrap());
    for change in [json!({"isRead": true}), json!({"flag": {"flagStatus": "flagged"}}), json!({"importance": "high"})] {
        assert_eq!(call(&server, "PATCH", &path, change).await.0, 200);
    }
    assert_eq!(call(&server, "DELETE", &path, json!({})).await.0, 204);
    let items = told(&mut notifications, 5).await;
    assert_eq!(change_types(&items), ["created", "updated", "updated", "updated", "deleted"]);
}

#[tokio::test]
async fn a_get_tells_the_item_as_it_is_not_as_it_was_told() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    follow(&server, &url, "me/messages").await;
    let (_, made) = call(&server, "POST", "/v1.0/me/messages", json!({"subject": "As it was"})).await;
    let path = format!("/v1.0/me/messages/{}", made["id"].as_str().unwrap());
    call(&server, "PATCH", &path, json!({"subject": "As it is"})).await;
    let created = told(&mut notifications, 1).await.remove(0);
    assert_eq!(created["resourceData"]["@odata.etag"], made["@odata.etag"]);
    for address in [&created["resource"], &created["resourceData"]["@odata.id"]] {
        let (_, read) = call(&server, "GET", &format!("/v1.0/{}", address.as_str().unwrap()), json!({})).await;
        assert_eq!(read["subject"], "As it is");
    }
}
