//! The tenant that `tidings dev` starts with. Its ids are fixed, so that scripts can rely on them.

use aws_lc_rs::digest::{SHA256, digest};
use graph::{AppId, TenantId, UserId};
use store::{App, Store, StoreError, Tenant, User};
use uuid::Uuid;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x84bd8158_6d4d_4958_8b9f_9d6445542f95));
pub const DOMAIN: &str = "contoso.test";
pub const APP: AppId = AppId(Uuid::from_u128(0x507c3b9a_67b8_463d_88a2_15a8cefb2111));
pub const APP_NAME: &str = "Tidings sample app";
pub const APP_SECRET: &str = "secret";
pub const SERVICE_PRINCIPAL: UserId = UserId(Uuid::from_u128(0x1f0c6a52_94f4_4b47_9d0e_5f5bb0a3e6d1));

/// Id, name before the `@`, display name.
const USERS: [(u128, &str, &str); 5] = [
    (0x622eaaff_0683_4862_9de4_f2ec83c2bd98, "megan", "Megan Bowen"),
    (0x2804bc07_1e1f_4938_9085_ce6d756a32d2, "adele", "Adele Vance"),
    (0xa81f6b1c_0f3f_4d5e_9f0b_6d2a6a3b7c14, "alex", "Alex Wilber"),
    (0xd2f7b1c9_4a53_4c02_8c36_70e3c5e5a7f8, "diego", "Diego Siciliani"),
    (0x5bde3e51_d13b_4db1_9948_fe4b109d11a7, "nestor", "Nestor Wilke"),
];

pub fn tenant() -> Tenant {
    Tenant { id: TENANT, domain: DOMAIN.to_owned() }
}

/// Megan first.
pub fn users() -> Vec<User> {
    let user = |(id, name, display_name): (u128, &str, &str)| User {
        id: UserId(Uuid::from_u128(id)),
        tenant: TENANT,
        upn: format!("{name}@{DOMAIN}"),
        display_name: display_name.to_owned(),
    };
    USERS.into_iter().map(user).collect()
}

pub fn app() -> App {
    App {
        id: APP,
        tenant: TENANT,
        display_name: APP_NAME.to_owned(),
        service_principal: SERVICE_PRINCIPAL,
        secret_sha256: sha256_hex(APP_SECRET),
    }
}

/// SHA-256 as lower-case hexadecimal: how secrets that apps present are kept.
pub fn sha256_hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds what is not there yet; mailboxes that exist keep what they hold.
pub async fn plant(store: &dyn Store) -> Result<(), StoreError> {
    if !store.tenants().await?.iter().any(|known| known.id == TENANT) {
        store.put_tenant(tenant()).await?;
    }
    for user in users() {
        if store.user(user.id).await?.is_none() {
            store.put_user(user).await?;
        }
    }
    if store.app(APP).await?.is_none() {
        store.put_app(app()).await?;
    }
    Ok(())
}
