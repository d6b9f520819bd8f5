//! A small pool of connections that read beside the writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::VerbError;
use super::wal::Source;
use crate::StoreError;

const CONNECTIONS: usize = 4;
const CACHE_KIB: i64 = 16 << 10;

pub(super) struct Readers {
    source: Source,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub fn new(source: Source) -> Self {
        Self { source, turns: Arc::new(Semaphore::new(CONNECTIONS)), idle: Mutex::new(Vec::new()) }
    }

    /// Runs a query that touches a few pages, where it is asked: handing it to another thread and back
    /// costs several times what the query does.
    pub async fn point<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let stopped = |_| StoreError::Unavailable("the store is closed".to_owned());
        let _turn = self.turns.acquire().await.map_err(stopped)?;
        self.run(query)
    }

    /// Runs a query of any length, away from the tasks.
    pub async fn scan<T: Send + 'static, E: VerbError>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let stopped = |_| StoreError::Unavailable("the store is closed".to_owned());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(stopped)?;
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
        // One that met trouble is not used again.
        let failure = answer.as_ref().err().and_then(VerbError::failure);
        if !matches!(failure, Some(StoreError::Unavailable(_))) && connection.is_autocommit() {
            self.idle().push(connection);
        }
        answer
    }

    /// Closes the idle connections; later queries fail.
    pub fn close(&self) {
        self.turns.close();
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
