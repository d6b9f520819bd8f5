//! `outlook/masterCategories`: GET 200, POST 201; `outlook/masterCategories/{id}`: GET 200, PATCH 200, DELETE 204.
//! The names of categories are unique and fixed; only colours change.

use graph::mailbox::Settings;
use graph::path::UserKey;
use http::{Method, StatusCode};

use super::{change, list, named, root, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::ids;

const PLACE: &str = "outlook/masterCategories";

pub async fn all(call: &Call<'_>, method: &Method, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    match method.as_str() {
        "GET" => {
            let owner = call.owner(user).await?;
            let settings = Settings::of(&root(call, &owner).await?);
            Ok(list(call, &owner, PLACE, &settings.categories))
        }
        "POST" => {
            let owner = call.owner(user).await?;
            let (id, body) = (ids::new_uuid(), call.json()?);
            let made = change(call, &owner, |settings| Ok(settings.add_category(id, body.clone())?)).await?;
            Ok(single(call, &owner, PLACE, made, StatusCode::CREATED))
        }
        _ => Err(ApiError::Method),
    }
}

pub async fn one(call: &Call<'_>, method: &Method, user: &UserKey, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    match method.as_str() {
        "GET" => {
            let owner = call.owner(user).await?;
            let settings = Settings::of(&root(call, &owner).await?);
            Ok(single(call, &owner, PLACE, named(&settings.categories, id)?.clone(), StatusCode::OK))
        }
        "PATCH" => {
            let owner = call.owner(user).await?;
            let body = call.json()?;
            let patched = change(call, &owner, |settings| {
                settings.patch_category(id, body.clone())?.ok_or(ApiError::ItemNotFound)
            });
            Ok(single(call, &owner, PLACE, patched.await?, StatusCode::OK))
        }
        "DELETE" => {
            let owner = call.owner(user).await?;
            change(call, &owner, |settings| settings.remove_category(id).ok_or(ApiError::ItemNotFound)).await?;
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(ApiError::Method),
    }
}
