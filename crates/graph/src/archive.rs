//! What mail programs write about a message into the headers of their archives: read, flagged, labels,
//! folder. Such headers mean nothing in mail that has just been delivered.

use crate::WellKnown;

/// Labels and keywords of one message that become categories.
const CATEGORIES_MAX: usize = 100;

/// A mail program's marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub is_read: bool,
    pub is_flagged: bool,
    pub is_draft: bool,
    pub categories: Vec<String>,
    pub folder: Option<String>,
}

impl Marks {
    /// Reads `Status`, `X-Status`, `X-Keywords` (mbox), `X-Mozilla-Status` (Thunderbird),
    /// `X-Gmail-Labels` (Google Takeout) and `X-Folder`.
    pub fn read(header: impl Fn(&str) -> Option<String>) -> Self {
        let mut marks = Marks::default();
        for letter in [header("Status"), header("X-Status")].into_iter().flatten().flat_map(|text| text.into_bytes()) {
            match letter {
                b'R' => marks.is_read = true,
                b'F' => marks.is_flagged = true,
                b'T' => marks.is_draft = true,
                _ => {}
            }
        }
        if let Some(bits) = header("X-Mozilla-Status").and_then(|text| u16::from_str_radix(text.trim(), 16).ok()) {
            marks.is_read |= bits & 0x0001 != 0;
            marks.is_flagged |= bits & 0x0004 != 0;
        }
        for keyword in header("X-Keywords").unwrap_or_default().split_whitespace() {
            marks.keyword(keyword);
        }
        if let Some(labels) = header("X-Gmail-Labels") {
            // Takeout marks what is unread; all else was opened.
            marks.is_read = true;
            for label in labels.split(',').map(|label| label.trim().trim_matches('"')) {
                marks.label(label);
            }
        }
        if let Some(folder) = header("X-Folder").map(|folder| folder.trim().to_owned()).filter(|f| !f.is_empty()) {
            marks.folder = Some(folder);
        }
        marks
    }

    fn keyword(&mut self, keyword: &str) {
        match keyword {
            "$Flagged" | "\\Flagged" => self.is_flagged = true,
            "$Seen" | "\\Seen" => self.is_read = true,
            "$Draft" | "\\Draft" => self.is_draft = true,
            // A system's own words, not a person's.
            _ if keyword.starts_with(['$', '\\']) => {}
            "NonJunk" | "NotJunk" | "Junk" => {}
            _ => self.category(keyword),
        }
    }

    fn label(&mut self, label: &str) {
        let folder = match label {
            "Inbox" => Some(WellKnown::Inbox),
            "Sent" => Some(WellKnown::SentItems),
            "Drafts" | "Draft" => Some(WellKnown::Drafts),
            "Trash" => Some(WellKnown::DeletedItems),
            "Spam" => Some(WellKnown::JunkEmail),
            "Archived" => Some(WellKnown::Archive),
            _ => None,
        };
        match (folder, label) {
            (Some(folder), _) => {
                self.is_draft |= folder == WellKnown::Drafts;
                self.folder.get_or_insert_with(|| folder.name().to_owned());
            }
            (None, "Unread") => self.is_read = false,
            (None, "Starred") => self.is_flagged = true,
            (None, "" | "Opened" | "Important" | "Chat") => {}
            (None, _) if label.starts_with("Category ") => {}
            (None, _) => self.category(label),
        }
    }

    fn category(&mut self, name: &str) {
        if self.categories.len() < CATEGORIES_MAX && !self.categories.iter().any(|known| known == name) {
            self.categories.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(headers: &[(&str, &str)]) -> Marks {
        Marks::read(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn mbox_status_letters_are_read_and_flagged() {
        let marks = marks(&[("Status", "RO"), ("X-Status", "AF"), ("X-Keywords", "work $Forwarded NonJunk")]);
        assert!(marks.is_read && marks.is_flagged && !marks.is_draft);
        assert_eq!(marks.categories, ["work"]);
        assert_eq!(marks.folder, None);
    }

    #[test]
    fn gmail_labels_name_the_folder_and_the_rest_are_categories() {
        let marks = marks(&[("X-Gmail-Labels", "Sent,Opened,Starred,Category Updates,Family trip")]);
        assert_eq!(marks.folder.as_deref(), Some("sentitems"));
        assert!(marks.is_read && marks.is_flagged);
        assert_eq!(marks.categories, ["Family trip"]);
    }

    #[test]
    fn what_nobody_marked_is_unread() {
        assert_eq!(marks(&[]), Marks::default());
        assert!(!marks(&[("X-Gmail-Labels", "Inbox,Unread")]).is_read);
        assert!(marks(&[("X-Mozilla-Status", "0005")]).is_flagged);
    }
}
