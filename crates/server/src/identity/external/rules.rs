//! What an operator says of an issuer: how its tokens name it, whom they are for, and which of their claims
//! tells what. Pure; the configuration is read into this.

use graph::TenantId;
use jsonwebtoken::Algorithm;
use receiver::key_set::ANY_TENANT;

/// The longest difference of clocks that may be allowed for, in seconds: what Microsoft's libraries allow.
pub const SKEW_SECONDS_MAX: i64 = 300;

/// All that is known of an issuer before its keys are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub name: IssuerName,
    /// Of these a token names one at least.
    pub audiences: Vec<String>,
    pub tenant: TenantRule,
    /// None of them works with a shared secret.
    pub algorithms: Vec<Algorithm>,
    pub skew_seconds: i64,
    pub claims: ClaimNames,
}

/// `iss` of an issuer's tokens, to the letter; with [`ANY_TENANT`] of all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerName(String);

/// Which tenant of the directory a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRule {
    /// This one, by id or domain.
    One(String),
    /// The one whose id or domain this claim holds.
    Claim(String),
}

/// Which claims tell what. Each is a name, or several with dots between for what lies in objects; of those of
/// one list the first counts that a token has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub app: Vec<String>,
    pub user: Vec<String>,
    pub user_by: UserBy,
    /// Delegated permissions.
    pub scopes: Vec<String>,
    /// An app's own permissions.
    pub roles: Vec<String>,
    pub app_only: AppOnly,
}

/// What a token calls the user by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserBy {
    /// The id that the user has in the directory here.
    Id,
    /// The address (UPN).
    Address,
}

/// What tells a token of an app for itself from one for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppOnly {
    /// This claim is there.
    Has(String),
    HasNot(String),
    /// This claim is this text.
    Is(String, String),
    /// This claim names the app.
    IsApp(String),
}

impl IssuerName {
    /// `None`: it has the tenant's place twice.
    pub fn new(text: &str) -> Option<Self> {
        (text.matches(ANY_TENANT).count() <= 1).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_of_any_tenant(&self) -> bool {
        self.0.contains(ANY_TENANT)
    }

    /// Whether a token with this `iss` is the issuer's.
    pub fn matches(&self, iss: &str) -> bool {
        match self.0.split_once(ANY_TENANT) {
            None => self.0 == iss,
            Some(_) => self.tenant_of(iss).is_some(),
        }
    }

    /// The tenant's id in this `iss`, if the issuer is of any tenant and this one of its names.
    pub fn tenant_of(&self, iss: &str) -> Option<TenantId> {
        let (before, after) = self.0.split_once(ANY_TENANT)?;
        let id = iss.strip_prefix(before)?.strip_suffix(after)?;
        let tenant: TenantId = id.parse().ok()?;
        // Other spellings of the same id are other issuers.
        (tenant.to_string() == id).then_some(tenant)
    }

    /// Where the OpenID configuration lies. That of all tenants together is Microsoft's `common`.
    pub fn configuration_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0.replace(ANY_TENANT, "common").trim_end_matches('/'))
    }
}

impl AppOnly {
    /// Reads `CLAIM`, `!CLAIM`, `CLAIM=VALUE` or `CLAIM={app}`.
    pub fn read(text: &str) -> Option<Self> {
        let (negated, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (claim, value) = rest.split_once('=').map_or((rest, None), |(claim, value)| (claim, Some(value)));
        if claim.is_empty() {
            return None;
        }
        let claim = claim.to_owned();
        match (negated, value) {
            (false, None) => Some(Self::Has(claim)),
            (true, None) => Some(Self::HasNot(claim)),
            (false, Some("{app}")) => Some(Self::IsApp(claim)),
            (false, Some(value)) if !value.is_empty() => Some(Self::Is(claim, value.to_owned())),
            _ => None,
        }
    }
}

/// Whether a signature with this algorithm is made with a private key that the issuer alone has.
pub fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";

    #[test]
    fn an_issuer_is_named_to_the_letter() {
        let name = IssuerName::new("https://id.example/realms/contoso").unwrap();
        assert!(name.matches("https://id.example/realms/contoso"));
        for other in ["https://id.example/realms/contoso/", "https://ID.example/realms/contoso", ""] {
            assert!(!name.matches(other), "{other}");
        }
        assert_eq!(name.configuration_url(), "https://id.example/realms/contoso/.well-known/openid-configuration");
    }

    #[test]
    fn an_issuer_of_any_tenant_is_named_with_the_id_of_one() {
        let name = IssuerName::new("https://login.example/{tenantid}/v2.0").unwrap();
        assert_eq!(name.tenant_of(&format!("https://login.example/{ID}/v2.0")).unwrap().to_string(), ID);
        for other in ["common", "{tenantid}", "", &ID.to_uppercase(), &ID.replace('-', ""), &format!("{ID}/v2.0/{ID}")]
        {
            assert!(!name.matches(&format!("https://login.example/{other}/v2.0")), "{other}");
        }
        assert_eq!(name.configuration_url(), "https://login.example/common/v2.0/.well-known/openid-configuration");
        assert!(IssuerName::new("https://{tenantid}.example/{tenantid}").is_none());
    }

    #[test]
    fn what_tells_an_app_for_itself_is_a_claim_that_is_there_or_not_or_has_a_value() {
        for (text, rule) in [
            ("client_id", Some(AppOnly::Has("client_id".into()))),
            ("!scp", Some(AppOnly::HasNot("scp".into()))),
            ("gty=client-credentials", Some(AppOnly::Is("gty".into(), "client-credentials".into()))),
            ("sub={app}", Some(AppOnly::IsApp("sub".into()))),
            ("", None),
            ("!", None),
            ("=x", None),
            ("gty=", None),
            ("!gty=x", None),
        ] {
            assert_eq!(AppOnly::read(text), rule, "{text}");
        }
    }
}
