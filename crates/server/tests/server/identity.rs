//! Who may see what, and how an app gets a token.

use http::StatusCode;
use tidings_server::seed;

use crate::world::{World, ok, settled};

#[tokio::test]
async fn a_user_sees_itself_and_nobody_else() {
    let world = World::new().await;
    let megan = world.megan();
    let me = ok(megan.get("/v1.0/me").await, StatusCode::OK);
    insta::assert_json_snapshot!("me", settled(&me.json));
    ok(megan.get("/v1.0/users/MEGAN@contoso.test/messages").await, StatusCode::OK);
    let denied = "403 ErrorAccessDenied: Access is denied. Check credentials and try again.";
    assert_eq!(megan.get("/v1.0/users/adele@contoso.test/messages").await.refusal(), denied);
    let denied = "403 Authorization_RequestDenied: Insufficient privileges to complete the operation.";
    assert_eq!(megan.get("/v1.0/users/adele@contoso.test").await.refusal(), denied);
    assert_eq!(megan.get("/v1.0/users").await.refusal(), denied);
}

#[tokio::test]
async fn who_comes_by_without_a_token_is_told_where_to_go_on() {
    let world = World::new().await;
    let root = ok(world.stranger().get("/").await, StatusCode::OK);
    insta::assert_json_snapshot!("root", root.json);
    for place in ["metadata", "description", "eventGridDescription", "signIn"] {
        let path = root.text(&format!("/{place}")).replace("http://graph.test:8443", "");
        ok(world.stranger().get(&path).await, StatusCode::OK);
    }
    assert_eq!(world.stranger().send("POST", "/", String::new()).await.status, 400);
}

/// The path and the form of a `curl` line of the README.
fn curl(line: &str) -> (String, String) {
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let path = url.trim_start_matches("http://").split_once('/').unwrap().1;
    let form = line.split(" -d ").skip(1).map(|pair| pair.split_whitespace().next().unwrap().replace("/", "%2F"));
    (format!("/{path}"), form.collect::<Vec<_>>().join("&").replace(':', "%3A"))
}

#[tokio::test]
async fn the_readmes_app_signs_in_and_reads() {
    let readme = include_str!("../../../../README.md");
    let block = readme.split("<!-- sign in -->").nth(1).unwrap().split("```").nth(1).unwrap();
    let lines = block.replace("\\\n", " ");
    let mut lines = lines.lines().filter(|line| line.starts_with("curl "));
    let world = World::new().await;
    let (path, form) = curl(lines.next().unwrap());
    let token = ok(world.stranger().send("POST", &path, form).await, StatusCode::OK).text("/access_token");
    let (path, _) = curl(lines.next().unwrap());
    ok(world.bearer(&format!("Bearer {token}")).get(&path).await, StatusCode::OK);
}

#[tokio::test]
async fn a_token_request_is_short() {
    let world = World::new().await;
    let form = format!("grant_type=client_credentials&padding={}", "x".repeat(64 * 1024));
    let refused = world.stranger().send("POST", "/common/oauth2/v2.0/token", form).await;
    assert_eq!((refused.status, refused.text("/error")), (400, "invalid_request".to_owned()));
    assert!(refused.text("/error_description").contains("cannot be read"), "{}", refused.json);
}

#[tokio::test]
async fn an_app_reaches_every_mailbox_but_has_no_me() {
    let world = World::new().await;
    let app = world.app();
    let adele = seed::users()[1].id;
    ok(app.get(&format!("/v1.0/users/{adele}/contacts")).await, StatusCode::OK);
    assert_eq!(
        app.get("/v1.0/me/messages").await.refusal(),
        "400 BadRequest: /me request is only valid with delegated authentication flow."
    );
    let users = ok(app.get("/v1.0/users?$select=displayName,mail&$top=2").await, StatusCode::OK);
    insta::assert_json_snapshot!("users", users.json);
    let nobody = app.get("/v1.0/users/nobody@contoso.test/messages").await;
    assert_eq!(nobody.refusal(), "404 ErrorInvalidUser: The requested user 'nobody@contoso.test' is invalid.");
}

#[tokio::test]
async fn an_app_gets_a_token_by_its_secret_in_the_form_or_by_basic() {
    let world = World::new().await;
    let path = "/common/oauth2/v2.0/token?client-request-id=1";
    let grant = "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    let form = format!("{grant}&client_id={}&client_secret=secret&claims=x&x-client-sku=y", seed::APP);
    let granted = ok(world.stranger().send("POST", path, form).await, StatusCode::OK);
    assert!(granted.json["expires_in"].is_i64());
    let token = granted.text("/access_token");
    ok(world.bearer(&format!("Bearer {token}")).get("/v1.0/users").await, StatusCode::OK);

    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:secret", seed::APP));
    let basic = world.bearer(&format!("Basic {basic}"));
    ok(basic.send("POST", path, grant.into()).await, StatusCode::OK);
}
