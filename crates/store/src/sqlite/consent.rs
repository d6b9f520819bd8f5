//! What apps were granted: a row for each permission, with when it was granted last and revoked since.

use std::collections::BTreeSet;

use graph::{AppId, TenantId, Timestamp, UserId};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::directory::{check_app, check_tenant};
use super::error::{cell, corrupt};
use super::user::user;
use crate::{Consent, DirectoryError, Grant, Grantee, StoreError};

/// A grantee's two columns.
fn columns(grantee: &Grantee) -> (u8, &[u8]) {
    match grantee {
        Grantee::App => (0, &[]),
        Grantee::AllUsers => (1, &[]),
        Grantee::User(id) => (2, id.0.as_bytes()),
    }
}

/// Refuses a grantee that the tenant does not have.
pub(super) fn check(
    connection: &Connection,
    tenant: TenantId,
    app: AppId,
    grantee: Grantee,
) -> Result<(), DirectoryError> {
    check_tenant(connection, tenant)?;
    check_app(connection, app)?;
    match grantee {
        Grantee::User(id) if user(connection, id)?.is_none_or(|user| user.tenant != tenant) => {
            Err(DirectoryError::NoUser(id))
        }
        _ => Ok(()),
    }
}

pub(super) fn grant(connection: &Connection, grant: &Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
    let sql = "INSERT INTO consent (granted, tenant, app, grantee, user, permission) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET granted = excluded.granted, revoked = NULL WHERE revoked IS NOT NULL";
    write(connection, grant, at, sql)
}

pub(super) fn revoke(
    connection: &Connection,
    grant: &Grant,
    at: Timestamp,
) -> Result<BTreeSet<String>, DirectoryError> {
    let sql = "UPDATE consent SET revoked = ?1 WHERE tenant = ?2 AND app = ?3 AND grantee = ?4 AND user = ?5
        AND permission = ?6 AND revoked IS NULL";
    write(connection, grant, at, sql)
}

/// Runs a statement for each permission; returns those for which it wrote a row.
fn write(connection: &Connection, grant: &Grant, at: Timestamp, sql: &str) -> Result<BTreeSet<String>, DirectoryError> {
    check(connection, grant.tenant, grant.app, grant.grantee)?;
    let (grantee, user) = columns(&grant.grantee);
    let mut statement = connection.prepare_cached(sql)?;
    let mut written = BTreeSet::new();
    for permission in &grant.permissions {
        let (tenant, app) = (grant.tenant.0.as_bytes(), grant.app.0.as_bytes());
        if statement.execute(params![at.as_micros(), tenant, app, grantee, user, permission])? > 0 {
            written.insert(permission.clone());
        }
    }
    Ok(written)
}

pub(super) fn consents(connection: &Connection, tenant: TenantId, app: AppId) -> Result<Vec<Consent>, StoreError> {
    let sql = "SELECT grantee, user, permission, granted, revoked FROM consent WHERE tenant = ?1 AND app = ?2
        ORDER BY grantee, user, permission";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![tenant.0.as_bytes(), app.0.as_bytes()])?;
    let mut consents = Vec::new();
    while let Some(row) = rows.next()? {
        consents.push(read(row, tenant, app)?);
    }
    Ok(consents)
}

fn read(row: &Row<'_>, tenant: TenantId, app: AppId) -> Result<Consent, StoreError> {
    let grantee = match cell::<i64>(row, 0, ("consent", "grantee"), app)? {
        0 => Grantee::App,
        1 => Grantee::AllUsers,
        2 => Grantee::User(UserId(Uuid::from_bytes(cell(row, 1, ("consent", "user"), app)?))),
        other => return Err(corrupt(("consent", "grantee"), app, format!("{other} is no grantee"))),
    };
    Ok(Consent {
        tenant,
        app,
        grantee,
        permission: cell(row, 2, ("consent", "permission"), app)?,
        granted: Timestamp::from_micros(cell(row, 3, ("consent", "granted"), app)?),
        revoked: cell::<Option<i64>>(row, 4, ("consent", "revoked"), app)?.map(Timestamp::from_micros),
    })
}

pub(super) fn granted(
    connection: &Connection,
    (tenant, app): (TenantId, AppId),
    user: Option<UserId>,
) -> Result<BTreeSet<String>, StoreError> {
    let grantees = match user {
        None => vec![Grantee::App],
        Some(user) => vec![Grantee::AllUsers, Grantee::User(user)],
    };
    let sql = "SELECT permission FROM consent
        WHERE tenant = ?1 AND app = ?2 AND grantee = ?3 AND user = ?4 AND revoked IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let mut granted = BTreeSet::new();
    for grantee in &grantees {
        let (grantee, user) = columns(grantee);
        let mut rows = statement.query(params![tenant.0.as_bytes(), app.0.as_bytes(), grantee, user])?;
        while let Some(row) = rows.next()? {
            granted.insert(cell(row, 0, ("consent", "permission"), app)?);
        }
    }
    Ok(granted)
}
