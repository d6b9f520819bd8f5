//! `changeNotificationCollection`: what a receiver is sent. Writing borrows and allocates nothing but
//! the body; reading is owned and tolerant, because the reader may be older than the writer.

use std::borrow::Cow;
use std::io::Write;

use serde::{Deserialize, Deserializer, Serialize};

use crate::envelope::EncryptedContent;

/// One change that a subscription hears of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeNotification<'a> {
    pub subscription_id: Cow<'a, str>,
    pub subscription_expiration_date_time: Cow<'a, str>,
    /// One of `created`, `updated`, `deleted`.
    pub change_type: Cow<'a, str>,
    /// `Users/{object id}/Messages/{item id}`, whatever form the subscription used.
    pub resource: Cow<'a, str>,
    /// `null` where only the place is told in which something has changed.
    pub resource_data: Option<ResourceData<'a>>,
    pub client_state: Option<Cow<'a, str>>,
    pub tenant_id: Cow<'a, str>,
    /// What the item holds, sealed for the app, where the subscription includes resource data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<EncryptedContent>,
    /// The notification's own id, equal in every attempt to deliver it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
}

/// The item that changed, by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceData<'a> {
    /// `#Microsoft.Graph.Message`, `….Event` or `….Contact`, or as the table of resources has it.
    #[serde(rename = "@odata.type")]
    pub odata_type: Cow<'a, str>,
    #[serde(rename = "@odata.id")]
    pub odata_id: Cow<'a, str>,
    #[serde(rename = "@odata.etag", skip_serializing_if = "Option::is_none")]
    pub odata_etag: Option<Cow<'a, str>>,
    pub id: Cow<'a, str>,
}

/// A step in a subscription's life. It tells nothing of any item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleNotification<'a> {
    /// One of `missed`, `subscriptionRemoved`, `reauthorizationRequired`.
    pub lifecycle_event: Cow<'a, str>,
    pub subscription_id: Cow<'a, str>,
    pub subscription_expiration_date_time: Cow<'a, str>,
    pub client_state: Option<Cow<'a, str>>,
    pub tenant_id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
}

/// Writes a collection item by item into one buffer.
#[derive(Clone, Debug)]
pub struct CollectionWriter {
    body: Vec<u8>,
    items: usize,
}

const OPENING: &[u8] = br#"{"value":["#;
const CLOSING: &[u8] = b"]}";

impl CollectionWriter {
    /// `items` is how many are expected; more are fine.
    pub fn with_capacity(items: usize) -> Self {
        const ITEM_BYTES: usize = 768;
        let mut body = Vec::with_capacity(OPENING.len() + CLOSING.len() + items.saturating_mul(ITEM_BYTES));
        body.extend_from_slice(OPENING);
        Self { body, items: 0 }
    }

    /// As its `Serialize` has it, with a fraction of the instructions: each change is told by this.
    pub fn push_change(&mut self, notification: &ChangeNotification<'_>) {
        let ChangeNotification {
            subscription_id,
            subscription_expiration_date_time,
            change_type,
            resource,
            resource_data,
            client_state,
            tenant_id,
            encrypted_content,
            id,
        } = notification;
        self.begin_item();
        self.member(br#"{"subscriptionId":"#, subscription_id);
        self.member(br#","subscriptionExpirationDateTime":"#, subscription_expiration_date_time);
        self.member(br#","changeType":"#, change_type);
        self.member(br#","resource":"#, resource);
        match resource_data {
            Some(data) => self.resource_data(data),
            None => self.body.extend_from_slice(br#","resourceData":null"#),
        }
        match client_state {
            Some(client_state) => self.member(br#","clientState":"#, client_state),
            None => self.body.extend_from_slice(br#","clientState":null"#),
        }
        self.member(br#","tenantId":"#, tenant_id);
        if let Some(content) = encrypted_content {
            self.body.extend_from_slice(br#","encryptedContent":"#);
            self.write(content);
        }
        if let Some(id) = id {
            self.member(br#","id":"#, id);
        }
        self.body.push(b'}');
    }

    fn resource_data(&mut self, data: &ResourceData<'_>) {
        self.member(br#","resourceData":{"@odata.type":"#, &data.odata_type);
        self.member(br#","@odata.id":"#, &data.odata_id);
        if let Some(etag) = &data.odata_etag {
            self.member(br#","@odata.etag":"#, etag);
        }
        self.member(br#","id":"#, &data.id);
        self.body.push(b'}');
    }

    pub fn push_lifecycle(&mut self, notification: &LifecycleNotification<'_>) {
        self.begin_item();
        self.write(notification);
    }

    fn begin_item(&mut self) {
        if self.items > 0 {
            self.body.push(b',');
        }
        self.items += 1;
    }

    /// A member that is a string, with what stands before it.
    fn member(&mut self, name: &[u8], text: &str) {
        self.body.extend_from_slice(name);
        if !must_be_escaped(text) {
            self.body.push(b'"');
            self.body.extend_from_slice(text.as_bytes());
            self.body.push(b'"');
        } else {
            self.write(text);
        }
    }

    fn write<T: Serialize + ?Sized>(&mut self, value: &T) {
        let written = serde_json::to_writer(self.body.by_ref(), value);
        debug_assert!(written.is_ok(), "strings into memory cannot fail");
    }

    pub fn items(&self) -> usize {
        self.items
    }

    /// The size of the body that [`finish`](Self::finish) would give now.
    pub fn bytes(&self) -> usize {
        self.body.len() + CLOSING.len()
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.body.extend_from_slice(CLOSING);
        self.body
    }

    /// With the validation tokens of those whose resource data is in it; without any, as
    /// [`finish`](Self::finish).
    pub fn finish_with_tokens<T: AsRef<str>>(mut self, tokens: &[T]) -> Vec<u8> {
        for (index, token) in tokens.iter().enumerate() {
            let before: &[u8] = if index == 0 { br#"],"validationTokens":["# } else { b"," };
            self.body.extend_from_slice(before);
            self.write(token.as_ref());
        }
        self.finish()
    }
}

/// Whether the text stands otherwise in JSON: it has a control character, a quotation mark or a backslash. Eight bytes at a
/// time, since each notification has hundreds.
fn must_be_escaped(text: &str) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte that is less than `limit`, or stands above one in the number.
    let less = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH_BITS;
    let is = |word: u64, byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let escapes = |word: u64| less(word, b' ') | is(word, b'"') | is(word, b'\\');
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).fold(0, |found, word| found | escapes(u64::from_ne_bytes(*word))) != 0
}

/// A collection as a receiver reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedCollection {
    pub value: Vec<ReceivedNotification>,
    /// Empty where no item has resource data.
    #[serde(default, deserialize_with = "null_is_none")]
    pub validation_tokens: Vec<String>,
}

fn null_is_none<'de, D: Deserializer<'de>>(tokens: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(tokens).map(Option::unwrap_or_default)
}

/// An item of either kind; `lifecycle_event` tells them apart. Members it does not know are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedNotification {
    pub subscription_id: String,
    pub subscription_expiration_date_time: String,
    #[serde(default)]
    pub change_type: Option<String>,
    #[serde(default)]
    pub lifecycle_event: Option<String>,
    #[serde(default)]
    pub resource: Option<String>,
    #[serde(default)]
    pub resource_data: Option<ReceivedResource>,
    #[serde(default)]
    pub client_state: Option<String>,
    #[serde(default)]
    pub tenant_id: Option<String>,
    #[serde(default)]
    pub encrypted_content: Option<EncryptedContent>,
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ReceivedResource {
    #[serde(default, rename = "@odata.type")]
    pub odata_type: Option<String>,
    #[serde(default, rename = "@odata.id")]
    pub odata_id: Option<String>,
    #[serde(default, rename = "@odata.etag")]
    pub odata_etag: Option<String>,
    #[serde(default)]
    pub id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> ChangeNotification<'static> {
        ChangeNotification {
            subscription_id: "5f7c0a11-2222-4333-8444-555566667777".into(),
            subscription_expiration_date_time: "2026-11-24T10:00:00Z".into(),
            change_type: "created".into(),
            resource: "Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=".into(),
            resource_data: Some(ResourceData {
                odata_type: "#Microsoft.Graph.Message".into(),
                odata_id: "Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=".into(),
                odata_etag: Some("W/\"CQAAABYAAAB\"".into()),
                id: "AAMkAGUwAAA=".into(),
            }),
            client_state: Some("s3cret".into()),
            tenant_id: "84bd8158-6d4d-4958-8b9f-9d6445542f95".into(),
            encrypted_content: None,
            id: None,
        }
    }

    fn missed() -> LifecycleNotification<'static> {
        LifecycleNotification {
            lifecycle_event: "missed".into(),
            subscription_id: "5f7c0a11-2222-4333-8444-555566667777".into(),
            subscription_expiration_date_time: "2026-11-24T10:00:00Z".into(),
            client_state: Some("s3cret".into()),
            tenant_id: "84bd8158-6d4d-4958-8b9f-9d6445542f95".into(),
            id: Some("2f0c3d8e-6a3b-5c1d-9e7f-112233445566".into()),
        }
    }

    fn pretty(body: &[u8]) -> String {
        let value: Box<serde_json::value::RawValue> = serde_json::from_slice(body).unwrap();
        value.get().replace(r#"":{""#, "\":{\n  \"").replace(r#",""#, ",\n  \"")
    }

    #[test]
    fn a_change_has_the_members_of_the_sample_in_its_order() {
        let mut writer = CollectionWriter::with_capacity(1);
        writer.push_change(&change());
        insta::assert_snapshot!(pretty(&writer.finish()), @r##"
        {"value":[{"subscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
          "subscriptionExpirationDateTime":"2026-11-24T10:00:00Z",
          "changeType":"created",
          "resource":"Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=",
          "resourceData":{
          "@odata.type":"#Microsoft.Graph.Message",
          "@odata.id":"Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=",
          "@odata.etag":"W/\"CQAAABYAAAB\"",
          "id":"AAMkAGUwAAA="},
          "clientState":"s3cret",
          "tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95"}]}
        "##);
    }

    fn rich() -> ChangeNotification<'static> {
        let content = EncryptedContent {
            data: "1zpEyrjj8gXj4NNiydWs8g==".into(),
            data_key: "AAAA".into(),
            data_signature: "OgkMxZl4VlpDr9/w/I8gY+XTJG9Y2gPD2GqIHzZV2Rg=".into(),
            encryption_certificate_id: "cert-2026-11".into(),
            encryption_certificate_thumbprint: "07293748CC064953A3052FB978C735FB89E61C3D".into(),
        };
        ChangeNotification { encrypted_content: Some(content), ..change() }
    }

    #[test]
    fn a_change_is_written_as_serde_has_it_whatever_its_texts_hold() {
        let texts =
            ["", "plain", "a \"quote\"", "back\\slash", "tab\t", "nul\0", "ü€😀", "\u{7f}\u{2028}", "</script>"];
        let in_place = |letter: char| (0..18).map(move |place| format!("{:place$}{letter}{:9}", "", ""));
        let letters = ['"', '\\', '\u{1f}', '\0', '!', '#', '[', ']', '\u{80}', 'ܢ'];
        let long = letters.into_iter().flat_map(in_place);
        for text in texts.into_iter().map(str::to_owned).chain(long) {
            let text = text.as_str();
            let data = ResourceData {
                odata_type: text.into(),
                odata_id: text.into(),
                odata_etag: (text != "plain").then(|| text.into()),
                id: text.into(),
            };
            let all = ChangeNotification {
                subscription_id: text.into(),
                subscription_expiration_date_time: text.into(),
                change_type: text.into(),
                resource: text.into(),
                resource_data: Some(data),
                client_state: Some(text.into()),
                tenant_id: text.into(),
                id: Some(text.into()),
                ..rich()
            };
            let few = ChangeNotification {
                resource_data: None,
                client_state: None,
                encrypted_content: None,
                id: None,
                ..all.clone()
            };
            for notification in [all, few] {
                let mut writer = CollectionWriter::with_capacity(1);
                writer.push_change(&notification);
                let serde = format!(r#"{{"value":[{}]}}"#, serde_json::to_string(&notification).unwrap());
                assert_eq!(String::from_utf8(writer.finish()).unwrap(), serde);
            }
        }
    }

    #[test]
    fn what_is_sealed_stands_in_its_notification_and_the_tokens_behind_all() {
        let mut writer = CollectionWriter::with_capacity(1);
        writer.push_change(&rich());
        let body = writer.finish_with_tokens(&["eyJ0eXAi.a.b", "eyJ0eXAi.c.d"]);
        insta::assert_snapshot!(pretty(&body), @r##"
        {"value":[{"subscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
          "subscriptionExpirationDateTime":"2026-11-24T10:00:00Z",
          "changeType":"created",
          "resource":"Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=",
          "resourceData":{
          "@odata.type":"#Microsoft.Graph.Message",
          "@odata.id":"Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=",
          "@odata.etag":"W/\"CQAAABYAAAB\"",
          "id":"AAMkAGUwAAA="},
          "clientState":"s3cret",
          "tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "encryptedContent":{
          "data":"1zpEyrjj8gXj4NNiydWs8g==",
          "dataKey":"AAAA",
          "dataSignature":"OgkMxZl4VlpDr9/w/I8gY+XTJG9Y2gPD2GqIHzZV2Rg=",
          "encryptionCertificateId":"cert-2026-11",
          "encryptionCertificateThumbprint":"07293748CC064953A3052FB978C735FB89E61C3D"}}],
          "validationTokens":["eyJ0eXAi.a.b",
          "eyJ0eXAi.c.d"]}
        "##);
        let read: ReceivedCollection = serde_json::from_slice(&body).unwrap();
        assert_eq!(read.value[0].encrypted_content, rich().encrypted_content);
        assert_eq!(read.validation_tokens, ["eyJ0eXAi.a.b", "eyJ0eXAi.c.d"]);
    }

    #[test]
    fn a_collection_without_tokens_has_no_member_for_them() {
        let mut writer = CollectionWriter::with_capacity(1);
        writer.push_change(&change());
        assert_eq!(writer.clone().finish_with_tokens::<&str>(&[]), writer.finish());
        for none in ["", r#","validationTokens":null"#, r#","validationTokens":[]"#] {
            let read: ReceivedCollection = serde_json::from_str(&format!(r#"{{"value":[]{none}}}"#)).unwrap();
            assert!(read.validation_tokens.is_empty(), "{none}");
        }
    }

    #[test]
    fn a_lifecycle_item_may_stand_among_changes() {
        let (mut alone, mut among) = (CollectionWriter::with_capacity(0), CollectionWriter::with_capacity(0));
        alone.push_lifecycle(&missed());
        among.push_change(&change());
        among.push_lifecycle(&missed());
        among.push_change(&change());
        let [alone, among] = [alone.finish(), among.finish()].map(|body| {
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["value"].as_array().unwrap().clone()
        });
        assert_eq!(among.len(), 3);
        assert_eq!(among[1], alone[0]);
        assert_eq!(among[0], among[2]);
    }

    #[test]
    fn a_lifecycle_item_tells_of_no_resource() {
        let mut writer = CollectionWriter::with_capacity(0);
        writer.push_lifecycle(&missed());
        insta::assert_snapshot!(pretty(&writer.finish()), @r#"
        {"value":[{"lifecycleEvent":"missed",
          "subscriptionId":"5f7c0a11-2222-4333-8444-555566667777",
          "subscriptionExpirationDateTime":"2026-11-24T10:00:00Z",
          "clientState":"s3cret",
          "tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "id":"2f0c3d8e-6a3b-5c1d-9e7f-112233445566"}]}
        "#);
    }

    #[test]
    fn what_is_written_is_read_back_and_measured() {
        let mut writer = CollectionWriter::with_capacity(2);
        let with_id = ChangeNotification { id: Some("n-1".into()), client_state: None, ..change() };
        writer.push_change(&with_id);
        writer.push_lifecycle(&missed());
        let (items, bytes) = (writer.items(), writer.bytes());
        let body = writer.finish();
        assert_eq!((items, bytes), (2, body.len()));
        let read: ReceivedCollection = serde_json::from_slice(&body).unwrap();
        assert_eq!(read.value[0].id.as_deref(), Some("n-1"));
        assert_eq!(read.value[0].client_state, None);
        assert_eq!(read.value[0].resource_data.as_ref().unwrap().id.as_deref(), Some("AAMkAGUwAAA="));
        assert_eq!(read.value[1].lifecycle_event.as_deref(), Some("missed"));
        assert_eq!(read.value[1].resource, None);
    }

    #[test]
    fn an_empty_collection_is_json() {
        assert_eq!(CollectionWriter::with_capacity(0).finish(), br#"{"value":[]}"#);
    }

    #[test]
    fn members_from_the_future_are_passed_over() {
        let body = r#"{"value":[{"subscriptionId":"s","subscriptionExpirationDateTime":"d","new":{"a":[1]}}],"validationTokens":[]}"#;
        let read: ReceivedCollection = serde_json::from_str(body).unwrap();
        assert_eq!(read.value[0].subscription_id, "s");
    }
}
