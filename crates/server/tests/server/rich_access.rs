//! An app that may not read any more what it subscribed to is told of changes without their content, at once and
//! whatever waited, until it has shown that it may again.

use graph::{AppId, SubscriptionId, UserId};
use notify::{AbandonReason, NodeConfig, Subscription};
use serde_json::{Value, json};
use store::{App, Grantee};
use tidings_server::data_dir::DataDir;
use tidings_server::identity::Grant;
use tidings_server::server::{Running, Settings, start};
use tidings_server::{ids, key_file, seed};
use tokio::sync::mpsc;

use crate::delivery::{administer, call_with, receiver, settings};
use crate::rich::{begin, draft, ended, opened, sealed_for, subscription};

/// What the app selects can be read by who holds `Mail.Read`, not by who holds `Mail.ReadBasic`.
const SELECT: &str = "$select=subject,bodyPreview";

/// An app with a subscription to Megan's messages, and what was granted to it.
struct Reader {
    app: App,
    grantee: Grantee,
    permissions: &'static [&'static str],
    id: SubscriptionId,
}

impl Reader {
    /// One that reads for its users, or else for itself.
    async fn new(server: &Running, url: &str, grantee: Grantee, permissions: &'static [&'static str]) -> Self {
        let principal = UserId(ids::new_uuid());
        let app = App::new(AppId(ids::new_uuid()), seed::TENANT, "Reader", principal);
        server.state.store.add_app(app.clone()).await.unwrap();
        let megan = seed::users()[0].id;
        let (creator, resource) = match grantee {
            Grantee::App => (principal, format!("users/{megan}/messages?{SELECT}")),
            _ => (megan, format!("me/messages?{SELECT}")),
        };
        let asked = Subscription { app: app.id, creator, resource, ..subscription(server, url, sealed_for(0)) };
        let reader = Self { app, grantee, permissions, id: asked.id };
        reader.consent(server).await;
        begin(server, asked).await;
        reader
    }

    async fn consent(&self, server: &Running) {
        let permissions = self.permissions.iter().map(|name| (*name).to_owned()).collect();
        let grant = store::Grant { tenant: seed::TENANT, app: self.app.id, grantee: self.grantee, permissions };
        let now = server.state.clock.wall();
        server.state.directory.change(|store| async move { store.grant(grant, now).await }).await.unwrap();
    }

    async fn loses(&self, server: &Running, permission: &str) {
        let grantee = if self.grantee == Grantee::App { "app" } else { "allUsers" };
        let lost = json!({"appId": self.app.id, "grantee": grantee, "permissions": [permission]});
        administer(server, "POST", "/admin/consents/revoke", lost).await;
    }

    async fn narrow(&self, server: &Running, mailbox: &str) {
        let path = format!("/admin/apps/{}", self.app.id);
        administer(server, "PATCH", &path, json!({"mailboxes": [mailbox]})).await;
    }

    /// What the server answers to it when it says that it may be told.
    async fn reauthorizes(&self, server: &Running) -> u16 {
        let megan = &seed::users()[0];
        let scopes = self.permissions.join(" ");
        let grant = match self.grantee {
            Grantee::App => Grant::Application(seed::TENANT, self.permissions),
            _ => Grant::Delegated(megan, &scopes),
        };
        let token = server.state.tokens.issue(&self.app, grant, server.state.clock.wall(), 60).unwrap();
        let path = format!("/v1.0/subscriptions/{}/reauthorize", self.id);
        call_with(&token, server, "POST", &path, json!(null)).await.0
    }

    /// It is told of the next message with its content.
    async fn reads(&self, server: &Running, heard: &mut mpsc::UnboundedReceiver<Value>, subject: &str) {
        draft(server, subject).await;
        assert_eq!(opened(&heard.recv().await.unwrap()["value"][0], 0)["subject"], subject);
    }

    /// It is told of the next message, and of nothing that opens.
    async fn only_hears(&self, server: &Running, heard: &mut mpsc::UnboundedReceiver<Value>) {
        let item = draft(server, "Not for everybody").await;
        let request = heard.recv().await.unwrap();
        assert_bare(&request);
        let resource = format!("Users('{}')/messages('{item}')", seed::users()[0].id);
        assert_eq!(request["value"][0]["resource"], resource);
        let told = request.to_string();
        assert!(!told.contains("everybody"), "{told}");
    }

    async fn regains(&self, server: &Running, heard: &mut mpsc::UnboundedReceiver<Value>) {
        assert_eq!(self.reauthorizes(server).await, 204);
        self.reads(server, heard, "For it again").await;
        let ledger = ended(server, self.id, 3).await;
        assert_eq!((ledger.delivered, ledger.abandoned), (2, [(AbandonReason::AccessLost, 1)].into()));
    }
}

/// Nothing in a request can be opened.
fn assert_bare(request: &Value) {
    assert_eq!(request["value"].as_array().unwrap().len(), 1, "{request}");
    assert_eq!((request["value"][0].get("encryptedContent"), request.get("validationTokens")), (None, None));
}

#[tokio::test]
async fn content_after_lost_access_is_left_out_for_who_lost_a_permission() {
    let ((url, mut heard), server) = (receiver().await, start(settings()).await.unwrap());
    let reader = Reader::new(&server, &url, Grantee::AllUsers, &["Mail.Read"]).await;
    reader.reads(&server, &mut heard, "For it").await;
    reader.loses(&server, "Mail.Read").await;
    reader.only_hears(&server, &mut heard).await;
    assert_eq!(reader.reauthorizes(&server).await, 403);
    reader.consent(&server).await;
    reader.regains(&server, &mut heard).await;
    server.drain().await;
}

#[tokio::test]
async fn who_keeps_basic_access_only_is_told_without_content() {
    let ((url, mut heard), server) = (receiver().await, start(settings()).await.unwrap());
    let reader = Reader::new(&server, &url, Grantee::AllUsers, &["Mail.Read", "Mail.ReadBasic"]).await;
    reader.reads(&server, &mut heard, "For it").await;
    reader.loses(&server, "Mail.Read").await;
    reader.only_hears(&server, &mut heard).await;
    reader.consent(&server).await;
    reader.regains(&server, &mut heard).await;
    server.drain().await;
}

#[tokio::test]
async fn who_is_narrowed_to_other_mailboxes_is_told_without_content() {
    let ((url, mut heard), server) = (receiver().await, start(settings()).await.unwrap());
    let reader = Reader::new(&server, &url, Grantee::App, &["Mail.Read"]).await;
    reader.reads(&server, &mut heard, "For it").await;
    reader.narrow(&server, "adele@contoso.test").await;
    reader.only_hears(&server, &mut heard).await;
    reader.narrow(&server, "megan@contoso.test").await;
    reader.regains(&server, &mut heard).await;
    server.drain().await;
}

#[tokio::test]
async fn what_was_parked_before_access_was_lost_goes_without_content_after_a_restart() {
    let (place, keys) = (tempfile::tempdir().unwrap(), key_file::in_memory());
    let again = |delivery| {
        let (data, keys) = (DataDir::open(place.path()).unwrap(), keys.clone());
        start(Settings { data, keys, delivery, ..settings() })
    };
    let server = again(NodeConfig { attempts_max: 0, ..NodeConfig::default() }).await.unwrap();
    let ((url, mut heard), (other_url, mut other_heard)) = (receiver().await, receiver().await);
    let reader = Reader::new(&server, &url, Grantee::AllUsers, &["Mail.Read"]).await;
    let other = Reader::new(&server, &other_url, Grantee::AllUsers, &["Mail.Read"]).await;
    draft(&server, "Not for everybody").await;
    for id in [reader.id, other.id] {
        parked(&server, id).await;
    }
    reader.loses(&server, "Mail.Read").await;
    server.drain().await;
    assert!(heard.try_recv().is_err() && other_heard.try_recv().is_err(), "nobody was told");

    let server = again(NodeConfig::default()).await.unwrap();
    assert_bare(&heard.recv().await.unwrap());
    let told = other_heard.recv().await.unwrap();
    assert_eq!(opened(&told["value"][0], 0)["subject"], "Not for everybody", "who lost nothing");
    assert_eq!(ended(&server, reader.id, 1).await.abandoned, [(AbandonReason::AccessLost, 1)].into());
    assert_eq!(ended(&server, other.id, 1).await.delivered, 1);
    server.drain().await;
}

/// Waits until a delivery of a subscription lies in the store.
async fn parked(server: &Running, id: SubscriptionId) {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
    for _ in 0..2_000 {
        look.tick().await;
        if server.state.store.ledger(id).await.unwrap().parked == 1 {
            return;
        }
    }
    panic!("after ten seconds nothing is parked");
}
