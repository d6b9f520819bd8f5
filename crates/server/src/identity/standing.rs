//! Whether the bearer of a token may still call, and what of it still holds. A token says what was so when
//! it was made; the directory says what is so now, and both must agree.

use std::collections::BTreeSet;

use graph::{TenantId, Timestamp};
use notify::access::{Actor, Permissions, Principal};
use store::{App, User};

use super::external::{Claimed, NotAccepted, Reason, Subject};
use super::scope::Api;
use super::tokens::{Bearer, TokenError};
use crate::directory::Directory;
use crate::http::error::ApiError;

/// The caller with what it may do at this moment. The directory remembers what it has looked up, so that
/// this asks the store now and then only.
pub async fn admit(directory: &Directory, bearer: &Bearer) -> Result<Principal, ApiError> {
    let Principal { tenant, app, .. } = bearer.principal;
    let user = match bearer.principal.user() {
        Some(id) => Some(directory.user(id).await?),
        None => None,
    };
    let found = directory.app(app).await?;
    let granted = directory.granted(tenant, app, bearer.principal.user()).await?;
    Ok(admitted(bearer, user.as_ref().map(Option::as_deref), found.as_deref(), &granted)?)
}

/// `user`: what is known of the signed-in user, if the token has one.
fn admitted(
    bearer: &Bearer,
    user: Option<Option<&User>>,
    app: Option<&App>,
    granted: &BTreeSet<String>,
) -> Result<Principal, TokenError> {
    let app = app.ok_or(revoked(bearer))?;
    if let Some(user) = user {
        check_user(bearer, user)?;
    }
    Ok(Principal { held: consented(bearer, app, granted)?, ..bearer.principal.clone() })
}

/// The caller that a token of another issuer tells of. Its user must be in the directory, and stand there as
/// for the built-in issuer. An app need not be there: then the token alone says what it may. One that is there
/// may what the token says and the operator has consented to.
pub async fn admit_claimed(directory: &Directory, claimed: &Claimed) -> Result<Principal, NotAccepted> {
    let tenant = find_tenant(directory, &claimed.tenant).await?;
    let (actor, user) = match &claimed.subject {
        Subject::App(id) => (Actor::App(*id), None),
        Subject::User(id) => (Actor::User(*id), directory.user(*id).await?),
        Subject::Address(address) => {
            let user = directory.by_address(address).await?.ok_or_else(|| Reason::user(address))?;
            (Actor::User(user.id), Some(user))
        }
    };
    let (app, held, expires) = (claimed.app, claimed.held.clone(), Some(Timestamp::from_seconds(claimed.expires)));
    let principal = Principal { tenant, app, actor, held, admin: claimed.admin, expires };
    let bearer = Bearer { api: Api::Graph, principal, issued: claimed.issued };
    if let Actor::User(id) = actor {
        let user = user.filter(|user| user.tenant == tenant).ok_or_else(|| Reason::user(&id.to_string()))?;
        check_user(&bearer, Some(&user))?;
    }
    let Some(registered) = directory.app(app).await? else { return Ok(bearer.principal) };
    let granted = directory.granted(tenant, app, bearer.principal.user()).await?;
    Ok(Principal { held: consented(&bearer, &registered, &granted)?, ..bearer.principal })
}

async fn find_tenant(directory: &Directory, named: &str) -> Result<TenantId, NotAccepted> {
    let id: Option<TenantId> = named.parse().ok();
    let tenants = directory.tenants().await?;
    let found = tenants.iter().find(|tenant| Some(tenant.id) == id || tenant.domain.eq_ignore_ascii_case(named));
    Ok(found.ok_or_else(|| Reason::tenant(named))?.id)
}

/// What of a token's permissions the app was consented to, if it may have tokens at all.
fn consented(bearer: &Bearer, app: &App, granted: &BTreeSet<String>) -> Result<Permissions, TokenError> {
    if !app.enabled {
        return Err(revoked(bearer));
    }
    Ok(bearer.principal.held.only(|name| granted.contains(name)))
}

fn check_user(bearer: &Bearer, user: Option<&User>) -> Result<(), TokenError> {
    let user = user.filter(|user| user.enabled && user.tenant == bearer.principal.tenant).ok_or(revoked(bearer))?;
    let since = first_second(user);
    if bearer.issued < since {
        return Err(TokenError::Revoked { since });
    }
    Ok(())
}

/// This token counts no more, a later one may.
fn revoked(bearer: &Bearer) -> TokenError {
    TokenError::Revoked { since: bearer.issued.saturating_add(1) }
}

/// The first whole second in which tokens for this user count, since 1970. Tokens are dated by seconds.
pub fn first_second(user: &User) -> i64 {
    let micros = user.sessions_valid_from.as_micros();
    micros.div_euclid(1_000_000) + i64::from(micros.rem_euclid(1_000_000) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    fn bearer(issued: i64) -> Bearer {
        let principal = Principal {
            tenant: seed::TENANT,
            app: seed::APP,
            actor: Actor::User(seed::users()[0].id),
            held: Permissions::of(["Mail.Read", "Calendars.Read", "openid"]),
            admin: false,
            expires: None,
        };
        Bearer { api: Api::Graph, principal, issued }
    }

    fn granted(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_caller_may_do_what_its_token_says_and_what_is_still_consented_to() {
        let (app, megan) = (seed::app(), seed::users().remove(0));
        let caller =
            admitted(&bearer(9), Some(Some(&megan)), Some(&app), &granted(&["Mail.Read", "Mail.Send"])).unwrap();
        assert_eq!(caller.held, Permissions::of(["Mail.Read"]));
    }

    #[test]
    fn who_is_gone_disabled_or_must_sign_in_again_is_refused() {
        let (app, megan) = (seed::app(), seed::users().remove(0));
        let all = granted(&["Mail.Read"]);
        let refused = |user: Option<&User>, app: Option<&App>| admitted(&bearer(9), Some(user), app, &all).err();
        let revoked = Some(TokenError::Revoked { since: 10 });
        assert_eq!(refused(Some(&megan), Some(&app)), None);
        assert_eq!(refused(None, Some(&app)), revoked);
        assert_eq!(refused(Some(&megan), None), revoked);
        assert_eq!(refused(Some(&User { enabled: false, ..megan.clone() }), Some(&app)), revoked);
        assert_eq!(refused(Some(&megan), Some(&App { enabled: false, ..app.clone() })), revoked);
        let moved = User { tenant: graph::TenantId::CONSUMERS, ..megan.clone() };
        assert_eq!(refused(Some(&moved), Some(&app)), revoked);
        for (micros, outcome) in [(9_000_000, None), (9_000_001, revoked), (8_999_999, None)] {
            let reset = User { sessions_valid_from: Timestamp::from_micros(micros), ..megan.clone() };
            assert_eq!(refused(Some(&reset), Some(&app)), outcome, "{micros}");
        }
    }
}
