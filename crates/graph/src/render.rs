//! Items and folders as Graph's JSON.

mod attachment;
mod body;
mod calendar;
mod meeting;
mod members;
mod occurrence;
mod reminder;
mod schedule;
mod time_zone;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::mailbox::{SEARCH_FOLDER_TYPE, SearchFolder, show_search};
use crate::path::PATH_BYTES_MAX;
use crate::schema::Entity;
use crate::{Folder, Item, Kind, Refusal, UserId, WellKnown, basic};
use members::{Member, Members};

pub use attachment::{AttachmentSelect, AttachmentView, attachment};
pub use occurrence::occurrence;
pub use reminder::reminder;
pub use schedule::schedule_item;

pub use calendar::{calendar, calendar_group};

/// What a response shows of a resource.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The `@odata.context`, if this resource carries it itself.
    pub context: Option<&'a str>,
    /// `None`: all properties that are shown unasked.
    pub select: Option<&'a Select>,
    pub prefer: &'a Preferences,
}

impl Default for View<'_> {
    fn default() -> Self {
        static NONE: Preferences =
            Preferences { immutable_ids: false, body: None, time_zone: None, unsafe_html: false, basic: Vec::new() };
        View { context: None, select: None, prefer: &NONE }
    }
}

/// What a caller prefers of the form of items, by `Prefer` headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `IdType="ImmutableId"`: ids that stay when an item moves.
    pub immutable_ids: bool,
    /// `outlook.body-content-type`: `None` as stored.
    pub body: Option<BodyType>,
    /// `outlook.timezone`: the zone of `start` and `end`, as the caller named it; UTC unless given.
    pub time_zone: Option<String>,
    /// `outlook.allow-unsafe-html`
    pub unsafe_html: bool,
    /// Kinds of items that are shown without what basic access hides. Not the caller's wish, but what it may
    /// see; it stands here so that no view can lack it.
    pub basic: Vec<Kind>,
}

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    Text,
    Html,
}

/// The properties that a `$select` asks for, in Graph's spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select(BTreeSet<&'static str>);

impl Select {
    /// Reads the value of `$select`, decoded: names in any case, with blanks between. `None`: it asks
    /// for everything (`*`, or nothing at all).
    pub fn read(entity: Entity, text: &str) -> Result<Option<Self>, Refusal> {
        if text.len() > PATH_BYTES_MAX {
            return Err(Refusal::TooLong { property: "$select".to_owned(), length_max: PATH_BYTES_MAX, unit: "bytes" });
        }
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut selected = BTreeSet::new();
        for name in names {
            if name == "*" {
                return Ok(None);
            }
            let first = name.split('/').next().unwrap_or(name);
            let unknown = || Refusal::UnknownProperty { property: first.chars().take(128).collect() };
            selected.insert(entity.property(first).ok_or_else(unknown)?);
        }
        Ok((!selected.is_empty()).then_some(Self(selected)))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// As it stands in an `@odata.context`.
    pub(crate) fn names(&self) -> String {
        self.0.iter().copied().collect::<Vec<_>>().join(",")
    }
}

/// The `@odata.context` of a user's collection (`messages`), or of one entity in it. `base` is the URL
/// that the caller used, up to the version.
pub fn context(base: &str, user: UserId, collection: &str, select: Option<&Select>, entity: bool) -> String {
    let select = select.map(|select| format!("({})", select.names())).unwrap_or_default();
    let entity = if entity { "/$entity" } else { "" };
    format!("{base}/$metadata#users('{user}')/{collection}{select}{entity}")
}

/// A message, event or contact that is shown, to be written as JSON or made a value of.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownItem<'a>(Members<'a>);

impl ShownItem<'_> {
    pub fn to_json(&self) -> Vec<u8> {
        self.0.to_json().into_bytes()
    }
}

impl From<ShownItem<'_>> for Value {
    fn from(shown: ShownItem<'_>) -> Self {
        Value::Object(shown.0.into_map())
    }
}

/// How many properties most items have beside those that are stored.
const BESIDE_STORED: usize = 12;

/// A message, event or contact.
pub fn item(item: &Item, view: View<'_>) -> Value {
    shown_item(item, view).into()
}

/// The same for who only writes it.
pub fn shown_item<'a>(item: &'a Item, view: View<'a>) -> ShownItem<'a> {
    let kind = item.id.kind;
    let is_basic = view.prefer.basic.contains(&kind);
    let is_shown = |name: &str| is_shown(kind, name, view.select) && !(is_basic && basic::hides(name));
    let stored = item.properties.members().filter(|(name, ..)| is_shown(name));
    let stored = stored.map(|(name, value, written)| match name {
        "body" => ("body", body::shown(value, written, view.prefer)),
        name => (name, Member::Stored(value, written)),
    });
    let mut shown = Members::in_order(stored, item.properties.len() + BESIDE_STORED);
    for name in shown_as_null(kind).iter().filter(|name| is_shown(name)) {
        shown.insert_if_absent(name, Value::default);
    }
    for (name, value) in computed(item, view.prefer) {
        if is_shown(name) {
            shown.insert(name, value);
        }
    }
    if kind == Kind::Message && is_shown("uniqueBody") {
        let unique = item.properties.get("body").map(|body| body::unique(body, view.prefer));
        shown.insert("uniqueBody", unique.unwrap_or_default());
    }
    // What is asked for by name is there even if the item has no such thing.
    for name in view.select.into_iter().flat_map(|select| &select.0).filter(|name| is_shown(name)) {
        shown.insert_if_absent(name, || Entity::from(kind).absent(name));
    }
    occurrence::show_cancelled(item, view, &mut shown);
    if let Some(zone) = &view.prefer.time_zone {
        let is_all_day = item.properties.get("isAllDay") == Some(&Value::Bool(true));
        time_zone::show_in(zone, is_all_day, &mut shown);
    }
    if kind == Kind::Message {
        meeting::show_type(&item.properties, view.select, &mut shown);
    }
    shown.insert("@odata.etag", item.version.etag().into());
    shown.insert("id", item_id(item, view.prefer).into());
    if let Some(context) = view.context {
        shown.insert("@odata.context", context.into());
    }
    ShownItem(shown)
}

/// The id under which a caller is told of an item.
pub fn item_id(item: &Item, prefer: &Preferences) -> String {
    if prefer.immutable_ids { item.immutable_id().to_string() } else { item.id.to_string() }
}

/// Properties that are not stored in the property bag.
fn computed(item: &Item, prefer: &Preferences) -> Vec<(&'static str, Value)> {
    let mut computed = vec![
        ("createdDateTime", item.created.whole_seconds().to_string().into()),
        ("lastModifiedDateTime", item.modified.to_string().into()),
        ("changeKey", item.version.change_key().into()),
    ];
    if item.id.kind != Kind::Event {
        computed.push(("parentFolderId", item.folder.to_string().into()));
    }
    if let Some(link) = web_link(item, prefer) {
        computed.push(("webLink", link.into()));
    }
    computed
}

/// Properties that come only when they are asked for.
const ONLY_SELECTED: [&str; 2] = ["internetMessageHeaders", "uniqueBody"];
/// Relations; `$select` does not show them.
const RELATIONS: [&str; 4] =
    ["attachments", "extensions", "multiValueExtendedProperties", "singleValueExtendedProperties"];

fn is_shown(kind: Kind, name: &str, select: Option<&Select>) -> bool {
    let internal = match kind {
        Kind::Message => meeting::INTERNAL.contains(&name),
        Kind::Event => occurrence::INTERNAL.contains(&name),
        Kind::Contact => false,
    };
    if RELATIONS.contains(&name) || internal {
        return false;
    }
    match select {
        Some(select) => select.has(name),
        None => !(kind == Kind::Message && ONLY_SELECTED.contains(&name)),
    }
}

/// Properties that an item need not have, and that are shown all the same.
fn shown_as_null(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Message => &[],
        Kind::Event => &["onlineMeeting", "onlineMeetingUrl", "recurrence", "seriesMasterId"],
        Kind::Contact => &[
            "assistantName",
            "birthday",
            "businessHomePage",
            "companyName",
            "department",
            "displayName",
            "fileAs",
            "generation",
            "givenName",
            "initials",
            "jobTitle",
            "manager",
            "middleName",
            "mobilePhone",
            "nickName",
            "officeLocation",
            "personalNotes",
            "primaryEmailAddress",
            "profession",
            "secondaryEmailAddress",
            "spouseName",
            "surname",
            "tertiaryEmailAddress",
            "title",
            "yomiCompanyName",
            "yomiGivenName",
            "yomiSurname",
        ],
    }
}

/// A link in the form of Outlook on the web's. No page answers there.
fn web_link(item: &Item, prefer: &Preferences) -> Option<String> {
    link_to(item.id.kind, &item_id(item, prefer))
}

fn link_to(kind: Kind, id: &str) -> Option<String> {
    let (query, view) = match kind {
        Kind::Message => ("ItemID", "viewmodel=ReadMessageItem"),
        Kind::Event => ("itemid", "path=/calendar/item"),
        Kind::Contact => return None,
    };
    let id = id.replace('=', "%3D");
    Some(format!("https://outlook.example/owa/?{query}={id}&exvsurl=1&{view}"))
}

/// What a mail folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: u64,
    pub unread: u64,
    /// Folders directly below.
    pub children: u64,
}

/// A mail folder.
pub fn mail_folder(folder: &Folder, counts: Counts, view: View<'_>) -> Value {
    let shown = json!({
        "displayName": folder.display_name,
        "parentFolderId": folder.parent.map(|parent| parent.to_string()),
        "childFolderCount": counts.children,
        "unreadItemCount": counts.unread,
        "totalItemCount": counts.total,
        "isHidden": is_hidden(folder),
    });
    let mut shown = shown;
    let is_search = SearchFolder::of(folder).is_some();
    if let Some(shown) = shown.as_object_mut() {
        show_search(folder, shown);
    }
    let mut shown = folder_json(folder, shown, view);
    if is_search {
        shown["@odata.type"] = SEARCH_FOLDER_TYPE.into();
    }
    shown
}

/// Whether lists of mail folders leave it out unless they are asked for hidden ones.
pub fn is_hidden(folder: &Folder) -> bool {
    let never_shown = [WellKnown::RecoverableItemsDeletions, WellKnown::SearchFolders];
    folder.well_known.is_some_and(|known| never_shown.contains(&known))
        || folder.properties.get("isHidden") == Some(&Value::Bool(true))
}

/// A contact folder.
pub fn contact_folder(folder: &Folder, view: View<'_>) -> Value {
    let shown = json!({
        "displayName": folder.display_name,
        "parentFolderId": folder.parent.map(|parent| parent.to_string()),
    });
    folder_json(folder, shown, view)
}

fn folder_json(folder: &Folder, shown: Value, view: View<'_>) -> Value {
    let Value::Object(mut shown) = shown else {
        return shown;
    };
    shown.retain(|name, _| view.select.is_none_or(|select| select.has(name)));
    finish(shown, folder.id.to_string(), view.context)
}

fn finish(mut shown: Map<String, Value>, id: String, context: Option<&str>) -> Value {
    shown.insert("id".to_owned(), id.into());
    if let Some(context) = context {
        shown.insert("@odata.context".to_owned(), context.into());
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests;
