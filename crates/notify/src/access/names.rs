//! Graph's names of permissions: which open something here, and which were probably meant by a name that is
//! none. Graph has hundreds more, for what is not served; apps ask for them besides, so they are let pass.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use graph::Kind;
use graph::registry::Entry;

use super::{Column, Level, Need};

/// Names that open nothing, because nothing is shared, and that apps ask for all the same.
const SHARED: [&str; 8] = [
    "Calendars.Read.Shared",
    "Calendars.ReadWrite.Shared",
    "Contacts.Read.Shared",
    "Contacts.ReadWrite.Shared",
    "Mail.Read.Shared",
    "Mail.ReadBasic.Shared",
    "Mail.ReadWrite.Shared",
    "Mail.Send.Shared",
];
/// Whose names are all known: what begins so and is not among them is no name of Graph's.
const WHOLE: [&str; 4] = ["Calendars", "Contacts", "Mail", "MailboxSettings"];
const MEANT_MAX: usize = 3;

static KNOWN: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let levels = [Level::Basic, Level::Read, Level::Write];
    let of_kinds = Kind::ALL.into_iter().flat_map(|kind| {
        levels.into_iter().map(move |level| Need::Items(kind, level)).chain([Need::Subscription(kind)])
    });
    let others = [Need::Send, Need::TranslateIds, Need::Schedule, Need::Users, Need::AllSubscriptions];
    let needs = of_kinds.chain(others).chain(levels.map(Need::Settings));
    let columns = [Column::Work, Column::Personal, Column::Application];
    let of_needs = needs.flat_map(|need| [true, false].map(|own| need.row(own)));
    let of_needs = of_needs.flat_map(|row| columns.map(|column| row.of(column)));
    let places = Entry::all().iter().flat_map(|entry| entry.places).map(|place| &place.permissions);
    let of_places = places.flat_map(|names| [names.work, names.personal, names.application]);
    of_needs.chain(of_places).flatten().copied().chain(SHARED).collect()
});

/// The name in Graph's spelling, if it opens something here.
pub fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().copied().find(|known| known.eq_ignore_ascii_case(name))
}

/// What was probably meant by a name that is not [`known`], the nearest first. Empty, if it may be a name of
/// Graph's for what is not served.
pub fn meant(name: &str) -> Vec<&'static str> {
    let is_whole = WHOLE.iter().any(|word| distance(word, head(name)) <= 1);
    let is_near = |known: &str, far: usize| match distance(head(known), head(name)) {
        0 | 1 if is_whole => true,
        0 => far <= 2,
        _ => far <= 1,
    };
    let by_distance = KNOWN.iter().map(|known| (distance(known, name), *known));
    let mut near: Vec<(usize, &str)> = by_distance.filter(|(far, known)| is_near(known, *far)).collect();
    near.sort_unstable();
    near.into_iter().take(MEANT_MAX).map(|(_, known)| known).collect()
}

/// Which of a few names was meant by one that is none of them, if it is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let by_distance = known.into_iter().map(|known| (distance(known, name), known));
    by_distance.filter(|(far, known)| *far <= (known.len() / 3).min(2)).min().map(|(_, known)| known)
}

/// How many letters are wrong, whatever their case.
fn distance(known: &str, name: &str) -> usize {
    strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

fn head(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_all_tables_are_known_in_any_case() {
        for name in ["Mail.ReadBasic.All", "User.Read", "Subscription.Read.All", "Mail.Read.Shared", "Chat.Read.All"] {
            assert_eq!(known(name), Some(name));
            assert_eq!(known(&name.to_ascii_lowercase()), Some(name));
        }
        for name in ["Mail.Reed", "Mail", "", "Sites.Selected"] {
            assert_eq!(known(name), None, "{name}");
        }
    }

    #[test]
    fn a_misspelt_name_leads_to_the_nearest_ones() {
        for (name, nearest) in [
            ("Mail.Reed", "Mail.Read"),
            ("Mial.Read", "Mail.Read"),
            ("Mail.Readwrite.Al", "Mail.ReadWrite"),
            ("Mail.ReadAll", "Mail.Read"),
            ("Calendar.ReadWrite", "Calendars.ReadWrite"),
            ("MailboxSetting.Read", "MailboxSettings.Read"),
            ("Users.Read", "User.Read"),
            ("User.Raed", "User.Read"),
            ("Subscription.Read.Al", "Subscription.Read.All"),
        ] {
            assert_eq!(meant(name).first(), Some(&nearest), "{name}: {:?}", meant(name));
            assert!(meant(name).len() <= MEANT_MAX);
        }
        assert_eq!(meant("Mail.Reed"), ["Mail.Read", "Mail.Send", "Mail.ReadBasic"]);
    }

    #[test]
    fn of_a_few_names_one_is_meant_that_is_near() {
        let known = ["filter", "labels", "retryPolicy"];
        for (name, near) in [("filters", "filter"), ("Label", "labels"), ("RetryPolicy", "retryPolicy")] {
            assert_eq!(nearest(name, known), Some(near));
        }
        for name in ["", "topic", "policy"] {
            assert_eq!(nearest(name, known), None, "{name}");
        }
    }

    #[test]
    fn names_for_what_is_not_served_pass() {
        for name in [
            "Sites.Selected",
            "Team.ReadBasic.All",
            "TeamSettings.Read.All",
            "Directory.AccessAsUser.All",
            "User.Invite.All",
            "User.Export.All",
            "Group.Create",
            "Notes.Read",
            "People.Read",
            "Place.Read.All",
            "Organization.Read.All",
            "Application.ReadWrite.All",
            "Policy.Read.All",
            "SecurityAlert.Read.All",
            "IMAP.AccessAsUser.All",
            "EWS.AccessAsUser.All",
            "Reports.Read.All",
            "MailboxFolder.Read",
            "MailboxItem.ImportExport",
            "Device.Read",
        ] {
            assert_eq!(meant(name), [""; 0], "{name}");
        }
    }
}
