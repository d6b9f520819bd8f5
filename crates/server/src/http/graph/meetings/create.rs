//! `POST` of an event: 201 with the event, and invitations on their way to its attendees. An event whose
//! `transactionId` was used before is answered with the event that it made, while that is there.

use graph::mailbox::{self, Fresh, Owner, Written, meeting};
use graph::{FolderId, Item, ItemId, Kind, Refusal};
use http::StatusCode;
use serde_json::Value;
use store::{Commit, CommitError, Once};

use super::submission;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::items::{location, whole};
use crate::http::graph::{Call, REMOVALS_KEPT_MINUTES};

/// How many events of one `transactionId` may have been deleted.
const DELETED_MAX: u32 = 32;

pub async fn create(call: &Call<'_>, owner: &Owner, calendar: FolderId) -> Result<Answer, ApiError> {
    let body = call.json()?;
    let written = written(call, owner, &call.fresh(), calendar, body.clone())?;
    let transaction = written.item.properties.get("transactionId").and_then(Value::as_str).unwrap_or_default();
    let item = match transaction {
        "" => {
            let notice = meeting::invitation(owner, &call.fresh(), &written.item)?;
            let submit = submission(call, owner, notice).await?;
            call.commit(owner, written.mutation, submit).await?;
            written.item
        }
        transaction => create_once(call, owner, calendar, transaction, &body).await?,
    };
    Ok(whole(call, StatusCode::CREATED, &item).at(location(call, &item)))
}

fn written(
    call: &Call<'_>,
    owner: &Owner,
    fresh: &Fresh,
    calendar: FolderId,
    body: Value,
) -> Result<Written, ApiError> {
    let written = mailbox::create(owner, fresh, calendar, body)?;
    match call.state.profile.events_are_written_twice {
        true => Ok(mailbox::write_again(owner, fresh, written)),
        false => Ok(written),
    }
}

/// The event of a transaction: the one that is there, or a new one under an id that no event had before it.
async fn create_once(
    call: &Call<'_>,
    owner: &Owner,
    calendar: FolderId,
    transaction: &str,
    body: &Value,
) -> Result<Item, ApiError> {
    for nth in 0..=DELETED_MAX {
        let fresh = Fresh { uuid: mailbox::transaction_uuid(owner, transaction, nth), ..call.fresh() };
        let id = ItemId::new(Kind::Event, fresh.uuid);
        if let Some(there) = call.state.store.item(owner.id, id).await? {
            return Ok(there);
        }
        let written = written(call, owner, &fresh, calendar, body.clone())?;
        let notice = meeting::invitation(owner, &call.fresh(), &written.item)?;
        let now = call.context.now;
        let key = format!("event {}", fresh.uuid);
        let commit = Commit {
            submit: submission(call, owner, notice).await?,
            once: Some(Once { key, now, until: now.plus_minutes(REMOVALS_KEPT_MINUTES) }),
            ..call.commit_of(owner, written.mutation)
        };
        match call.state.commit(&call.context.span, commit).await {
            Ok(_) => return Ok(written.item),
            // Somebody has made it just now, or it was made and deleted before.
            Err(CommitError::AlreadyDone | CommitError::ItemChanged(_)) => {
                if let Some(there) = call.state.store.item(owner.id, id).await? {
                    return Ok(there);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let expected = format!("one of which no more than {DELETED_MAX} events were deleted lately");
    Err(Refusal::Invalid { property: "transactionId".to_owned(), expected }.into())
}
