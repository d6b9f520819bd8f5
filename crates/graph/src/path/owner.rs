//! Whose something is.

use super::{Resource, UserKey};

impl Resource {
    /// The user to whom it belongs, if it belongs to one.
    pub fn user(&self) -> Option<&UserKey> {
        match self {
            Resource::Metadata
            | Resource::Batch
            | Resource::Users
            | Resource::Subscriptions
            | Resource::Subscription(_)
            | Resource::Reauthorize(_) => None,
            Resource::User(user) | Resource::CalendarGroups(user) => Some(user),
            Resource::Item(item) | Resource::ItemAction { item, .. } | Resource::OfItem { item, .. } => {
                Some(&item.user)
            }
            Resource::OfUser { user, .. }
            | Resource::Items { user, .. }
            | Resource::ItemsDelta { user, .. }
            | Resource::ItemsCount { user, .. }
            | Resource::CalendarView { user, .. }
            | Resource::CalendarViewDelta { user, .. }
            | Resource::Folders { user, .. }
            | Resource::FoldersDelta { user, .. }
            | Resource::FoldersCount { user, .. }
            | Resource::Folder { user, .. }
            | Resource::FolderAction { user, .. }
            | Resource::CalendarGroup { user, .. }
            | Resource::CalendarsOfGroup { user, .. } => Some(user),
        }
    }
}
