//! Delta queries: what a client gets between two tokens. A token is self-contained: it says which
//! collection it follows, from which revision on, and what was asked for at the start. It grants nothing,
//! so it has no secret; a checksum tells tokens from what merely looks like one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ChangeType, FolderId, Item, Kind, Timestamp, UserId};

/// The longest token that is read or made, in bytes.
pub const TOKEN_BYTES_MAX: usize = 6 * 1024;
/// The longest options that a token carries, all together.
pub const OPTIONS_BYTES_MAX: usize = 4 * 1024;
/// How many series a token remembers.
pub const SERIES_MAX: usize = 64;
/// The last revision that a store can count to.
const REVISION_MAX: u64 = i64::MAX as u64;
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;
/// Namespace of checksums; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x91f3_2a70_5c1e_4b7d_a6c4_0d8e_7b15_c2f9);

/// A collection whose changes are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// Items in one folder, or in all folders of the mailbox that hold the kind.
    Items(Kind, Option<FolderId>),
    /// Folders that hold the kind.
    Folders(Kind),
    /// The occurrences of a calendar in a window of time.
    View(FolderId),
    /// The occurrences of one series in a window of time, by the immutable UUID of its master.
    Instances(Uuid),
}

/// What was asked for when the first round began; it holds for all pages and rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// `$select`, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// `$expand`, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expand: Option<String>,
    /// `$filter`, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// `$orderby`, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// `$top`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<u16>,
    /// `changeType`: what alone is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeType>,
    /// `startDateTime` and `endDateTime`, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<(i64, i64)>,
}

/// A token: `$skiptoken` within a round, `$deltatoken` between rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    #[serde(rename = "m")]
    pub mailbox: UserId,
    #[serde(rename = "p")]
    pub place: Place,
    /// The revision up to which everything was told.
    #[serde(rename = "s")]
    pub since: u64,
    /// The revision at which the first round began. What was removed before is nothing to the client.
    #[serde(rename = "b")]
    pub began: u64,
    /// Within a round: the revision from which it began, where what is told depends on it.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The life of the store in which it was made; a token of another one is too old.
    #[serde(rename = "g", default, skip_serializing_if = "is_first")]
    pub generation: u64,
    #[serde(rename = "o", default)]
    pub options: Options,
    /// Of a calendar view: series that the client was told of, by their immutable UUIDs. What becomes of their
    /// occurrences cannot be read off a series that is gone.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Uuid>,
}

/// The text is no token that this server made, or not for this collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this collection")]
pub struct InvalidToken;

impl Token {
    /// Keeps in mind that the client knows of a series, while there is room.
    pub fn know_series(&mut self, master: Uuid) {
        if self.series.len() < SERIES_MAX && !self.series.contains(&master) {
            self.series.push(master);
        }
    }

    /// Forgets a series; whether the client knew of it.
    pub fn forget_series(&mut self, master: Uuid) -> bool {
        let known = self.series.len();
        self.series.retain(|series| *series != master);
        self.series.len() < known
    }

    /// The token as it stands in a URL.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        // Values of ours always have a JSON form.
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        let check = check(&bytes);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that was made for this collection.
    pub fn decode(text: &str, mailbox: UserId, place: Place) -> Result<Self, InvalidToken> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(InvalidToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken)?;
        let (content, given) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(InvalidToken)?;
        if check(content) != *given {
            return Err(InvalidToken);
        }
        let json = content.strip_prefix(&[VERSION]).ok_or(InvalidToken)?;
        let token: Self = serde_json::from_slice(json).map_err(|_| InvalidToken)?;
        let own = token.mailbox == mailbox && token.place == place;
        let stored = token.since.max(token.began).max(token.from.unwrap_or_default()) <= REVISION_MAX;
        if own && stored { Ok(token) } else { Err(InvalidToken) }
    }
}

/// Most stores have one life.
fn is_first(generation: &u64) -> bool {
    *generation == 0
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Uuid::new_v5(&NAMESPACE, bytes);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.as_bytes()[..CHECK_BYTES]);
    check
}

impl Options {
    /// Whether a token can carry them.
    pub fn fit(&self) -> bool {
        let texts = [&self.select, &self.expand, &self.filter, &self.order];
        texts.into_iter().flatten().map(String::len).sum::<usize>() <= OPTIONS_BYTES_MAX
    }
}

/// A filter of received messages, the one that a delta query of messages knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    from: Timestamp,
    /// Whether the time itself is within.
    inclusive: bool,
}

impl Received {
    /// Reads `receivedDateTime ge 2026-11-01T00:00:00Z`, or `gt`. `None`: the filter is something else.
    pub fn read(filter: &str) -> Option<Self> {
        let mut words = filter.split_whitespace();
        let (property, operator, time) = (words.next()?, words.next()?, words.next()?);
        let inclusive = operator.eq_ignore_ascii_case("ge");
        let known = property.eq_ignore_ascii_case("receivedDateTime")
            && (inclusive || operator.eq_ignore_ascii_case("gt"))
            && words.next().is_none();
        let from = time.parse().ok().filter(|_| known)?;
        Some(Self { from, inclusive })
    }

    pub fn matches(&self, message: &Item) -> bool {
        // As it is shown.
        let received = message.sort_key().whole_seconds();
        if self.inclusive { received >= self.from } else { received > self.from }
    }
}

/// Whether `$orderby` asks for the one order that a delta query of messages knows.
pub fn is_newest_first(order: &str) -> bool {
    order.split_whitespace().collect::<Vec<_>>().join(" ").eq_ignore_ascii_case("receivedDateTime desc")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ChangeId, ItemId, WellKnown};

    const MAILBOX: UserId = UserId(Uuid::from_u128(1));

    fn token() -> Token {
        Token {
            mailbox: MAILBOX,
            place: Place::Items(Kind::Message, Some(FolderId::new(Kind::Message, Uuid::from_u128(7)))),
            since: 12,
            began: 3,
            from: None,
            generation: 0,
            series: Vec::new(),
            options: Options { select: Some("subject".to_owned()), top: Some(5), ..Options::default() },
        }
    }

    #[test]
    fn a_token_is_read_back_for_its_own_collection_only() {
        let (made, text) = (token(), token().encode());
        assert_eq!(Token::decode(&text, MAILBOX, made.place), Ok(made.clone()));
        assert_eq!(Token::decode(&text, UserId(Uuid::nil()), made.place), Err(InvalidToken));
        assert_eq!(Token::decode(&text, MAILBOX, Place::Folders(Kind::Message)), Err(InvalidToken));
        assert!(text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter)), "{text}");
    }

    #[test]
    fn a_token_of_a_revision_that_no_store_has_is_refused() {
        for (since, began) in [(u64::MAX, 3), (12, u64::MAX), (REVISION_MAX + 1, 0)] {
            let forged = Token { since, began, ..token() };
            assert_eq!(Token::decode(&forged.encode(), MAILBOX, forged.place), Err(InvalidToken));
        }
        let forged = Token { from: Some(u64::MAX), ..token() };
        assert_eq!(Token::decode(&forged.encode(), MAILBOX, forged.place), Err(InvalidToken));
        let last = Token { since: REVISION_MAX, ..token() };
        assert_eq!(Token::decode(&last.encode(), MAILBOX, last.place), Ok(last));
    }

    #[test]
    fn a_token_remembers_no_more_series_than_it_can_carry() {
        let mut made = token();
        made.options.window = Some((i64::MIN, i64::MAX));
        for series in 0..1_000 {
            made.know_series(Uuid::from_u128(u128::MAX - series));
        }
        assert_eq!(made.series.len(), SERIES_MAX);
        assert!(made.encode().len() <= TOKEN_BYTES_MAX, "{}", made.encode().len());
        assert!(made.forget_series(Uuid::from_u128(u128::MAX)) && !made.forget_series(Uuid::from_u128(u128::MAX)));
    }

    #[test]
    fn the_one_filter_of_messages_is_read() {
        for good in ["receivedDateTime ge 2026-11-01T00:00:00Z", "ReceivedDateTime  GT 2026-11-01T01:00:00+01:00"] {
            assert!(Received::read(good).is_some(), "{good}");
        }
        for bad in ["", "isRead eq false", "receivedDateTime lt 2026-11-01T00:00:00Z", "receivedDateTime ge yesterday"]
        {
            assert_eq!(Received::read(bad), None, "{bad}");
        }
        assert_eq!(Received::read("receivedDateTime ge 2026-11-01T00:00:00Z and isRead eq true"), None);
        assert!(is_newest_first(" receivedDateTime  DESC ") && !is_newest_first("receivedDateTime"));
    }

    #[test]
    fn the_filter_compares_the_time_that_is_shown() {
        let received = "2026-11-01T00:00:00Z";
        let message = Item {
            id: ItemId::new(Kind::Message, Uuid::from_u128(1)),
            immutable: Uuid::from_u128(1),
            mailbox: MAILBOX,
            folder: WellKnown::Inbox.id_in(MAILBOX),
            created: "2026-11-01T00:00:00.7Z".parse().unwrap(),
            modified: Timestamp::default(),
            version: ChangeId(Uuid::from_u128(1)),
            properties: [("receivedDateTime".to_owned(), received.into())].into_iter().collect(),
        };
        let matches = |filter: &str| Received::read(&format!("receivedDateTime {filter}")).unwrap().matches(&message);
        assert!(matches("ge 2026-11-01T00:00:00Z") && matches("gt 2026-10-31T23:59:59Z"));
        assert!(!matches("gt 2026-11-01T00:00:00Z") && !matches("ge 2026-11-01T00:00:00.5Z"));
    }

    proptest! {
        #[test]
        fn altered_delta_token_is_refused(place in 0..200usize, letter in "[A-Za-z0-9_-]") {
            let made = token();
            let mut text = made.encode();
            let place = place % text.len();
            if text[place..=place] != letter {
                text.replace_range(place..=place, &letter);
                prop_assert_eq!(Token::decode(&text, MAILBOX, made.place), Err(InvalidToken));
            }
        }

        #[test]
        fn anything_may_be_given_for_a_token(text in ".{0,200}") {
            prop_assert_eq!(Token::decode(&text, MAILBOX, token().place), Err(InvalidToken));
        }
    }
}
