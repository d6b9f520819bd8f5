//! Delta queries: `GET …/delta`. The first round tells of everything that a collection holds, by pages; each
//! later one of what has changed since. What was asked for at the start travels in the tokens of the links
//! and holds for all that follows; options beside a token are passed over. A page ends with a revision of the
//! mailbox, so it may hold more than was asked for where one write changed many things.

pub mod folders;
pub mod instances;
pub mod items;
pub mod view;

use graph::delta::{Options, Place, Token};
use graph::expand::Expand;
use graph::mailbox::Owner;
use graph::path::UserKey;
use graph::render::{Preferences, Select};
use graph::schema::Entity;
use graph::{ChangeType, FolderId, ImmutableId, ItemId, Kind, UserId};
use http::StatusCode;
use serde_json::{Value, json};
use store::{DeltaEntry, DeltaError, DeltaPlace, DeltaQuery, READ_BYTES_MAX, Revision};
use uuid::Uuid;

use super::{Call, encoded};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::prefer;
use crate::http::query::QueryError;

/// Things on a page, unless `$top` or `Prefer: odata.maxpagesize` says otherwise.
const PAGE_DEFAULT: u16 = 10;
pub const PAGE_MAX: u16 = 1_000;
/// How many changes are looked at for one page, if only few of them are told.
const LOOKED_AT_MAX: usize = 2_000;
/// How many are read at once after the first attempt has not filled the page.
const READ_AGAIN: u64 = 200;

/// Why a delta query is refused. `Display` is the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaRefusal {
    #[error("Unsupported request: Change tracking is not supported against 'microsoft.graph.{0}'.")]
    NotTracked(&'static str),
    #[error(
        "The '{option}' parameter value is not supported for 'Messages' resource; only a value of '{only}' is supported."
    )]
    Value { option: &'static str, only: &'static str },
    #[error(
        "The following parameters are not supported with change tracking over the '{resource}' resource: '{options}'."
    )]
    Options { resource: &'static str, options: &'static str },
    #[error("Badly formed token.")]
    Token,
}

impl DeltaRefusal {
    /// Graph's code; the status is 400.
    pub fn code(&self) -> &'static str {
        match self {
            DeltaRefusal::NotTracked(_) | DeltaRefusal::Token => "BadRequest",
            DeltaRefusal::Value { .. } | DeltaRefusal::Options { .. } => "ErrorInvalidUrlQuery",
        }
    }
}

/// Options that a collection's delta query does not take, as the refusal lists them.
struct Untaken {
    resource: &'static str,
    options: &'static str,
}

impl Untaken {
    fn check(&self, call: &Call<'_>) -> Result<(), ApiError> {
        match self.options.split(", ").find(|option| call.query.get(option).is_some()) {
            Some(_) => Err(ApiError::Delta(DeltaRefusal::Options { resource: self.resource, options: self.options })),
            None => Ok(()),
        }
    }
}

/// A page of a round.
struct Round {
    /// The collection's path, in the canonical form.
    path: String,
    token: Token,
    size: u16,
    /// Whether the caller's preference set the size.
    preferred: bool,
}

/// What a page tells, and where the next one begins.
struct Told {
    /// With their revisions, which ascend.
    entries: Vec<(Revision, DeltaEntry)>,
    next: Token,
    more: bool,
}

impl Told {
    /// Leaves the entries from here on to the next page; `last` is the revision of those before.
    fn end_before(&mut self, at: usize, last: Revision) {
        self.entries.truncate(at);
        self.next.since = last.0;
        self.more = true;
    }
}

impl Round {
    /// Goes on from the caller's token, or begins with the options that `begin` reads.
    fn open(
        call: &Call<'_>,
        path: String,
        mailbox: UserId,
        place: Place,
        begin: impl FnOnce() -> Result<Options, ApiError>,
    ) -> Result<Self, ApiError> {
        let given = ["$deltatoken", "$skiptoken"].map(|name| call.query.get(name).filter(|text| !text.is_empty()));
        let token = match given {
            [None, None] => {
                let options = begin()?;
                if !options.fit() {
                    return Err(QueryError::Malformed.into());
                }
                let generation = call.state.store.generation().0;
                Token { mailbox, place, since: 0, began: 0, from: None, generation, options, series: Vec::new() }
            }
            [Some(text), None] | [None, Some(text)] => {
                Token::decode(text, mailbox, place).map_err(|_| ApiError::Delta(DeltaRefusal::Token))?
            }
            [Some(_), Some(_)] => return Err(ApiError::Delta(DeltaRefusal::Token)),
        };
        let preferred = prefer::page_size(call.headers);
        let size = preferred.or(token.options.top).unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        Ok(Self { path, token, size, preferred: preferred.is_some() })
    }

    fn select(&self, entity: Entity) -> Result<Option<Select>, ApiError> {
        let Some(text) = &self.token.options.select else { return Ok(None) };
        Select::read(entity, text).map_err(|_| ApiError::Delta(DeltaRefusal::Token))
    }

    fn expand(&self, entity: Entity) -> Result<Expand, ApiError> {
        let Some(text) = &self.token.options.expand else { return Ok(Expand::default()) };
        Expand::read(entity, text).map_err(|_| ApiError::Delta(DeltaRefusal::Token))
    }

    /// Whether an item, or its removal, is of the type of change that alone is asked for. In the first round
    /// everything is new to the client.
    fn is_asked_for(&self, entry: &DeltaEntry) -> bool {
        let began = self.token.from.unwrap_or(self.token.since);
        let change = match entry {
            DeltaEntry::ItemGone { .. } | DeltaEntry::FolderGone(_) => ChangeType::Deleted,
            DeltaEntry::Item { arrived, .. } if began > 0 && arrived.0 <= began => ChangeType::Updated,
            DeltaEntry::Item { .. } | DeltaEntry::Folder(_) => ChangeType::Created,
        };
        self.token.options.change.is_none_or(|asked| asked == change)
    }

    /// Reads until the page is full of what `tells` lets pass, or nothing is left.
    async fn read(&self, call: &Call<'_>, tells: impl Fn(&DeltaEntry) -> bool) -> Result<Told, ApiError> {
        let (size, mut next) = (usize::from(self.size), self.token.clone());
        let mut entries: Vec<(Revision, DeltaEntry)> = Vec::new();
        if next.options.change.is_some() {
            next.from = next.from.or(Some(next.since));
        }
        let (mut looked_at, mut bytes, mut limit) = (0, 0, u64::from(self.size));
        loop {
            let delta = self.changes(call, &next, limit).await?;
            if next.since == 0 {
                next.began = delta.now.0;
            }
            bytes += delta.bytes;
            for (revision, entry) in delta.entries {
                if entries.len() >= size && revision.0 != next.since {
                    return Ok(Told { entries, next, more: true });
                }
                next.since = revision.0;
                looked_at += 1;
                if tells(&entry) {
                    entries.push((revision, entry));
                }
            }
            next.since = delta.until.0;
            let is_full = entries.len() >= size || looked_at >= LOOKED_AT_MAX || bytes > READ_BYTES_MAX;
            if !delta.more || is_full {
                return Ok(Told { entries, next, more: delta.more });
            }
            limit = READ_AGAIN;
        }
    }

    async fn changes(&self, call: &Call<'_>, token: &Token, limit: u64) -> Result<store::Delta, ApiError> {
        let place = match token.place {
            Place::Items(kind, folder) => DeltaPlace::Items(kind, folder),
            Place::Folders(kind) => DeltaPlace::Folders(kind),
            Place::View(calendar) => DeltaPlace::Items(calendar.kind, Some(calendar)),
            Place::Instances(_) => DeltaPlace::Items(Kind::Event, None),
        };
        let query = DeltaQuery {
            mailbox: token.mailbox,
            place,
            since: Revision(token.since),
            removals_since: Revision(token.began),
            limit,
        };
        // What a client was told before the store was put back from a backup may never have happened.
        if token.generation != call.state.store.generation().0 {
            return Err(self.start_again(call));
        }
        match call.state.store.delta(query).await {
            // A token of another store.
            Ok(delta) if delta.now.0 < token.since => Err(self.start_again(call)),
            Ok(delta) => Ok(delta),
            Err(DeltaError::TooOld) => Err(self.start_again(call)),
            Err(DeltaError::Store(error)) => Err(error.into()),
        }
    }

    fn start_again(&self, call: &Call<'_>) -> ApiError {
        let options = &self.token.options;
        let time = |micros: i64| graph::Timestamp::from_micros(micros).to_string();
        let (start, end) = options.window.map(|(start, end)| (time(start), time(end))).unzip();
        let change = options.change.map(|change| change.as_str().to_owned());
        let given = [
            ("$select", &options.select),
            ("$expand", &options.expand),
            ("$filter", &options.filter),
            ("$orderby", &options.order),
            ("changeType", &change),
            ("startDateTime", &start),
            ("endDateTime", &end),
        ];
        let written = |(name, value): (&str, &Option<String>)| Some(format!("{name}={}&", encoded(value.as_ref()?)));
        let given: String = given.into_iter().filter_map(written).collect();
        let location = call.url(&format!("{}?{given}$deltatoken=", self.path));
        ApiError::SyncState { since: self.token.since, location }
    }

    fn answer(&self, call: &Call<'_>, type_name: &str, told: &Told, value: Vec<Value>) -> Answer {
        let (link, option) =
            if told.more { ("@odata.nextLink", "$skiptoken") } else { ("@odata.deltaLink", "$deltatoken") };
        // Between rounds nothing is left of where one began.
        let next = Token { from: told.next.from.filter(|_| told.more), ..told.next.clone() };
        let link_url = call.url(&format!("{}?{option}={}", self.path, next.encode()));
        let context = call.metadata(&format!("Collection({type_name})"));
        let answer = Answer::json(StatusCode::OK, &json!({"@odata.context": context, link: link_url, "value": value}));
        if self.preferred { answer.applied(&format!("odata.maxpagesize={}", self.size)) } else { answer }
    }
}

/// The user's segments in the canonical form: `me`, or `users('{id}')`.
fn user_path(user: &UserKey, owner: &Owner) -> String {
    match user {
        UserKey::Me => "me".to_owned(),
        _ => format!("users('{}')", owner.id),
    }
}

/// That something is gone.
fn removed(type_name: &str, id: String) -> Value {
    json!({"@odata.type": format!("#microsoft.graph.{type_name}"), "id": id, "@removed": {"reason": "deleted"}})
}

fn item_removed(type_name: &str, id: ItemId, immutable: Uuid, prefer: &Preferences) -> Value {
    let id = if prefer.immutable_ids { ImmutableId::new(id.kind, immutable).to_string() } else { id.to_string() };
    removed(type_name, id)
}

fn folder_removed(type_name: &str, id: FolderId) -> Value {
    removed(type_name, id.to_string())
}

/// The JSON form with its type, which every member of a delta carries.
fn typed(type_name: &str, mut shown: Value) -> Value {
    if let Some(shown) = shown.as_object_mut() {
        shown.entry("@odata.type").or_insert_with(|| format!("#microsoft.graph.{type_name}").into());
    }
    shown
}
