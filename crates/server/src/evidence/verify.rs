//! Counts again from the log what must have been told, and holds the ledgers against it. Each partition is read at one
//! point; the log up to the cursor does not change any more, so it is read after that, page by page, beside whatever the
//! server does meanwhile. Only its beginning can go: then the partition is verified anew.

use graph::Partition;
use notify::Position;
use notify::recount::{About, Books, Discrepancy, Gap, Recount};
use serde::Serialize;
use store::{Store, StoreError};
use utoipa::ToSchema;

/// Records read at once.
const PAGE_RECORDS: usize = 500;
/// How often a partition is verified whose log begins elsewhere each time when it is read.
const TRIES: usize = 3;
/// The most discrepancies that one answer lists.
const LISTED_MAX: usize = 1_000;

/// What was counted, and what does not agree with it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whether everything agrees.
    balances: bool,
    partitions: u64,
    /// Records of the log that were counted.
    records: u64,
    /// Subscriptions that have a ledger, live and ended.
    subscriptions: u64,
    discrepancies: Vec<Finding>,
    /// Whether there are more.
    more: bool,
}

/// One thing that does not agree.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    partition: u16,
    /// `null`: it is no single subscription's.
    subscription: Option<String>,
    /// `matched`, `paused`, `parked`, `balance`, `log`, or `row` for what cannot be read.
    about: &'static str,
    /// A count; a position for `log`.
    expected: Option<i64>,
    found: Option<i64>,
    /// The same in words.
    text: String,
}

/// Verifies these partitions, one after the other.
pub async fn verify(store: &dyn Store, partitions: impl Iterator<Item = Partition>) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    for partition in partitions {
        verified.partitions += 1;
        match verify_one(store, partition, &mut verified).await {
            Err(StoreError::Corrupt(row)) => verified.add(partition, Finding::unreadable(&row)),
            outcome => outcome?,
        }
    }
    verified.balances = verified.discrepancies.is_empty();
    Ok(verified)
}

async fn verify_one(store: &dyn Store, partition: Partition, verified: &mut Verified) -> Result<(), StoreError> {
    let mut books = store.books(partition).await?;
    let (mut recount, mut gap) = count(store, partition, &books).await?;
    for _ in 1..TRIES {
        let now = if gap.is_some() { store.books(partition).await? } else { break };
        if now.opening.position == books.opening.position {
            break;
        }
        books = now;
        (recount, gap) = count(store, partition, &books).await?;
    }
    verified.subscriptions += books.ledger.len() as u64;
    verified.records += recount.position().0 - books.opening.position.0;
    for discrepancy in books.discrepancies() {
        verified.add(partition, discrepancy.into());
    }
    match gap {
        // Of a log with a gap nothing more can be said.
        Some(gap) => verified.add(partition, Finding::gap(gap)),
        None => {
            for discrepancy in recount.compare(&books) {
                verified.add(partition, discrepancy.into());
            }
        }
    }
    Ok(())
}

/// Counts from where the books open to their cursor, or to the first gap.
async fn count(store: &dyn Store, partition: Partition, books: &Books) -> Result<(Recount, Option<Gap>), StoreError> {
    let mut recount = Recount::new(books.opening.clone());
    while recount.position() < books.cursor {
        let left = usize::try_from(books.cursor.0 - recount.position().0).unwrap_or(usize::MAX);
        let page = store.read_log(partition, recount.position(), left.min(PAGE_RECORDS)).await?;
        if page.is_empty() {
            let gap = Gap { expected: recount.position().next(), found: None };
            return Ok((recount, Some(gap)));
        }
        for (position, record) in page {
            if let Err(gap) = recount.count(position, &record) {
                return Ok((recount, Some(gap)));
            }
        }
    }
    Ok((recount, None))
}

impl Verified {
    fn add(&mut self, partition: Partition, finding: Finding) {
        match self.discrepancies.len() < LISTED_MAX {
            true => self.discrepancies.push(Finding { partition: partition.0, ..finding }),
            false => self.more = true,
        }
    }
}

impl Finding {
    fn new(about: &'static str, text: String) -> Self {
        Self { partition: 0, subscription: None, about, expected: None, found: None, text }
    }

    fn unreadable(row: &store::CorruptRow) -> Self {
        Self::new("row", row.to_string())
    }

    fn gap(gap: Gap) -> Self {
        let place = |position: Position| i64::try_from(position.0).unwrap_or(i64::MAX);
        let goes_on = match gap.found {
            Some(found) => format!("it goes on at {found}"),
            None => "it ends there, before the cursor".to_owned(),
        };
        let finding = Self::new("log", format!("{gap}; {goes_on}"));
        Self { expected: Some(place(gap.expected)), found: gap.found.map(place), ..finding }
    }
}

impl From<Discrepancy> for Finding {
    fn from(discrepancy: Discrepancy) -> Self {
        let Discrepancy { subscription, about, expected, found } = discrepancy;
        let (about, text) = match about {
            About::Matched => ("matched", format!("the log has {expected} matches, the ledger {found}")),
            About::Paused => {
                ("paused", format!("{expected} matches fell into a pause, the ledger has abandoned {found} for that"))
            }
            About::Parked => ("parked", format!("{expected} deliveries are parked, the ledger says {found}")),
            About::Balance => {
                ("balance", format!("delivered, parked and abandoned come to {expected}, matched is {found}"))
            }
        };
        let number = |count: i128| Some(i64::try_from(count).unwrap_or(i64::MAX));
        let finding = Self::new(about, text);
        let subscription = Some(subscription.to_string());
        Self { subscription, expected: number(expected), found: number(found), ..finding }
    }
}
