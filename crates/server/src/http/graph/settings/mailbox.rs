//! `mailboxSettings`: GET 200 with all of them, PATCH 200 with those that were changed;
//! `mailboxSettings/{setting}`: GET 200 with one.

use graph::mailbox::{MAILBOX_SETTINGS, Settings, mailbox_settings, patch_mailbox_settings};
use graph::path::UserKey;
use graph::{Properties, UserId};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{change, root};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::QueryError;

pub async fn all(call: &Call<'_>, method: &Method, user: &UserKey) -> Result<Answer, ApiError> {
    match method.as_str() {
        "GET" => {
            call.query.allow(&["$select"])?;
            let owner = call.owner(user).await?;
            let settings = Settings::of(&root(call, &owner).await?);
            Ok(shown(call, owner.id, selected(call, mailbox_settings(&settings, owner.id))?))
        }
        "PATCH" => {
            call.query.allow(&[])?;
            let owner = call.owner(user).await?;
            let body = call.json()?;
            let patched =
                change(call, &owner, |settings| Ok(patch_mailbox_settings(settings, owner.id, body.clone())?)).await?;
            Ok(shown(call, owner.id, patched))
        }
        _ => Err(ApiError::Method),
    }
}

pub async fn one(call: &Call<'_>, method: &Method, user: &UserKey, setting: &str) -> Result<Answer, ApiError> {
    if method != Method::GET {
        return Err(ApiError::Method);
    }
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let settings = Settings::of(&root(call, &owner).await?);
    let all = mailbox_settings(&settings, owner.id);
    let found = all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(setting));
    let (name, value) = found.ok_or(ApiError::ItemNotFound)?;
    let mut body = match value {
        Value::Object(members) => Value::Object(members),
        plain => json!({ "value": plain }),
    };
    body["@odata.context"] = call.metadata(&format!("users('{}')/{MAILBOX_SETTINGS}/{name}", owner.id)).into();
    Ok(Answer::json(StatusCode::OK, &body))
}

fn shown(call: &Call<'_>, mailbox: UserId, settings: Properties) -> Answer {
    let mut body = Value::Object(settings);
    body["@odata.context"] = call.metadata(&format!("users('{mailbox}')/{MAILBOX_SETTINGS}")).into();
    Answer::json(StatusCode::OK, &body)
}

fn selected(call: &Call<'_>, mut all: Properties) -> Result<Properties, ApiError> {
    let Some(list) = call.query.get("$select") else { return Ok(all) };
    let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() || names.contains(&"*") {
        return Ok(all);
    }
    if let Some(unknown) = names.iter().find(|name| !all.keys().any(|known| known.eq_ignore_ascii_case(name))) {
        let property = unknown.chars().take(64).collect();
        return Err(QueryError::UnknownProperty { property, type_name: MAILBOX_SETTINGS }.into());
    }
    all.retain(|known, _| names.iter().any(|name| known.eq_ignore_ascii_case(name)));
    Ok(all)
}
