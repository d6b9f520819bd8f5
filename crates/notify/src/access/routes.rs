//! What each route needs, in one place. Who reads is told apart from who writes by the method; a route that
//! reads by POST, or writes less than its kind's items, stands here by its name.

use graph::path::{self, FolderAction, ItemAction, ItemPart, Resource, UserPart};
use graph::registry::{self, Place};
use graph::{Kind, UserId, basic};

use super::{Level, Need};
use crate::Subscription;
use crate::subscription::Target;

/// All that must be allowed for a request. `basic`: its query options look at nothing that basic access hides.
pub fn needs(reads: bool, resource: &Resource, basic: bool) -> Vec<Need> {
    let level = |least: Level| match (reads, basic) {
        (false, _) => Level::Write,
        (true, true) => least,
        (true, false) => Level::Read,
    };
    let items = |kind: Kind, least: Level| vec![Need::Items(kind, level(least))];
    match resource {
        // Each request of a batch has its own needs. Of subscriptions, what they watch decides.
        Resource::Metadata
        | Resource::Batch
        | Resource::Subscriptions
        | Resource::Subscription(_)
        | Resource::Reauthorize(_) => vec![Need::Token],
        Resource::Users | Resource::User(_) if reads => vec![Need::Users],
        // Nobody writes users here; the method is refused.
        Resource::Users | Resource::User(_) => vec![Need::Token],
        Resource::OfUser { part, .. } => match part {
            UserPart::SendMail => vec![Need::Send],
            UserPart::TranslateExchangeIds => vec![Need::TranslateIds],
            UserPart::MasterCategories
            | UserPart::MasterCategory(_)
            | UserPart::MailboxSettings
            | UserPart::MailboxSetting(_) => {
                vec![Need::Settings(level(Level::Read))]
            }
            UserPart::FocusedOverrides | UserPart::FocusedOverride(_) => items(Kind::Message, Level::Read),
            UserPart::ReminderView { .. } => items(Kind::Event, Level::Basic),
        },
        Resource::Items { kind, .. }
        | Resource::ItemsDelta { kind, .. }
        | Resource::ItemsCount { kind, .. }
        | Resource::Folders { kind, .. }
        | Resource::FoldersDelta { kind, .. }
        | Resource::FoldersCount { kind, .. }
        | Resource::Folder { kind, .. } => items(*kind, Level::Basic),
        Resource::Item(item) => items(item.kind, Level::Basic),
        Resource::ItemAction { item, action } => vec![action_on(item.kind, *action)],
        Resource::OfItem { item, part } => match part {
            ItemPart::Event => {
                vec![Need::Items(Kind::Message, level(Level::Basic)), Need::Items(Kind::Event, level(Level::Basic))]
            }
            ItemPart::Instances | ItemPart::InstancesDelta | ItemPart::ExceptionOccurrences | ItemPart::Calendar => {
                items(item.kind, Level::Basic)
            }
            ItemPart::Value
            | ItemPart::Attachments
            | ItemPart::AttachmentsCount
            | ItemPart::Attachment(_)
            | ItemPart::AttachmentValue(_)
            | ItemPart::CreateUploadSession
            | ItemPart::Extensions
            | ItemPart::Extension(_)
            | ItemPart::Photo
            | ItemPart::PhotoValue => items(item.kind, Level::Read),
        },
        Resource::CalendarView { .. }
        | Resource::CalendarViewDelta { .. }
        | Resource::CalendarGroups(_)
        | Resource::CalendarGroup { .. }
        | Resource::CalendarsOfGroup { .. } => items(Kind::Event, Level::Basic),
        Resource::FolderAction { kind, action, .. } => match action {
            FolderAction::GetSchedule => vec![Need::Schedule],
            FolderAction::Move | FolderAction::Copy | FolderAction::PermanentDelete => {
                vec![Need::Items(*kind, Level::Write)]
            }
        },
    }
}

/// What a subscription needs, to make it, see it, change it or end it. One whose options look at what basic
/// access hides tells of that by what it tells.
pub fn to_watch(kind: Kind, resource: &str) -> Need {
    let options = path::watch(resource).map(|watch| watch.options).unwrap_or_default();
    let is_basic = basic::suffices(options.iter().map(|option| (option.name.as_str(), option.value.as_str())));
    if is_basic { Need::Subscription(kind) } else { Need::Items(kind, Level::Read) }
}

/// What it needs to watch a place outside of mailboxes.
pub fn to_watch_place(place: &Place) -> Need {
    Need::Resource { permissions: &place.row.permissions, is_of_user: place.is_of_user() }
}

/// What a subscription that exists needs, and whose mailbox or other things it watches. One of a resource whose path
/// cannot be read needs what the first place of its kind does.
pub fn to_hold(subscription: &Subscription) -> (Need, Option<UserId>) {
    match &subscription.target {
        Target::Items { mailbox, kind, .. } => (to_watch(*kind, &subscription.resource), Some(*mailbox)),
        Target::Resource(watched) => {
            let need = match registry::place(&subscription.resource) {
                Ok(place) => to_watch_place(&place),
                // A path that the table has no more: its app must be able to end the subscription all the same.
                Err(_) => Need::Resource {
                    permissions: &watched.resource.entry().places[0].permissions,
                    is_of_user: watched.owner.is_some(),
                },
            };
            (need, watched.owner)
        }
        // It is managed with its topic, where no Graph app meets it.
        Target::Topic(_) => (Need::Token, None),
    }
}

fn action_on(kind: Kind, action: ItemAction) -> Need {
    match action {
        ItemAction::Send | ItemAction::Reply | ItemAction::ReplyAll => Need::Send,
        ItemAction::Forward if kind == Kind::Message => Need::Send,
        // Only others hear of it.
        ItemAction::Forward => Need::Items(kind, Level::Read),
        ItemAction::Move
        | ItemAction::Copy
        | ItemAction::PermanentDelete
        | ItemAction::CreateReply
        | ItemAction::CreateReplyAll
        | ItemAction::CreateForward
        | ItemAction::Accept
        | ItemAction::Decline
        | ItemAction::TentativelyAccept
        | ItemAction::Cancel
        | ItemAction::SnoozeReminder
        | ItemAction::DismissReminder => Need::Items(kind, Level::Write),
    }
}
