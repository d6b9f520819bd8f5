//! Tokens of several providers, and what is wrong with them.

use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::identity::external::{ClaimNames, IssuerName};

const ISS: &str = "https://id.example/realms/contoso";
const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
const USER: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
const APP: &str = "507c3b9a-67b8-463d-88a2-15a8cefb2111";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn rules(app: &[&str], user: &str, scopes: &str, roles: &[&str], app_only: AppOnly) -> Rules {
    let (app, user, scopes, roles) = (names(app), names(&[user]), names(&[scopes]), names(roles));
    Rules {
        name: IssuerName::new(ISS).unwrap(),
        audiences: names(&["tidings", "api://tidings"]),
        tenant: TenantRule::One("contoso.com".to_owned()),
        algorithms: vec![Algorithm::RS256],
        skew_seconds: 300,
        claims: ClaimNames { app, user, user_by: UserBy::Id, scopes, roles, app_only },
    }
}

fn keycloak() -> Rules {
    rules(&["azp"], "sub", "scope", &["realm_access.roles"], AppOnly::IsApp("client_id".to_owned()))
}

fn entra() -> Rules {
    let rules = rules(&["azp", "appid"], "oid", "scp", &["roles"], AppOnly::HasNot("scp".to_owned()));
    let name = IssuerName::new("https://login.example/{tenantid}/v2.0").unwrap();
    Rules { name, tenant: TenantRule::Claim("tid".to_owned()), ..rules }
}

fn openid() -> Rules {
    rules(&["client_id", "azp"], "sub", "scope", &["roles", "scope"], AppOnly::IsApp("sub".to_owned()))
}

fn parsed(text: &str) -> Option<Claims> {
    serde_json::from_str(text).ok()
}

fn read(rules: &Rules, claims: &Value) -> Result<Claimed, Reason> {
    Claimed::read(rules, &parsed(&claims.to_string()).unwrap())
}

fn held(claimed: &Claimed) -> String {
    claimed.held.iter().collect::<Vec<_>>().join(" ")
}

/// What a token of Keycloak's says of a user.
fn of_user() -> Value {
    json!({
        "iss": ISS, "aud": ["account", "tidings"], "typ": "Bearer", "azp": "mail-archive", "sub": USER,
        "iat": 1_000, "exp": 1_300, "scope": "email Mail.Read profile",
        "realm_access": {"roles": ["Mail.ReadWrite", "offline_access"]}, "preferred_username": "megan",
    })
}

fn changed(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = of_user();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = of_user();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn a_user_of_keycloak_has_scopes_and_no_roles() {
    let claimed = read(&keycloak(), &of_user()).unwrap();
    assert_eq!((claimed.tenant.as_str(), &claimed.subject), ("contoso.com", &Subject::User(USER.parse().unwrap())));
    assert_eq!(held(&claimed), "Mail.Read email profile");
    assert_eq!((claimed.issued, claimed.not_before, claimed.expires), (1_000, 1_000, 1_300));
}

#[test]
fn a_service_account_of_keycloak_has_roles_and_no_scopes() {
    let claimed = read(&keycloak(), &changed("client_id", "mail-archive")).unwrap();
    assert_eq!(
        (&claimed.subject, held(&claimed)),
        (&Subject::App(USER.parse().unwrap()), "Mail.ReadWrite offline_access".into())
    );
    let client_roles = Rules {
        claims: ClaimNames { roles: names(&["resource_access.tidings.roles"]), ..keycloak().claims },
        ..keycloak()
    };
    let mut claims = changed("client_id", "mail-archive");
    claims["resource_access"] = json!({"tidings": {"roles": ["Mail.Send"]}, "account": {"roles": ["manage-account"]}});
    assert_eq!(held(&read(&client_roles, &claims).unwrap()), "Mail.Send");
}

#[test]
fn a_token_of_entra_is_of_a_user_if_it_has_scopes_and_names_its_tenant_twice() {
    let mut claims = json!({
        "iss": format!("https://login.example/{TENANT}/v2.0"), "tid": TENANT, "aud": "api://tidings", "azp": APP,
        "oid": USER, "sub": "pairwise", "scp": "Mail.Read User.Read", "roles": ["Mail.ReadWrite"],
        "iat": 1_000, "nbf": 1_000, "exp": 5_000,
    });
    let user = read(&entra(), &claims).unwrap();
    assert_eq!((&user.subject, held(&user)), (&Subject::User(USER.parse().unwrap()), "Mail.Read User.Read".into()));
    assert_eq!((user.tenant.as_str(), user.app.to_string()), (TENANT, APP.to_owned()));
    assert!(!user.admin);
    claims["wids"] = json!([GLOBAL_ADMINISTRATOR]);
    assert!(read(&entra(), &claims).unwrap().admin);

    claims.as_object_mut().unwrap().remove("scp");
    let app = read(&entra(), &claims).unwrap();
    assert_eq!(
        (&app.subject, held(&app), app.admin),
        (&Subject::App(USER.parse().unwrap()), "Mail.ReadWrite".into(), false)
    );
    claims["idtyp"] = "user".into();
    assert_eq!(read(&entra(), &claims), Err(Reason::Claim("idtyp".into())));

    claims["idtyp"] = "app".into();
    claims["tid"] = "9188040d-6c67-4c5b-b112-36a304b66dad".into();
    assert_eq!(read(&entra(), &claims), Err(Reason::TenantElsewhere));
}

#[test]
fn an_id_token_of_entra_names_no_app() {
    let claims = json!({
        "iss": format!("https://login.example/{TENANT}/v2.0"), "tid": TENANT, "aud": "tidings", "oid": USER,
        "sub": "pairwise", "roles": ["Mail.ReadWrite"], "iat": 1_000, "nbf": 1_000, "exp": 5_000,
    });
    assert_eq!(read(&entra(), &claims), Err(Reason::Claim("azp or appid".into())));
}

#[test]
fn an_app_that_is_its_own_subject_calls_for_itself() {
    let claims = json!({
        "iss": ISS, "aud": "tidings", "client_id": "archive", "sub": "archive", "scope": "Mail.Read",
        "iat": 1_000, "exp": 5_000,
    });
    let claimed = read(&openid(), &claims).unwrap();
    // Python: uuid5(uuid5(NAMESPACE_URL, "https://id.example/realms/contoso"), "archive")
    let id = "24fa3804-9052-55ea-8ada-085f1a501a37";
    assert_eq!((claimed.app.to_string(), held(&claimed)), (id.to_owned(), "Mail.Read".to_owned()));
    assert_eq!(claimed.subject, Subject::App(id.parse().unwrap()));
}

#[test]
fn names_that_are_no_guids_become_the_same_one_always_and_another_at_another_issuer() {
    let ids = [("https://a.example", "x"), ("https://a.example", "y"), ("https://b.example", "x")];
    let ids = ids.map(|(iss, name)| stable_id(iss, name));
    assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[0] == stable_id("https://a.example", "x"));
    assert_eq!(stable_id("https://a.example", APP).to_string(), APP);
}

#[test]
fn a_guid_is_one_app_in_either_case_and_its_other_spellings_are_names() {
    let id = |name: &str| stable_id(ISS, name).to_string();
    assert_eq!(id(&APP.to_uppercase()), APP);
    for name in [APP.replace('-', ""), format!("{{{APP}}}"), format!("urn:uuid:{APP}")] {
        assert_ne!(id(&name), APP, "{name}");
    }
}

#[test]
fn a_user_may_be_called_by_an_address_that_the_issuer_has_verified() {
    let names =
        ClaimNames { user: names(&["preferred_username", "email"]), user_by: UserBy::Address, ..keycloak().claims };
    let rules = Rules { claims: names, ..keycloak() };
    assert_eq!(read(&rules, &of_user()).unwrap().subject, Subject::Address("megan".to_owned()));
    let mut claims = without("preferred_username");
    claims["email"] = "megan@contoso.com".into();
    let megan = Subject::Address("megan@contoso.com".to_owned());
    assert_eq!(read(&rules, &claims).unwrap().subject, megan);
    claims["email_verified"] = true.into();
    assert_eq!(read(&rules, &claims).unwrap().subject, megan);
    claims["email_verified"] = false.into();
    assert_eq!(read(&rules, &claims), Err(Reason::Address));
}

#[test]
fn a_token_that_lacks_something_or_is_something_else_is_refused_with_the_reason() {
    let reasons: Vec<String> = [
        without("iss"),
        changed("iss", "https://evil.example"),
        without("aud"),
        changed("aud", "account"),
        changed("aud", json!(["tidings", 1])),
        changed("typ", "ID"),
        changed("typ", "Refresh"),
        changed("at_hash", "x"),
        changed("cnf", json!({"jkt": "x"})),
        without("azp"),
        changed("azp", 1),
        changed("azp", ""),
        without("sub"),
        changed("sub", "megan"),
        changed("idtyp", "app"),
        changed("scope", 7),
        without("iat"),
        without("exp"),
        changed("exp", "1300"),
        changed("exp", 1e300),
        changed("nbf", Value::Null),
    ]
    .iter()
    .map(|claims| read(&keycloak(), claims).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn times_may_have_fractions_and_a_token_from_the_future_is_not_valid_yet() {
    let mut claims = changed("exp", 1_300.9);
    claims["nbf"] = 900.into();
    let claimed = read(&keycloak(), &claims).unwrap();
    assert_eq!((claimed.not_before, claimed.expires), (1_000, 1_300));
    claims["nbf"] = 2_000.into();
    assert_eq!(read(&keycloak(), &claims).unwrap().not_before, 2_000);
}

#[test]
fn names_with_dots_lead_into_objects_unless_a_claim_has_that_name() {
    let text = r#"{"a.b": 1, "a": {"b": 2, "c.d": {"e": 3}}, "https://x.example/roles": 4, "t": "text"}"#;
    let claims = parsed(text).unwrap();
    let found = |name: &str| claims.find(name).and_then(Value::as_i64);
    assert_eq!((found("a.b"), found("a.c.d.e"), found("https://x.example/roles")), (Some(1), Some(3), Some(4)));
    assert_eq!((found("a.x"), found("t.x"), found(""), found("."), found("a.")), (None, None, None, None, None));
}

#[test]
fn what_stands_twice_makes_claims_unreadable_at_any_depth() {
    for text in [r#"{"a": 1, "a": 1}"#, r#"{"a": {"b": 1, "b": 2}}"#, r#"{"a": [{"b": 1, "b": 2}]}"#, "[]", "1", ""] {
        assert!(parsed(text).is_none(), "{text}");
    }
    let same = json!({"a": [1, -1, 1.5, true, null, "x", {"b": {}}], "c": {"b": []}});
    assert_eq!(Value::Object(parsed(&same.to_string()).unwrap().0), same);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from(USER)),
        Just(Value::from("tidings")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z.]{0,5}|roles", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    /// Whatever an issuer puts into a claim: who bears the token is known whole, or the token is refused.
    #[test]
    fn any_claim_may_hold_anything(name in 0_usize..14, value in any_json(), wanted in "\\PC{0,12}") {
        let names = ["iss", "aud", "typ", "azp", "sub", "iat", "nbf", "exp", "scope", "realm_access", "client_id", "idtyp", "tid", "wids"];
        for rules in [keycloak(), entra(), openid()] {
            if let Ok(claimed) = read(&rules, &changed(names[name], value.clone())) {
                prop_assert!(claimed.expires == 1_300 || names[name] == "exp");
                prop_assert!(claimed.not_before >= claimed.issued && claimed.held.iter().all(|held| !held.contains(' ')));
            }
        }
        let claims = parsed(&json!({ "a": value }).to_string()).unwrap();
        let _ = (claims.find(&wanted), claims.find(&format!("a.{wanted}")));
    }
}

#[test]
fn a_validation_token_of_whichever_server_is_no_access_token() {
    assert!(read(&keycloak(), &of_user()).is_ok());
    for (claim, publisher) in [("appid", PUBLISHER_ID.to_owned()), ("azp", PUBLISHER_ID.to_uppercase())] {
        let mut claims = of_user();
        claims[claim] = json!(publisher);
        assert!(matches!(read(&keycloak(), &claims), Err(Reason::Kind(_))), "{claim}");
    }
}
