//! What apps were granted, and what they redeem for tokens.

use std::collections::BTreeSet;

use graph::{AppId, TenantId, UserId};
use tidings_store::{
    App, Challenge, Consent, DirectoryError, Grant, Grantee, Redeemable, RedeemableHash, RedeemableKind, Redeemed,
    Tenant, User,
};
use uuid::Uuid;

use crate::World;
use crate::support::*;

const APP: AppId = AppId(Uuid::from_u128(0xa));
const OTHER: TenantId = TenantId(Uuid::from_u128(0x7f));

async fn with_app(world: &World) {
    world.store.add_app(App::new(APP, TENANT, "an app", NOBODY)).await.unwrap();
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn grant(grantee: Grantee, permissions: &[&str]) -> Grant {
    Grant { tenant: TENANT, app: APP, grantee, permissions: names(permissions) }
}

/// Megan's code number `number`, good for ten seconds.
fn code(number: u8, issued: i64) -> Redeemable {
    let challenge = Some(Challenge::S256("challenge".to_owned()));
    Redeemable {
        hash: RedeemableHash([number; 32]),
        kind: RedeemableKind::Code { redirect_uri: "http://localhost".to_owned(), challenge, nonce: None },
        session: Uuid::from_u128(u128::from(number)),
        tenant: TENANT,
        app: APP,
        user: MEGAN,
        scopes: names(&["Mail.Read"]),
        issued: at(issued),
        expires: at(issued + 10),
    }
}

impl World {
    async fn redeem(&self, number: u8, second: i64) -> Option<Redeemed> {
        self.store.redeem(APP, RedeemableHash([number; 32]), at(second), at(second + 3)).await.unwrap()
    }
}

pub async fn a_permission_stands_from_its_grant_to_its_revocation(world: World) {
    with_app(&world).await;
    let (grant, both) = (grant(Grantee::AllUsers, &["Mail.Read", "Mail.Send"]), names(&["Mail.Read", "Mail.Send"]));
    assert_eq!(world.store.grant(grant.clone(), at(1)).await, Ok(both.clone()));
    assert_eq!(world.store.grant(grant.clone(), at(2)).await, Ok(names(&[])));
    assert_eq!(world.store.granted(TENANT, APP, Some(MEGAN)).await, Ok(both));

    let sending = Grant { permissions: names(&["Mail.Send", "Files.Read"]), ..grant };
    assert_eq!(world.store.revoke(sending.clone(), at(3)).await, Ok(names(&["Mail.Send"])));
    assert_eq!(world.store.revoke(sending.clone(), at(4)).await, Ok(names(&[])));
    assert_eq!(world.store.granted(TENANT, APP, Some(MEGAN)).await, Ok(names(&["Mail.Read"])));
    let consent = |permission: &str, granted, revoked: Option<i64>| Consent {
        tenant: TENANT,
        app: APP,
        grantee: Grantee::AllUsers,
        permission: permission.to_owned(),
        granted: at(granted),
        revoked: revoked.map(at),
    };
    let all = vec![consent("Mail.Read", 1, None), consent("Mail.Send", 1, Some(3))];
    assert_eq!(world.store.consents(TENANT, APP).await, Ok(all));

    let again = Grant { permissions: names(&["Mail.Send"]), ..sending };
    assert_eq!(world.store.grant(again, at(5)).await, Ok(names(&["Mail.Send"])));
    let all = vec![consent("Mail.Read", 1, None), consent("Mail.Send", 5, None)];
    assert_eq!(world.store.consents(TENANT, APP).await, Ok(all));
}

pub async fn scopes_and_roles_are_kept_apart(world: World) {
    with_app(&world).await;
    for (grantee, permission) in
        [(Grantee::App, "Mail.Read"), (Grantee::AllUsers, "User.Read"), (Grantee::User(MEGAN), "Mail.Send")]
    {
        world.store.grant(grant(grantee, &[permission]), at(1)).await.unwrap();
    }
    let granted = async |user: Option<UserId>| world.store.granted(TENANT, APP, user).await.unwrap();
    assert_eq!(granted(None).await, names(&["Mail.Read"]));
    assert_eq!(granted(Some(MEGAN)).await, names(&["Mail.Send", "User.Read"]));
    assert_eq!(granted(Some(ADELE)).await, names(&["User.Read"]));
    assert_eq!(world.store.granted(OTHER, APP, None).await, Ok(names(&[])));
    assert_eq!(world.store.consents(OTHER, APP).await, Ok(vec![]));
}

pub async fn a_grant_needs_whom_it_names(world: World) {
    let mail = grant(Grantee::User(MEGAN), &["Mail.Read"]);
    assert_eq!(world.store.grant(mail.clone(), at(1)).await, Err(DirectoryError::NoApp(APP)));
    with_app(&world).await;
    let elsewhere = Grant { tenant: OTHER, ..mail.clone() };
    assert_eq!(world.store.grant(elsewhere.clone(), at(1)).await, Err(DirectoryError::NoTenant(OTHER)));
    world.store.add_tenant(Tenant { id: OTHER, domain: "fabrikam.test".to_owned() }).await.unwrap();
    assert_eq!(world.store.grant(elsewhere, at(1)).await, Err(DirectoryError::NoUser(MEGAN)));
    let nobodys = Grant { grantee: Grantee::User(NOBODY), ..mail };
    assert_eq!(world.store.revoke(nobodys, at(1)).await, Err(DirectoryError::NoUser(NOBODY)));
}

pub async fn a_code_is_redeemed_once(world: World) {
    with_app(&world).await;
    world.store.put_redeemable(code(1, 0)).await.unwrap();
    assert_eq!(world.redeem(2, 1).await, None);
    assert_eq!(world.redeem(1, 1).await, Some(Redeemed { redeemable: code(1, 0), before: None }));
    assert_eq!(world.redeem(1, 2).await, Some(Redeemed { redeemable: code(1, 0), before: Some(at(1)) }));
    assert_eq!(world.redeem(1, 3).await.unwrap().before, Some(at(1)));
}

pub async fn what_is_redeemed_is_remembered_as_long_as_asked(world: World) {
    with_app(&world).await;
    world.store.put_redeemable(code(1, 0)).await.unwrap();
    assert_eq!(world.redeem(1, 5).await.unwrap().before, None);
    assert!(world.redeem(1, 7).await.is_some());
    assert_eq!(world.redeem(1, 8).await, None);

    world.store.put_redeemable(code(2, 0)).await.unwrap();
    assert_eq!(world.redeem(2, 9).await.unwrap().before, None);
    assert_eq!(world.redeem(2, 10).await, None, "it expires all the same");
}

pub async fn another_app_redeems_nothing(world: World) {
    with_app(&world).await;
    world.store.put_redeemable(code(1, 0)).await.unwrap();
    let other = AppId(Uuid::from_u128(0xb));
    assert_eq!(world.store.redeem(other, code(1, 0).hash, at(1), at(2)).await, Ok(None));
    assert_eq!(world.redeem(1, 1).await.unwrap().before, None);
}

pub async fn what_is_over_is_forgotten(world: World) {
    with_app(&world).await;
    for number in 1..=20 {
        world.store.put_redeemable(code(number, i64::from(number))).await.unwrap();
    }
    for number in 1..=10 {
        assert_eq!(world.redeem(number, 20).await, None);
    }
    for number in 11..=20 {
        assert_eq!(world.redeem(number, 20).await.unwrap().before, None);
    }
}

pub async fn ended_sessions_take_what_was_issued_before(world: World) {
    with_app(&world).await;
    for number in 1..=3 {
        world.store.put_redeemable(code(number, i64::from(number))).await.unwrap();
    }
    let follower = Redeemable { kind: RedeemableKind::RefreshToken, session: code(3, 3).session, ..code(4, 4) };
    world.store.put_redeemable(follower).await.unwrap();
    let megan = user(MEGAN, "Megan@contoso.test");
    let reset = User { sessions_valid_from: at(2), ..megan.clone() };
    world.store.replace_user(megan, reset).await.unwrap();
    assert_eq!(world.redeem(1, 5).await, None);
    assert!(world.redeem(2, 5).await.is_some());
    world.store.end_session(code(3, 3).session).await.unwrap();
    assert_eq!((world.redeem(3, 5).await, world.redeem(4, 5).await), (None, None));
    assert!(world.redeem(2, 5).await.is_some());
}

pub async fn users_and_apps_take_what_is_theirs_along(world: World) {
    with_app(&world).await;
    world.store.grant(grant(Grantee::User(MEGAN), &["Mail.Read"]), at(1)).await.unwrap();
    world.store.grant(grant(Grantee::AllUsers, &["User.Read"]), at(1)).await.unwrap();
    let adeles = Redeemable { user: ADELE, ..code(2, 0) };
    for redeemable in [code(1, 0), adeles] {
        world.store.put_redeemable(redeemable).await.unwrap();
    }
    world.store.remove_user(MEGAN).await.unwrap();
    assert_eq!(world.store.granted(TENANT, APP, Some(MEGAN)).await, Ok(names(&["User.Read"])));
    assert_eq!(world.redeem(1, 1).await, None);
    assert_eq!(world.store.put_redeemable(code(3, 0)).await, Err(DirectoryError::NoUser(MEGAN)));

    world.store.remove_app(APP).await.unwrap();
    assert_eq!(world.store.consents(TENANT, APP).await, Ok(vec![]));
    assert_eq!(world.redeem(2, 1).await, None);
}
