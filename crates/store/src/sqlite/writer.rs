//! The one thread that writes, with group commit.
//!
//! It takes everything that is queued, runs it in one transaction and commits once: a sync is shared by
//! all who wait for it. Verbs check before they write, so a refused one leaves no trace; if one fails
//! after it has written, the transaction is rolled back and each is run again alone.
//!
//! Only what is known to be durable is published and answered with success. When `COMMIT` itself fails
//! the frames may be on the disk or not: the callers hear `Unknown`, and the connection is made anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use graph::{PARTITIONS, Partition};
use notify::{Position, Record};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tokio::sync::{mpsc, oneshot};

use super::error::VerbError;
use super::mailbox::check::Known;
use super::mailbox::folder::FolderTallies;
use super::mailbox::revision::last_revision;
use super::row::{log_key, log_key_max, log_position};
use super::statements::Statements;
use super::wal::{Source, WalGuard};
use crate::health::Watch;
use crate::memory::AppendedRecords;
use crate::seal::Keys;
use crate::{Appended, Counters, Observe, Publish, Revision, StoreError, Transacted};

/// Verbs in one transaction at most.
const GROUP_MAX: usize = 1_000;
/// Verbs that wait at most; who comes later waits for a place.
const QUEUE_MAX: usize = 4_096;
/// The writer's page cache.
pub(super) const CACHE_KIB: i64 = 64 << 10;

/// What a verb writes through: a transaction that others may share.
pub(super) struct Tx<'a> {
    pub connection: &'a Connection,
    pub statements: Statements<'a>,
    pub keys: &'a Keys,
    pub known: Known,
    pub folders: FolderTallies,
    pub heads: &'a mut Heads,
    appended: &'a mut Vec<AppendedRecords>,
    pub tally: Counters,
}

/// A record and its stored form, made before it is queued.
pub(super) type Encoded = (Arc<Record>, Vec<u8>);

impl Tx<'_> {
    /// Appends records. Their positions are taken now: the writer is alone, so the order of its
    /// transactions is the order of the log.
    pub fn append(&mut self, partition: Partition, records: &[Encoded]) -> Result<Appended, rusqlite::Error> {
        let head = &mut self.heads.positions[usize::from(partition.0)];
        let insert = self.statements.get("INSERT INTO log (key, record) VALUES (?1, ?2)")?;
        let mut appended = Vec::with_capacity(records.len());
        for (record, json) in records {
            insert.execute((log_key(partition, head.next()), json))?;
            *head = head.next();
            appended.push((*head, Arc::clone(record)));
        }
        let position = *head;
        self.tally.log_rows += records.len() as u64;
        if !appended.is_empty() {
            self.appended.push((partition, appended));
        }
        Ok(Appended { partition, position })
    }

    /// The position of a partition's last record.
    pub fn head(&self, partition: Partition) -> Position {
        self.heads.positions[usize::from(partition.0)]
    }

    /// The position that the next record of a partition will have.
    pub fn next_position(&self, partition: Partition) -> Position {
        self.head(partition).next()
    }

    /// The revision of what the verb writes: one more than the partition's last.
    pub fn next_revision(&mut self, partition: Partition) -> Result<Revision, StoreError> {
        self.heads.next_revision(self.connection, partition)
    }
}

/// The last position of each partition's log, and its last revision once something has asked for it.
#[derive(Clone)]
pub(super) struct Heads {
    positions: Vec<Position>,
    revisions: Vec<Option<Revision>>,
}

impl Heads {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let partitions = (0..PARTITIONS).map(Partition);
        let positions = partitions.map(|partition| head(connection, partition)).collect::<rusqlite::Result<_>>()?;
        Ok(Self { positions, revisions: vec![None; usize::from(PARTITIONS)] })
    }

    /// One more than the partition's last.
    pub fn next_revision(&mut self, connection: &Connection, partition: Partition) -> Result<Revision, StoreError> {
        let last = &mut self.revisions[usize::from(partition.0)];
        let next = match last {
            Some(last) => last.0 + 1,
            None => last_revision(connection, partition)?.0 + 1,
        };
        *last = Some(Revision(next));
        Ok(Revision(next))
    }
}

/// The last position of a partition's log.
pub(super) fn head(connection: &Connection, partition: Partition) -> rusqlite::Result<Position> {
    let sql = "SELECT key FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1";
    let range = (log_key(partition, Position(0)), log_key_max(partition));
    let key = connection.prepare_cached(sql)?.query_row(range, |row| row.get(0)).optional()?;
    Ok(key.map(log_position).unwrap_or_default())
}

/// A queued verb.
trait Op: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran;
    /// Answers the caller: with what the verb said if its transaction stands, else with the failure.
    fn settle(self: Box<Self>, outcome: Result<(), StoreError>);
}

enum Ran {
    Done,
    Refused,
    Failed(StoreError),
}

struct Job<V, T, E> {
    verb: V,
    said: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<V, T, E> Op for Job<V, T, E>
where
    V: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: VerbError,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran {
        let said = (self.verb)(tx);
        let ran = match said.as_ref().map_err(VerbError::failure) {
            Ok(_) => Ran::Done,
            Err(None | Some(StoreError::Corrupt(_))) => Ran::Refused,
            Err(Some(failure)) => Ran::Failed(failure.clone()),
        };
        self.said = Some(said);
        ran
    }

    fn settle(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Job { said, caller, .. } = *self;
        let lost = || Err(StoreError::Unavailable("the write was not run".to_owned()).into());
        let answer = outcome.map_err(E::from).and_then(|()| said.unwrap_or_else(lost));
        // The caller may have gone away.
        let _ = caller.send(answer);
    }
}

enum Message {
    Op(Box<dyn Op>),
    /// Finish what is queued, then end.
    Close,
}

/// The callers' side of the writer.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<SharedCounters>,
}

/// What a writer works with.
pub(super) struct Parts {
    pub source: Source,
    pub keys: Keys,
    pub publish: Publish,
    pub observe: Option<Observe>,
    pub watch: Arc<Watch>,
}

impl Writer {
    pub fn start(connection: Connection, parts: Parts) -> rusqlite::Result<Self> {
        let Parts { source, keys, publish, observe, watch } = parts;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(SharedCounters::default());
        let heads = Heads::read(&connection)?;
        let wal = WalGuard::start(&source)?;
        let mut desk = Desk {
            connection: None,
            heads,
            appended: Vec::new(),
            source,
            keys,
            wal,
            publish,
            watch,
            observe,
            counters: Arc::clone(&counters),
        };
        desk.adopt(connection)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.work(receiver))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Self { queue: Some(sender), thread: Mutex::new(Some(thread)), counters })
    }

    /// Queues a verb and waits until it is durable or refused.
    pub async fn write<T, E>(&self, verb: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: VerbError,
    {
        let stopped = || E::from(StoreError::Unavailable("the store is closed".to_owned()));
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let (caller, answer) = oneshot::channel();
        let job = Job { verb, said: None, caller };
        queue.send(Message::Op(Box::new(job))).await.map_err(|_| stopped())?;
        // The writer has died with the verb in hand, perhaps after its transaction was committed.
        let lost = |_| Err(StoreError::Unknown("the writer ended before it answered".to_owned()).into());
        answer.await.unwrap_or_else(lost)
    }

    /// Lets the writer finish what is queued, and waits for it.
    pub async fn close(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(Message::Close).await;
        }
        if let Some(thread) = self.take_thread() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Resolves when nothing is written any more: after `close`, or because the thread has died.
    pub async fn ended(&self) {
        if let Some(queue) = &self.queue {
            queue.closed().await;
        }
    }

    pub fn counters(&self) -> Counters {
        self.counters.read()
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.take_thread() {
            let _ = thread.join();
        }
    }
}

/// How a transaction ended well.
enum Stands {
    Committed {
        wrote: bool,
    },
    /// Its one verb was refused after it had written, and leaves no trace.
    Undone,
}

/// Why a transaction does not stand.
enum Failure {
    RolledBack(StoreError),
    Unknown(StoreError),
}

/// The writer's own side.
struct Desk {
    /// `None` after a failure that leaves it in doubt.
    connection: Option<Connection>,
    heads: Heads,
    /// What the transaction under way has appended.
    appended: Vec<AppendedRecords>,
    source: Source,
    keys: Keys,
    wal: WalGuard,
    publish: Publish,
    watch: Arc<Watch>,
    observe: Option<Observe>,
    counters: Arc<SharedCounters>,
}

impl Desk {
    fn work(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut taken = Vec::with_capacity(GROUP_MAX);
        while queue.blocking_recv_many(&mut taken, GROUP_MAX) > 0 {
            let mut ops = Vec::with_capacity(taken.len());
            for message in taken.drain(..) {
                match message {
                    Message::Op(op) => ops.push(op),
                    Message::Close => queue.close(),
                }
            }
            self.group(ops);
        }
        if let Some(connection) = &self.connection {
            self.wal.finish(connection);
        }
    }

    fn group(&mut self, mut ops: Vec<Box<dyn Op>>) {
        match self.transact(&mut ops) {
            Err(Failure::RolledBack(_)) if ops.len() > 1 => {
                for mut op in ops {
                    let outcome = self.transact(std::slice::from_mut(&mut op));
                    self.settle(outcome, [op]);
                }
            }
            outcome => self.settle(outcome, ops),
        }
        if let Some(connection) = &self.connection {
            self.wal.after_commit(connection);
        }
    }

    fn settle(&mut self, outcome: Result<(), Failure>, ops: impl IntoIterator<Item = Box<dyn Op>>) {
        let outcome = outcome.map_err(|failure| match failure {
            Failure::RolledBack(error) => error,
            Failure::Unknown(error) => error,
        });
        if let Err(failure) = &outcome {
            self.watch.failed(failure);
        }
        if outcome.is_ok() {
            for (partition, records) in self.appended.drain(..) {
                (self.publish)(partition, records);
            }
        }
        for op in ops {
            op.settle(outcome.clone());
        }
    }

    /// Runs verbs in one transaction. On success `appended` holds their records.
    fn transact(&mut self, ops: &mut [Box<dyn Op>]) -> Result<(), Failure> {
        let begun = Instant::now();
        if let Err(error) = self.reconnect() {
            let outcome = Err(Failure::RolledBack(error.into()));
            self.tell(&outcome, ops.len(), begun);
            return outcome.map(|_| ());
        }
        self.appended.clear();
        let heads = self.heads.clone();
        let outcome = self.attempt(ops);
        self.tell(&outcome, ops.len(), begun);
        if !matches!(outcome, Ok(Stands::Committed { .. })) {
            self.appended.clear();
            self.heads = heads;
            self.roll_back();
        }
        // One that was opened while the files could not be written stays so.
        if matches!(outcome, Err(Failure::Unknown(_) | Failure::RolledBack(StoreError::ReadOnly(_)))) {
            self.connection = None;
        }
        outcome.map(|_| ())
    }

    /// Tells whoever observes. A group that does not stand is no failure yet: each of it is run again alone.
    fn tell(&self, outcome: &Result<Stands, Failure>, verbs: usize, begun: Instant) {
        let Some(observe) = &self.observe else { return };
        match outcome {
            Ok(Stands::Committed { wrote: true }) => observe(Transacted::Committed { verbs, took: begun.elapsed() }),
            Ok(_) => {}
            Err(Failure::RolledBack(_)) if verbs > 1 => {}
            Err(_) => observe(Transacted::Failed),
        }
    }

    fn attempt(&mut self, ops: &mut [Box<dyn Op>]) -> Result<Stands, Failure> {
        let Some(connection) = &self.connection else {
            return Err(Failure::RolledBack(StoreError::Unavailable("the database is closed".to_owned())));
        };
        let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute(()));
        begun.map_err(|error| Failure::RolledBack(error.into()))?;
        let changes = connection.total_changes();
        let alone = ops.len() == 1;
        let mut tx = Tx {
            connection,
            statements: Statements::new(connection),
            keys: &self.keys,
            known: Known::default(),
            folders: FolderTallies::default(),
            heads: &mut self.heads,
            appended: &mut self.appended,
            tally: Counters::default(),
        };
        for op in ops {
            let before = connection.total_changes();
            match op.run(&mut tx) {
                Ran::Done => {}
                Ran::Refused if connection.total_changes() == before => {}
                Ran::Refused if alone => return Ok(Stands::Undone),
                Ran::Refused => return Err(Failure::RolledBack(StoreError::Unavailable("refused late".to_owned()))),
                Ran::Failed(failure) => return Err(Failure::RolledBack(failure)),
            }
        }
        let Tx { folders, mut tally, .. } = tx;
        folders.write(connection).map_err(Failure::RolledBack)?;
        tally.commits = u64::from(connection.total_changes() != changes);
        let committed = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(()));
        committed.map_err(commit_failure)?;
        self.counters.add(&tally);
        if tally.commits > 0 {
            self.watch.kept();
        }
        Ok(Stands::Committed { wrote: tally.commits > 0 })
    }

    /// Ends the transaction, if SQLite has not. A connection that cannot even do that is closed.
    fn roll_back(&mut self) {
        let ended =
            |connection: &Connection| connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        self.connection = self.connection.take().filter(ended);
    }

    fn reconnect(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_none() {
            let connection = self.source.connect(CACHE_KIB)?;
            self.heads = Heads::read(&connection)?;
            self.adopt(connection)?;
        }
        Ok(())
    }

    fn adopt(&mut self, mut connection: Connection) -> rusqlite::Result<()> {
        connection.wal_hook(Some(self.wal.hook()))?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Whether the commit frame can have reached the disk. It is written last: a full disk stops before it.
fn commit_failure(error: rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Failure::RolledBack(error.into()),
        _ => Failure::Unknown(StoreError::Unknown(error.to_string())),
    }
}

/// [`Counters`] that readers may look at while the writer counts.
#[derive(Default)]
struct SharedCounters {
    commits: AtomicU64,
    log_rows: AtomicU64,
    log_rows_cut: AtomicU64,
    item_rows: AtomicU64,
    parked_rows: AtomicU64,
    checkpoints: AtomicU64,
}

impl SharedCounters {
    fn add(&self, tally: &Counters) {
        self.commits.fetch_add(tally.commits, Ordering::Relaxed);
        self.log_rows.fetch_add(tally.log_rows, Ordering::Relaxed);
        self.log_rows_cut.fetch_add(tally.log_rows_cut, Ordering::Relaxed);
        self.item_rows.fetch_add(tally.item_rows, Ordering::Relaxed);
        self.parked_rows.fetch_add(tally.parked_rows, Ordering::Relaxed);
        self.checkpoints.fetch_add(tally.checkpoints, Ordering::Relaxed);
    }

    fn read(&self) -> Counters {
        Counters {
            commits: self.commits.load(Ordering::Relaxed),
            log_rows: self.log_rows.load(Ordering::Relaxed),
            log_rows_cut: self.log_rows_cut.load(Ordering::Relaxed),
            item_rows: self.item_rows.load(Ordering::Relaxed),
            parked_rows: self.parked_rows.load(Ordering::Relaxed),
            checkpoints: self.checkpoints.load(Ordering::Relaxed),
        }
    }
}
