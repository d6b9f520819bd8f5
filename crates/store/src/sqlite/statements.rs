//! The statements of one transaction.

use rusqlite::{CachedStatement, Connection, Statement};

/// Those that many of its verbs run, each taken once out of the connection's cache and put back at the end: the cache finds a
/// statement by hashing its text, and keeps a copy of that, each time.
pub(super) struct Statements<'a> {
    connection: &'a Connection,
    taken: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    pub fn new(connection: &'a Connection) -> Self {
        Self { connection, taken: Vec::new() }
    }

    pub fn connection(&self) -> &'a Connection {
        self.connection
    }

    pub fn get(&mut self, sql: &'static str) -> rusqlite::Result<&mut Statement<'a>> {
        let place = match self.taken.iter().position(|(known, _)| *known == sql) {
            Some(place) => place,
            None => {
                self.taken.push((sql, self.connection.prepare_cached(sql)?));
                self.taken.len() - 1
            }
        };
        Ok(&mut self.taken[place].1)
    }
}
