//! `/{tenant}/oauth2/v2.0/authorize`: a person says who signs in, and the app gets a code. Nothing is kept
//! between the two requests but what the URL says; the second is read as strictly as the first.
//!
//! A development server lists its users and asks for no password; what the app asks for is consented to by
//! choosing one. Any other server has no passwords either, so its page takes a one-time sign-in code that
//! its operator has made for the user, and only what the operator has consented to is given.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::Response;
use graph::UserId;
use http::{StatusCode, header};
use store::{App, DirectoryError, Grant, Grantee, RedeemableKind, User};
use subtle::ConstantTimeEq as _;

use super::authorize::{self, Authorize, Back, Prompt};
use super::endpoint::Visit;
use super::form::Form;
use super::grant;
use super::pages::{self, Choice, Message, SignIn};
use super::refusal::Refusal;
use super::tenancy::Tenancy;
use super::token::{Kept, client_info};
use crate::ids;

/// Ties what is posted to a page that this server has shown in the same browser.
const CSRF_COOKIE: &str = "tidings-sign-in";
/// How many users a development server lists.
const CHOICES_MAX: usize = 100;

/// What a person is asked, and for what.
pub(super) struct Question<'a> {
    pub app: &'a App,
    pub tenancy: Tenancy,
    pub permissions: &'a [String],
    pub address: &'a str,
    pub device: Option<&'a str>,
    /// Where the answer leads in the end.
    pub form_to: Option<&'a str>,
}

/// What a person answered.
pub(super) enum Said {
    Cancel,
    User(Arc<User>),
    /// What to say about it, and ask again.
    Again(&'static str),
}

pub async fn authorize(
    visit: &Visit<'_>,
    query: Result<Form, Refusal>,
    posted: Option<Result<Form, Refusal>>,
) -> Result<Response, Refusal> {
    let (query, posted) = (query?, posted.transpose()?);
    let tenancy = visit.tenancy().await?;
    let app = visit.app(query.need("client_id")?).await?;
    let back = authorize::back(&app, &query)?;
    let outcome = match authorize::read(&query, back.clone(), &visit.context.origin, visit.segment) {
        Ok(asked) => proceed(visit, &app, tenancy, &asked, posted).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Err(refusal) => Ok(refuse(visit, &back, &refusal)),
        Ok(response) => Ok(response),
    }
}

async fn proceed(
    visit: &Visit<'_>,
    app: &App,
    tenancy: Tenancy,
    asked: &Authorize,
    posted: Option<Form>,
) -> Result<Response, Refusal> {
    let question = Question {
        app,
        tenancy,
        permissions: asked.scopes.names(),
        address: asked.login_hint.as_deref().unwrap_or_default(),
        device: None,
        form_to: Some(&asked.back.redirect_uri),
    };
    let user = match (posted, asked.prompt) {
        (Some(form), _) => match said(visit, tenancy, &form).await? {
            Said::Cancel => return Err(Refusal::Declined),
            Said::User(user) => user,
            Said::Again(problem) => return question.ask(visit, Some(problem)).await,
        },
        (None, Prompt::None) => hinted(visit, tenancy, asked).await?,
        (None, Prompt::Choose) => return question.ask(visit, None).await,
    };
    consent(visit, app, &user, asked.scopes.names()).await?;
    signed_in(visit, app, &user, asked).await
}

/// Whom a development server signs in without a page.
async fn hinted(visit: &Visit<'_>, tenancy: Tenancy, asked: &Authorize) -> Result<Arc<User>, Refusal> {
    let hint = asked.login_hint.as_deref().filter(|_| visit.state.dev).ok_or(Refusal::SignInNeeded)?;
    let found = visit.state.directory.by_address(hint).await.map_err(|_| Refusal::Unavailable)?;
    let user = found.filter(|user| tenancy.admits(user.tenant));
    let user = user.ok_or_else(|| Refusal::UserNotFound(hint.to_owned()))?;
    grant::user_holds(Some(&user), visit.now())?;
    Ok(user)
}

/// Reads what was posted from a page of ours.
pub(super) async fn said(visit: &Visit<'_>, tenancy: Tenancy, form: &Form) -> Result<Said, Refusal> {
    let cookie = csrf_cookie(visit).ok_or(Refusal::Invalid("csrf"))?;
    if !bool::from(cookie.as_bytes().ct_eq(form.need("csrf")?.as_bytes())) {
        return Err(Refusal::Invalid("csrf"));
    }
    if form.get("cancel").is_some() {
        return Ok(Said::Cancel);
    }
    let id: Option<UserId> = if visit.state.dev {
        Some(form.need("user")?.parse().map_err(|_| Refusal::Invalid("user"))?)
    } else {
        by_code(visit, form).await?
    };
    let wrong = "The address and the code do not belong together, or the code was used or is too old.";
    let Some(id) = id else { return Ok(Said::Again(wrong)) };
    let user = visit.user(id).await?.filter(|user| tenancy.admits(user.tenant));
    Ok(match user {
        None => Said::Again("Accounts of this kind do not sign in here."),
        Some(user) if grant::user_holds(Some(&user), visit.now()).is_err() => Said::Again("The account is disabled."),
        Some(user) => Said::User(user),
    })
}

/// The user whom a one-time code was made for, if it is the one who is named. A code is gone after one try.
async fn by_code(visit: &Visit<'_>, form: &Form) -> Result<Option<UserId>, Refusal> {
    let Some(user) = visit.state.pending.sign_in(form.need("code")?, visit.now()) else { return Ok(None) };
    let found = visit.state.directory.by_address(form.need("account")?.trim()).await;
    let named = found.map_err(|_| Refusal::Unavailable)?;
    Ok(named.filter(|named| named.id == user).map(|named| named.id))
}

/// Sees to it that the app may do something for the user. On a development server choosing somebody is
/// consent; elsewhere only the operator gives it.
pub(super) async fn consent(visit: &Visit<'_>, app: &App, user: &User, names: &[String]) -> Result<(), Refusal> {
    let granted = visit.granted(app, user).await?;
    let held = |name: &String| granted.iter().any(|granted| granted.eq_ignore_ascii_case(name));
    let new: BTreeSet<String> = names.iter().filter(|name| !held(name)).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    if !visit.state.dev {
        // Some of it is enough: the tokens say what was given.
        let refusal = Refusal::NoConsent { app: app.id.to_string(), name: app.display_name.clone() };
        return if new.len() < names.len() { Ok(()) } else { Err(refusal) };
    }
    let grant = Grant { tenant: user.tenant, app: app.id, grantee: Grantee::User(user.id), permissions: new };
    let now = visit.now();
    let given = visit.state.directory.change(|store| async move { store.grant(grant, now).await }).await;
    given.map(drop).map_err(|_: DirectoryError| Refusal::Unavailable)
}

async fn signed_in(visit: &Visit<'_>, app: &App, user: &User, asked: &Authorize) -> Result<Response, Refusal> {
    let session = ids::new_uuid();
    let mut fields = Vec::new();
    let code = if asked.code {
        let code = ids::new_secret();
        let kind = RedeemableKind::Code {
            redirect_uri: asked.back.redirect_uri.clone(),
            challenge: asked.challenge.clone(),
            nonce: asked.nonce.clone(),
        };
        let kept = Kept { kind, session, minutes: grant::CODE_MINUTES };
        visit.keep(&code, kept, app, user, &asked.scopes).await?;
        fields.push(("code", code.clone()));
        Some(code)
    } else {
        None
    };
    if asked.id_token {
        let token = visit.id_token(app, user, session, asked.nonce.as_deref(), code.as_deref())?;
        fields.push(("id_token", token));
    }
    fields.push(("client_info", client_info(user)));
    fields.push(("session_state", session.to_string()));
    Ok(pages::leads(asked.back.leads(fields)))
}

/// Tells the app what was wrong.
fn refuse(visit: &Visit<'_>, back: &Back, refusal: &Refusal) -> Response {
    let error = match refusal {
        Refusal::NoConsent { .. } => "consent_required",
        Refusal::UserDisabled | Refusal::UserNotFound(_) | Refusal::Revoked => "login_required",
        Refusal::Unavailable => "temporarily_unavailable",
        other => other.error(),
    };
    let description = refusal.description(&visit.traced());
    pages::leads(back.leads(vec![("error", error.to_owned()), ("error_description", description)]))
}

impl Question<'_> {
    /// Shows the page.
    pub(super) async fn ask(&self, visit: &Visit<'_>, problem: Option<&str>) -> Result<Response, Refusal> {
        let csrf = csrf_cookie(visit).unwrap_or_else(ids::new_secret);
        let page = SignIn {
            nonce: pages::nonce(),
            app: &self.app.display_name,
            permissions: self.permissions.to_vec(),
            choices: self.choices(visit).await?,
            address: self.address,
            problem: problem.map(str::to_owned),
            query: visit.parts.uri.query().unwrap_or_default(),
            csrf: &csrf,
            device: self.device,
        };
        let mut response = pages::page(StatusCode::OK, &page, &page.nonce, self.form_to);
        let secure = if visit.context.is_secure() { "; Secure" } else { "" };
        let cookie = format!("{CSRF_COOKIE}={csrf}; Path=/; HttpOnly; SameSite=Lax{secure}");
        pages::set(&mut response, header::SET_COOKIE, &cookie);
        Ok(response)
    }

    /// Users who may sign in here, the one that is hinted at first.
    async fn choices(&self, visit: &Visit<'_>) -> Result<Option<Vec<Choice>>, Refusal> {
        if !visit.state.dev {
            return Ok(None);
        }
        let tenants = visit.state.directory.tenants().await.map_err(|_| Refusal::Unavailable)?;
        let mut choices = Vec::new();
        for tenant in tenants.iter().filter(|tenant| self.tenancy.admits(tenant.id)) {
            let users = visit.state.store.users(tenant.id).await.map_err(|_| Refusal::Unavailable)?;
            choices.extend(users.into_iter().filter(|user| user.enabled));
        }
        choices.sort_by_key(|user| !user.upn.eq_ignore_ascii_case(self.address));
        choices.truncate(CHOICES_MAX);
        let choice = |user: User| Choice { id: user.id.to_string(), name: user.display_name, address: user.upn };
        Ok(Some(choices.into_iter().map(choice).collect()))
    }
}

/// The token of the browser, if it has one of ours.
fn csrf_cookie(visit: &Visit<'_>) -> Option<String> {
    let cookies = visit.parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == CSRF_COOKIE)?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    (value.len() == 43 && value.chars().all(plain)).then(|| value.to_owned())
}

/// `/{tenant}/oauth2/v2.0/logout`. No browser is signed in here, so there is nothing to end; the way back is
/// taken only if it is registered for the app that is named.
pub async fn logout(visit: &Visit<'_>, query: Result<Form, Refusal>) -> Result<Response, Refusal> {
    let query = query?;
    if let (Some(to), Some(client)) = (query.get("post_logout_redirect_uri"), query.get("client_id")) {
        let app = visit.app(client).await?;
        if app.redirect_uris.iter().any(|known| known == to) {
            let state = query.get("state").map(str::to_owned);
            let back = Back { redirect_uri: to.to_owned(), mode: authorize::Mode::Query, state };
            return Ok(match back.state {
                Some(_) => pages::leads(back.leads(Vec::new())),
                None => pages::redirect(to),
            });
        }
    }
    let (title, text) =
        ("You are signed out", "This server keeps no sign-in of your browser. You may close this page.");
    let message = Message { nonce: pages::nonce(), title, text, detail: None };
    Ok(pages::page(StatusCode::OK, &message, &message.nonce, None))
}
