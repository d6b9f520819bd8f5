//! Tenants and apps.

use graph::{AppId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::subscription;
use super::writer::Tx;
use crate::{App, DirectoryError, StoreError, Tenant};

pub(super) fn add_tenant(tx: &mut Tx<'_>, tenant: &Tenant) -> Result<(), DirectoryError> {
    if tenant_exists(tx.connection, tenant.id)? {
        return Err(DirectoryError::IdTaken(tenant.id.0));
    }
    if tx.connection.prepare_cached("SELECT 1 FROM tenant WHERE domain = ?1")?.exists([&tenant.domain])? {
        return Err(DirectoryError::DomainTaken(tenant.domain.clone()));
    }
    let sql = "INSERT INTO tenant (id, domain) VALUES (?1, ?2)";
    tx.connection.prepare_cached(sql)?.execute(params![tenant.id.0.as_bytes(), tenant.domain])?;
    Ok(())
}

pub(super) fn check_tenant(connection: &Connection, id: TenantId) -> Result<(), DirectoryError> {
    tenant_exists(connection, id)?.then_some(()).ok_or(DirectoryError::NoTenant(id))
}

fn tenant_exists(connection: &Connection, id: TenantId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM tenant WHERE id = ?1")?.exists([id.0.as_bytes()])?)
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

pub(super) fn add_app(tx: &mut Tx<'_>, app: &App) -> Result<(), DirectoryError> {
    check_tenant(tx.connection, app.tenant)?;
    if self::app(tx.connection, app.id)?.is_some() {
        return Err(DirectoryError::IdTaken(app.id.0));
    }
    put_app(tx.connection, app)
}

pub(super) fn replace_app(tx: &mut Tx<'_>, before: &App, after: &App) -> Result<(), DirectoryError> {
    let found = app(tx.connection, before.id)?.ok_or(DirectoryError::NoApp(before.id))?;
    if found != *before {
        return Err(DirectoryError::Changed);
    }
    put_app(tx.connection, after)
}

fn put_app(connection: &Connection, app: &App) -> Result<(), DirectoryError> {
    let state = serde_json::to_vec(app).map_err(|error| corrupt(("app", "state"), app.id, error))?;
    let sql = "INSERT INTO app (id, tenant, display_name, service_principal, secret_sha256, state)
        VALUES (?1, ?2, ?3, ?4, '', ?5)
        ON CONFLICT DO UPDATE SET display_name = excluded.display_name, service_principal = excluded.service_principal,
        state = excluded.state";
    connection.prepare_cached(sql)?.execute(params![
        app.id.0.as_bytes(),
        app.tenant.0.as_bytes(),
        app.display_name,
        app.service_principal.0.as_bytes(),
        state,
    ])?;
    Ok(())
}

pub(super) fn remove_app(tx: &mut Tx<'_>, id: AppId) -> Result<App, DirectoryError> {
    let app = app(tx.connection, id)?.ok_or(DirectoryError::NoApp(id))?;
    if subscription::has_some(tx.connection, id)? {
        return Err(DirectoryError::Subscribed(id));
    }
    for sql in
        ["DELETE FROM consent WHERE app = ?1", "DELETE FROM redeemable WHERE app = ?1", "DELETE FROM app WHERE id = ?1"]
    {
        tx.connection.prepare_cached(sql)?.execute([id.0.as_bytes()])?;
    }
    Ok(app)
}

pub(super) fn check_app(connection: &Connection, id: AppId) -> Result<(), DirectoryError> {
    let found = connection.prepare_cached("SELECT 1 FROM app WHERE id = ?1")?.exists([id.0.as_bytes()])?;
    found.then_some(()).ok_or(DirectoryError::NoApp(id))
}

pub(super) fn apps(connection: &Connection, tenant: TenantId) -> Result<Vec<App>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, state FROM app WHERE tenant = ?1 ORDER BY id")?;
    let mut rows = statement.query([tenant.0.as_bytes()])?;
    let mut apps = Vec::new();
    while let Some(row) = rows.next()? {
        apps.push(read_app(row)?);
    }
    Ok(apps)
}

pub(super) fn app(connection: &Connection, id: AppId) -> Result<Option<App>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, state FROM app WHERE id = ?1")?;
    statement.query_row([id.0.as_bytes()], |row| Ok(read_app(row))).optional()?.transpose()
}

fn read_app(row: &Row<'_>) -> Result<App, StoreError> {
    let id = Uuid::from_bytes(cell(row, 0, ("app", "id"), "")?);
    let state: Vec<u8> = cell(row, 1, ("app", "state"), id)?;
    serde_json::from_slice(&state).map_err(|error| corrupt(("app", "state"), id, error))
}
