//! Tenants, users and apps.

use graph::AppId;
use tidings_store::{App, Tenant};
use uuid::Uuid;

use crate::World;
use crate::support::*;

pub async fn a_user_is_found_by_address_in_any_case(world: World) {
    let megan = user(MEGAN, "Megan@contoso.test");
    assert_eq!(world.store.user_by_address("mEGAN@CONTOSO.test").await, Ok(Some(megan.clone())));
    assert_eq!(world.store.user(MEGAN).await, Ok(Some(megan)));
    assert_eq!(world.store.user_by_address("megan").await, Ok(None));
    let upns: Vec<String> = world.store.users(TENANT).await.unwrap().into_iter().map(|user| user.upn).collect();
    assert_eq!(upns, ["adele@contoso.test", "Megan@contoso.test", "neighbour@contoso.test"]);
}

pub async fn a_replaced_user_keeps_the_mailbox(world: World) {
    let item = message(MEGAN, 1, 1);
    world.store.commit(create(&item)).await.unwrap();
    world.store.put_user(user(MEGAN, "megan.b@contoso.test")).await.unwrap();
    assert_eq!(world.store.user_by_address("megan@contoso.test").await, Ok(None));
    assert_eq!(world.store.item(MEGAN, item.id).await, Ok(Some(item)));
    assert_eq!(world.store.folder(MEGAN, inbox(MEGAN)).await.unwrap().unwrap().total, 1);
}

pub async fn apps_and_tenants_read_back(world: World) {
    let app = App {
        id: AppId(Uuid::from_u128(3)),
        tenant: TENANT,
        display_name: "an app".to_owned(),
        service_principal: NOBODY,
        secret_sha256: "00".to_owned(),
    };
    world.store.put_app(app.clone()).await.unwrap();
    assert_eq!(world.store.app(app.id).await, Ok(Some(app)));
    assert_eq!(world.store.app(AppId(Uuid::nil())).await, Ok(None));
    assert_eq!(world.store.tenants().await, Ok(vec![Tenant { id: TENANT, domain: "contoso.test".to_owned() }]));
}
