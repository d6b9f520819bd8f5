//! A change of a resource outside of mailboxes, as whoever publishes it tells it.

use serde::{Deserialize, Serialize};

use super::query::{meeting, meeting_url};
use super::{Telling, Thing};
use crate::{ChangeId, ChangeType, Properties, Scope, TenantId, Timestamp};

/// What became of a thing, before any subscription sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Happened {
    Created,
    Updated,
    /// It can be brought back.
    SoftDeleted,
    Deleted,
}

/// One change of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingested {
    pub id: ChangeId,
    pub tenant: TenantId,
    pub thing: Thing,
    pub happened: Happened,
    pub at: Timestamp,
    /// Its state before; `None`: there was none, or it was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Properties>,
    /// Its state after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Properties>,
}

impl Ingested {
    pub fn scope(&self) -> Scope {
        Scope::of_resources(self.tenant, self.thing.kind)
    }

    /// As what subscriptions hear of it; `None`: they do not.
    pub fn told(&self) -> Option<ChangeType> {
        self.thing.kind.entry().told[self.happened as usize]
    }

    /// The places where it is heard of, each once.
    pub fn heard_at(&self) -> Vec<String> {
        let mut places: Vec<String> = self.thing.heard_at().collect();
        if self.thing.row.telling == Telling::Meeting {
            let states = [&self.before, &self.after].into_iter().flatten();
            places.extend(states.filter_map(meeting_url).map(meeting));
            places.dedup();
        }
        places
    }

    /// The etag of its state, if that has one.
    pub fn etag(&self) -> Option<&str> {
        self.after.as_ref()?.get("@odata.etag")?.as_str()
    }

    /// The address by which a meeting is told of.
    pub fn meeting_url(&self) -> Option<&str> {
        [&self.after, &self.before].into_iter().flatten().find_map(meeting_url)
    }
}
