//! Tenants, users and apps.

use graph::{AppId, Kind, Partition, TenantId, UserId};
use tidings_store::{
    App, BeginError, CommitError, Credential, CredentialKind, DeltaPlace, DeltaQuery, DirectoryError, Revision, Tenant,
    TokenVersion, User,
};
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
    let (before, after) = (user(MEGAN, "Megan@contoso.test"), user(MEGAN, "megan.b@contoso.test"));
    world.store.replace_user(before, after).await.unwrap();
    assert_eq!(world.store.user_by_address("megan@contoso.test").await, Ok(None));
    assert_eq!(world.store.item(MEGAN, item.id).await, Ok(Some(item)));
    assert_eq!(world.store.folder(MEGAN, inbox(MEGAN)).await.unwrap().unwrap().total, 1);
}

pub async fn a_domain_and_an_address_are_had_once(world: World) {
    let other = TenantId(Uuid::from_u128(0x7f));
    let tenant = |id, domain: &str| Tenant { id, domain: domain.to_owned() };
    let taken = DirectoryError::DomainTaken("contoso.test".to_owned());
    assert_eq!(world.store.add_tenant(tenant(other, "contoso.test")).await, Err(taken));
    assert_eq!(world.store.add_tenant(tenant(TENANT, "other.test")).await, Err(DirectoryError::IdTaken(TENANT.0)));
    world.store.add_tenant(tenant(other, "fabrikam.test")).await.unwrap();

    let taken = DirectoryError::AddressTaken("MEGAN@contoso.test".to_owned());
    let twin = User::new(NOBODY, other, "MEGAN@contoso.test", "another Megan");
    assert_eq!(world.store.add_user(twin).await, Err(taken.clone()));
    let (adele, twin) = (user(ADELE, "adele@contoso.test"), user(ADELE, "MEGAN@contoso.test"));
    assert_eq!(world.store.replace_user(adele.clone(), twin).await, Err(taken));
    assert_eq!(world.store.add_user(adele).await, Err(DirectoryError::IdTaken(ADELE.0)));
}

pub async fn users_and_apps_need_their_tenant(world: World) {
    let none = TenantId(Uuid::from_u128(0x7f));
    let lost = User::new(NOBODY, none, "a@fabrikam.test", "a");
    assert_eq!(world.store.add_user(lost).await, Err(DirectoryError::NoTenant(none)));
    let app = App::new(AppId(Uuid::from_u128(3)), none, "an app", NOBODY);
    assert_eq!(world.store.add_app(app).await, Err(DirectoryError::NoTenant(none)));
}

pub async fn what_changed_meanwhile_is_not_replaced(world: World) {
    let megan = user(MEGAN, "Megan@contoso.test");
    let disabled = User { enabled: false, ..megan.clone() };
    let reset = User { sessions_valid_from: at(1), ..megan.clone() };
    assert_eq!(world.store.replace_user(megan.clone(), disabled.clone()).await, Ok(()));
    assert_eq!(world.store.replace_user(megan, reset).await, Err(DirectoryError::Changed));
    assert_eq!(world.store.user(MEGAN).await, Ok(Some(disabled)));
    let nobody = user(NOBODY, "nobody@contoso.test");
    assert_eq!(world.store.replace_user(nobody.clone(), nobody).await, Err(DirectoryError::NoUser(NOBODY)));

    let app = App::new(AppId(Uuid::from_u128(3)), TENANT, "an app", NOBODY);
    let v2 = App { access_token_version: TokenVersion::V2, ..app.clone() };
    assert_eq!(world.store.replace_app(app.clone(), v2.clone()).await, Err(DirectoryError::NoApp(app.id)));
    world.store.add_app(app.clone()).await.unwrap();
    assert_eq!(world.store.replace_app(app.clone(), v2.clone()).await, Ok(()));
    assert_eq!(world.store.replace_app(app.clone(), app.clone()).await, Err(DirectoryError::Changed));
    assert_eq!(world.store.app(app.id).await, Ok(Some(v2)));
    assert_eq!(world.store.add_app(app.clone()).await, Err(DirectoryError::IdTaken(app.id.0)));
}

pub async fn a_removed_user_leaves_nothing(world: World) {
    let megan = user(MEGAN, "Megan@contoso.test");
    let items: Vec<_> = (1..=3).map(|number| message(MEGAN, number, 1)).collect();
    for item in &items {
        world.store.commit(create(item)).await.unwrap();
    }
    world.store.commit(delete(&items[0])).await.unwrap();
    assert_eq!(world.store.remove_user(MEGAN).await, Ok(megan.clone()));
    assert_eq!(world.store.remove_user(MEGAN).await, Err(DirectoryError::NoUser(MEGAN)));

    assert_eq!(world.store.user(MEGAN).await, Ok(None));
    assert_eq!(world.store.user_by_address("megan@contoso.test").await, Ok(None));
    assert_eq!(world.store.item(MEGAN, items[1].id).await, Ok(None));
    assert_eq!(world.store.folders(MEGAN).await, Ok(vec![]));
    assert_eq!(world.store.commit(create(&items[0])).await, Err(CommitError::NoMailbox(MEGAN)));
    let begun = world.store.begin_subscription(subscription(1, MEGAN).into(), ROOMY).await;
    assert_eq!(begun, Err(BeginError::NoMailbox(MEGAN)));

    world.store.add_user(megan).await.unwrap();
    let place = DeltaPlace::Items(Kind::Message, None);
    let query = DeltaQuery { mailbox: MEGAN, place, since: Revision(0), removals_since: Revision(0), limit: 10 };
    assert_eq!(world.store.delta(query).await.unwrap().entries, vec![]);
    assert_eq!(world.store.folder(MEGAN, inbox(MEGAN)).await.unwrap().unwrap().total, 0);
}

pub async fn the_removed_users_neighbours_keep_theirs(world: World) {
    assert_eq!(Partition::of(MEGAN), Partition::of(NEIGHBOUR));
    let neighbours: UserId = NEIGHBOUR;
    world.store.commit(create(&message(MEGAN, 1, 1))).await.unwrap();
    world.store.commit(create(&message(neighbours, 2, 1))).await.unwrap();
    world.store.remove_user(MEGAN).await.unwrap();
    assert_eq!(world.store.folder(neighbours, inbox(neighbours)).await.unwrap().unwrap().total, 1);
    assert_eq!(world.store.item(neighbours, item_id(2)).await, Ok(Some(message(neighbours, 2, 1))));
}

pub async fn apps_and_tenants_read_back(world: World) {
    let secret = CredentialKind::Secret { hint: "abc".to_owned(), sha256: "00".to_owned() };
    let (sha1, sha256) = ("01".to_owned(), "02".to_owned());
    let certificate = CredentialKind::Certificate { der: vec![0x30, 0x82, 0xff], sha1, sha256 };
    let credential = |id, kind| Credential { id: Uuid::from_u128(id), expires: at(1), kind };
    let app = App {
        enabled: false,
        redirect_uris: vec!["http://localhost".to_owned()],
        public_client: true,
        access_token_version: TokenVersion::V2,
        credentials: vec![credential(1, secret), credential(2, certificate)],
        mailboxes: Some([MEGAN].into()),
        ..App::new(AppId(Uuid::from_u128(3)), TENANT, "an app", NOBODY)
    };
    world.store.add_app(app.clone()).await.unwrap();
    assert_eq!(world.store.app(app.id).await, Ok(Some(app.clone())));
    assert_eq!(world.store.app(AppId(Uuid::nil())).await, Ok(None));
    assert_eq!(world.store.apps(TENANT).await, Ok(vec![app.clone()]));
    assert_eq!(world.store.apps(TenantId(Uuid::nil())).await, Ok(vec![]));
    assert_eq!(world.store.remove_app(app.id).await, Ok(app.clone()));
    assert_eq!(world.store.remove_app(app.id).await, Err(DirectoryError::NoApp(app.id)));
    assert_eq!(world.store.tenants().await, Ok(vec![Tenant { id: TENANT, domain: "contoso.test".to_owned() }]));
}
