//! Users.

use graph::{Partition, TenantId, Timestamp, UserId, WellKnown};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::directory::check_tenant;
use super::error::cell;
use super::mailbox::folder::put_folder;
use super::writer::Tx;
use super::{removed_mailbox, subscription};
use crate::{DirectoryError, StoreError, User};

const COLUMNS: &str = "id, tenant, upn, display_name, enabled, sessions_valid_from";

pub(super) fn add(tx: &mut Tx<'_>, user: &User) -> Result<(), DirectoryError> {
    check_tenant(tx.connection, user.tenant)?;
    if exists(tx.connection, user.id)? || removed_mailbox::is_left(tx.connection, user.id)? {
        return Err(DirectoryError::IdTaken(user.id.0));
    }
    check_address(tx.connection, user)?;
    let sql = "INSERT INTO user (id, tenant, address, upn, display_name, enabled, sessions_valid_from)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.connection.prepare_cached(sql)?.execute(params![
        user.id.0.as_bytes(),
        user.tenant.0.as_bytes(),
        user.upn.to_lowercase(),
        user.upn,
        user.display_name,
        user.enabled,
        user.sessions_valid_from.as_micros(),
    ])?;
    let partition = Partition::of(user.id);
    let revision = tx.next_revision(partition)?;
    for folder in WellKnown::ALL {
        put_folder(tx.connection, partition, &folder.folder_in(user.id), revision)?;
    }
    Ok(())
}

pub(super) fn replace(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DirectoryError> {
    let found = user(tx.connection, before.id)?.ok_or(DirectoryError::NoUser(before.id))?;
    if found != *before {
        return Err(DirectoryError::Changed);
    }
    check_address(tx.connection, after)?;
    let sql = "UPDATE user SET address = ?2, upn = ?3, display_name = ?4, enabled = ?5, sessions_valid_from = ?6
        WHERE id = ?1";
    let (id, valid_from) = (after.id.0.as_bytes(), after.sessions_valid_from.as_micros());
    let row = params![id, after.upn.to_lowercase(), after.upn, after.display_name, after.enabled, valid_from];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    let sql = "DELETE FROM redeemable WHERE user = ?1 AND issued < ?2";
    tx.connection.prepare_cached(sql)?.execute(params![id, valid_from])?;
    Ok(())
}

/// The mailbox is left to be taken away.
pub(super) fn remove(tx: &mut Tx<'_>, id: UserId) -> Result<User, DirectoryError> {
    tx.known.forget();
    let user = user(tx.connection, id)?.ok_or(DirectoryError::NoUser(id))?;
    if subscription::is_watched(tx.connection, id)? {
        return Err(DirectoryError::Watched(id));
    }
    for sql in [
        "DELETE FROM consent WHERE user = ?1 AND grantee = 2",
        "DELETE FROM redeemable WHERE user = ?1",
        "DELETE FROM user WHERE id = ?1",
        "INSERT INTO removed_mailbox (mailbox) VALUES (?1)",
    ] {
        tx.connection.prepare_cached(sql)?.execute([id.0.as_bytes()])?;
    }
    Ok(user)
}

fn check_address(connection: &Connection, user: &User) -> Result<(), DirectoryError> {
    let mut taken = connection.prepare_cached("SELECT 1 FROM user WHERE address = ?1 AND id <> ?2")?;
    match taken.exists(params![user.upn.to_lowercase(), user.id.0.as_bytes()])? {
        true => Err(DirectoryError::AddressTaken(user.upn.clone())),
        false => Ok(()),
    }
}

/// Whether a user, and with it a mailbox, exists.
pub(super) fn exists(connection: &Connection, id: UserId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM user WHERE id = ?1")?.exists([id.0.as_bytes()])?)
}

pub(super) fn users(connection: &Connection, tenant: TenantId) -> Result<Vec<User>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM user WHERE tenant = ?1 ORDER BY address");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([tenant.0.as_bytes()])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(read(row)?);
    }
    Ok(users)
}

pub(super) fn user(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM user WHERE id = ?1"))?;
    statement.query_row([id.0.as_bytes()], |row| Ok(read(row))).optional()?.transpose()
}

pub(super) fn user_by_address(connection: &Connection, address: &str) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM user WHERE address = ?1"))?;
    statement.query_row([address.to_lowercase()], |row| Ok(read(row))).optional()?.transpose()
}

fn read(row: &Row<'_>) -> Result<User, StoreError> {
    let id = Uuid::from_bytes(cell(row, 0, ("user", "id"), "")?);
    Ok(User {
        id: UserId(id),
        tenant: TenantId(Uuid::from_bytes(cell(row, 1, ("user", "tenant"), id)?)),
        upn: cell(row, 2, ("user", "upn"), id)?,
        display_name: cell(row, 3, ("user", "display_name"), id)?,
        enabled: cell(row, 4, ("user", "enabled"), id)?,
        sessions_valid_from: Timestamp::from_micros(cell(row, 5, ("user", "sessions_valid_from"), id)?),
    })
}
