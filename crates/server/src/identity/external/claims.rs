//! What a token of another issuer says, read by the names that the operator gave. Pure: nothing is looked up,
//! no clock is read.

use std::fmt;

use graph::{AppId, UserId};
use notify::access::Permissions;
use protocol::validation_token::PUBLISHER_ID;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::reason::{Reason, clipped};
use super::rules::{AppOnly, Rules, TenantRule, UserBy};
use crate::identity::tokens::GLOBAL_ADMINISTRATOR;

/// Who bears a token, as its issuer says. Whether the directory knows them is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// An id or a domain.
    pub tenant: String,
    pub app: AppId,
    pub subject: Subject,
    pub held: Permissions,
    /// Whether the user administers the tenant.
    pub admin: bool,
    /// In seconds since 1970, as the next two.
    pub issued: i64,
    pub not_before: i64,
    pub expires: i64,
}

/// On whose behalf the app calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    User(UserId),
    /// A user, by address.
    Address(String),
    /// The app itself: the id of its service principal.
    App(UserId),
}

/// All claims of a token. One that stands in it twice, at any depth, makes the token unreadable.
#[derive(Clone)]
pub struct Claims(Map<String, Value>);

impl Claimed {
    /// Who bears a token with these claims.
    pub fn read(rules: &Rules, claims: &Claims) -> Result<Self, Reason> {
        let iss = claims.text("iss")?;
        if !rules.name.matches(iss) {
            return Err(Reason::Issuer(clipped(iss)));
        }
        claims.check_audience(&rules.audiences)?;
        claims.check_kind()?;
        let tenant = claims.tenant(rules, iss)?;
        let app = claims.first_text(&rules.claims.app)?.1;
        let app_only = claims.is_app_only(&rules.claims.app_only, app);
        match (app_only, claims.find("idtyp").map(Value::as_str)) {
            (_, None) | (true, Some(Some("app"))) | (false, Some(Some("user"))) => {}
            _ => return Err(Reason::Claim("idtyp".to_owned())),
        }
        let (subject, names) = match app_only {
            true => (claims.service_principal(iss)?, &rules.claims.roles),
            false => (claims.user(rules)?, &rules.claims.scopes),
        };
        let issued = claims.seconds("iat")?.ok_or_else(|| Reason::Claim("iat".to_owned()))?;
        Ok(Self {
            tenant,
            app: AppId(stable_id(iss, app)),
            subject,
            held: claims.permissions(names)?,
            admin: !app_only && claims.names_role(GLOBAL_ADMINISTRATOR),
            issued,
            // A token from the future is not valid yet, whatever else it says.
            not_before: claims.seconds("nbf")?.map_or(issued, |not_before| not_before.max(issued)),
            expires: claims.seconds("exp")?.ok_or_else(|| Reason::Claim("exp".to_owned()))?,
        })
    }
}

/// The id of something that another issuer names: the name itself if that is a GUID with its hyphens, in either
/// case, else always the same one, UUIDv5 of the name within UUIDv5 of the issuer's URL.
fn stable_id(iss: &str, name: &str) -> Uuid {
    let issuer = Uuid::new_v5(&Uuid::NAMESPACE_URL, iss.as_bytes());
    let guid = Some(name).filter(|name| name.len() == Hyphenated::LENGTH).and_then(|name| name.parse().ok());
    guid.unwrap_or_else(|| Uuid::new_v5(&issuer, name.as_bytes()))
}

impl Claims {
    /// The claim of this name, which may lie in objects: `realm_access.roles`.
    pub fn find(&self, name: &str) -> Option<&Value> {
        find(&self.0, name)
    }

    fn text(&self, name: &str) -> Result<&str, Reason> {
        let found = self.find(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        found.ok_or_else(|| Reason::Claim(name.to_owned()))
    }

    /// The first of these claims that is there, which must be a text.
    fn first_text<'a>(&'a self, names: &'a [String]) -> Result<(&'a str, &'a str), Reason> {
        let name = names.iter().find(|name| self.find(name).is_some()).ok_or_else(|| Reason::claim(names))?;
        Ok((name, self.text(name)?))
    }

    /// A time. It may have a fraction (RFC 7519, NumericDate).
    fn seconds(&self, name: &str) -> Result<Option<i64>, Reason> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let whole = |seconds: f64| (seconds.abs() < 9e15).then_some(seconds.floor() as i64);
        let seconds = value.as_i64().or_else(|| value.as_f64().and_then(whole));
        seconds.map(Some).ok_or_else(|| Reason::Claim(name.to_owned()))
    }

    fn check_audience(&self, accepted: &[String]) -> Result<(), Reason> {
        let audiences = self.find("aud").and_then(texts).ok_or_else(|| Reason::Claim("aud".to_owned()))?;
        match audiences.iter().any(|audience| accepted.iter().any(|accepted| accepted == audience)) {
            true => Ok(()),
            false => Err(Reason::Audience(clipped(&audiences.join(" ")))),
        }
    }

    /// Refuses what is signed by the same keys and is something else.
    fn check_kind(&self) -> Result<(), Reason> {
        if ["at_hash", "c_hash"].iter().any(|name| self.find(name).is_some()) {
            return Err(Reason::Kind("it is an id token"));
        }
        if self.find("typ").is_some_and(|typ| typ.as_str().is_none_or(|typ| !typ.eq_ignore_ascii_case("bearer"))) {
            return Err(Reason::Kind("its claim `typ` is not Bearer"));
        }
        let is_publishers = |name: &&str| {
            let bearer = self.find(name).and_then(Value::as_str);
            bearer.is_some_and(|bearer| bearer.eq_ignore_ascii_case(PUBLISHER_ID))
        };
        if ["appid", "azp"].iter().any(is_publishers) {
            return Err(Reason::Kind("it is a validation token: it vouches for a notification"));
        }
        if self.find("cnf").is_some() {
            return Err(Reason::Kind(
                "it is bound to a key of its bearer (`cnf`), and is worth nothing without a proof",
            ));
        }
        Ok(())
    }

    fn tenant(&self, rules: &Rules, iss: &str) -> Result<String, Reason> {
        let tenant = match &rules.tenant {
            TenantRule::One(tenant) => tenant,
            TenantRule::Claim(name) => self.text(name)?,
        };
        match rules.name.tenant_of(iss) {
            Some(id) if id.to_string() != tenant => Err(Reason::TenantElsewhere),
            _ => Ok(tenant.to_owned()),
        }
    }

    fn is_app_only(&self, rule: &AppOnly, app: &str) -> bool {
        let is = |claim: &str, value: &str| self.find(claim).and_then(Value::as_str) == Some(value);
        match rule {
            AppOnly::Has(claim) => self.find(claim).is_some(),
            AppOnly::HasNot(claim) => self.find(claim).is_none(),
            AppOnly::Is(claim, value) => is(claim, value),
            AppOnly::IsApp(claim) => is(claim, app),
        }
    }

    fn service_principal(&self, iss: &str) -> Result<Subject, Reason> {
        let subject = self.text("oid").or_else(|_| self.text("sub"))?;
        Ok(Subject::App(UserId(stable_id(iss, subject))))
    }

    fn user(&self, rules: &Rules) -> Result<Subject, Reason> {
        let (claim, name) = self.first_text(&rules.claims.user)?;
        match rules.claims.user_by {
            UserBy::Id => name.parse().map(Subject::User).map_err(|_| Reason::UserId(clipped(name))),
            // Anybody may write anybody's address into a profile.
            UserBy::Address if claim == "email" && self.find("email_verified") == Some(&Value::Bool(false)) => {
                Err(Reason::Address)
            }
            UserBy::Address => Ok(Subject::Address(name.to_owned())),
        }
    }

    fn permissions(&self, names: &[String]) -> Result<Permissions, Reason> {
        let Some(name) = names.iter().find(|name| self.find(name).is_some()) else {
            return Ok(Permissions::default());
        };
        let held = self.find(name).and_then(texts).ok_or_else(|| Reason::Claim(name.clone()))?;
        Ok(Permissions::of(held.iter().flat_map(|text| text.split_ascii_whitespace())))
    }

    fn names_role(&self, role: &str) -> bool {
        self.find("wids").and_then(texts).is_some_and(|roles| roles.contains(&role))
    }
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Names of claims may have dots in them, so that a dot parts two names only where there is no such claim.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        name.match_indices('.').find_map(|(dot, _)| find(claims.get(&name[..dot])?.as_object()?, &name[dot + 1..]))
    })
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Unique::deserialize(deserializer)?.0 {
            Value::Object(claims) => Ok(Self(claims)),
            _ => Err(D::Error::custom("claims are an object")),
        }
    }
}

/// A value in which no object has a name twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON in which no object has a name twice")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
        Ok(Unique(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Unique, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(value)) = values.next_element()? {
            list.push(value);
        }
        Ok(Unique(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Unique(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests;
