//! What `tidings listen --rich` adds: a key pair whose certificate items are sealed for, what is selected of them,
//! and whether what comes can be trusted and opened. The receiver that apps may link does the work.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use ::receiver::fetch::FetchingReceiver;
use ::receiver::{Change, ChangeType, Notification, OpeningKey, Receiver, Refusal, Refused};
use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use protocol::SealingKey;
use protocol::notification::ReceivedNotification;
use rcgen::{Certificate, CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::Value;

use super::api::{Api, Subscribed};
use super::hook::printable;

/// By what a notification says which key opens it.
const CERTIFICATE_ID: &str = "tidings-listen";
/// What is selected unless the user says it, by the last segment of the resource.
const SELECTS: [(&str, &str); 3] = [
    ("messages", "subject,from,receivedDateTime,isRead,bodyPreview"),
    ("events", "subject,start,end,location,organizer"),
    ("contacts", "displayName,emailAddresses,businessPhones,companyName"),
];

/// A private key and a certificate of its public half.
pub struct Pair {
    private: OpeningKey,
    /// As it is sent: base64 of its DER form, or PEM.
    certificate: String,
}

impl Pair {
    /// The pair whose private key is in `file`, with the certificate beside it if there is one. If there is no such
    /// file a new pair is made and written there.
    pub fn at(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Self::of(&new_key()?, None) };
        let beside = file.with_extension("crt");
        anyhow::ensure!(beside != file, "{} would be its certificate's name; call the key .pem", file.display());
        if !file.exists() {
            return Self::made(file, &beside);
        }
        let pem = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let certificate = match beside.exists() {
            true => Some(fs::read(&beside).with_context(|| format!("cannot read {}", beside.display()))?),
            false => None,
        };
        Self::of(&pem, certificate.as_deref()).with_context(|| format!("cannot use the key in {}", file.display()))
    }

    fn made(file: &Path, beside: &Path) -> anyhow::Result<Self> {
        let pem = new_key()?;
        let certificate = new_certificate(&key_pair(&pem)?)?;
        // The key is a secret, for its owner alone.
        for (file, mode, text) in [(beside, 0o644, &certificate.pem()), (file, 0o600, &pem)] {
            let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
            let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
            written.with_context(|| format!("cannot write {}", file.display()))?;
        }
        eprintln!("Made a new key, {}, and its certificate, {}.", file.display(), beside.display());
        Self::of(&pem, Some(certificate.pem().as_bytes()))
    }

    /// `certificate`, in any form, must be the key's own. Without one it is made.
    fn of(pem: &str, certificate: Option<&[u8]>) -> anyhow::Result<Self> {
        let private = OpeningKey::from_pem(pem)?;
        let Some(bytes) = certificate else {
            let certificate = BASE64.encode(new_certificate(&key_pair(pem)?)?.der());
            return Ok(Self { private, certificate });
        };
        let certificate = std::str::from_utf8(bytes).map_or_else(|_| BASE64.encode(bytes), str::to_owned);
        let sealing =
            SealingKey::from_certificate(&certificate).map_err(|refusal| anyhow::anyhow!(refusal.advice()))?;
        anyhow::ensure!(
            private.is_of(&sealing),
            "the certificate beside it (.crt) is of another key; move one of them away"
        );
        Ok(Self { private, certificate })
    }

    /// Adds what a subscription must say.
    pub fn ask(&self, subscription: &mut Value) {
        subscription["includeResourceData"] = true.into();
        subscription["encryptionCertificate"] = self.certificate.as_str().into();
        subscription["encryptionCertificateId"] = CERTIFICATE_ID.into();
    }
}

fn key_pair(pem: &str) -> anyhow::Result<KeyPair> {
    Ok(KeyPair::from_pem_and_sign_algo(pem, &PKCS_RSA_SHA256)?)
}

fn new_certificate(key: &KeyPair) -> anyhow::Result<Certificate> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "tidings listen");
    Ok(params.self_signed(key)?)
}

fn new_key() -> anyhow::Result<String> {
    Ok(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?.serialize_pem())
}

/// A list of properties, as it stands in a `$select`.
pub fn properties(list: &str) -> Result<String, &'static str> {
    let names: Vec<_> = list.split(',').map(str::trim).collect();
    match names.iter().any(|name| name.is_empty() || *name == "*") {
        true => Err("name each property, with commas between them: subject,from"),
        false => Ok(names.join(",")),
    }
}

/// `resource` with a `$select`: the user's, the resource's own, or what fits its kind.
pub fn selecting(resource: &str, select: Option<&str>) -> anyhow::Result<String> {
    let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
    anyhow::ensure!(
        graph::registry::place(path).is_err(),
        "only messages, events and contacts have resource data; leave --rich out to be told of {path}"
    );
    let is_there = query.split('&').any(|option| option.to_ascii_lowercase().starts_with("$select="));
    anyhow::ensure!(!is_there || select.is_none(), "the resource has a $select already; leave --select out");
    let kind = path.rsplit('/').next().unwrap_or_default();
    let fitting = SELECTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, select)| *select);
    Ok(match select.or(fitting) {
        Some(select) if !is_there && query.is_empty() => format!("{path}?$select={select}"),
        Some(select) if !is_there => format!("{path}?$select={select}&{query}"),
        // Where the server wants one it says so.
        _ => resource.to_owned(),
    })
}

/// What became of one notification's content.
#[derive(Debug, PartialEq)]
pub enum Opened {
    Content(Value),
    /// It is a notification that has none.
    Without,
    /// Nothing was sealed: the item does not exist any more.
    Gone,
    /// Nothing was sealed of an item that exists. The server does not say in the notification why.
    Withheld,
    /// It must not be used, for this reason.
    Trouble(String),
}

impl Opened {
    /// What is printed below the notification.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Content(Value::Object(members)) => {
                let shown: Vec<_> = members.iter().filter(|(name, _)| !is_annotation(name)).collect();
                let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
                shown.iter().map(|(name, value)| printable(&format!("{name:width$}  {}", plain(value)))).collect()
            }
            Self::Content(other) => vec![printable(&other.to_string())],
            Self::Without => Vec::new(),
            Self::Gone => vec!["(no data: the item was deleted)".to_owned()],
            Self::Withheld => {
                vec!["(no data: the item is larger than the server sends, or the access to it was lost)".to_owned()]
            }
            Self::Trouble(reason) => vec![format!("NOT OPENED: {}", printable(reason))],
        }
    }
}

fn is_annotation(name: &str) -> bool {
    name.contains("@odata.")
}

/// JSON without the annotations that say what type something has.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| !is_annotation(name));
            members.map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// It cannot be told now, so the body shall come again: the subscription is still being made, or the keys of
/// the tokens could not be read.
#[derive(Debug, PartialEq)]
pub struct Later;

/// Opens what comes. The server publishes the keys that tokens are signed with.
pub struct Opener {
    authority: String,
    ca: Option<String>,
    secret: String,
    /// That tokens are verified is said once.
    verified: Once,
    /// Once the subscription is there, and with it the id of the app that tokens are made for.
    receiver: OnceLock<FetchingReceiver>,
}

impl Opener {
    pub fn new(api: &Api, secret: &str) -> anyhow::Result<Self> {
        let read = |file: &PathBuf| fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
        let ca = api.ca.as_ref().map(read).transpose()?;
        Ok(Self {
            authority: api.base.clone(),
            ca,
            secret: secret.to_owned(),
            verified: Once::new(),
            receiver: OnceLock::new(),
        })
    }

    pub fn begin(&self, subscription: &Subscribed, pair: Pair) -> anyhow::Result<()> {
        let app = subscription.app.as_deref().context("the server did not say which app tokens are made for")?;
        let builder = Receiver::builder().client_state(&self.secret).app_id(app).authority(&self.authority);
        let receiver = FetchingReceiver::new(builder.private_key(CERTIFICATE_ID, pair.private), self.ca.as_deref());
        let receiver = receiver.context("the keys of validation tokens cannot be read")?;
        self.receiver.set(receiver).map_err(|_| anyhow::anyhow!("there is a subscription already"))
    }

    /// What of each of the `items` in a body is opened.
    pub async fn open(&self, body: &Bytes, items: &[ReceivedNotification]) -> Result<Vec<Opened>, Later> {
        let receiver = self.receiver.get().ok_or(Later)?;
        let received = match receiver.receive(body).await {
            Ok(received) => received,
            Err(refusal @ Refusal::KeysUnavailable(_)) => {
                eprintln!("tidings: {refusal}");
                return Err(Later);
            }
            Err(refusal) => return Ok(items.iter().map(|item| refused(item, &refusal)).collect()),
        };
        if received.notifications().any(|item| matches!(item, Notification::Change(change) if is_sealed(change))) {
            let authority = &self.authority;
            self.verified
                .call_once(|| eprintln!("Validation tokens come along, for this app and signed by {authority}."));
        }
        Ok(received.0.iter().map(|item| opened(receiver.receiver(), item)).collect())
    }
}

fn is_sealed(change: &Change) -> bool {
    change.encrypted_content.is_some()
}

fn refused(item: &ReceivedNotification, refusal: &Refusal) -> Opened {
    match item.encrypted_content {
        Some(_) => Opened::Trouble(refusal.to_string()),
        None => Opened::Without,
    }
}

fn opened(receiver: &Receiver, item: &Result<Notification, Refused>) -> Opened {
    let change = match item {
        Ok(Notification::Change(change)) => change,
        Ok(_) => return Opened::Without,
        Err(refused) => return Opened::Trouble(refused.to_string()),
    };
    if !is_sealed(change) {
        return match change.change_type {
            ChangeType::Deleted => Opened::Gone,
            _ => Opened::Withheld,
        };
    }
    match receiver.open(change).and_then(|content| content.json()) {
        Ok(content) => Opened::Content(content),
        Err(error) => Opened::Trouble(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_selected_fits_the_resource_unless_the_user_says_otherwise() {
        let selecting = |resource, select| super::selecting(resource, select).unwrap();
        insta::assert_snapshot!(
            [
                selecting("me/messages", None),
                selecting("users/u/mailFolders('inbox')/messages?$filter=isRead eq false", None),
                selecting("me/events", Some("subject")),
                selecting("me/contacts?$select=displayName", None),
            ]
            .join("\n"),
            @r"
            me/messages?$select=subject,from,receivedDateTime,isRead,bodyPreview
            users/u/mailFolders('inbox')/messages?$select=subject,from,receivedDateTime,isRead,bodyPreview&$filter=isRead eq false
            me/events?$select=subject
            me/contacts?$select=displayName
            "
        );
        let twice = super::selecting("me/events?$Select=subject", Some("start")).unwrap_err().to_string();
        assert_eq!(twice, "the resource has a $select already; leave --select out");
    }

    #[test]
    fn properties_are_named_one_by_one_with_blanks_about_them_or_not() {
        assert_eq!(properties(" subject , from"), Ok("subject,from".to_owned()));
        for list in ["", " ", "*", "subject,", "subject,*", ",subject"] {
            assert!(properties(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn opened_content_is_one_line_for_each_property_without_annotations_and_control_characters() {
        let content = json!({
            "subject": "a\u{1b}[2J\nb", "start@odata.type": "#Date", "isRead": false,
            "from": {"@odata.type": "#microsoft.graph.recipient", "emailAddress": {"@odata.type": "#e", "name": "Ada"}},
        });
        insta::assert_snapshot!(Opened::Content(content).lines().join("\n"), @r#"
            from     {"emailAddress":{"name":"Ada"}}
            isRead   false
            subject  "a\u001b[2J\nb"
        "#);
        let trouble = Opened::Trouble("its time is over".into());
        assert_eq!(trouble.lines(), ["NOT OPENED: its time is over"]);
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_used_again_with_its_certificate() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (file, beside) = (directory.path().join("key.pem"), directory.path().join("key.crt"));
        let first = Pair::at(Some(&file)).unwrap();
        let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&beside) & 0o600), (0o600, 0o600));
        let written = fs::read(&file).unwrap();
        assert!(Pair::at(Some(&file)).unwrap().certificate == first.certificate, "the same certificate");
        assert!(SealingKey::from_certificate(&fs::read_to_string(&beside).unwrap()).is_ok());
        fs::remove_file(&beside).unwrap();
        assert!(Pair::at(Some(&file)).is_ok(), "a key that was made elsewhere");
        assert!(!beside.exists());
        assert_eq!(fs::read(&file).unwrap(), written);
    }

    #[test]
    fn a_key_that_cannot_be_used_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let named = |name| directory.path().join(name);
        let error = |name| format!("{:#}", Pair::at(Some(&named(name))).err().unwrap());
        Pair::at(Some(&named("other.pem"))).unwrap();
        Pair::at(Some(&named("key.pem"))).unwrap();
        fs::copy(named("other.crt"), named("key.crt")).unwrap();
        assert!(error("key.pem").contains("of another key"), "{}", error("key.pem"));
        fs::write(named("key.pem"), "no key").unwrap();
        let unreadable = error("key.pem");
        assert!(unreadable.contains("key.pem") && unreadable.contains("no private key can be read"), "{unreadable}");
        fs::remove_file(named("key.pem")).unwrap();
        assert!(error("key.pem").contains("cannot write") && !named("key.pem").exists());
        assert!(error("key.crt").contains("call the key .pem"));
    }

    /// Of a subscription that was made, with a server that cannot be reached.
    fn opener() -> Opener {
        let authority = "http://localhost:1".to_owned();
        Opener { authority, ca: None, secret: "s3cret".into(), verified: Once::new(), receiver: OnceLock::new() }
    }

    fn begun() -> Opener {
        let (opener, pair) = (opener(), Pair::at(None).unwrap());
        let subscribed = Subscribed { id: "s".into(), app: Some("app".into()) };
        opener.begin(&subscribed, pair).unwrap();
        opener
    }

    fn item(members: Value) -> Value {
        let mut item = json!({"subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z",
                              "clientState": "s3cret", "tenantId": "t", "resource": "Users('u')/messages('m')"});
        item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        item
    }

    async fn opened(opener: &Opener, items: &[Value]) -> Result<Vec<Opened>, Later> {
        let read: Vec<ReceivedNotification> = serde_json::from_value(items.into()).unwrap();
        opener.open(&Bytes::from(json!({"value": items}).to_string()), &read).await
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_said_item_by_item() {
        let (created, deleted) = (json!({"changeType": "created"}), json!({"changeType": "deleted"}));
        let stranger = item(json!({"changeType": "created", "clientState": "guess"}));
        let lifecycle = item(json!({"lifecycleEvent": "missed"}));
        let items = [stranger, item(created), lifecycle, item(deleted)];
        let lines = |found: Vec<Opened>| found.iter().flat_map(Opened::lines).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(lines(opened(&begun(), &items).await.unwrap()), @r#"
            NOT OPENED: a notification of "s" has another clientState than the subscription
            (no data: the item is larger than the server sends, or the access to it was lost)
            (no data: the item was deleted)
        "#);

        let sealed = json!({"changeType": "created", "encryptedContent": {"data": "", "encryptionCertificateId": "a"}});
        let forged = [item(sealed), item(json!({"changeType": "deleted"}))];
        insta::assert_snapshot!(lines(opened(&begun(), &forged).await.unwrap()), @r#"NOT OPENED: no validation token is of the tenant "t", which data came of"#);
    }

    #[tokio::test]
    async fn what_comes_before_the_subscription_is_known_shall_come_again() {
        let items = [item(json!({"changeType": "created"}))];
        assert_eq!(opened(&opener(), &items).await, Err(Later));
        assert!(opened(&begun(), &items).await.is_ok());
    }
}
