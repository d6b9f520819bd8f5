//! Changes of resources outside of mailboxes, as whoever publishes them sends them: read one by one, and
//! appended to the log in their order, those of one scope in one write.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use graph::registry::{self, Happened, Ingested, Thing, ThingError};
use graph::{ChangeId, Properties, Scope, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use store::{Ingest, Once, StoreError, Tenant, User};
use utoipa::ToSchema;

use crate::directory::Directory;

/// The most changes of one batch.
pub const BATCH_CHANGES_MAX: usize = 1_000;
/// The longest batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// The longest state, in bytes.
pub const STATE_BYTES_MAX: usize = 256 << 10;
/// How deep a state may be nested.
pub const STATE_DEPTH_MAX: usize = 32;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// How long a key is remembered.
const REMEMBERED_MINUTES: i64 = 24 * 60;

/// A batch of changes, in their order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// 1 to 1,000.
    #[schema(value_type = Vec<NewChange>)]
    changes: Vec<Box<RawValue>>,
}

/// One change of one resource.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewChange {
    /// Chosen by the publisher, 1 to 256 bytes: of several changes in one tenant and kind of resource with the same
    /// key only the first counts, for a day.
    key: String,
    /// Id or domain.
    tenant: String,
    /// What has changed, such as users/{id} or chats/{id}/messages/{id}.
    resource: String,
    change_type: NewChangeType,
    /// When it happened; otherwise now.
    #[schema(value_type = Option<String>, format = "date-time")]
    at: Option<Timestamp>,
    /// The state before; left out if there was none, or if nobody's filter needs it.
    #[schema(value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    /// The state after.
    #[schema(value_type = Option<Object>)]
    after: Option<Box<RawValue>>,
}

/// What happened. What subscriptions are told may be another word: the table of resources says which.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum NewChangeType {
    Created,
    Updated,
    SoftDeleted,
    Deleted,
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Changes that are durable now, and told to who subscribed.
    pub accepted: usize,
    /// Changes whose key is known: they were accepted before.
    pub duplicates: usize,
    /// Changes that cannot be taken as they are, in their order. The others were taken.
    pub refused: Vec<Refused>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// Its place in the batch, from 0.
    pub index: usize,
    pub why: String,
}

/// Why a change is not taken. No text holds anything of a state.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("not a change: {0}")]
    Malformed(String),
    #[error("the key must have 1 to {KEY_BYTES_MAX} bytes")]
    Key,
    #[error("there is no tenant '{0}'; give an id or a domain")]
    Tenant(String),
    #[error("there is no user '{0}' in the tenant; give an id")]
    User(String),
    #[error(transparent)]
    Thing(#[from] ThingError),
    #[error(
        "{0} must be a JSON object of at most {STATE_BYTES_MAX} bytes that is nested at most {STATE_DEPTH_MAX} deep"
    )]
    State(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a batch. What the store answered is durable; if the store fails, changes of other scopes may have been
/// taken, and the batch can be sent again as it is.
pub async fn accept(directory: &Directory, batch: &Batch) -> Result<Answer, StoreError> {
    let mut desk = Desk { tenants: directory.tenants().await?, directory, users: HashMap::new() };
    let mut answer = Answer::default();
    let mut by_scope: BTreeMap<Scope, Vec<(Once, Ingested)>> = BTreeMap::new();
    for (index, change) in batch.changes.iter().enumerate() {
        match desk.read(change).await {
            Ok((once, change)) => by_scope.entry(change.scope()).or_default().push((once, change)),
            Err(Refusal::Store(error)) => return Err(error),
            Err(refusal) => answer.refused.push(Refused { index, why: refusal.to_string() }),
        }
    }
    for (scope, changes) in by_scope {
        directory.room().for_writes(scope)?;
        let taken = directory.store().ingest(Ingest { scope, changes }).await?;
        answer.accepted += taken.iter().filter(|is_new| **is_new).count();
        answer.duplicates += taken.iter().filter(|is_new| !**is_new).count();
    }
    Ok(answer)
}

impl Batch {
    /// Whether it has as many changes as a batch may have.
    pub fn has_good_size(&self) -> bool {
        (1..=BATCH_CHANGES_MAX).contains(&self.changes.len())
    }
}

/// What the changes of one batch name, looked up once.
struct Desk<'a> {
    directory: &'a Directory,
    tenants: Arc<Vec<Tenant>>,
    users: HashMap<String, Option<Arc<User>>>,
}

impl Desk<'_> {
    async fn read(&mut self, change: &RawValue) -> Result<(Once, Ingested), Refusal> {
        let change: NewChange =
            serde_json::from_str(change.get()).map_err(|error| Refusal::Malformed(malformed(&error)))?;
        if !(1..=KEY_BYTES_MAX).contains(&change.key.len()) {
            return Err(Refusal::Key);
        }
        let tenant = self.tenant(&change.tenant)?;
        let thing = self.thing(&change.resource, &tenant).await?;
        let now = self.directory.now();
        let ingested = Ingested {
            id: ChangeId(crate::ids::new_uuid()),
            tenant: tenant.id,
            thing,
            happened: match change.change_type {
                NewChangeType::Created => Happened::Created,
                NewChangeType::Updated => Happened::Updated,
                NewChangeType::SoftDeleted => Happened::SoftDeleted,
                NewChangeType::Deleted => Happened::Deleted,
            },
            at: change.at.unwrap_or(now),
            before: state("before", change.before.as_deref())?,
            after: state("after", change.after.as_deref())?,
        };
        Ok((Once { key: change.key, now, until: now.plus_minutes(REMEMBERED_MINUTES) }, ingested))
    }

    fn tenant(&self, key: &str) -> Result<Tenant, Refusal> {
        let (id, domain) = (key.parse(), key.to_ascii_lowercase());
        let is_meant = |tenant: &&Tenant| Ok(tenant.id) == id || tenant.domain == domain;
        self.tenants.iter().find(is_meant).cloned().ok_or_else(|| Refusal::Tenant(shown(key)))
    }

    /// A thing may be named by its owner's UPN, which must be one of the tenant.
    async fn thing(&mut self, path: &str, tenant: &Tenant) -> Result<Thing, Refusal> {
        let mut upn = None;
        let first = registry::thing(path, |name| {
            upn = Some(name.to_owned());
            Ok::<_, ThingError>(UserId(uuid::Uuid::nil()))
        })?;
        let Some(upn) = upn else { return Ok(first) };
        if !self.users.contains_key(&upn) {
            let found = self.directory.by_address(&upn).await?;
            self.users.insert(upn.clone(), found);
        }
        let found = self.users.get(&upn).and_then(Option::as_ref).filter(|user| user.tenant == tenant.id);
        let user = found.ok_or_else(|| Refusal::User(shown(&upn)))?.id;
        Ok(registry::thing(path, |_| Ok::<_, ThingError>(user))?)
    }
}

/// A state that is `null` is none.
fn state(name: &'static str, given: Option<&RawValue>) -> Result<Option<Properties>, Refusal> {
    let Some(text) = given.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    if text.len() > STATE_BYTES_MAX {
        return Err(Refusal::State(name));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(state)) if state.values().all(|value| depth_within(value, STATE_DEPTH_MAX - 1)) => {
            Ok(Some(state))
        }
        _ => Err(Refusal::State(name)),
    }
}

fn depth_within(value: &Value, most: usize) -> bool {
    match value {
        Value::Array(members) => most > 0 && members.iter().all(|member| depth_within(member, most - 1)),
        Value::Object(members) => most > 0 && members.values().all(|member| depth_within(member, most - 1)),
        _ => true,
    }
}

/// What is wrong with the members of a change, without what stands in them.
fn malformed(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let is_name = text.starts_with("missing field") || text.starts_with("unknown field");
    match is_name {
        true => text.chars().filter(|letter| !letter.is_control()).take(200).collect(),
        false => "its members are key, tenant, resource, changeType (created, updated, softDeleted or deleted), at, \
                  before and after"
            .to_owned(),
    }
}

/// The start of what was sent, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(80).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
