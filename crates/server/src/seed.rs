//! What `tidings dev` starts with: a tenant, a personal account and an app. The ids are fixed, so that
//! scripts can rely on them.

use graph::{AppId, TenantId, Timestamp, UserId};
use store::{App, Credential, CredentialKind, DirectoryError, Grant, Grantee, Store, Tenant, User};
use uuid::Uuid;

use crate::directory::sha256_hex;
use crate::identity::{ROLES, SCOPES};

pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x84bd8158_6d4d_4958_8b9f_9d6445542f95));
pub const DOMAIN: &str = "contoso.test";
/// The domain of personal accounts.
pub const PERSONAL_DOMAIN: &str = "personal.test";
pub const APP: AppId = AppId(Uuid::from_u128(0x507c3b9a_67b8_463d_88a2_15a8cefb2111));
pub const APP_NAME: &str = "Tidings sample app";
/// The only secret that anybody can guess; `dev` alone has it.
pub const APP_SECRET: &str = "secret";
pub const SERVICE_PRINCIPAL: UserId = UserId(Uuid::from_u128(0x1f0c6a52_94f4_4b47_9d0e_5f5bb0a3e6d1));

const APP_SECRET_ID: Uuid = Uuid::from_u128(0xb8e4a1d3_52c6_4f0e_9a37_6d1f20c8e5b4);
/// The end of the year 9999, in seconds.
const APP_SECRET_EXPIRES: i64 = 253_402_207_200;
/// Where sample programs expect their codes.
const REDIRECT_URIS: [&str; 4] =
    ["http://localhost", "http://localhost/callback", "http://localhost/redirect", "http://localhost/auth/redirect"];

/// Id, name before the `@`, display name.
const USERS: [(u128, &str, &str); 5] = [
    (0x622eaaff_0683_4862_9de4_f2ec83c2bd98, "megan", "Megan Bowen"),
    (0x2804bc07_1e1f_4938_9085_ce6d756a32d2, "adele", "Adele Vance"),
    (0xa81f6b1c_0f3f_4d5e_9f0b_6d2a6a3b7c14, "alex", "Alex Wilber"),
    (0xd2f7b1c9_4a53_4c02_8c36_70e3c5e5a7f8, "diego", "Diego Siciliani"),
    (0x5bde3e51_d13b_4db1_9948_fe4b109d11a7, "nestor", "Nestor Wilke"),
];
const PERSONAL_USER: UserId = UserId(Uuid::from_u128(0x00000000_0000_0000_5c8d_2fa1b07e4963));

pub fn tenant() -> Tenant {
    Tenant { id: TENANT, domain: DOMAIN.to_owned() }
}

/// The tenant of personal accounts.
pub fn consumers() -> Tenant {
    Tenant { id: TenantId::CONSUMERS, domain: PERSONAL_DOMAIN.to_owned() }
}

/// The users of the tenant, Megan first.
pub fn users() -> Vec<User> {
    let user = |(id, name, display_name): (u128, &str, &str)| {
        User::new(UserId(Uuid::from_u128(id)), TENANT, format!("{name}@{DOMAIN}"), display_name)
    };
    USERS.into_iter().map(user).collect()
}

/// A personal account.
pub fn personal_user() -> User {
    User::new(PERSONAL_USER, TenantId::CONSUMERS, format!("lynne@{PERSONAL_DOMAIN}"), "Lynne Robbins")
}

pub fn app() -> App {
    let secret = Credential {
        id: APP_SECRET_ID,
        expires: Timestamp::from_seconds(APP_SECRET_EXPIRES),
        kind: CredentialKind::Secret { hint: APP_SECRET[..3].to_owned(), sha256: sha256_hex(APP_SECRET) },
    };
    App {
        redirect_uris: REDIRECT_URIS.map(str::to_owned).to_vec(),
        public_client: true,
        credentials: vec![secret],
        ..App::new(APP, TENANT, APP_NAME, SERVICE_PRINCIPAL)
    }
}

/// What the app may do: for itself in the tenant, and for everybody.
fn grants() -> [Grant; 3] {
    let grant = |tenant, grantee, permissions: &[&str]| Grant {
        tenant,
        app: APP,
        grantee,
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
    };
    let scopes: Vec<&str> = SCOPES.split(' ').collect();
    [
        grant(TENANT, Grantee::App, &ROLES),
        grant(TENANT, Grantee::AllUsers, &scopes),
        grant(TenantId::CONSUMERS, Grantee::AllUsers, &scopes),
    ]
}

/// Adds what is not there yet; mailboxes that exist keep what they hold, and what was revoked stays so.
pub async fn plant(store: &dyn Store, now: Timestamp) -> Result<(), DirectoryError> {
    let known = store.tenants().await?;
    for tenant in [tenant(), consumers()] {
        if !known.iter().any(|known| known.id == tenant.id) {
            store.add_tenant(tenant).await?;
        }
    }
    for user in users().into_iter().chain([personal_user()]) {
        if store.user(user.id).await?.is_none() {
            store.add_user(user).await?;
        }
    }
    if store.app(APP).await?.is_none() {
        store.add_app(app()).await?;
    }
    for grant in grants() {
        let given = store.consents(grant.tenant, APP).await?;
        if !given.iter().any(|consent| consent.grantee == grant.grantee) {
            store.grant(grant, now).await?;
        }
    }
    Ok(())
}
