//! Attacks on the subscriptions of others, and by them on their mailboxes.

use super::*;

/// Tries all that can be done with a subscription; what it says stays unknown and it stays as it was.
async fn assert_unknown(world: &World, attacker: &Caller<'_>, owner: &Caller<'_>, path: &str) {
    let before = ok(owner.get(path).await, StatusCode::OK).json;
    let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(90),
                       "notificationUrl": "https://evil.example.net/"});
    for reply in [
        attacker.get(path).await,
        attacker.patch(path, later).await,
        attacker.delete(path).await,
        attacker.send("POST", &format!("{path}/reauthorize"), String::new()).await,
    ] {
        assert_eq!(reply.refusal(), NO_SUBSCRIPTION);
    }
    assert_eq!(owner.get(path).await.json, before);
}

#[tokio::test]
async fn taking_anothers_subscription_fails_for_another_user() {
    let world = World::new().await;
    let path = subscribe(&world, &world.adele(), "me/messages").await;
    assert_unknown(&world, &world.megan(), &world.adele(), &path).await;
    assert_eq!(listed(&world.megan()).await, 0);
}

#[tokio::test]
async fn taking_anothers_subscription_fails_for_another_app_of_the_same_user() {
    let world = World::new().await;
    let path = subscribe(&world, &world.megan(), "me/messages").await;
    let rival = rival(&world).await;
    let same = world.granted_to(&rival, &seed::users()[0], "Mail.ReadWrite Subscription.Read.All").await;
    assert_unknown(&world, &same, &world.megan(), &path).await;
    assert_eq!(listed(&same).await, 1, "Subscription.Read.All shows it in the list, and nothing else");
    assert_eq!(same.get("/v1.0/subscriptions").await.json["value"][0]["clientState"], Value::Null);
    let plain = world.granted_to(&rival, &seed::users()[0], "Mail.ReadWrite").await;
    assert_eq!(listed(&plain).await, 0);
}

#[tokio::test]
async fn another_apps_subscription_is_told_apart_where_the_profile_says_so() {
    let world = World::with(Profile::observed()).await;
    let path = subscribe(&world, &world.megan(), "me/messages").await;
    let told = |operation: &str| {
        format!(
            "401 ExtensionError: Operation: {operation}; Exception: [Status Code: Unauthorized; Reason: Unauthorized; \
             Message : Subscription does not belong to application.]"
        )
    };
    let rival = rival(&world).await;
    let same = world.granted_to(&rival, &seed::users()[0], "Mail.ReadWrite").await;
    assert_eq!(same.get(&path).await.refusal(), told("Read"));
    assert_eq!(same.patch(&path, json!({"notificationUrl": "https://evil.example/"})).await.refusal(), told("Update"));
    assert_eq!(same.delete(&path).await.refusal(), told("Delete"));
    // Neither another user of the app nor another tenant learns anything.
    assert_eq!(world.adele().get(&path).await.status, 404);
    let (robin, app) = fabrikam(&world).await;
    let robin = world.granted_to(&app, &robin, "Mail.ReadWrite").await;
    assert_eq!(robin.get(&path).await.status, 404);
    ok(world.megan().get(&path).await, StatusCode::OK);
}

#[tokio::test]
async fn taking_anothers_subscription_fails_from_another_tenant() {
    let world = World::new().await;
    let path = subscribe(&world, &world.megan(), "me/messages").await;
    let (robin, app) = fabrikam(&world).await;
    let robin = world.granted_to(&app, &robin, "Mail.ReadWrite Subscription.Read.All").await;
    assert_unknown(&world, &robin, &world.megan(), &path).await;
    let roles = world.roles(&app, &["Mail.ReadWrite", "User.Read.All"]).await;
    assert_unknown(&world, &roles, &world.megan(), &path).await;
    assert_eq!((listed(&robin).await, listed(&roles).await), (0, 0));
}

#[tokio::test]
async fn eavesdropping_by_a_subscription_to_anothers_mailbox_fails() {
    let world = World::new().await;
    let shared = "Mail.ReadWrite Mail.Read.Shared Calendars.Read Calendars.Read.Shared Contacts.Read.Shared";
    let megan = world.granted(&seed::users()[0], shared).await;
    for resource in [
        "users/adele@contoso.test/messages",
        "users/ADELE@contoso.test/mailFolders('inbox')/messages",
        "/users('adele@contoso.test')/events",
        "users/AAD-UPN:adele@contoso.test/messages",
    ] {
        assert_eq!(
            megan.post("/v1.0/subscriptions", wish(&world, resource)).await.refusal(),
            forbidden("Create"),
            "{resource}"
        );
    }
    assert_eq!(listed(&world.app()).await, 0);
}

#[tokio::test]
async fn a_subscription_needs_its_permission_for_everything_that_is_done_with_it() {
    let world = World::new().await;
    let user = seed::users().remove(0);
    let resources =
        [("me/messages", "Mail.ReadBasic"), ("me/events", "Calendars.Read"), ("me/contacts", "Contacts.Read")];
    let mut paths = Vec::new();
    for (resource, scope) in resources {
        let caller = world.granted(&user, scope).await;
        paths.push((subscribe(&world, &caller, resource).await, scope));
    }
    for (_, held) in resources {
        let caller = world.granted(&user, held).await;
        assert_eq!(listed(&caller).await, 1, "{held}");
        for (path, scope) in &paths {
            let expected = if held == *scope { 200 } else { 403 };
            assert_eq!(caller.get(path).await.status, expected, "{held}: {path}");
            let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(90)});
            assert_eq!(caller.patch(path, later).await.status, expected, "{held}: {path}");
            let reauthorized = caller.send("POST", &format!("{path}/reauthorize"), String::new()).await;
            assert_eq!(reauthorized.status == 204, held == *scope, "{held}: {path}");
            if held != *scope {
                assert_eq!(caller.delete(path).await.refusal(), forbidden("Delete"), "{held}: {path}");
            }
        }
    }
    let basic = world.granted(&user, "Calendars.ReadBasic").await;
    assert_eq!((listed(&basic).await, basic.get(&paths[1].0).await.status), (0, 403));
}

#[tokio::test]
async fn an_administrator_lists_what_the_whole_tenant_has_and_touches_nothing_of_it() {
    let world = World::new().await;
    let rival = rival(&world).await;
    let (robin, foreign) = fabrikam(&world).await;
    let of_adele = subscribe(&world, &world.granted_to(&rival, &adele(), "Mail.Read").await, "me/messages").await;
    subscribe(&world, &world.megan(), "me/messages").await;
    subscribe(&world, &world.granted_to(&foreign, &robin, "Mail.Read").await, "me/messages").await;
    let megan = world.granted(&seed::users()[0], "Subscription.Read.All").await;
    assert_eq!(listed(&megan).await, 1);
    let admin = megan.saying("wids", json!(["62e90394-69f5-4237-9190-012177145e10"]));
    assert_eq!(listed(&admin).await, 2);
    assert_eq!(admin.get(&of_adele).await.refusal(), NO_SUBSCRIPTION);
    assert_eq!(admin.delete(&of_adele).await.refusal(), NO_SUBSCRIPTION);
    let other = megan.saying("wids", json!(["fe930be7-5e62-47db-91af-98c3a49a38b1"]));
    assert_eq!(listed(&other).await, 1, "another role");
}
