//! What identity needs: who may sign in, what apps prove themselves with, what they were granted, and what
//! they redeem for tokens.

use graph::{AppId, TenantId, Timestamp, UserId};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use crate::{App, Credential, CredentialKind};

/// The end of the last year that times are written in, in seconds. Secrets did not expire before.
const NEVER: i64 = 253_402_207_200;

const TABLES: &str = "
    ALTER TABLE user ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE user ADD COLUMN sessions_valid_from INTEGER NOT NULL DEFAULT 0;

    -- Users whose mailboxes are being taken away, in parts.
    CREATE TABLE removed_mailbox (mailbox BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

    ALTER TABLE app ADD COLUMN state BLOB; -- JSON; secret_sha256 is empty since
    CREATE INDEX app_by_tenant ON app (tenant, id);

    CREATE TABLE consent (
        tenant BLOB NOT NULL,
        app BLOB NOT NULL,
        grantee INTEGER NOT NULL, -- 0: the app itself, 1: all users, 2: one user
        user BLOB NOT NULL, -- empty unless it is one user
        permission TEXT NOT NULL,
        granted INTEGER NOT NULL,
        revoked INTEGER,
        PRIMARY KEY (tenant, app, grantee, user, permission)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX consent_by_app ON consent (app);
    CREATE INDEX consent_by_user ON consent (user) WHERE grantee = 2;

    CREATE TABLE redeemable (
        hash BLOB PRIMARY KEY,
        app BLOB NOT NULL,
        user BLOB NOT NULL,
        session BLOB NOT NULL,
        issued INTEGER NOT NULL,
        over_at INTEGER NOT NULL,
        redeemed INTEGER,
        state BLOB NOT NULL -- JSON
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX redeemable_by_app ON redeemable (app);
    CREATE INDEX redeemable_by_user ON redeemable (user, issued);
    CREATE INDEX redeemable_by_session ON redeemable (session);
    CREATE INDEX redeemable_by_end ON redeemable (over_at);
";

pub(super) fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    fill_apps(transaction)
}

/// An app's only secret becomes its first credential.
fn fill_apps(connection: &Connection) -> rusqlite::Result<()> {
    let mut read = connection.prepare("SELECT id, tenant, display_name, service_principal, secret_sha256 FROM app")?;
    let mut write = connection.prepare("UPDATE app SET state = ?2, secret_sha256 = '' WHERE id = ?1")?;
    let mut rows = read.query(())?;
    while let Some(row) = rows.next()? {
        let uuid = |column: usize| row.get(column).map(Uuid::from_bytes);
        let (id, display_name): (Uuid, String) = (uuid(0)?, row.get(2)?);
        let secret = Credential {
            id,
            expires: Timestamp::from_seconds(NEVER),
            kind: CredentialKind::Secret { hint: String::new(), sha256: row.get(4)? },
        };
        let mut app = App::new(AppId(id), TenantId(uuid(1)?), display_name, UserId(uuid(3)?));
        app.credentials.push(secret);
        let state = serde_json::to_vec(&app);
        let state = state.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        write.execute((id.as_bytes(), state))?;
    }
    Ok(())
}
