//! `POST /me/translateExchangeIds`: 200 with an entry for each id, in order. One that is malformed, or of
//! nothing that exists, has `errorDetails` instead of a target.

use graph::mailbox::Owner;
use graph::path::UserKey;
use graph::{ExchangeId, ExchangeIdFormat, Item, ItemKey, Refusal, schema};
use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use crate::http::answer::Answer;
use crate::http::error::ApiError;

pub async fn translate_ids(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let asked = schema::translation(call.json()?)?;
    let source = format("sourceIdType", &asked.source)?;
    let target = format("targetIdType", &asked.target)?;
    let mut value = Vec::with_capacity(asked.ids.len());
    for id in asked.ids {
        let entry = match translated(call, &owner, source.read(&id), target).await {
            Ok(translated) => json!({ "sourceId": id, "targetId": translated }),
            Err(error @ (ApiError::MalformedId | ApiError::ItemNotFound)) => {
                json!({ "sourceId": id, "errorDetails": details(&error) })
            }
            Err(error) => return Err(error),
        };
        value.push(entry);
    }
    let context = call.metadata("Collection(microsoft.graph.convertIdResult)");
    Ok(Answer::json(StatusCode::OK, &json!({ "@odata.context": context, "value": value })))
}

fn format(property: &str, name: &str) -> Result<ExchangeIdFormat, Refusal> {
    let expected = "one of entryId, ewsId, immutableEntryId, restId, restImmutableEntryId".to_owned();
    name.parse().map_err(|_| Refusal::Invalid { property: property.to_owned(), expected })
}

async fn translated(
    call: &Call<'_>,
    owner: &Owner,
    id: Option<ExchangeId>,
    target: ExchangeIdFormat,
) -> Result<String, ApiError> {
    let store = &call.state.store;
    match id.ok_or(ApiError::MalformedId)? {
        ExchangeId::Folder(id) => {
            let found = store.folder(owner.id, id).await?.ok_or(ApiError::ItemNotFound)?;
            Ok(target.write(found.folder.id))
        }
        ExchangeId::Item(key) => {
            let found = match key {
                ItemKey::Id(id) => store.item(owner.id, id).await?,
                ItemKey::Immutable(id) => store.item_by_immutable(owner.id, id).await?,
            };
            Ok(written(&found.ok_or(ApiError::ItemNotFound)?, target))
        }
    }
}

fn written(item: &Item, target: ExchangeIdFormat) -> String {
    if target.is_immutable() { target.write(item.immutable_id()) } else { target.write(item.id) }
}

fn details(error: &ApiError) -> Value {
    let (code, message) = error.code_and_message();
    json!({ "code": code, "message": message })
}
