//! The forms in which `translateExchangeIds` takes and gives ids. They hold the same bytes: only whether
//! the id stays when an item moves is a difference in what they say.

use std::fmt;
use std::str::FromStr;

use crate::{FolderId, ItemKey};

/// A member of `exchangeIdFormat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeIdFormat {
    /// MAPI's bytes: URL-safe base64 without padding, then a digit for how much padding is left out.
    EntryId,
    /// EWS's text: base64 in the common alphabet.
    EwsId,
    /// As `entryId`, of the immutable id.
    ImmutableEntryId,
    RestId,
    RestImmutableEntryId,
}

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeId {
    Item(ItemKey),
    /// Folders have one id, in every form.
    Folder(FolderId),
}

/// The text names no form of id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an exchangeIdFormat")]
pub struct UnknownFormat;

impl FromStr for ExchangeIdFormat {
    type Err = UnknownFormat;

    /// Reads a member's name in any case.
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, format)| format).ok_or(UnknownFormat)
    }
}

impl ExchangeIdFormat {
    const ALL: [(&'static str, ExchangeIdFormat); 5] = [
        ("entryId", ExchangeIdFormat::EntryId),
        ("ewsId", ExchangeIdFormat::EwsId),
        ("immutableEntryId", ExchangeIdFormat::ImmutableEntryId),
        ("restId", ExchangeIdFormat::RestId),
        ("restImmutableEntryId", ExchangeIdFormat::RestImmutableEntryId),
    ];

    /// Whether ids in this form stay when an item moves.
    pub fn is_immutable(self) -> bool {
        matches!(self, ExchangeIdFormat::ImmutableEntryId | ExchangeIdFormat::RestImmutableEntryId)
    }

    /// Reads an id in this form; `None` if it is not one.
    pub fn read(self, text: &str) -> Option<ExchangeId> {
        let rest = match self {
            ExchangeIdFormat::RestId | ExchangeIdFormat::RestImmutableEntryId => text.to_owned(),
            ExchangeIdFormat::EwsId => text.replace('+', "-").replace('/', "_"),
            ExchangeIdFormat::EntryId | ExchangeIdFormat::ImmutableEntryId => {
                let padding = text.chars().next_back()?.to_digit(3)?;
                format!("{}{}", &text[..text.len() - 1], "=".repeat(padding as usize))
            }
        };
        if let Ok(folder) = rest.parse() {
            return Some(ExchangeId::Folder(folder));
        }
        let key: ItemKey = rest.parse().ok()?;
        (matches!(key, ItemKey::Immutable(_)) == self.is_immutable()).then_some(ExchangeId::Item(key))
    }

    /// Writes an item's id (of the sort that [`Self::is_immutable`] says) or a folder's in this form.
    pub fn write(self, id: impl fmt::Display) -> String {
        let rest = id.to_string();
        match self {
            ExchangeIdFormat::RestId | ExchangeIdFormat::RestImmutableEntryId => rest,
            ExchangeIdFormat::EwsId => rest.replace('-', "+").replace('_', "/"),
            ExchangeIdFormat::EntryId | ExchangeIdFormat::ImmutableEntryId => {
                let bare = rest.trim_end_matches('=');
                format!("{bare}{}", rest.len() - bare.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{ImmutableId, ItemId, Kind};

    #[test]
    fn every_form_reads_back_what_it_writes() {
        let uuid = Uuid::from_u128(0xfbff_effb_ffef_0123_4567_89ab_cdef_ffff);
        let item = ItemId::new(Kind::Message, uuid);
        let immutable = ImmutableId::new(Kind::Message, uuid);
        let folder = FolderId::new(Kind::Message, uuid);
        for (name, format) in ExchangeIdFormat::ALL {
            let (text, key) = match format.is_immutable() {
                true => (format.write(immutable), ItemKey::Immutable(immutable)),
                false => (format.write(item), ItemKey::Id(item)),
            };
            assert_eq!(format.read(&text), Some(ExchangeId::Item(key)), "{name} {text}");
            assert_eq!(format.read(&format.write(folder)), Some(ExchangeId::Folder(folder)), "{name}");
            assert_eq!(name.to_uppercase().parse(), Ok(format));
        }
        assert!(ExchangeIdFormat::EntryId.write(item).ends_with('1'), "one character of padding");
        assert!(ExchangeIdFormat::EwsId.write(item).contains(['+', '/']));
    }

    #[test]
    fn an_id_in_another_form_is_none_of_this_one() {
        let item = ItemId::new(Kind::Message, Uuid::from_u128(7)).to_string();
        for format in [ExchangeIdFormat::RestImmutableEntryId, ExchangeIdFormat::EntryId] {
            assert_eq!(format.read(&item), None);
        }
        for text in ["", "x", "é", "12", "AAMk0"] {
            for (_, format) in ExchangeIdFormat::ALL {
                assert_eq!(format.read(text), None, "{text}");
            }
        }
    }
}
