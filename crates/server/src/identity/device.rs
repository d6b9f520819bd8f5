//! Sign-in for devices and programs without a browser (RFC 8628): the device gets a code to show, a person
//! types it at `/{tenant}/oauth2/deviceauth` and signs in there, and the device asks until that is done.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::endpoint::Visit;
use super::form::Form;
use super::grant;
use super::pages::{self, DeviceCode, Message};
use super::pending::{DEVICE_MINUTES, DEVICE_SECONDS_MIN, Device, DeviceState, letters};
use super::refusal::Refusal;
use super::scope::Scopes;
use super::sign_in::{Question, Said, consent, said};
use crate::ids;

/// `POST /{tenant}/oauth2/v2.0/devicecode`.
pub async fn begin(visit: &Visit<'_>, form: &Form) -> Result<Value, Refusal> {
    let tenancy = visit.tenancy().await?;
    let app = visit.app(form.need("client_id")?).await?;
    if !app.public_client {
        return Err(Refusal::NoCredential);
    }
    let scopes = form.get("scope").ok_or(Refusal::ScopeMissing)?;
    let scopes = Scopes::asked(scopes, &visit.context.origin, visit.segment)?;
    let (device_code, user_code) = (ids::new_secret(), ids::new_code(9));
    let device = Device {
        user_code: user_code.clone(),
        app: app.id,
        tenancy,
        scopes: scopes.kept(),
        state: DeviceState::Waiting,
        expires: visit.now().plus_minutes(DEVICE_MINUTES),
        asked: None,
    };
    visit.state.pending.add_device(grant::hash(&device_code), device, visit.now())?;
    let uri = format!("{}/{}/oauth2/deviceauth", visit.context.origin, visit.segment);
    let message =
        format!("To sign in, use a web browser to open the page {uri} and enter the code {user_code} to authenticate.");
    Ok(json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": uri,
        "expires_in": DEVICE_MINUTES * 60,
        "interval": DEVICE_SECONDS_MIN,
        "message": message,
    }))
}

/// `/{tenant}/oauth2/deviceauth`: asks for the code, then who signs in.
pub async fn page(
    visit: &Visit<'_>,
    query: Result<Form, Refusal>,
    posted: Option<Result<Form, Refusal>>,
) -> Result<Response, Refusal> {
    let (query, posted) = (query?, posted.transpose()?);
    let Some(typed) = query.get("otc") else { return Ok(ask_for_code(None)) };
    let found = visit.state.pending.device(&letters(typed), visit.now());
    let Some(device) = found else {
        return Ok(ask_for_code(Some("No device waits with this code. Look at it again, or begin anew.")));
    };
    let app = visit.app(&device.app.to_string()).await?;
    let text = device.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let scopes = Scopes::read(&text, &visit.context.origin, visit.segment)?;
    let question = Question {
        app: &app,
        tenancy: device.tenancy,
        permissions: scopes.names(),
        address: "",
        device: Some(&device.user_code),
        form_to: None,
    };
    let Some(form) = posted else { return question.ask(visit, None).await };
    let state = match said(visit, question.tenancy, &form).await? {
        Said::Again(problem) => return question.ask(visit, Some(problem)).await,
        Said::Cancel => DeviceState::Declined,
        Said::User(user) => {
            consent(visit, &app, &user, scopes.names()).await?;
            DeviceState::SignedIn(user.id)
        }
    };
    let told = visit.state.pending.answer_device(&device.user_code, state, visit.now());
    told.ok_or(Refusal::DeviceCodeExpired)?;
    let (title, text) = match state {
        DeviceState::SignedIn(_) => ("You are signed in", "You may close this page and go back to your device."),
        _ => ("You did not sign in", "Your device will be told. You may close this page."),
    };
    let message = Message { nonce: pages::nonce(), title, text, detail: None };
    Ok(pages::page(StatusCode::OK, &message, &message.nonce, None))
}

fn ask_for_code(problem: Option<&str>) -> Response {
    let page = DeviceCode { nonce: pages::nonce(), problem: problem.map(str::to_owned) };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    pages::page(status, &page, &page.nonce, None)
}
