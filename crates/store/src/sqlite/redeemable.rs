//! Authorization codes and refresh tokens, by their hashes.

use graph::{AppId, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::consent::check;
use super::error::{cell, corrupt};
use crate::{DirectoryError, FORGOTTEN_AT_ONCE, Grantee, Redeemable, RedeemableHash, Redeemed, StoreError};

pub(super) fn put(connection: &Connection, redeemable: &Redeemable) -> Result<(), DirectoryError> {
    check(connection, redeemable.tenant, redeemable.app, Grantee::User(redeemable.user))?;
    let key = ("redeemable", "state");
    let state = serde_json::to_vec(redeemable).map_err(|error| corrupt(key, redeemable.session, error))?;
    let sql = "DELETE FROM redeemable WHERE hash IN (SELECT hash FROM redeemable WHERE over_at <= ?1 LIMIT ?2)";
    let issued = redeemable.issued.as_micros();
    connection.prepare_cached(sql)?.execute(params![issued, FORGOTTEN_AT_ONCE])?;
    let sql = "INSERT OR REPLACE INTO redeemable (hash, app, user, session, issued, over_at, state)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        redeemable.hash.0,
        redeemable.app.0.as_bytes(),
        redeemable.user.0.as_bytes(),
        redeemable.session.as_bytes(),
        issued,
        redeemable.expires.as_micros(),
        state,
    ])?;
    Ok(())
}

pub(super) fn redeem(
    connection: &Connection,
    (app, hash): (AppId, RedeemableHash),
    now: Timestamp,
    over_at: Timestamp,
) -> Result<Option<Redeemed>, StoreError> {
    let sql = "SELECT state, redeemed FROM redeemable WHERE hash = ?1 AND app = ?2 AND over_at > ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![hash.0, app.0.as_bytes(), now.as_micros()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let state: Vec<u8> = cell(row, 0, ("redeemable", "state"), app)?;
    let redeemable = serde_json::from_slice(&state).map_err(|error| corrupt(("redeemable", "state"), app, error))?;
    let before: Option<i64> = cell(row, 1, ("redeemable", "redeemed"), app)?;
    if before.is_none() {
        let sql = "UPDATE redeemable SET redeemed = ?2, over_at = MIN(over_at, ?3) WHERE hash = ?1";
        connection.prepare_cached(sql)?.execute(params![hash.0, now.as_micros(), over_at.as_micros()])?;
    }
    Ok(Some(Redeemed { redeemable, before: before.map(Timestamp::from_micros) }))
}

pub(super) fn end_session(connection: &Connection, session: Uuid) -> Result<(), StoreError> {
    let sql = "DELETE FROM redeemable WHERE session = ?1";
    connection.prepare_cached(sql)?.execute([session.as_bytes()])?;
    Ok(())
}
