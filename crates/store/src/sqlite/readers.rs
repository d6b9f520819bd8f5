//! A small pool of connections that read beside the writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::VerbError;
use super::wal::Source;
use crate::StoreError;
use crate::health::Watch;

/// Each sort of read has turns of its own, so that the slower ones never keep the faster ones waiting.
const POINTS: usize = 3;
const SCANS: usize = 3;
const SEARCHES: usize = 2;
const CACHE_KIB: i64 = 8 << 10;

pub(super) struct Readers {
    source: Source,
    watch: Arc<Watch>,
    points: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub fn new(source: Source, watch: Arc<Watch>) -> Self {
        let turns = |count| Arc::new(Semaphore::new(count));
        let (points, scans, searches) = (turns(POINTS), turns(SCANS), turns(SEARCHES));
        Self { source, watch, points, scans, searches, idle: Mutex::new(Vec::new()) }
    }

    /// Runs a query that touches a few pages, where it is asked: handing it to another thread and back
    /// costs several times what the query does.
    pub async fn point<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let stopped = |_| StoreError::Unavailable("the store is closed".to_owned());
        let _turn = self.points.acquire().await.map_err(stopped)?;
        self.run(query)
    }

    /// Runs a query whose length the caller has limited, away from the tasks.
    pub async fn scan<T: Send + 'static, E: VerbError>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.run_apart(&self.scans, query).await
    }

    /// Runs a query that may have to look at a whole mailbox, away from the tasks.
    pub async fn search<T: Send + 'static, E: VerbError>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.run_apart(&self.searches, query).await
    }

    async fn run_apart<T: Send + 'static, E: VerbError>(
        self: &Arc<Self>,
        turns: &Arc<Semaphore>,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let stopped = |_| StoreError::Unavailable("the store is closed".to_owned());
        let turn = Arc::clone(turns).acquire_owned().await.map_err(stopped)?;
        let readers = Arc::clone(self);
        let run = move || {
            let answer = readers.run(query);
            drop(turn);
            answer
        };
        let failed = |error: tokio::task::JoinError| StoreError::Unavailable(error.to_string());
        tokio::task::spawn_blocking(run).await.map_err(failed)?
    }

    fn run<T, E: VerbError>(&self, query: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| self.source.connect(CACHE_KIB), Ok).map_err(StoreError::from)?;
        let answer = query(&connection);
        let failure = answer.as_ref().err().and_then(VerbError::failure);
        // That a disk can be written again only the writer learns; damage stays.
        if let Some(damage @ StoreError::Damaged(_)) = failure {
            self.watch.failed(damage);
        }
        // One that met trouble is not used again.
        let met_trouble = matches!(failure, Some(StoreError::Unavailable(_) | StoreError::Damaged(_)));
        if !met_trouble && connection.is_autocommit() {
            self.idle().push(connection);
        }
        answer
    }

    /// Closes the idle connections; later queries fail.
    pub fn close(&self) {
        for turns in [&self.points, &self.scans, &self.searches] {
            turns.close();
        }
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
