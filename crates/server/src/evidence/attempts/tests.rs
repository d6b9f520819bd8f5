use std::fs;

use graph::{AppId, SubscriptionId, TenantId};
use tempfile::TempDir;
use uuid::Uuid;

use super::segments::{Limits, Segments, read};
use super::*;
use crate::key_file;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: i64 = 24 * 3_600 * 1_000_000;
const APP: AppId = AppId(Uuid::from_u128(7));

const TENANT: TenantId = TenantId(Uuid::nil());

/// Subscriptions of a tenant.
fn of(tenant: TenantId, numbers: &[u128]) -> Vec<(TenantId, SubscriptionId)> {
    numbers.iter().map(|number| (tenant, subscription(*number))).collect()
}

/// What is said of an attempt that was one tenant's.
fn entry(tried: Tried) -> Entry {
    let [entry] = Entry::each(tried, 0).try_into().unwrap();
    entry
}

fn subscription(number: u128) -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(number))
}

fn tried(ended: Timestamp) -> Tried {
    Tried {
        ended,
        app: APP,
        subscriptions: of(TENANT, &[2, 1, 2]),
        event_subscription: None,
        url: "https://user:canary@hook.example.net/n?code=canary#canary".into(),
        outcome: "refused",
        status: Some(503),
        took: Duration::from_millis(20),
        retry_micros: Some(5_000_000),
        abandoned: Vec::new(),
        lives_until: None,
        cause: None,
        excerpt: entry::excerpt(b"busy\x1b[2J"),
    }
}

fn log(dir: &Path) -> AttemptLog {
    let telemetry = Telemetry::new(NOW).unwrap();
    AttemptLog::start(dir, key_file::in_memory(), Kept { days: 7, bytes_max: 1 << 20 }, telemetry).unwrap()
}

fn all() -> Wanted {
    Wanted { most: 100, files_max: usize::MAX, ..Wanted::default() }
}

#[test]
fn an_attempt_is_told_with_what_came_of_it_and_without_secrets_of_its_url() {
    let dir = TempDir::new().unwrap();
    let log = log(dir.path());
    log.offer(Box::new(tried(NOW)));
    let found = log.read(&all(), NOW).unwrap();
    let [entry] = &found.entries[..] else { panic!("one entry: {found:?}") };
    assert_eq!(entry.url, "https://hook.example.net/n");
    assert_eq!((entry.subscriptions.len(), entry.notifications), (2, 3));
    assert_eq!(entry.next_retry_at, Some(NOW.plus_micros(5_000_000)));
    assert_eq!(entry.excerpt.as_deref(), Some(r"busy\u{1b}[2J"), "it moves no cursor");
}

#[test]
fn an_event_whose_time_to_live_is_over_when_it_is_due_is_not_said_to_go_again() {
    let due = NOW.plus_micros(5_000_000);
    let told = |lives_until| {
        let entry = entry(Tried { lives_until: Some(lives_until), ..tried(NOW) });
        (entry.next_retry_at, entry.given_up_at)
    };
    assert_eq!(told(due), (None, Some(due)), "it is looked at when it is due");
    assert_eq!(told(due.plus_micros(1)), (Some(due), None));
}

#[test]
fn a_request_that_told_several_tenants_is_told_to_each_without_the_others() {
    let dir = TempDir::new().unwrap();
    let log = log(dir.path());
    let other = TenantId(Uuid::from_u128(5));
    let subscriptions = [of(TENANT, &[1]), of(other, &[2, 3, 3])].concat();
    log.offer(Box::new(Tried { subscriptions, ..tried(NOW) }));
    let found = |tenant| {
        let owner = Some(Owner { tenant, app: APP });
        let [entry] = log.read(&Wanted { owner, ..all() }, NOW).unwrap().entries.try_into().unwrap();
        (entry.subscriptions, entry.notifications, entry.excerpt)
    };
    assert_eq!(found(TENANT), (vec![subscription(1)], 1, None));
    assert_eq!(found(other), (vec![subscription(2), subscription(3)], 3, None));
}

#[test]
fn theft_of_the_attempt_log_tells_nothing() {
    let dir = TempDir::new().unwrap();
    let log = log(dir.path());
    log.offer(Box::new(tried(NOW)));
    log.flush();
    let files: Vec<_> = fs::read_dir(dir.path().join(DIRECTORY)).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let content = fs::read_to_string(&files[0]).unwrap();
    assert!(!content.is_empty() && !content.contains("hook") && !content.contains("busy"), "{content}");
    let other = store::seal::Keys::new(store::seal::Key::new(&[9; 32]), Vec::new(), crate::ids::new_nonce);
    let found = read(&dir.path().join(DIRECTORY), &other, &all()).unwrap();
    assert_eq!(found, Found::default(), "without the key nothing opens, and nothing fails");
}

#[test]
fn attempts_are_found_by_what_is_asked_the_newest_first_and_in_pages() {
    let dir = TempDir::new().unwrap();
    let log = log(dir.path());
    for second in 0..5 {
        let at = NOW.plus_micros(second * 1_000_000);
        let outcome = if second == 3 { "acknowledged" } else { "refused" };
        let subscriptions = of(TENANT, &[second.unsigned_abs().into()]);
        log.offer(Box::new(Tried { subscriptions, outcome, ..tried(at) }));
    }
    let now = NOW.plus_minutes(1);
    let found = |wanted: Wanted| {
        let found = log.read(&wanted, now).unwrap();
        let seconds: Vec<_> = found.entries.iter().map(|entry| entry.at.since(NOW) / 1_000_000).collect();
        (seconds, found.more)
    };
    assert_eq!(found(all()), (vec![4, 3, 2, 1, 0], false));
    assert_eq!(found(Wanted { most: 2, ..all() }), (vec![4, 3], true));
    let last = log.read(&Wanted { most: 2, ..all() }, now).unwrap().entries[1].number;
    assert_eq!(found(Wanted { before: Some(last), most: 3, ..all() }), (vec![2, 1, 0], false));
    assert_eq!(found(Wanted { outcome: Some("acknowledged".into()), ..all() }).0, [3]);
    assert_eq!(found(Wanted { subscription: Some(subscription(1)), ..all() }).0, [1]);
    assert_eq!(found(Wanted { app: Some(AppId(Uuid::nil())), ..all() }).0, [0; 0]);
    assert_eq!(found(Wanted { since: Some(NOW.plus_micros(2_500_000)), ..all() }).0, [4, 3]);
    assert_eq!(log.read(&all(), now.plus_micros(8 * DAY)).unwrap(), Found::default(), "what is too old is not shown");
}

#[test]
fn an_owner_finds_its_own_attempts_alone_and_nobody_reads_all_files_at_once() {
    let dir = TempDir::new().unwrap();
    let owner = |tenant: u128| Owner { tenant: TenantId(Uuid::from_u128(tenant)), app: APP };
    for second in 0..6 {
        let tenant = TenantId(Uuid::from_u128(u128::from(second % 2 == 1)));
        // Each makes a file of its own.
        let mut one = segments(dir.path(), 1 << 20);
        let subscriptions = of(tenant, &[1]);
        one.append(&[entry(Tried { subscriptions, ..tried(NOW.plus_micros(second * 1_000_000)) })]).unwrap();
    }
    let found = |wanted: Wanted| {
        let found = read(dir.path(), &keys(), &wanted).unwrap();
        let seconds: Vec<_> = found.entries.iter().map(|entry| entry.at.since(NOW) / 1_000_000).collect();
        (seconds, found.more, found.before)
    };
    let (seconds, more, _) = found(Wanted { owner: Some(owner(1)), ..all() });
    assert_eq!((seconds, more), (vec![5, 3, 1], false));
    assert_eq!(found(Wanted { owner: Some(owner(2)), ..all() }).0, [0; 0]);
    let (seconds, more, before) = found(Wanted { owner: Some(owner(1)), files_max: 2, ..all() });
    assert_eq!((seconds, more), (vec![5], true));
    let rest = Wanted { owner: Some(owner(1)), files_max: 2, before, ..all() };
    assert_eq!(found(rest).0, [3], "it goes on where it was left");
}

/// The same with each call.
fn keys() -> Keys {
    Keys::new(store::seal::Key::new(&[7; 32]), Vec::new(), crate::ids::new_nonce)
}

/// The numbers of what is there.
fn numbers(dir: &Path) -> Vec<u64> {
    read(dir, &keys(), &Wanted { most: 10_000, ..all() }).unwrap().entries.iter().map(|entry| entry.number).collect()
}

fn segments(dir: &Path, bytes_max: u64) -> Segments {
    Segments::new(dir.to_owned(), keys(), Limits { age_micros: 7 * DAY, bytes_max })
}

#[test]
fn what_is_kept_is_bounded_by_bytes_and_the_newest_stays() {
    let dir = TempDir::new().unwrap();
    let mut segments = segments(dir.path(), 64 << 10);
    for second in 0..2_000 {
        segments.append(&[entry(tried(NOW.plus_micros(second * 1_000_000)))]).unwrap();
    }
    let files = fs::read_dir(dir.path()).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!((48 << 10..=64 << 10).contains(&bytes), "{bytes}");
    let newest = NOW.plus_micros(1_999 * 1_000_000).as_micros().unsigned_abs();
    assert_eq!(numbers(dir.path())[0], newest);
}

#[test]
fn what_is_kept_is_bounded_by_days() {
    let dir = TempDir::new().unwrap();
    let mut segments = segments(dir.path(), 1 << 20);
    for day in 0..20 {
        segments.append(&[entry(tried(NOW.plus_micros(day * (DAY + 1))))]).unwrap();
    }
    assert_eq!(numbers(dir.path()).len(), 8, "seven days, and the one that began");
}

#[test]
fn a_torn_line_is_passed_over_and_what_comes_later_is_found() {
    let dir = TempDir::new().unwrap();
    segments(dir.path(), 1 << 20).append(&[entry(tried(NOW))]).unwrap();
    let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
    segments(dir.path(), 1 << 20).append(&[entry(tried(NOW.plus_minutes(1)))]).unwrap();
    assert_eq!(numbers(dir.path()).len(), 2);
}

#[test]
fn files_that_cannot_be_written_harm_nobody_and_are_counted() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(DIRECTORY), "in the way").unwrap();
    let log = log(dir.path());
    for _ in 0..3 {
        log.offer(Box::new(tried(NOW)));
    }
    log.flush();
    let told = log.telemetry.render(None, store::Counters::default());
    assert!(told.contains(r#"tidings_attempt_log_entries_total{result="failed"} 3"#), "{told}");
    fs::remove_file(dir.path().join(DIRECTORY)).unwrap();
    log.offer(Box::new(tried(NOW)));
    assert_eq!(log.read(&all(), NOW).unwrap().entries.len(), 1, "it goes on by itself");
}

#[test]
fn who_hands_over_more_than_can_wait_goes_on_and_what_is_dropped_is_counted() {
    let (telemetry, dir) = (Telemetry::new(NOW).unwrap(), TempDir::new().unwrap());
    let (waiting, _messages) = sync_channel(1);
    let kept = Kept { days: 7, bytes_max: 1 << 20 };
    let readers = Arc::new(Semaphore::new(1));
    let log = AttemptLog { waiting, dir: dir.path().into(), keys: key_file::in_memory(), kept, telemetry, readers };
    for _ in 0..3 {
        log.offer(Box::new(tried(NOW)));
    }
    let told = log.telemetry.render(None, store::Counters::default());
    assert!(told.contains(r#"tidings_attempt_log_entries_total{result="dropped"} 2"#), "{told}");
}

#[test]
fn an_excerpt_is_short_whatever_was_answered() {
    assert_eq!(entry::excerpt(b""), None);
    assert_eq!(entry::excerpt("ü".repeat(5_000).as_bytes()).unwrap().chars().count(), 200);
    assert_eq!(entry::excerpt(b"\xff\n").unwrap(), "\u{fffd}\\n");
    assert!(entry::excerpt(&[0; 1_000]).unwrap().len() <= 200 * 10);
}
