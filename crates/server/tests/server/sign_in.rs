//! The pages where a person says who signs in.

use http::StatusCode;
use store::{App, Grantee, User};
use tidings_server::seed;

use crate::issuer::{REDIRECT, authorize, change_app, change_megan, form, led, redeem, revoke};
use crate::world::{Reply, World, ok};

/// The cookie of a page and the token in its form.
pub fn csrf(page: &Reply) -> (String, String) {
    let cookie = page.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let token = cookie.split_once('=').map_or("", |(_, token)| token).to_owned();
    assert!(text(page).contains(&format!("value=\"{token}\"")), "{}", text(page));
    (cookie, token)
}

fn text(page: &Reply) -> String {
    String::from_utf8_lossy(&page.body).into_owned()
}

/// Chooses on a page that was shown.
async fn choose(world: &World, path: &str, page: &Reply, pairs: &[(&str, &str)]) -> Reply {
    let (cookie, token) = csrf(page);
    let mut pairs = pairs.to_vec();
    pairs.push(("csrf", &token));
    world.stranger().with("cookie", cookie).send("POST", path, form(&pairs)).await
}

#[tokio::test]
async fn the_page_lists_the_users_and_one_click_signs_in() {
    let world = World::new().await;
    let path = authorize("common", &[("scope", "Mail.Read openid")]);
    let page = world.stranger().get(&path).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for name in ["Megan Bowen", "adele@contoso.test", "Lynne Robbins", "Tidings sample app", "Mail.Read"] {
        assert!(text(&page).contains(name), "{name}");
    }
    let adele = seed::users()[1].id.to_string();
    let done = choose(&world, &path, &page, &[("user", &adele)]).await;
    assert_eq!(done.status, 302);
    assert!(done.header("location").starts_with(&format!("{REDIRECT}?code=")), "{}", done.header("location"));
    assert_eq!(led(&done, "state").as_deref(), Some("s-1"));
    let given = ok(redeem(&world, &led(&done, "code").unwrap()).await, StatusCode::OK);
    let me = world.bearer(&format!("Bearer {}", given.text("/access_token"))).get("/v1.0/me").await;
    assert_eq!(me.status, 403, "User.Read was not asked for");
}

#[tokio::test]
async fn choosing_somebody_is_consent_on_a_development_server() {
    let world = World::new().await;
    revoke(&world, Grantee::AllUsers, "Mail.ReadWrite").await;
    let hint = [("scope", "Mail.ReadWrite Notes.Read"), ("prompt", "none"), ("login_hint", "MEGAN@contoso.test")];
    let done = world.stranger().get(&authorize("contoso.test", &hint)).await;
    let given = ok(redeem(&world, &led(&done, "code").unwrap()).await, StatusCode::OK);
    assert_eq!(given.text("/scope"), "Mail.ReadWrite Notes.Read");
    let granted = world.state.store.granted(seed::TENANT, seed::APP, Some(seed::users()[0].id)).await.unwrap();
    assert!(granted.contains("Mail.ReadWrite") && granted.contains("Notes.Read"));
    let others = world.state.store.granted(seed::TENANT, seed::APP, Some(seed::users()[1].id)).await.unwrap();
    assert!(!others.contains("Mail.ReadWrite"));
}

#[tokio::test]
async fn an_answer_goes_back_in_the_mode_that_was_asked_for() {
    let world = World::new().await;
    let hint = [("scope", "openid"), ("prompt", "none"), ("login_hint", "megan@contoso.test")];
    let with = |more: &[(&'static str, &'static str)]| authorize("common", &[&hint, more].concat());
    let fragment = world.stranger().get(&with(&[("response_mode", "fragment")])).await;
    assert!(fragment.header("location").starts_with(&format!("{REDIRECT}#code=")));
    let posted = world.stranger().get(&with(&[("response_mode", "form_post")])).await;
    let page = text(&posted);
    assert!(posted.status == 200 && page.contains(&format!("action=\"{REDIRECT}\"")) && page.contains("name=\"code\""));
    assert!(posted.header("content-security-policy").contains("form-action 'self' http://localhost:4711;"));
    let hybrid = world.stranger().get(&with(&[("response_type", "code id_token")])).await;
    assert!(led(&hybrid, "id_token").is_some() && led(&hybrid, "code").is_some());
}

#[tokio::test]
async fn what_the_app_may_know_goes_back_to_it() {
    let world = World::new().await;
    let error = async |more: &[(&str, &str)]| {
        let done = world.stranger().get(&authorize("common", more)).await;
        (done.status, led(&done, "error").unwrap_or_default(), led(&done, "state").unwrap_or_default())
    };
    let told = |error: &str| (302, error.to_owned(), "s-1".to_owned());
    assert_eq!(error(&[("scope", "openid"), ("prompt", "none")]).await, told("login_required"));
    let hint = ("login_hint", "nobody@contoso.test");
    assert_eq!(error(&[("scope", "openid"), ("prompt", "none"), hint]).await, told("login_required"));
    assert_eq!(error(&[("scope", "")]).await, told("invalid_request"));
    assert_eq!(error(&[("scope", "api://x/y")]).await, told("invalid_resource"));
    assert_eq!(error(&[("scope", "openid"), ("response_type", "token")]).await, told("unsupported_response_type"));
    change_megan(&world, |megan| User { enabled: false, ..megan }).await;
    let hint = ("login_hint", "megan@contoso.test");
    assert_eq!(error(&[("scope", "openid"), ("prompt", "none"), hint]).await, told("login_required"));
    let path = authorize("common", &[("scope", "openid")]);
    let page = world.stranger().get(&path).await;
    assert!(!text(&page).contains("Megan"));
    let cancelled = choose(&world, &path, &page, &[("cancel", "1")]).await;
    assert_eq!(led(&cancelled, "error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn open_redirect_to_a_place_that_is_not_registered_fails() {
    let world = World::new().await;
    for more in [
        ("redirect_uri", "https://evil.test/"),
        ("redirect_uri", "http://localhost:4711/callback/../evil"),
        ("redirect_uri", "javascript:alert(1)"),
        ("client_id", "00000000-0000-0000-0000-000000000000"),
        ("client_id", "<script>alert(1)</script>"),
        ("response_mode", "x"),
    ] {
        let shown = world.stranger().get(&authorize("common", &[("scope", "openid"), more])).await;
        assert_eq!((shown.status, shown.header("location")), (400, ""), "{more:?}");
        assert!(!text(&shown).contains("<script>alert"), "{more:?}");
        assert!(text(&shown).contains("AADSTS"), "{more:?}");
    }
    let elsewhere =
        world.stranger().get("/common/oauth2/v2.0/logout?post_logout_redirect_uri=https://evil.test/").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (200, ""));
    let path = format!("/common/oauth2/v2.0/logout?client_id={}&post_logout_redirect_uri=http://localhost", seed::APP);
    assert_eq!(world.stranger().get(&path).await.header("location"), "http://localhost");
}

#[tokio::test]
async fn framed_page_is_not_shown_nor_kept_in_a_cache_and_runs_no_foreign_script() {
    let world = World::new().await;
    let hostile = "\"><script>alert(1)</script>";
    change_app(&world, |app| App { display_name: hostile.into(), ..app }).await;
    let path = authorize("common", &[("scope", "openid"), ("login_hint", hostile), ("state", hostile)]);
    for path in
        [path.as_str(), "/common/oauth2/deviceauth", "/common/oauth2/v2.0/logout", "/common/oauth2/v2.0/authorize"]
    {
        let page = world.stranger().get(path).await;
        assert!(!text(&page).contains("<script>alert"), "{path}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store, no-cache"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}

#[tokio::test]
async fn forged_form_of_another_site_signs_nobody_in() {
    let world = World::new().await;
    let path = authorize("common", &[("scope", "openid")]);
    let page = world.stranger().get(&path).await;
    let (cookie, token) = csrf(&page);
    assert!(page.header("set-cookie").contains("HttpOnly; SameSite=Lax"), "{}", page.header("set-cookie"));
    let megan = seed::users()[0].id.to_string();
    let forged = [
        (None, form(&[("user", &megan), ("csrf", &token)])),
        (Some(cookie.clone()), form(&[("user", &megan)])),
        (Some(cookie.clone()), form(&[("user", &megan), ("csrf", &token.to_lowercase())])),
        (Some("tidings-sign-in=".to_owned()), form(&[("user", &megan), ("csrf", "")])),
    ];
    for (cookie, body) in forged {
        let caller = world.stranger();
        let caller = match cookie {
            Some(cookie) => caller.with("cookie", cookie),
            None => caller,
        };
        let reply = caller.send("POST", &path, body).await;
        assert_eq!((led(&reply, "code"), led(&reply, "error").as_deref()), (None, Some("invalid_request")));
    }
}

#[tokio::test]
async fn who_is_no_account_of_the_tenant_does_not_sign_in_there() {
    let world = World::new().await;
    let lynne = seed::personal_user();
    for (tenant, works) in [("common", true), ("consumers", true), ("organizations", false), ("contoso.test", false)] {
        let path = authorize(tenant, &[("scope", "openid")]);
        let page = world.stranger().get(&path).await;
        assert_eq!(text(&page).contains(&lynne.upn), works, "{tenant}");
        let done = choose(&world, &path, &page, &[("user", &lynne.id.to_string())]).await;
        assert_eq!(led(&done, "code").is_some(), works, "{tenant}");
    }
}

#[tokio::test]
async fn elsewhere_a_person_signs_in_with_a_code_that_the_operator_has_made() {
    let world = World::closed().await;
    let path = authorize("contoso.test", &[("scope", "Mail.ReadWrite")]);
    let hint = authorize("common", &[("scope", "openid"), ("prompt", "none"), ("login_hint", "megan@contoso.test")]);
    assert_eq!(led(&world.stranger().get(&hint).await, "error").as_deref(), Some("login_required"));
    let page = world.stranger().get(&path).await;
    assert!(!text(&page).contains("Megan") && text(&page).contains("Sign-in code"));
    let megan = seed::users()[0].id;
    // Choosing somebody is not enough.
    let chosen = choose(&world, &path, &page, &[("user", &megan.to_string())]).await;
    assert_eq!(led(&chosen, "code"), None);
    let now = world.state.clock.wall();
    let code = world.state.pending.new_sign_in_code(megan, now).unwrap();
    let wrong = choose(&world, &path, &page, &[("account", "adele@contoso.test"), ("code", &code)]).await;
    assert!(wrong.status == 200 && text(&wrong).contains("do not belong together"));
    let spent = choose(&world, &path, &page, &[("account", "megan@contoso.test"), ("code", &code)]).await;
    assert!(spent.status == 200, "a code is good for one try");
    let code = world.state.pending.new_sign_in_code(megan, now).unwrap();
    let typed = format!(" {} {}", code[..4].to_lowercase(), &code[4..]);
    let done = choose(&world, &path, &page, &[("account", "Megan@contoso.test"), ("code", &typed)]).await;
    let given = ok(redeem(&world, &led(&done, "code").unwrap()).await, StatusCode::OK);
    assert_eq!(given.text("/scope"), "Mail.ReadWrite");
}

#[tokio::test]
async fn elsewhere_only_the_operator_consents() {
    let world = World::closed().await;
    revoke(&world, Grantee::AllUsers, "Mail.ReadWrite").await;
    let path = authorize("contoso.test", &[("scope", "Mail.ReadWrite")]);
    let page = world.stranger().get(&path).await;
    let code = world.state.pending.new_sign_in_code(seed::users()[0].id, world.state.clock.wall()).unwrap();
    let done = choose(&world, &path, &page, &[("account", "megan@contoso.test"), ("code", &code)]).await;
    assert_eq!(led(&done, "error").as_deref(), Some("consent_required"));
    assert!(led(&done, "error_description").unwrap().starts_with("AADSTS65001"));
}
