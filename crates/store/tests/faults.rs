//! What the embedded store does when the disk loses power, is full, read-only or damaged, or fails.
#![cfg(unix)] // the simulated disk edits files at offsets

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph::{Item, ItemId, Kind, Partition};
use notify::retention::Mark;
use notify::{Checkpoint, Position, Record};
use rusqlite::ffi;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::{OpenError, OpenOptions, SqliteStore};
use tidings_store::{
    CheckpointError, CommitError, Committed, ItemQuery, NodeId, Observe, Store, StoreError, StoreHealth, Transacted,
};
use uuid::Uuid;

use self::fault_vfs::Disk;
use self::support::*;

#[path = "support/fault_vfs.rs"]
#[allow(dead_code)] // each test binary uses its part
mod fault_vfs;
mod support;

struct World {
    store: Arc<SqliteStore>,
    heard: Heard,
    disk: &'static Disk,
    directory: TempDir,
}

async fn world() -> World {
    let (disk, directory, heard) = (Disk::install(), TempDir::new().unwrap(), Heard::default());
    let store = Arc::new(open(&directory, disk, &heard).unwrap());
    settle(&*store).await;
    World { store, heard, disk, directory }
}

fn open(directory: &TempDir, disk: &Disk, heard: &Heard) -> Result<SqliteStore, OpenError> {
    SqliteStore::open_with(
        directory.path(),
        keys(&[1]),
        heard.publish(),
        OpenOptions { vfs: Some(disk.vfs()), ..OpenOptions::default() },
    )
}

impl World {
    /// The process ends and starts again; if the power was off, it is back.
    async fn restart(self) -> Self {
        let Self { store, disk, directory, .. } = self;
        store.close().await;
        drop(Arc::into_inner(store).expect("every caller has ended"));
        disk.power_on();
        let heard = Heard::default();
        let store = Arc::new(open(&directory, disk, &heard).unwrap());
        Self { store, heard, disk, directory }
    }

    async fn create(&self, number: u128) -> Result<Committed, CommitError> {
        self.store.commit(create(&large_message(number))).await
    }

    /// Megan's log, which is dense and agrees with her mailbox.
    async fn log(&self) -> Vec<(Position, Arc<Record>)> {
        let log = self.store.read_log(Partition::of(MEGAN), Position(0), usize::MAX).await.unwrap();
        assert!(log.iter().zip(1..).all(|((position, _), dense)| position.0 == dense));
        for (_, record) in &log {
            let Record::Change(change) = &**record else { panic!("only messages were written") };
            assert!(self.store.item(MEGAN, change.item).await.unwrap().is_some());
        }
        let items = self.store.count_items(ItemQuery::newest(MEGAN, Kind::Message, None, 0)).await.unwrap();
        assert_eq!(items, log.len() as u64, "one item for each change");
        log
    }
}

/// More writes to the disk than a commit makes.
const WRITES: u64 = 60;

/// A message of a few pages.
fn large_message(number: u128) -> Item {
    edited(&message(MEGAN, number, 1), "body", json!("b".repeat(12_000)))
}

/// Commits from several tasks until the store fails, and returns what it acknowledged.
async fn write_until_failure(world: &World, tasks: u128) -> Vec<(Position, ItemId)> {
    let writers = (0..tasks).map(|task| {
        let store = Arc::clone(&world.store);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let item = large_message(task << 32 | number);
                match store.commit(create(&item)).await {
                    Ok(committed) => acknowledged.push((committed.position, item.id)),
                    Err(CommitError::Store(_)) => return acknowledged,
                    Err(refusal) => panic!("{refusal}"),
                }
            }
            unreachable!("the power fails before")
        })
    });
    let mut acknowledged = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_a_power_cut() {
    // Late enough, the write-ahead log is being moved into the database when the power fails.
    for (seed, writes) in [1, 2, 7, 40, 333, 1_000, 5_000, 8_050, 8_400, 12_000].into_iter().enumerate() {
        let world = world().await;
        world.disk.cut_power_at(writes, seed as u64);
        let acknowledged = write_until_failure(&world, 8).await;
        let published = world.heard.of(Partition::of(MEGAN));
        let world = world.restart().await;
        let log = world.log().await;
        for (position, item) in acknowledged {
            let (_, record) = &log[position.0 as usize - 1];
            assert!(matches!(&**record, Record::Change(change) if change.item == item), "power cut at write {writes}");
        }
        assert_eq!(log[..published.len()], published, "power cut at write {writes}");
        world.create(u128::MAX >> 64).await.unwrap();
    }
}

/// Marks, raises and cuts Megan's log until the store fails; how far the floor is known to have risen.
async fn cut_until_failure(world: &World, epoch: u64) -> Position {
    let (store, partition) = (&world.store, Partition::of(MEGAN));
    let mut floor = Position(0);
    for number in 1.. {
        let cursor = Position(number * 10);
        let (unpark, park, ledger) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (wall, incidents, health) = (at(0), BTreeMap::new(), BTreeMap::new());
        let checkpoint = Checkpoint { partition, epoch, number, cursor, wall, unpark, park, ledger, incidents, health };
        let mark = Mark { position: cursor, at: at(0) };
        let steps = async || -> Result<(), StoreError> {
            match store.checkpoint(checkpoint).await {
                Err(CheckpointError::Store(error)) => return Err(error),
                recorded => recorded.unwrap(),
            }
            store.mark_log(partition, at(0), None).await?;
            assert!(store.raise_floor(partition, mark).await?);
            floor = cursor;
            while store.cut_log(partition, 3).await?.more {}
            Ok(())
        };
        if cursor > LAST || steps().await.is_err() {
            break;
        }
    }
    floor
}

/// How many records the log has that is cut.
const LAST: Position = Position(40);

#[tokio::test]
async fn a_cut_that_loses_power_leaves_a_log_without_a_gap() {
    let mut interrupted = 0;
    for (seed, writes) in [1, 2, 4, 7, 11, 16, 22, 29, 37, 46, 56, 67, 79].into_iter().enumerate() {
        let world = world().await;
        for number in 1..=LAST.0 {
            world.create(number.into()).await.unwrap();
        }
        let before = world.log().await;
        let leases = world.store.acquire(NodeId(Uuid::from_u128(1)), at(0), at(1), 256).await.unwrap();
        world.disk.cut_power_at(writes, seed as u64);
        let known = cut_until_failure(&world, leases[usize::from(Partition::of(MEGAN).0)].1).await;
        let world = world.restart().await;
        let extent = world.store.log_extents().await.unwrap()[usize::from(Partition::of(MEGAN).0)];
        assert!(known <= extent.floor && extent.floor <= extent.cursor, "power cut at write {writes}: {extent:?}");
        let log = world.store.read_log(extent.partition, Position(0), usize::MAX).await.unwrap();
        assert_eq!(log, before[extent.floor.0 as usize..], "power cut at write {writes}");
        interrupted += u32::from(extent.first <= extent.floor && extent.first > Position(1));
        while world.store.cut_log(extent.partition, 100).await.unwrap().more {}
        assert_eq!(world.create(u128::MAX >> 64).await.unwrap().position, LAST.next());
    }
    assert!(interrupted > 0, "some were in the middle of a cut");
}

#[tokio::test]
async fn full_disk_is_said_and_nothing_is_half_written() {
    let world = world().await;
    world.create(1).await.unwrap();
    world.disk.set_full(true);
    let (second, third) = tokio::join!(world.create(2), world.create(3));
    for refused in [second, third] {
        assert!(matches!(refused, Err(CommitError::Store(StoreError::Full(_)))), "{refused:?}");
    }
    assert_eq!(world.log().await.len(), 1);
    assert_eq!(world.store.health(), StoreHealth::Full);
    world.disk.set_full(false);
    assert_eq!(world.create(2).await.unwrap().position, Position(2));
    assert_eq!(world.store.health(), StoreHealth::Writable);
    assert_eq!(world.heard.of(Partition::of(MEGAN)), world.log().await);
    assert_eq!(world.restart().await.log().await.len(), 2);
}

#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_writes_all_or_nothing() {
    let mut world = world().await;
    let (mut written, mut refused) = (0, 0);
    for nth in 1..=WRITES {
        world.disk.fail_write(nth, ffi::SQLITE_FULL);
        match world.create(u128::from(nth)).await {
            Ok(_) => written += 1,
            Err(CommitError::Store(StoreError::Full(_))) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        assert_eq!(world.log().await.len(), written, "write {nth} failed");
        world = world.restart().await;
        assert_eq!(world.log().await.len(), written, "write {nth} failed");
    }
    assert!(written > 0 && refused > 0, "{written} written, {refused} refused");
}

#[tokio::test]
async fn a_failed_sync_is_never_acknowledged_nor_published() {
    let world = world().await;
    world.create(1).await.unwrap();
    world.disk.fail_sync(1, ffi::SQLITE_IOERR_FSYNC);
    let unknown = world.create(2).await;
    assert!(matches!(unknown, Err(CommitError::Store(StoreError::Unknown(_)))), "{unknown:?}");
    assert_eq!(world.store.health(), StoreHealth::Failing);
    assert_eq!(world.heard.of(Partition::of(MEGAN)).len(), 1);
    assert_eq!(world.create(3).await.unwrap().position, Position(2));
    assert_eq!(world.heard.of(Partition::of(MEGAN)), world.log().await);
    let before = world.log().await;
    assert_eq!(world.restart().await.log().await, before);
}

#[tokio::test]
async fn a_failed_write_is_never_acknowledged() {
    let world = world().await;
    let mut last = Position(0);
    for nth in 1..=WRITES {
        world.disk.fail_write(nth, ffi::SQLITE_IOERR_WRITE);
        let before = world.log().await.len();
        match world.create(u128::from(nth)).await {
            Ok(committed) => {
                assert_eq!(committed.position, last.next());
                last = committed.position;
            }
            Err(CommitError::Store(StoreError::Unknown(_) | StoreError::Unavailable(_))) => {
                assert_eq!(world.log().await.len(), before, "write {nth} failed");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(last > Position(0));
    assert_eq!(world.heard.of(Partition::of(MEGAN)), world.log().await);
}

#[tokio::test]
async fn whoever_observes_hears_of_each_commit_and_each_failure_of_the_disk() {
    let (disk, directory, heard) = (Disk::install(), TempDir::new().unwrap(), Heard::default());
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let observe: Observe = Arc::new(move |transacted| observer.lock().unwrap().push(transacted));
    let options = OpenOptions { vfs: Some(disk.vfs()), observe: Some(observe) };
    let store = SqliteStore::open_with(directory.path(), keys(&[1]), heard.publish(), options).unwrap();
    settle(&store).await;
    told.lock().unwrap().clear();
    let heard_of = || std::mem::take(&mut *told.lock().unwrap());
    store.commit(create(&large_message(1))).await.unwrap();
    let [Transacted::Committed { verbs: 1, took }] = heard_of()[..] else { panic!("one commit") };
    assert!(took > Duration::ZERO);
    disk.set_full(true);
    store.commit(create(&large_message(2))).await.unwrap_err();
    assert_eq!(heard_of(), [Transacted::Failed]);
    disk.set_full(false);
    store.commit(create(&large_message(1))).await.unwrap_err();
    assert_eq!(heard_of(), [], "what is refused wrote nothing and is no failure of the disk");
}

#[tokio::test]
async fn each_acknowledged_change_was_synced() {
    let world = world().await;
    for number in 1..=5 {
        let syncs = world.disk.syncs();
        world.create(number).await.unwrap();
        assert!(world.disk.syncs() > syncs);
    }
}

#[tokio::test]
async fn a_disk_that_became_read_only_is_said_and_written_again_when_it_may_be() {
    let world = world().await;
    world.create(1).await.unwrap();
    world.disk.set_read_only(true);
    let first = world.create(2).await;
    assert!(matches!(first, Err(CommitError::Store(StoreError::Unknown(_)))), "{first:?}");
    for number in 3..=5 {
        let refused = world.create(number).await;
        assert!(matches!(refused, Err(CommitError::Store(StoreError::ReadOnly(_)))), "{refused:?}");
    }
    assert_eq!(world.store.health(), StoreHealth::ReadOnly);
    assert_eq!(world.log().await.len(), 1, "what there is can be read");
    world.disk.set_read_only(false);
    assert_eq!(world.create(6).await.unwrap().position, Position(2));
    assert_eq!(world.store.health(), StoreHealth::Writable);
    assert_eq!(world.heard.of(Partition::of(MEGAN)), world.log().await);
}

/// The database file with the first page of a table or index overwritten.
fn damage(directory: &TempDir, of: &str) {
    let file = directory.path().join("tidings.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
    let (page, bytes): (u64, u64) = database.query_row(sql, [of], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    drop(database);
    let file = std::fs::File::options().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xd5; bytes as usize], (page - 1) * bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_page_is_an_error_of_its_own_and_what_lies_elsewhere_goes_on() {
    let World { store, disk, directory, .. } = world().await;
    store.close().await;
    drop(store);
    damage(&directory, "upload");
    damage(&directory, "attachment");
    let store = open(&directory, disk, &Heard::default()).unwrap();
    let item = message(MEGAN, 1, 1);
    let refused = store.begin_upload(upload(1, 10), at(0)).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    assert_eq!(store.health(), StoreHealth::Damaged);
    let read = store.upload(MEGAN, uuid::Uuid::from_u128(1), at(0)).await;
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    store.commit(create(&item)).await.unwrap();
    assert_eq!(store.item(MEGAN, item.id).await, Ok(Some(item)));
    assert_eq!(store.health(), StoreHealth::Damaged, "one page that is well mends no other");
}
