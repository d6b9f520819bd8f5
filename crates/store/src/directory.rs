//! Who there is: tenants, users and apps, what apps were granted, and what they redeem for tokens.

use std::collections::BTreeSet;
use std::fmt;

use graph::{AppId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreError;

/// An organisation, or the one tenant of all personal accounts ([`TenantId::CONSUMERS`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    /// The domain of its addresses, in lower case: `contoso.test`. No other tenant has it.
    pub domain: String,
}

/// A directory user with a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub tenant: TenantId,
    /// The user principal name, which is also the mail address. No other user of any tenant has it, in
    /// any case.
    pub upn: String,
    pub display_name: String,
    /// Whether apps may act for this user. The mailbox takes mail all the same.
    pub enabled: bool,
    /// What apps were given for this user before then counts no more.
    pub sessions_valid_from: Timestamp,
}

impl User {
    /// An enabled user, none of whose sessions were ended.
    pub fn new(id: UserId, tenant: TenantId, upn: impl Into<String>, display_name: impl Into<String>) -> Self {
        Self {
            id,
            tenant,
            upn: upn.into(),
            display_name: display_name.into(),
            enabled: true,
            sessions_valid_from: Timestamp::default(),
        }
    }
}

/// An application that may ask for tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    pub id: AppId,
    /// Its home. What it may do in any tenant is said by the consents.
    pub tenant: TenantId,
    pub display_name: String,
    /// The object id of its service principal: `creatorId` of what it makes without a user.
    pub service_principal: UserId,
    /// Whether it gets tokens.
    pub enabled: bool,
    /// Where codes are sent, each to the letter.
    pub redirect_uris: Vec<String>,
    /// Whether it may redeem codes and refresh tokens without a credential.
    pub public_client: bool,
    pub access_token_version: TokenVersion,
    pub credentials: Vec<Credential>,
    /// The mailboxes that its own permissions reach; `None`: all of the tenant.
    pub mailboxes: Option<BTreeSet<UserId>>,
}

impl App {
    /// A confidential client that has nothing yet.
    pub fn new(id: AppId, tenant: TenantId, display_name: impl Into<String>, service_principal: UserId) -> Self {
        Self {
            id,
            tenant,
            display_name: display_name.into(),
            service_principal,
            enabled: true,
            redirect_uris: Vec::new(),
            public_client: false,
            access_token_version: TokenVersion::V1,
            credentials: Vec::new(),
            mailboxes: None,
        }
    }
}

/// The form of an app's access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenVersion {
    V1,
    V2,
}

/// What an app proves itself with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    pub id: Uuid,
    /// It proves nothing any more from then on.
    pub expires: Timestamp,
    pub kind: CredentialKind,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialKind {
    /// Secrets are 256 random bits that the server made, so that a plain hash tells nothing about them.
    Secret {
        /// Its first three characters, to know it by.
        hint: String,
        /// SHA-256, lower-case hexadecimal.
        sha256: String,
    },
    Certificate {
        #[serde(with = "base64_text")]
        der: Vec<u8>,
        /// SHA-1 and SHA-256 of the DER form, lower-case hexadecimal: what `x5t` and `x5t#S256` name.
        sha1: String,
        sha256: String,
    },
}

impl fmt::Debug for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialKind::Secret { hint, .. } => f.debug_struct("Secret").field("hint", hint).finish_non_exhaustive(),
            CredentialKind::Certificate { sha1, .. } => {
                f.debug_struct("Certificate").field("sha1", sha1).finish_non_exhaustive()
            }
        }
    }
}

/// Whom a permission is granted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Grantee {
    /// The app itself, without a user: an app role.
    App,
    /// The app when it acts for any user of the tenant: a scope, granted by an administrator.
    AllUsers,
    /// The app when it acts for this user: a scope.
    User(UserId),
}

/// Permissions to be granted to an app in a tenant, or to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub tenant: TenantId,
    pub app: AppId,
    pub grantee: Grantee,
    /// By Graph's names: `Mail.Read`.
    pub permissions: BTreeSet<String>,
}

/// A permission that an app was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    pub tenant: TenantId,
    pub app: AppId,
    pub grantee: Grantee,
    pub permission: String,
    pub granted: Timestamp,
    /// It does not stand since then.
    pub revoked: Option<Timestamp>,
}

/// What an app redeems for tokens: an authorization code, or a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redeemable {
    /// All that is kept of the text itself.
    pub hash: RedeemableHash,
    pub kind: RedeemableKind,
    /// The sign-in that it goes back to. A code and the refresh tokens that follow from it have it in common.
    pub session: Uuid,
    pub tenant: TenantId,
    pub app: AppId,
    pub user: UserId,
    pub scopes: BTreeSet<String>,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

/// SHA-256 of what the app holds, which is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedeemableHash(pub [u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RedeemableKind {
    Code { redirect_uri: String, challenge: Option<Challenge>, nonce: Option<String> },
    RefreshToken,
}

/// A proof key for code exchange (RFC 7636), as the app sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Challenge {
    S256(String),
    Plain(String),
}

/// What was found when something was redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    pub redeemable: Redeemable,
    /// When it had been redeemed already.
    pub before: Option<Timestamp>,
}

/// Why the directory was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("there is no tenant {0}")]
    NoTenant(TenantId),
    #[error("there is no user {0}")]
    NoUser(UserId),
    #[error("there is no app {0}")]
    NoApp(AppId),
    #[error("the id {0} is taken")]
    IdTaken(Uuid),
    #[error("another tenant has the domain {0}")]
    DomainTaken(String),
    #[error("another user has the address {0}")]
    AddressTaken(String),
    #[error("subscriptions watch the mailbox of user {0}; end them first")]
    Watched(UserId),
    #[error("app {0} has subscriptions; end them first")]
    Subscribed(AppId),
    /// It is not as the caller expected.
    #[error("it was changed meanwhile")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Bytes as base64 text in JSON.
mod base64_text {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(Cow::<str>::deserialize(deserializer)?.as_bytes()).map_err(de::Error::custom)
    }
}
