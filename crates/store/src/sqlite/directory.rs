//! Tenants, users and apps.

use graph::{AppId, Partition, TenantId, UserId, WellKnown};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::cell;
use super::mailbox::folder::put_folder;
use super::writer::Tx;
use crate::{App, StoreError, Tenant, User};

pub(super) fn put_tenant(tx: &mut Tx<'_>, tenant: &Tenant) -> Result<(), StoreError> {
    let sql = "INSERT INTO tenant (id, domain) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET domain = excluded.domain";
    tx.connection.prepare_cached(sql)?.execute(params![tenant.id.0.as_bytes(), tenant.domain])?;
    Ok(())
}

pub(super) fn put_user(tx: &mut Tx<'_>, user: &User) -> Result<(), StoreError> {
    let is_new = !exists(tx.connection, user.id)?;
    let sql = "INSERT INTO user (id, tenant, address, upn, display_name) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET tenant = excluded.tenant, address = excluded.address, upn = excluded.upn,
        display_name = excluded.display_name";
    tx.connection.prepare_cached(sql)?.execute(params![
        user.id.0.as_bytes(),
        user.tenant.0.as_bytes(),
        user.upn.to_lowercase(),
        user.upn,
        user.display_name,
    ])?;
    if is_new {
        let partition = Partition::of(user.id);
        let revision = tx.next_revision(partition)?;
        for folder in WellKnown::ALL {
            put_folder(tx.connection, partition, &folder.folder_in(user.id), revision)?;
        }
    }
    Ok(())
}

pub(super) fn put_app(tx: &mut Tx<'_>, app: &App) -> Result<(), StoreError> {
    let sql = "INSERT INTO app (id, tenant, display_name, service_principal, secret_sha256) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET tenant = excluded.tenant, display_name = excluded.display_name,
        service_principal = excluded.service_principal, secret_sha256 = excluded.secret_sha256";
    tx.connection.prepare_cached(sql)?.execute(params![
        app.id.0.as_bytes(),
        app.tenant.0.as_bytes(),
        app.display_name,
        app.service_principal.0.as_bytes(),
        app.secret_sha256,
    ])?;
    Ok(())
}

/// Whether a user, and with it a mailbox, exists.
pub(super) fn exists(connection: &Connection, id: UserId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM user WHERE id = ?1")?.exists([id.0.as_bytes()])?)
}

pub(super) fn tenants(connection: &Connection) -> Result<Vec<Tenant>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, domain FROM tenant ORDER BY id")?;
    let mut rows = statement.query(())?;
    let mut tenants = Vec::new();
    while let Some(row) = rows.next()? {
        let id = Uuid::from_bytes(cell(row, 0, ("tenant", "id"), "")?);
        tenants.push(Tenant { id: TenantId(id), domain: cell(row, 1, ("tenant", "domain"), id)? });
    }
    Ok(tenants)
}

pub(super) fn users(connection: &Connection, tenant: TenantId) -> Result<Vec<User>, StoreError> {
    let sql = "SELECT id, tenant, upn, display_name FROM user WHERE tenant = ?1 ORDER BY address, id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([tenant.0.as_bytes()])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(read_user(row)?);
    }
    Ok(users)
}

pub(super) fn user(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, tenant, upn, display_name FROM user WHERE id = ?1")?;
    statement.query_row([id.0.as_bytes()], |row| Ok(read_user(row))).optional()?.transpose()
}

pub(super) fn user_by_address(connection: &Connection, address: &str) -> Result<Option<User>, StoreError> {
    let sql = "SELECT id, tenant, upn, display_name FROM user WHERE address = ?1 ORDER BY id LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([address.to_lowercase()], |row| Ok(read_user(row))).optional()?.transpose()
}

fn read_user(row: &Row<'_>) -> Result<User, StoreError> {
    let id = Uuid::from_bytes(cell(row, 0, ("user", "id"), "")?);
    Ok(User {
        id: UserId(id),
        tenant: TenantId(Uuid::from_bytes(cell(row, 1, ("user", "tenant"), id)?)),
        upn: cell(row, 2, ("user", "upn"), id)?,
        display_name: cell(row, 3, ("user", "display_name"), id)?,
    })
}

pub(super) fn app(connection: &Connection, id: AppId) -> Result<Option<App>, StoreError> {
    let sql = "SELECT tenant, display_name, service_principal, secret_sha256 FROM app WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([id.0.as_bytes()], |row| Ok(read_app(row, id))).optional()?.transpose()
}

fn read_app(row: &Row<'_>, id: AppId) -> Result<App, StoreError> {
    Ok(App {
        id,
        tenant: TenantId(Uuid::from_bytes(cell(row, 0, ("app", "tenant"), id)?)),
        display_name: cell(row, 1, ("app", "display_name"), id)?,
        service_principal: UserId(Uuid::from_bytes(cell(row, 2, ("app", "service_principal"), id)?)),
        secret_sha256: cell(row, 3, ("app", "secret_sha256"), id)?,
    })
}
