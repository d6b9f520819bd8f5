//! What a request needs, and the rows of Graph's permission tables: for each need the names of which one
//! suffices, least privileged first. That read-write permissions include reading is said by naming them.

use graph::Kind;
use graph::registry::Permissions;

use super::Column;

/// Graph's names of permissions.
pub type Names = &'static [&'static str];

/// What must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A token, whatever it holds.
    Token,
    /// Items of a kind, their folders, and what lies beside them.
    Items(Kind, Level),
    /// Sending mail, which includes no reading.
    Send,
    /// Categories and other settings of a mailbox.
    Settings(Level),
    /// Ids of a mailbox in other forms.
    TranslateIds,
    /// When people of the tenant are free.
    Schedule,
    /// Users of the tenant; the signed-in one more callers may read.
    Users,
    /// A subscription to items of a kind: to make it, see it, change it or end it.
    Subscription(Kind),
    /// The same of resources outside of mailboxes, with their row of the table.
    Resource { permissions: &'static Permissions, is_of_user: bool },
    /// Subscriptions that other apps made.
    AllSubscriptions,
    /// A token of the app itself, whatever it holds. That somebody consented to an app shows nobody what it is told of others.
    AppItself,
}

/// How much of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Without what [`graph::basic`] hides.
    Basic,
    Read,
    Write,
}

/// One need's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub work: Names,
    pub personal: Names,
    pub application: Names,
}

impl Row {
    pub fn of(self, column: Column) -> Names {
        match column {
            Column::Work => self.work,
            Column::Personal => self.personal,
            Column::Application => self.application,
        }
    }

    /// The same names in all columns.
    const fn all(names: Names) -> Self {
        Self { work: names, personal: names, application: names }
    }
}

const USERS: Names =
    &["User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];

impl Need {
    /// The row of the tables. `own`: of the signed-in user.
    pub fn row(self, own: bool) -> Row {
        match self {
            Need::Token | Need::AppItself => Row::all(&[]),
            Need::Items(Kind::Message, level) => mail(level),
            Need::Items(Kind::Event, level) => calendars(level),
            Need::Items(Kind::Contact, Level::Basic | Level::Read) => {
                Row::all(&["Contacts.Read", "Contacts.ReadWrite"])
            }
            Need::Items(Kind::Contact, Level::Write) => Row::all(&["Contacts.ReadWrite"]),
            Need::Send => Row::all(&["Mail.Send"]),
            Need::Settings(Level::Basic | Level::Read) => {
                Row::all(&["MailboxSettings.Read", "MailboxSettings.ReadWrite"])
            }
            Need::Settings(Level::Write) => Row::all(&["MailboxSettings.ReadWrite"]),
            Need::TranslateIds => Row {
                work: &["User.Read", "User.ReadWrite", "User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All"],
                personal: &["User.Read", "User.ReadWrite"],
                application: &["User.Read.All", "User.ReadWrite.All"],
            },
            Need::Schedule => Row {
                work: calendars(Level::Basic).work,
                personal: &[],
                application: calendars(Level::Basic).application,
            },
            Need::Users if own => Row {
                work: &[
                    "User.Read",
                    "User.ReadWrite",
                    "User.ReadBasic.All",
                    "User.Read.All",
                    "User.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                ],
                personal: &["User.Read", "User.ReadWrite"],
                application: USERS,
            },
            Need::Users => Row { work: USERS, personal: &[], application: USERS },
            // Of events there are no subscriptions with basic access.
            Need::Subscription(Kind::Message) => mail(Level::Basic),
            Need::Subscription(kind) => Need::Items(kind, Level::Read).row(own),
            Need::Resource { permissions, .. } => {
                Row { work: permissions.work, personal: permissions.personal, application: permissions.application }
            }
            Need::AllSubscriptions => {
                Row { work: &["Subscription.Read.All"], personal: &["Subscription.Read.All"], application: &[] }
            }
        }
    }

    /// Whether it is of one user's mailbox, or of what else is a user's, which not everybody who holds the
    /// permission reaches.
    pub fn is_of_mailbox(self) -> bool {
        match self {
            Need::Items(..)
            | Need::Send
            | Need::Settings(_)
            | Need::TranslateIds
            | Need::Schedule
            | Need::Subscription(_) => true,
            Need::Resource { is_of_user, .. } => is_of_user,
            Need::Token | Need::Users | Need::AllSubscriptions | Need::AppItself => false,
        }
    }

    /// Whether it is the directory's to refuse it, which says so in other words than a mailbox.
    pub fn is_of_directory(self) -> bool {
        matches!(self, Need::Users)
    }
}

fn mail(level: Level) -> Row {
    const DELEGATED: Names = &["Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite"];
    match level {
        Level::Basic => Row {
            work: DELEGATED,
            personal: DELEGATED,
            application: &["Mail.ReadBasic.All", "Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite"],
        },
        Level::Read => Row::all(&["Mail.Read", "Mail.ReadWrite"]),
        Level::Write => Row::all(&["Mail.ReadWrite"]),
    }
}

fn calendars(level: Level) -> Row {
    const DELEGATED: Names = &["Calendars.ReadBasic", "Calendars.Read", "Calendars.ReadWrite"];
    match level {
        Level::Basic => Row {
            work: DELEGATED,
            personal: DELEGATED,
            application: &["Calendars.ReadBasic.All", "Calendars.ReadBasic", "Calendars.Read", "Calendars.ReadWrite"],
        },
        Level::Read => Row::all(&["Calendars.Read", "Calendars.ReadWrite"]),
        Level::Write => Row::all(&["Calendars.ReadWrite"]),
    }
}
