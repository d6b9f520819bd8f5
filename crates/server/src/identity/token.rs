//! `POST /{tenant}/oauth2/v2.0/token`: looks up what the request names, lets [`super::grant`] decide, signs,
//! and keeps what can be redeemed later. The query is passed over, as are fields that mean nothing here.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph::{TenantId, UserId};
use serde_json::{Value, json};
use store::{App, DirectoryError, Redeemable, RedeemableKind, User};
use uuid::Uuid;

use super::claims::{AccessToken, Grant, IdToken, Proof};
use super::client::{Audience, Client};
use super::endpoint::Visit;
use super::form::Form;
use super::grant::{self, Asked, Void};
use super::refusal::Refusal;
use super::scope::{Api, Scopes};
use super::tenancy::Tenancy;
use crate::ids;

/// How long an access or id token lives, in seconds: what Microsoft's endpoint answers by default.
const LIFE_SECONDS: i64 = 3_599;

/// A sign-in of which an app gets tokens.
struct SignedIn {
    user: Arc<User>,
    session: Uuid,
    scopes: Scopes,
    nonce: Option<String>,
    /// Whether a refresh token belongs to it.
    renews: bool,
}

pub async fn token(visit: &Visit<'_>, form: &Form) -> Result<Value, Refusal> {
    let asked = Asked::read(form, &visit.context.origin, visit.segment)?;
    let tenancy = visit.tenancy().await?;
    let client = Client::read(&visit.parts.headers, form)?;
    let app = visit.app(&client.id).await?;
    let tenant = tenancy.or_home(app.tenant);
    let audience = Audience { origin: &visit.context.origin, segment: visit.segment, tenant };
    let proof = client.prove(&app, &audience, visit.times())?;
    let signed_in = match asked {
        Asked::ClientCredentials(_) if proof == Proof::None => return Err(Refusal::NoCredential),
        Asked::ClientCredentials(scopes) => return for_itself(visit, &app, proof, tenant, &scopes).await,
        Asked::Code { code, redirect_uri, verifier, scopes } => {
            let by = Code { code, redirect_uri, verifier };
            by_code(visit, &app, tenancy, by, scopes).await?
        }
        Asked::Refresh { token, scopes } => by_refresh_token(visit, &app, tenancy, &token, scopes).await?,
        Asked::Device { code } => by_device(visit, &app, &code).await?,
    };
    for_user(visit, &app, proof, &signed_in).await
}

async fn for_itself(
    visit: &Visit<'_>,
    app: &App,
    proof: Proof,
    tenant: TenantId,
    scopes: &Scopes,
) -> Result<Value, Refusal> {
    let granted = visit.state.directory.granted(tenant, app.id, None).await.map_err(|_| Refusal::Unavailable)?;
    // At home an app gets a token even if it may do nothing; elsewhere it is not there.
    if granted.is_empty() && tenant != app.tenant {
        let tenant = visit.segment.to_owned();
        return Err(Refusal::AppNotFound { app: app.id.to_string(), tenant });
    }
    // Roles are of Graph alone.
    let granted = granted.iter().filter(|_| scopes.api() == Api::Graph);
    let roles: Vec<&str> = granted.map(String::as_str).collect();
    let grant = Grant::Application(tenant, &roles);
    let token = visit.access_token(app, grant, proof, scopes)?;
    Ok(json!({
        "token_type": "Bearer",
        "expires_in": LIFE_SECONDS,
        "ext_expires_in": LIFE_SECONDS,
        "access_token": token,
    }))
}

/// What came with a code.
struct Code {
    code: String,
    redirect_uri: String,
    verifier: Option<String>,
}

async fn by_code(
    visit: &Visit<'_>,
    app: &App,
    tenancy: Tenancy,
    by: Code,
    scopes: Option<Scopes>,
) -> Result<SignedIn, Refusal> {
    let (hash, now) = (grant::hash(&by.code), visit.now());
    let found = visit.state.store.redeem(app.id, hash, now, now.plus_minutes(grant::CODE_MINUTES)).await;
    let found = found.map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::CodeExpired)?;
    let holds = grant::code_holds(&found, &by.redirect_uri, by.verifier.as_deref());
    visit.end_if_stolen(holds, found.redeemable.session).await?;
    let RedeemableKind::Code { nonce, .. } = &found.redeemable.kind else { return Err(Refusal::CodeInvalid) };
    let nonce = nonce.clone();
    resume(visit, tenancy, &found.redeemable, scopes, nonce).await
}

async fn by_refresh_token(
    visit: &Visit<'_>,
    app: &App,
    tenancy: Tenancy,
    token: &str,
    scopes: Option<Scopes>,
) -> Result<SignedIn, Refusal> {
    let now = visit.now();
    let (hash, over_at) = (grant::hash(token), grant::refresh_over_at(app, now));
    let found = visit.state.store.redeem(app.id, hash, now, over_at).await;
    let found = found.map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::CodeExpired)?;
    visit.end_if_stolen(grant::refresh_holds(&found, app, now), found.redeemable.session).await?;
    let resumed = resume(visit, tenancy, &found.redeemable, scopes, None).await?;
    Ok(SignedIn { renews: true, ..resumed })
}

async fn by_device(visit: &Visit<'_>, app: &App, code: &str) -> Result<SignedIn, Refusal> {
    let (device, user) = visit.state.pending.poll_device(grant::hash(code), app.id, visit.now())?;
    let user = visit.user(user).await?;
    let user = user.ok_or(Refusal::Revoked)?;
    grant::user_holds(Some(&user), visit.now())?;
    let scopes = reread(visit, &device.scopes)?;
    let renews = scopes.wants_refresh_token();
    Ok(SignedIn { user, session: ids::new_uuid(), scopes, nonce: None, renews })
}

/// The sign-in behind something that was redeemed.
async fn resume(
    visit: &Visit<'_>,
    tenancy: Tenancy,
    redeemable: &Redeemable,
    scopes: Option<Scopes>,
    nonce: Option<String>,
) -> Result<SignedIn, Refusal> {
    if !tenancy.admits(redeemable.tenant) {
        return Err(Refusal::RefreshTokenInvalid);
    }
    let user = visit.user(redeemable.user).await?;
    grant::user_holds(user.as_deref(), redeemable.issued)?;
    let user = user.ok_or(Refusal::Revoked)?;
    let kept = reread(visit, &redeemable.scopes)?;
    let renews = kept.wants_refresh_token();
    let scopes = scopes.filter(|scopes| !scopes.is_empty()).unwrap_or(kept);
    let renews = renews || scopes.wants_refresh_token();
    Ok(SignedIn { user, session: redeemable.session, scopes, nonce, renews })
}

fn reread(visit: &Visit<'_>, kept: &BTreeSet<String>) -> Result<Scopes, Refusal> {
    let text = kept.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    Scopes::read(&text, &visit.context.origin, visit.segment)
}

async fn for_user(visit: &Visit<'_>, app: &App, proof: Proof, signed_in: &SignedIn) -> Result<Value, Refusal> {
    let SignedIn { user, session, scopes, nonce, renews } = signed_in;
    let granted = visit.granted(app, user).await?;
    let given = scopes.granted(&granted);
    if given.is_empty() && !scopes.wants_id_token() {
        return Err(Refusal::NoConsent { app: app.id.to_string(), name: app.display_name.clone() });
    }
    let claim = scopes.claim(&given);
    let access_token = visit.access_token(app, Grant::Delegated(user, &claim), proof, scopes)?;
    let mut answer = json!({
        "token_type": "Bearer",
        "scope": scopes.answered(&given),
        "expires_in": LIFE_SECONDS,
        "ext_expires_in": LIFE_SECONDS,
        "access_token": access_token,
        "client_info": client_info(user),
    });
    if scopes.wants_id_token() {
        answer["id_token"] = visit.id_token(app, user, *session, nonce.as_deref(), None)?.into();
    }
    if *renews {
        let text = ids::new_secret();
        let keep = Kept { kind: RedeemableKind::RefreshToken, session: *session, minutes: grant::REFRESH_MINUTES };
        visit.keep(&text, keep, app, user, scopes).await?;
        answer["refresh_token"] = text.into();
    }
    Ok(answer)
}

/// Whose tokens these are, for the client's cache.
pub fn client_info(user: &User) -> String {
    URL_SAFE_NO_PAD.encode(json!({"uid": user.id, "utid": user.tenant}).to_string())
}

/// How something that can be redeemed is kept.
pub struct Kept {
    pub kind: RedeemableKind,
    pub session: Uuid,
    pub minutes: i64,
}

impl Visit<'_> {
    /// The app of this id, if it gets tokens.
    pub async fn app(&self, id: &str) -> Result<Arc<App>, Refusal> {
        let unknown = || Refusal::AppNotFound { app: id.to_owned(), tenant: self.segment.to_owned() };
        let parsed = id.parse().map_err(|_| unknown())?;
        let found = self.state.directory.app(parsed).await.map_err(|_| Refusal::Unavailable)?;
        let app = found.ok_or_else(unknown)?;
        if app.enabled { Ok(app) } else { Err(Refusal::AppDisabled(id.to_owned())) }
    }

    pub async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, Refusal> {
        self.state.directory.user(id).await.map_err(|_| Refusal::Unavailable)
    }

    /// What an app may do for a user at this moment.
    pub async fn granted(&self, app: &App, user: &User) -> Result<Arc<BTreeSet<String>>, Refusal> {
        let granted = self.state.directory.granted(user.tenant, app.id, Some(user.id)).await;
        granted.map_err(|_| Refusal::Unavailable)
    }

    fn access_token(&self, app: &App, grant: Grant<'_>, proof: Proof, scopes: &Scopes) -> Result<String, Refusal> {
        let for_user = matches!(grant, Grant::Delegated(..));
        let token = AccessToken {
            app,
            grant,
            proof,
            origin: &self.context.origin,
            by_id: scopes.by_id(),
            api: scopes.api(),
            uti: ids::new_uuid(),
            times: self.times(),
            life_seconds: LIFE_SECONDS,
        };
        let signed = self.state.tokens.access(&token).map_err(|_| Refusal::Unavailable)?;
        self.state.telemetry.token_issued(for_user);
        Ok(signed)
    }

    pub fn id_token(
        &self,
        app: &App,
        user: &User,
        session: Uuid,
        nonce: Option<&str>,
        code: Option<&str>,
    ) -> Result<String, Refusal> {
        let token = IdToken {
            app: app.id,
            user,
            origin: &self.context.origin,
            nonce,
            code,
            session,
            uti: ids::new_uuid(),
            now: self.context.world,
            life_seconds: LIFE_SECONDS,
        };
        self.state.tokens.id_token(&token).map_err(|_| Refusal::Unavailable)
    }

    /// Keeps a code or refresh token: of its text only the hash.
    pub async fn keep(&self, text: &str, kept: Kept, app: &App, user: &User, scopes: &Scopes) -> Result<(), Refusal> {
        let redeemable = Redeemable {
            hash: grant::hash(text),
            kind: kept.kind,
            session: kept.session,
            tenant: user.tenant,
            app: app.id,
            user: user.id,
            scopes: scopes.kept(),
            issued: self.now(),
            expires: self.now().plus_minutes(kept.minutes),
        };
        self.state.store.put_redeemable(redeemable).await.map_err(|error| match error {
            DirectoryError::NoUser(_) | DirectoryError::NoApp(_) => Refusal::Revoked,
            _ => Refusal::Unavailable,
        })
    }

    async fn end_if_stolen(&self, holds: Result<(), Void>, session: Uuid) -> Result<(), Refusal> {
        let Err(Void { refusal, stolen }) = holds else { return Ok(()) };
        if stolen {
            tracing::warn!(request_id = %self.context.request_id, "a used code or refresh token came back: its sign-in ends");
            self.state.store.end_session(session).await.map_err(|_| Refusal::Unavailable)?;
        }
        Err(refusal)
    }
}
