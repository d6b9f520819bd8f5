//! Meetings: making one, answering, cancelling and forwarding it, and the way from its messages to it.

pub mod cancel;
pub mod create;
pub mod forward;
pub mod get;
pub mod respond;

use graph::mailbox::Owner;
use graph::mailbox::meeting::Notice;
use graph::{SubmissionId, UserId};
use notify::Submission;
use serde_json::{Value, json};

use super::Call;
use crate::http::error::ApiError;
use crate::ids;

/// The notice on its way to those that have a mailbox in the tenant; others get nothing: there is no relay.
pub(super) async fn submission(
    call: &Call<'_>,
    owner: &Owner,
    notice: Option<Notice>,
) -> Result<Option<Submission>, ApiError> {
    let Some(notice) = notice else { return Ok(None) };
    let recipients = mailboxes(call, owner, &notice.recipients).await?;
    Ok((!recipients.is_empty()).then(|| Submission {
        id: SubmissionId(ids::new_uuid()),
        tenant: owner.tenant,
        app: Some(call.principal.app),
        sender: owner.id,
        recipients,
        at: call.context.now,
        message: notice.mail,
        meeting: Some(Box::new(notice.meeting)),
    }))
}

/// Those of the addresses that have a mailbox in the sender's tenant, each once.
async fn mailboxes(call: &Call<'_>, owner: &Owner, addresses: &[String]) -> Result<Vec<UserId>, ApiError> {
    let mut found = Vec::with_capacity(addresses.len());
    for address in addresses {
        if let Some(user) = call.state.directory.by_address(address).await?
            && user.tenant == owner.tenant
            && !found.contains(&user.id)
        {
            found.push(user.id);
        }
    }
    Ok(found)
}

/// The parameters of an action, all of which may be left out.
fn parameters(call: &Call<'_>) -> Result<Value, ApiError> {
    if call.body.is_empty() { Ok(json!({})) } else { call.json() }
}
