//! Users of the directory, with the properties that Graph shows by default.

pub mod get;
pub mod list;

use serde_json::{Map, Value, json};
use store::User;

use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::QueryError;

/// A user's JSON form, or the part of it that `$select` names.
fn shown(call: &Call<'_>, user: &User) -> Result<Map<String, Value>, ApiError> {
    let all = json!({
        "businessPhones": [],
        "displayName": user.display_name,
        "givenName": null,
        "jobTitle": null,
        "mail": user.upn,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": null,
        "userPrincipalName": user.upn,
        "id": user.id,
    });
    let Value::Object(all) = all else { return Ok(Map::new()) };
    let Some(list) = call.query.get("$select") else { return Ok(all) };
    let mut selected = Map::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let found = all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let unknown = || QueryError::UnknownProperty { property: name.chars().take(64).collect(), type_name: "user" };
        let (known, value) = found.ok_or_else(unknown)?;
        selected.insert(known.clone(), value.clone());
    }
    Ok(selected)
}
