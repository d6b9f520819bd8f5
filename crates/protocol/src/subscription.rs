//! The `subscription` resource: what an app sends to make or renew one, and what it gets back.
//! Requests are read as the live service reads them: property names and change types in any case,
//! blanks between change types, booleans as text; but a name that it does not know is refused.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// More members than the resource has are refused unread.
const MEMBERS_MAX: usize = 64;

/// The body of POST and PATCH. Absent and `null` are the same. Values are as sent: dates and URLs are
/// for the caller to judge. Read-only properties are accepted and passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionRequest {
    pub change_type: Option<String>,
    pub client_state: Option<String>,
    pub encryption_certificate: Option<String>,
    pub encryption_certificate_id: Option<String>,
    pub expiration_date_time: Option<String>,
    pub include_resource_data: Option<bool>,
    pub latest_supported_tls_version: Option<String>,
    pub lifecycle_notification_url: Option<String>,
    pub notification_content_type: Option<String>,
    pub notification_query_options: Option<String>,
    pub notification_url: Option<String>,
    pub notification_url_app_id: Option<String>,
    pub resource: Option<String>,
    pub blob_store_url: Option<String>,
    pub vapid_public_key: Option<String>,
    pub web_push_encryption_p256dh_public_key: Option<String>,
    pub web_push_encryption_secret: Option<String>,
}

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// Not a JSON object, or one with far too many members.
    Malformed,
    UnknownProperty(String),
    RepeatedProperty(String),
    /// The value's JSON type is not the property's.
    WrongType(&'static str),
    /// A PATCH that changes nothing.
    NothingToPatch,
}

impl PayloadError {
    /// Graph's error code; the status is 400.
    pub fn code(&self) -> &'static str {
        "InvalidRequest"
    }

    /// Graph's message, which does not name the property; `Display` does.
    pub fn message(&self) -> &'static str {
        match self {
            Self::NothingToPatch => {
                "Subscription must contain either the 'expirationDateTime' or 'notificationUrl' property and its value."
            }
            _ => {
                "Could not process subscription creation payload. \
                 Are all property names spelled and camelCased properly?"
            }
        }
    }

    /// The property at fault.
    pub fn property(&self) -> Option<&str> {
        match self {
            Self::UnknownProperty(name) | Self::RepeatedProperty(name) => Some(name),
            Self::WrongType(name) => Some(name),
            Self::Malformed | Self::NothingToPatch => None,
        }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the body is not a JSON object of a subscription"),
            Self::UnknownProperty(name) => write!(f, "a subscription has no property '{name}'"),
            Self::RepeatedProperty(name) => write!(f, "the property '{name}' is given twice"),
            Self::WrongType(name) => write!(f, "the value of '{name}' has the wrong type"),
            Self::NothingToPatch => f.write_str("nothing to change"),
        }
    }
}

impl std::error::Error for PayloadError {}

impl SubscriptionRequest {
    pub fn parse_create(body: &[u8]) -> Result<Self, PayloadError> {
        Self::parse(body, Context::Refused)
    }

    /// A PATCH must change the expiry, the URL, or the certificate and its id. `includeResourceData` alone is left to
    /// those who know what the subscription has.
    pub fn parse_patch(body: &[u8]) -> Result<Self, PayloadError> {
        let request = Self::parse(body, Context::PassedOver)?;
        let changes = [
            &request.expiration_date_time,
            &request.notification_url,
            &request.encryption_certificate,
            &request.encryption_certificate_id,
        ];
        if changes.iter().all(|value| value.is_none()) && request.include_resource_data.is_none() {
            return Err(PayloadError::NothingToPatch);
        }
        Ok(request)
    }

    fn parse(body: &[u8], context: Context) -> Result<Self, PayloadError> {
        let Members(members) = serde_json::from_slice(body).map_err(|_| PayloadError::Malformed)?;
        let mut request = Self::default();
        let mut seen: Vec<String> = Vec::with_capacity(members.len());
        for (name, value) in members {
            let key = name.to_ascii_lowercase();
            if key == "@odata.context" && context == Context::PassedOver {
                continue;
            }
            if seen.contains(&key) {
                return Err(PayloadError::RepeatedProperty(bounded(name)));
            }
            request.set(&key, value).map_err(|fault| match fault {
                Fault::Unknown => PayloadError::UnknownProperty(bounded(name)),
                Fault::Type(property) => PayloadError::WrongType(property),
            })?;
            seen.push(key);
        }
        Ok(request)
    }

    /// `key` is in lower case.
    fn set(&mut self, key: &str, value: Value) -> Result<(), Fault> {
        let (slot, name) = match key {
            "changetype" => (&mut self.change_type, "changeType"),
            "clientstate" => (&mut self.client_state, "clientState"),
            "encryptioncertificate" => (&mut self.encryption_certificate, "encryptionCertificate"),
            "encryptioncertificateid" => (&mut self.encryption_certificate_id, "encryptionCertificateId"),
            "expirationdatetime" => (&mut self.expiration_date_time, "expirationDateTime"),
            "latestsupportedtlsversion" => (&mut self.latest_supported_tls_version, "latestSupportedTlsVersion"),
            "lifecyclenotificationurl" => (&mut self.lifecycle_notification_url, "lifecycleNotificationUrl"),
            "notificationcontenttype" => (&mut self.notification_content_type, "notificationContentType"),
            "notificationqueryoptions" => (&mut self.notification_query_options, "notificationQueryOptions"),
            "notificationurl" => (&mut self.notification_url, "notificationUrl"),
            "notificationurlappid" => (&mut self.notification_url_app_id, "notificationUrlAppId"),
            "resource" => (&mut self.resource, "resource"),
            "blobstoreurl" => (&mut self.blob_store_url, "blobStoreUrl"),
            "vapidpublickey" => (&mut self.vapid_public_key, "vapidPublicKey"),
            "webpushencryptionp256dhpublickey" => {
                (&mut self.web_push_encryption_p256dh_public_key, "webPushEncryptionP256dhPublicKey")
            }
            "webpushencryptionsecret" => (&mut self.web_push_encryption_secret, "webPushEncryptionSecret"),
            "includeresourcedata" => {
                self.include_resource_data = boolean(value)?;
                return Ok(());
            }
            "id" | "applicationid" | "creatorid" | "@odata.type" => return Ok(()),
            _ => return Err(Fault::Unknown),
        };
        *slot = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => return Err(Fault::Type(name)),
        };
        Ok(())
    }
}

/// What becomes of `@odata.context`: Graph refuses it in a new subscription, while apps patch the whole
/// object that they were answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Refused,
    PassedOver,
}

enum Fault {
    Unknown,
    Type(&'static str),
}

fn boolean(value: Value) -> Result<Option<bool>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(Fault::Type("includeResourceData")),
    }
}

/// Names come back in errors; a long one is cut.
fn bounded(name: String) -> String {
    if name.chars().count() <= 64 { name } else { name.chars().take(64).chain(['…']).collect() }
}

/// The members of an object in their order, repeated names included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, Value>()? {
                    if members.len() == MEMBERS_MAX {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A subscription as the API answers it: every property, unset ones `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionResource<'a> {
    /// Absent in the elements of a list.
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    pub odata_context: Option<Cow<'a, str>>,
    pub id: Cow<'a, str>,
    /// Exactly as it was sent.
    pub resource: Cow<'a, str>,
    pub application_id: Option<Cow<'a, str>>,
    pub change_type: Cow<'a, str>,
    pub client_state: Option<Cow<'a, str>>,
    pub notification_url: Cow<'a, str>,
    pub notification_query_options: Option<Cow<'a, str>>,
    pub notification_content_type: Option<Cow<'a, str>>,
    pub lifecycle_notification_url: Option<Cow<'a, str>>,
    /// In `Z`, with at most seven fractional digits.
    pub expiration_date_time: Cow<'a, str>,
    pub creator_id: Option<Cow<'a, str>>,
    pub include_resource_data: Option<bool>,
    pub latest_supported_tls_version: Option<Cow<'a, str>>,
    pub encryption_certificate: Option<Cow<'a, str>>,
    pub encryption_certificate_id: Option<Cow<'a, str>>,
    pub notification_url_app_id: Option<Cow<'a, str>>,
}

/// The answer to GET of the collection. It never shows a `clientState`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionList<'a> {
    #[serde(rename = "@odata.context", default, skip_serializing_if = "Option::is_none")]
    odata_context: Option<Cow<'a, str>>,
    value: Vec<SubscriptionResource<'a>>,
    #[serde(rename = "@odata.nextLink", default, skip_serializing_if = "Option::is_none")]
    next_link: Option<Cow<'a, str>>,
}

impl<'a> SubscriptionList<'a> {
    pub fn new(
        context: Cow<'a, str>,
        subscriptions: impl IntoIterator<Item = SubscriptionResource<'a>>,
        next_link: Option<Cow<'a, str>>,
    ) -> Self {
        let without_secret = |resource| SubscriptionResource { odata_context: None, client_state: None, ..resource };
        Self { odata_context: Some(context), value: subscriptions.into_iter().map(without_secret).collect(), next_link }
    }

    pub fn value(&self) -> &[SubscriptionResource<'a>] {
        &self.value
    }

    /// Where the next page is, as an absolute URL.
    pub fn next_link(&self) -> Option<&str> {
        self.next_link.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(body: &str) -> Result<SubscriptionRequest, PayloadError> {
        SubscriptionRequest::parse_create(body.as_bytes())
    }

    fn resource() -> SubscriptionResource<'static> {
        SubscriptionResource {
            odata_context: Some("https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity".into()),
            id: "5f7c0a11-2222-4333-8444-555566667777".into(),
            resource: "me/mailfolders('Drafts')/messages".into(),
            application_id: Some("507c3b9a-67b8-463d-88a2-15a8cefb2111".into()),
            change_type: "created,updated".into(),
            client_state: Some("s3cret".into()),
            notification_url: "https://hook.example.net/graph?tenant=7".into(),
            expiration_date_time: "2026-11-24T10:00:00Z".into(),
            creator_id: Some("622eaaff-0683-4862-9de4-f2ec83c2bd98".into()),
            latest_supported_tls_version: Some("v1_2".into()),
            ..SubscriptionResource::default()
        }
    }

    #[test]
    fn every_property_of_a_request_is_read() {
        let request = create(
            r##"{"@odata.type":"#microsoft.graph.subscription","id":null,"changeType":"created",
            "clientState":"c","encryptionCertificate":"MIID","encryptionCertificateId":"k",
            "expirationDateTime":"2026-11-24T10:00:00.0000000Z","includeResourceData":true,
            "latestSupportedTlsVersion":"v1_3","lifecycleNotificationUrl":"https://h/l",
            "notificationContentType":"application/json","notificationQueryOptions":"$top","notificationUrl":"https://h/n",
            "notificationUrlAppId":"a","resource":"/me/messages","blobStoreUrl":"b","vapidPublicKey":"v",
            "webPushEncryptionP256dhPublicKey":"p","webPushEncryptionSecret":"s"}"##,
        );
        insta::assert_debug_snapshot!(request.unwrap(), @r#"
        SubscriptionRequest {
            change_type: Some(
                "created",
            ),
            client_state: Some(
                "c",
            ),
            encryption_certificate: Some(
                "MIID",
            ),
            encryption_certificate_id: Some(
                "k",
            ),
            expiration_date_time: Some(
                "2026-11-24T10:00:00.0000000Z",
            ),
            include_resource_data: Some(
                true,
            ),
            latest_supported_tls_version: Some(
                "v1_3",
            ),
            lifecycle_notification_url: Some(
                "https://h/l",
            ),
            notification_content_type: Some(
                "application/json",
            ),
            notification_query_options: Some(
                "$top",
            ),
            notification_url: Some(
                "https://h/n",
            ),
            notification_url_app_id: Some(
                "a",
            ),
            resource: Some(
                "/me/messages",
            ),
            blob_store_url: Some(
                "b",
            ),
            vapid_public_key: Some(
                "v",
            ),
            web_push_encryption_p256dh_public_key: Some(
                "p",
            ),
            web_push_encryption_secret: Some(
                "s",
            ),
        }
        "#);
    }

    #[test]
    fn names_in_any_case_and_booleans_as_text_are_read() {
        let request = create(r#"{"changetype":"Created, updated","IncludeResourceData":"True","clientState":null}"#);
        let request = request.unwrap();
        assert_eq!(request.change_type.as_deref(), Some("Created, updated"));
        assert_eq!(request.include_resource_data, Some(true));
        assert_eq!(request.client_state, None);
    }

    #[test]
    fn what_is_not_a_subscription_is_refused_in_graphs_words() {
        let cases = [
            ("", None),
            ("{", None),
            ("[]", None),
            ("{} {}", None),
            (r#"{"@odata.context":"x"}"#, Some("@odata.context")),
            (r#"{"changeTypo":"created"}"#, Some("changeTypo")),
            (r#"{"changeType":["created"]}"#, Some("changeType")),
            (r#"{"expirationDateTime":1700000000}"#, Some("expirationDateTime")),
            (r#"{"includeResourceData":"yes"}"#, Some("includeResourceData")),
            (r#"{"resource":"a","Resource":"b"}"#, Some("Resource")),
        ];
        for (body, property) in cases {
            let error = create(body).unwrap_err();
            assert_eq!(error.property(), property, "{body}");
            assert_eq!(
                (error.code(), error.message()),
                ("InvalidRequest", PayloadError::Malformed.message()),
                "{body}"
            );
        }
        insta::assert_snapshot!(PayloadError::Malformed.message(), @"Could not process subscription creation payload. Are all property names spelled and camelCased properly?");
    }

    #[test]
    fn deep_nesting_and_many_members_are_refused() {
        let deep = format!(r#"{{"resource":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(create(&deep), Err(PayloadError::Malformed));
        let members: Vec<String> = (0..=MEMBERS_MAX).map(|n| format!(r#""id{n}":1"#)).collect();
        assert_eq!(create(&format!("{{{}}}", members.join(","))), Err(PayloadError::Malformed));
    }

    #[test]
    fn a_long_unknown_name_is_cut() {
        let error = create(&format!(r#"{{"{}":1}}"#, "é".repeat(1000))).unwrap_err();
        assert_eq!(error.property().map(|name| name.chars().count()), Some(65));
    }

    #[test]
    fn a_patch_must_change_something() {
        let patch = |body: &str| SubscriptionRequest::parse_patch(body.as_bytes());
        assert!(patch(r#"{"expirationDateTime":"2026-11-27T10:00:00Z"}"#).is_ok());
        assert!(patch(r#"{"encryptionCertificate":"MIID","encryptionCertificateId":"k"}"#).is_ok());
        assert!(patch(r#"{"includeResourceData":false}"#).is_ok(), "whoever knows the subscription can say more");
        assert_eq!(patch(&serde_json::to_string(&resource()).unwrap()).map(|_| ()), Ok(()), "an answer, sent back");
        for body in ["{}", r#"{"changeType":"created"}"#, r#"{"notificationUrl":null}"#] {
            let error = patch(body).unwrap_err();
            assert_eq!(error, PayloadError::NothingToPatch);
        }
        insta::assert_snapshot!(PayloadError::NothingToPatch.message(), @"Subscription must contain either the 'expirationDateTime' or 'notificationUrl' property and its value.");
    }

    #[test]
    fn an_answer_has_every_property_in_graphs_order() {
        let json = serde_json::to_string_pretty(&resource()).unwrap();
        assert_eq!(serde_json::from_str::<SubscriptionResource>(&json).unwrap(), resource());
        insta::assert_snapshot!(json, @r#"
        {
          "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
          "id": "5f7c0a11-2222-4333-8444-555566667777",
          "resource": "me/mailfolders('Drafts')/messages",
          "applicationId": "507c3b9a-67b8-463d-88a2-15a8cefb2111",
          "changeType": "created,updated",
          "clientState": "s3cret",
          "notificationUrl": "https://hook.example.net/graph?tenant=7",
          "notificationQueryOptions": null,
          "notificationContentType": null,
          "lifecycleNotificationUrl": null,
          "expirationDateTime": "2026-11-24T10:00:00Z",
          "creatorId": "622eaaff-0683-4862-9de4-f2ec83c2bd98",
          "includeResourceData": null,
          "latestSupportedTlsVersion": "v1_2",
          "encryptionCertificate": null,
          "encryptionCertificateId": null,
          "notificationUrlAppId": null
        }
        "#);
    }

    #[test]
    fn a_list_hides_client_states() {
        let list = SubscriptionList::new("https://h/v1.0/$metadata#subscriptions".into(), [resource()], None);
        assert_eq!(list.value()[0].client_state, None);
        insta::assert_snapshot!(serde_json::to_string_pretty(&list).unwrap(), @r#"
        {
          "@odata.context": "https://h/v1.0/$metadata#subscriptions",
          "value": [
            {
              "id": "5f7c0a11-2222-4333-8444-555566667777",
              "resource": "me/mailfolders('Drafts')/messages",
              "applicationId": "507c3b9a-67b8-463d-88a2-15a8cefb2111",
              "changeType": "created,updated",
              "clientState": null,
              "notificationUrl": "https://hook.example.net/graph?tenant=7",
              "notificationQueryOptions": null,
              "notificationContentType": null,
              "lifecycleNotificationUrl": null,
              "expirationDateTime": "2026-11-24T10:00:00Z",
              "creatorId": "622eaaff-0683-4862-9de4-f2ec83c2bd98",
              "includeResourceData": null,
              "latestSupportedTlsVersion": "v1_2",
              "encryptionCertificate": null,
              "encryptionCertificateId": null,
              "notificationUrlAppId": null
            }
          ]
        }
        "#);
    }
}
