//! The section `identity`: whether this server gives out tokens, and whose else it accepts.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use jsonwebtoken::Algorithm;
use receiver::key_set::ANY_TENANT;
use serde::Deserialize;
use url::{Host, Url};

use crate::identity::external::{
    AppOnly, ClaimNames, IssuerName, Rules, SKEW_SECONDS_MAX, TenantRule, UserBy, is_asymmetric,
};
use crate::outbound::{Allowed, OutboundConfig, Policy};

const ISSUERS_MAX: usize = 100;
/// The most names that a list of claims or audiences has, and how long one of them is.
const NAMES_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    pub built_in_issuer: bool,
    pub issuers: Vec<Issuer>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { built_in_issuer: true, issuers: Vec::new() }
    }
}

/// An identity provider. What is not said is as the provider's tokens usually are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    issuer: String,
    #[serde(default)]
    provider: Provider,
    audiences: Vec<String>,
    tenant: Option<String>,
    tenant_claim: Option<String>,
    app_claims: Option<Vec<String>>,
    user_claims: Option<Vec<String>>,
    user_by: Option<By>,
    scope_claims: Option<Vec<String>>,
    role_claims: Option<Vec<String>>,
    app_only: Option<String>,
    algorithms: Option<Vec<String>>,
    clock_skew_seconds: Option<i64>,
    #[serde(default)]
    ca_files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Provider {
    Entra,
    Keycloak,
    #[default]
    OpenId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Id,
    Address,
}

impl Provider {
    /// Claims as this provider's access tokens have them.
    fn claims(self) -> ClaimNames {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (app, user, scopes, roles, app_only) = match self {
            // Versions 2 and 1. A token for a user always has scopes.
            Provider::Entra => (&["azp", "appid"][..], "oid", "scp", &["roles"][..], AppOnly::HasNot("scp".to_owned())),
            // Tokens of service accounts, and no others, have `client_id`.
            Provider::Keycloak => {
                (&["azp"][..], "sub", "scope", &["realm_access.roles"][..], AppOnly::IsApp("client_id".to_owned()))
            }
            // RFC 9068: an app for itself is its own subject.
            Provider::OpenId => {
                (&["client_id", "azp"][..], "sub", "scope", &["roles", "scope"][..], AppOnly::IsApp("sub".to_owned()))
            }
        };
        ClaimNames {
            app: names(app),
            user: names(&[user]),
            user_by: UserBy::Id,
            scopes: names(&[scopes]),
            roles: names(roles),
            app_only,
        }
    }
}

impl Identity {
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.built_in_issuer || !self.issuers.is_empty(),
            "identity.built_in_issuer is false and no [[identity.issuers]] is there, so that nobody could call: set one"
        );
        ensure!(self.issuers.len() <= ISSUERS_MAX, "identity.issuers has more than {ISSUERS_MAX} entries");
        let issuers = self.issuers()?;
        for (number, (rules, _)) in issuers.iter().enumerate() {
            let name = &rules.name;
            ensure!(
                !issuers[..number].iter().any(|(before, _)| before.name == *name),
                "identity.issuers names {} twice",
                name.as_str()
            );
        }
        Ok(())
    }

    /// What each issuer's tokens look like, and how it may be called.
    pub fn issuers(&self) -> anyhow::Result<Vec<(Rules, OutboundConfig)>> {
        let read = |issuer: &Issuer| {
            let read = || Ok::<_, anyhow::Error>((issuer.rules()?, issuer.outbound()?));
            read().with_context(|| format!("identity.issuers: the one with issuer = {:?}", issuer.issuer))
        };
        self.issuers.iter().map(read).collect()
    }
}

impl Issuer {
    fn rules(&self) -> anyhow::Result<Rules> {
        let name = IssuerName::new(&self.issuer).with_context(|| format!("issuer has {ANY_TENANT} twice"))?;
        self.host()?;
        ensure!(
            !self.audiences.is_empty(),
            "audiences is empty: name what stands as `aud` in tokens that are for this server"
        );
        check_names("audiences", &self.audiences)?;
        let skew_seconds = self.clock_skew_seconds.unwrap_or(SKEW_SECONDS_MAX);
        ensure!(
            (0..=SKEW_SECONDS_MAX).contains(&skew_seconds),
            "clock_skew_seconds is {skew_seconds}: give 0 to {SKEW_SECONDS_MAX}"
        );
        Ok(Rules {
            tenant: self.tenant(&name)?,
            name,
            audiences: self.audiences.clone(),
            algorithms: self.algorithms()?,
            skew_seconds,
            claims: self.claims()?,
        })
    }

    fn tenant(&self, name: &IssuerName) -> anyhow::Result<TenantRule> {
        let rule = match (&self.tenant, &self.tenant_claim) {
            (Some(tenant), None) => TenantRule::One(tenant.clone()),
            (None, Some(claim)) => TenantRule::Claim(claim.clone()),
            (None, None) if self.provider == Provider::Entra => TenantRule::Claim("tid".to_owned()),
            (None, None) => bail!(
                "tenant is missing: name the tenant of the directory that its tokens are for, by its domain or id, or with \
                 tenant_claim the claim that says which"
            ),
            (Some(_), Some(_)) => bail!("tenant and tenant_claim exclude each other: remove one"),
        };
        if name.is_of_any_tenant() && matches!(rule, TenantRule::One(_)) {
            bail!("issuer has {ANY_TENANT}, so that its tokens are for many tenants: remove tenant");
        }
        Ok(rule)
    }

    fn algorithms(&self) -> anyhow::Result<Vec<Algorithm>> {
        let Some(names) = &self.algorithms else { return Ok(vec![Algorithm::RS256]) };
        ensure!(!names.is_empty(), "algorithms is empty: name those that it signs with, such as [\"RS256\"]");
        let read = |name: &String| {
            let algorithm = name.parse().ok().filter(|algorithm| is_asymmetric(*algorithm));
            algorithm.with_context(|| {
                format!(
                    "algorithms has {name:?}: give RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA; one with \
                     a shared secret is not taken"
                )
            })
        };
        names.iter().map(read).collect()
    }

    fn claims(&self) -> anyhow::Result<ClaimNames> {
        let usual = self.provider.claims();
        let names = |key: &str, given: &Option<Vec<String>>, usual: Vec<String>| {
            let Some(given) = given else { return Ok(usual) };
            ensure!(!given.is_empty(), "{key} is empty: name a claim, or remove it");
            check_names(key, given)?;
            Ok(given.clone())
        };
        let app_only = match &self.app_only {
            None => usual.app_only,
            Some(text) => AppOnly::read(text).with_context(|| {
                format!("app_only is {text:?}: give \"CLAIM\", \"!CLAIM\", \"CLAIM=VALUE\" or \"CLAIM={{app}}\"")
            })?,
        };
        Ok(ClaimNames {
            app: names("app_claims", &self.app_claims, usual.app)?,
            user: names("user_claims", &self.user_claims, usual.user)?,
            user_by: match self.user_by {
                None => usual.user_by,
                Some(By::Id) => UserBy::Id,
                Some(By::Address) => UserBy::Address,
            },
            scopes: names("scope_claims", &self.scope_claims, usual.scopes)?,
            roles: names("role_claims", &self.role_claims, usual.roles)?,
            app_only,
        })
    }

    /// The host of its URL, which must be one that can be trusted to answer for it.
    fn host(&self) -> anyhow::Result<String> {
        let hint = "give the HTTPS URL that stands as `iss` in its tokens";
        let url = self.issuer.replace(ANY_TENANT, "common");
        let url = Url::parse(&url).with_context(|| format!("issuer is no URL: {hint}"))?;
        ensure!(url.scheme() == "https", "issuer is not an HTTPS URL: {hint}; its keys cannot be trusted otherwise");
        ensure!(url.query().is_none() && url.fragment().is_none(), "issuer has a query or a fragment: {hint}");
        match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => Ok(name.to_owned()),
            Some(Host::Ipv4(address)) => Ok(address.to_string()),
            Some(Host::Ipv6(address)) => Ok(address.to_string()),
            _ => bail!("issuer has no host: {hint}"),
        }
    }

    /// Its own host may be called wherever it is, for the operator has named it, and no other that is forbidden.
    fn outbound(&self) -> anyhow::Result<OutboundConfig> {
        let allowed: Allowed = self.host()?.parse().context("issuer has a host that cannot be called")?;
        let policy = Policy { allow: vec![allowed], ..Policy::default() };
        Ok(OutboundConfig { policy, ca_files: self.ca_files.clone(), ..OutboundConfig::default() })
    }
}

fn check_names(key: &str, names: &[String]) -> anyhow::Result<()> {
    ensure!(names.len() <= NAMES_MAX, "{key} has more than {NAMES_MAX} names");
    let fits = |name: &String| !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
    ensure!(names.iter().all(fits), "{key} has a name that is empty or longer than {NAME_CHARS_MAX} characters");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYCLOAK: &str = r#"
[[issuers]]
issuer = "https://id.example/realms/contoso"
provider = "keycloak"
audiences = ["tidings"]
tenant = "contoso.com"
"#;

    fn read(text: &str) -> anyhow::Result<Vec<(Rules, OutboundConfig)>> {
        let identity: Identity = toml::from_str(text)?;
        identity.check()?;
        identity.issuers()
    }

    fn rules(text: &str) -> Rules {
        read(text).unwrap().remove(0).0
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    #[test]
    fn a_provider_says_what_its_tokens_usually_look_like() {
        let entra = "[[issuers]]\nissuer = \"https://login.example/{tenantid}/v2.0\"\nprovider = \"entra\"\naudiences = [\"a\"]";
        let openid = KEYCLOAK.replace("\"keycloak\"", "\"openid\"");
        let of = [entra, KEYCLOAK, &openid].map(rules);
        assert_eq!((of[0].skew_seconds, of[0].algorithms.as_slice()), (300, &[Algorithm::RS256][..]));
        insta::assert_debug_snapshot!(of.map(|rules| (rules.tenant, rules.claims)));
    }

    #[test]
    fn each_claim_may_be_named_otherwise() {
        let more = "app_claims = [\"cid\"]\nuser_claims = [\"preferred_username\", \"email\"]\nuser_by = \"address\"\n\
                    scope_claims = [\"scp\"]\nrole_claims = [\"resource_access.tidings.roles\"]\napp_only = \"gty=client-credentials\"\n\
                    algorithms = [\"ES256\", \"PS256\"]\nclock_skew_seconds = 0\n";
        let rules = rules(&format!("{KEYCLOAK}{more}"));
        assert_eq!(
            (rules.claims.app.join(" "), rules.claims.roles.join(" ")),
            ("cid".into(), "resource_access.tidings.roles".into())
        );
        assert_eq!(
            (rules.claims.user.join(" "), rules.claims.user_by),
            ("preferred_username email".into(), UserBy::Address)
        );
        assert_eq!(rules.claims.app_only, AppOnly::Is("gty".into(), "client-credentials".into()));
        assert_eq!((rules.algorithms, rules.skew_seconds), (vec![Algorithm::ES256, Algorithm::PS256], 0));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_change() {
        let changed = |from: &str, to: &str| refusal(&KEYCLOAK.replace(from, to));
        let more = |line: &str| refusal(&format!("{KEYCLOAK}{line}"));
        let refusals = [
            refusal("built_in_issuer = false"),
            refusal(&format!("{KEYCLOAK}{KEYCLOAK}")),
            changed("https://", "http://"),
            changed("https://id.example/realms/contoso", "contoso"),
            changed("/realms/contoso", "/realms/{tenantid}"),
            changed("/realms/contoso", "/realms/contoso?x=1"),
            changed("[\"tidings\"]", "[]"),
            changed("[\"tidings\"]", "[\"\"]"),
            changed("tenant = \"contoso.com\"", ""),
            more("tenant_claim = \"tid\""),
            more("algorithms = [\"HS256\"]"),
            more("algorithms = [\"none\"]"),
            more("algorithms = []"),
            more("clock_skew_seconds = 301"),
            more("app_claims = []"),
            more("app_only = \"\""),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
        assert!(more("user_by = \"name\"").contains("user_by"), "{}", more("user_by = \"name\""));
        assert!(more("clock_skew = 1").contains("unknown field `clock_skew`"));
    }

    /// What the page about identity shows is what works.
    #[test]
    fn the_examples_of_the_page_are_valid() {
        let page = include_str!("../../../../docs/identity.md");
        let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let issuers: Vec<_> = blocks.filter(|block| block.contains("[[identity.issuers]]")).collect();
        assert_eq!(issuers.len(), 2);
        for block in issuers {
            let block = block.replace("identity.", "");
            assert_eq!(read(&format!("built_in_issuer = false\n{block}")).unwrap().len(), 1, "{block}");
        }
    }

    #[test]
    fn an_issuer_may_be_called_wherever_it_is_and_nobody_else() {
        for (host, named) in [("10.0.0.7", "10.0.0.7"), ("id.example", "id.example"), ("[fd00::7]", "fd00::7")] {
            let (_, outbound) = read(&KEYCLOAK.replace("id.example", host)).unwrap().remove(0);
            let address = "fd00::7".parse().unwrap();
            let private =
                if host == "id.example" || host == "10.0.0.7" { "10.0.0.7".parse().unwrap() } else { address };
            assert!(outbound.policy.check_address(named, private).is_ok(), "{host}");
            assert!(outbound.policy.check_address("other.example", "10.0.0.8".parse().unwrap()).is_err());
            assert!(outbound.policy.check_url(&format!("http://{host}/keys")).is_err(), "plain HTTP stays closed");
        }
    }
}
