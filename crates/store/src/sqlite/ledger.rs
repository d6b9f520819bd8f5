//! The packed form of ledgers: for each subscription its id, then its counts as variable-length
//! numbers (seven bits to a byte, least first; `parked` folded so that small negatives are short).

use std::collections::{BTreeMap, BTreeSet};

use graph::SubscriptionId;
use notify::recount::Counted;
use notify::retention::Noted;
use notify::{AbandonReason, LedgerDelta};
use uuid::Uuid;

pub(super) type Ledgers = BTreeMap<SubscriptionId, LedgerDelta>;

pub(super) fn pack(ledgers: &Ledgers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ledgers.len() * 24);
    for (id, sums) in ledgers {
        bytes.extend_from_slice(id.0.as_bytes());
        pack_sums(sums, &mut bytes);
    }
    bytes
}

/// `None`: the bytes are not a packed ledger.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Ledgers> {
    let mut ledgers = Ledgers::new();
    while !bytes.is_empty() {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        bytes = rest;
        ledgers.insert(SubscriptionId(Uuid::from_bytes(*id)), unpack_sums(&mut bytes)?);
    }
    Some(ledgers)
}

pub(super) fn pack_sums(sums: &LedgerDelta, bytes: &mut Vec<u8>) {
    put(sums.matched, bytes);
    put(sums.delivered, bytes);
    put((sums.parked << 1 ^ sums.parked >> 63) as u64, bytes);
    put(sums.abandoned.len() as u64, bytes);
    for (reason, count) in &sums.abandoned {
        put(reason_number(*reason), bytes);
        put(*count, bytes);
    }
}

/// Takes one subscription's sums off the front of `bytes`.
pub(super) fn unpack_sums(bytes: &mut &[u8]) -> Option<LedgerDelta> {
    let matched = take(bytes)?;
    let delivered = take(bytes)?;
    let folded = take(bytes)?;
    let parked = (folded >> 1) as i64 ^ -((folded & 1) as i64);
    let mut abandoned = BTreeMap::new();
    for _ in 0..take(bytes)? {
        abandoned.insert(reason(take(bytes)?)?, take(bytes)?);
    }
    Some(LedgerDelta { matched, delivered, parked, abandoned })
}

/// For each subscription its id, how often it matched, and how often in a pause, doubled, with one more if it is paused.
pub(super) fn pack_noted(noted: &Noted) -> Vec<u8> {
    let all: BTreeSet<_> = noted.counted.keys().chain(&noted.paused).collect();
    let mut bytes = Vec::with_capacity(all.len() * 20);
    for id in all {
        let counted = noted.counted.get(id).copied().unwrap_or_default();
        bytes.extend_from_slice(id.0.as_bytes());
        put(counted.matched, &mut bytes);
        put(counted.paused << 1 | u64::from(noted.paused.contains(id)), &mut bytes);
    }
    bytes
}

/// `None`: the bytes are no such thing.
pub(super) fn unpack_noted(mut bytes: &[u8]) -> Option<Noted> {
    let mut noted = Noted::default();
    while !bytes.is_empty() {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let id = SubscriptionId(Uuid::from_bytes(*id));
        bytes = rest;
        let (matched, paused) = (take(&mut bytes)?, take(&mut bytes)?);
        noted.paused.extend((paused & 1 == 1).then_some(id));
        let counted = Counted { matched, paused: paused >> 1 };
        noted.counted.extend(Some((id, counted)).filter(|_| counted != Counted::default()));
    }
    Some(noted)
}

/// Part of the stored format: a reason's number never changes.
fn reason_number(reason: AbandonReason) -> u64 {
    match reason {
        AbandonReason::Horizon => 0,
        AbandonReason::SubscriptionEnded => 1,
        AbandonReason::Paused => 2,
        AbandonReason::TooLarge => 3,
        AbandonReason::CertificateUnusable => 4,
        AbandonReason::AccessLost => 5,
        AbandonReason::EndpointDropping => 6,
        AbandonReason::Overflow => 7,
        AbandonReason::Injected => 8,
        AbandonReason::Retention => 9,
        AbandonReason::AttemptsExceeded => 10,
        AbandonReason::TimeToLiveExceeded => 11,
        AbandonReason::NotRetried => 12,
        AbandonReason::Stopped => 13,
    }
}

fn reason(number: u64) -> Option<AbandonReason> {
    AbandonReason::ALL.into_iter().find(|reason| reason_number(*reason) == number)
}

fn put(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums() -> impl Strategy<Value = LedgerDelta> {
        let abandoned =
            proptest::collection::btree_map(proptest::sample::select(&AbandonReason::ALL[..]), any::<u64>(), 0..=3);
        (any::<u64>(), any::<u64>(), any::<i64>(), abandoned)
            .prop_map(|(matched, delivered, parked, abandoned)| LedgerDelta { matched, delivered, parked, abandoned })
    }

    proptest! {
        #[test]
        fn a_packed_ledger_reads_back(ledgers in proptest::collection::btree_map(any::<u128>(), sums(), 0..8)) {
            let ledgers: Ledgers =
                ledgers.into_iter().map(|(id, sums)| (SubscriptionId(Uuid::from_u128(id)), sums)).collect();
            prop_assert_eq!(unpack(&pack(&ledgers)), Some(ledgers));
        }

        #[test]
        fn what_was_noted_at_a_mark_reads_back(
            counted in proptest::collection::btree_map(any::<u128>(), (1..u64::MAX, 0..u64::MAX / 2), 0..8),
            paused in proptest::collection::btree_set(any::<u128>(), 0..4),
        ) {
            let id = |id| SubscriptionId(Uuid::from_u128(id));
            let counted = counted.into_iter().map(|(of, (matched, paused))| (id(of), Counted { matched, paused }));
            let noted = Noted { counted: counted.collect(), paused: paused.into_iter().map(id).collect() };
            prop_assert_eq!(unpack_noted(&pack_noted(&noted)), Some(noted));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (unpack(&bytes), unpack_noted(&bytes));
        }
    }

    #[test]
    fn a_quiet_subscription_takes_few_bytes() {
        let one = LedgerDelta { matched: 100, delivered: 100, ..LedgerDelta::default() };
        let ledgers = Ledgers::from([(SubscriptionId(Uuid::from_u128(1)), one)]);
        assert_eq!(pack(&ledgers).len(), 20);
    }
}
