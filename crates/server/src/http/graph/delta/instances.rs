//! `events/{id}/instances/delta?startDateTime=…&endDateTime=…`: 200 with the occurrences of one series that lie in
//! the window, after its master, and removals; in the form of a calendar view's delta. An event that does not
//! repeat is told alone.

use graph::ItemKey;
use graph::delta::Place;
use graph::path::ItemPath;
use graph::render::View;

use super::view::{OPTIONS, Page, begin, tell, tell_page, window_of};
use super::{Round, Told, user_path};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, items};

pub async fn instances(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&OPTIONS)?;
    let owner = call.owner(&path.user).await?;
    // Events stay where they are, so both of an event's ids have the same UUID.
    let series = match path.id.parse().map_err(|_| ApiError::MalformedId)? {
        ItemKey::Id(id) => id.uuid,
        ItemKey::Immutable(id) => id.uuid,
    };
    let link = format!("{}/events('{}')/instances/delta", user_path(&path.user, &owner), path.id);
    let round = Round::open(call, link, owner.id, Place::Instances(series), || begin(call))?;
    if round.token.since > 0 {
        return tell_page(call, round, |event| event == series).await;
    }
    // Where the mailbox is now, and then the event: what is written between is told in the next round.
    let now = round.changes(call, &round.token, 0).await?.now.0;
    let event = items::find(call, &owner, path).await?;
    let mut next = round.token.clone();
    (next.since, next.began) = (now, now);
    let mut page = Page::default();
    let view = View { context: None, select: None, prefer: &call.prefer };
    tell(&event, true, window_of(&round.token)?, view, &mut next, &mut page);
    // Nothing of what lies outside the window is gone: the client has not seen it.
    page.value.retain(|told| told.get("@removed").is_none());
    let told = Told { entries: Vec::new(), next, more: false };
    Ok(round.answer(call, "event", &told, page.value))
}
