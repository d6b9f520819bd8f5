//! What an operator is told of a URL.

use super::tls::{Authority, Leaf, opened};
use super::*;

/// The steps that were taken, in words, without their times.
fn steps(checked: &Checked) -> String {
    let steps = checked.handshake.iter().flat_map(|tried| &tried.steps);
    steps.map(|step| format!("{} {}: {}\n", step.name, step.passed, step.detail)).collect()
}

#[tokio::test]
async fn a_verdict_names_the_rule_and_what_would_open_it() {
    let serve = outbound(Policy::default(), Vec::new());
    let told = async |url: &str| {
        let checked = serve.examine(url, Some("id")).await;
        assert_eq!((checked.allowed, checked.handshake), (false, None), "{url}");
        let addresses: Vec<_> = checked.addresses.iter().map(|judged| judged.address.as_str()).collect();
        format!("{} {addresses:?} {}", checked.reason.unwrap(), checked.opens.unwrap_or_default())
    };
    let mut verdicts = Vec::new();
    for url in [
        "http://public.example/",
        "https://u@public.example/",
        "https://10.0.0.7/",
        "https://169.254.169.254/",
        "https://hook.example/",
        "https://[64:ff9b::a00:7]/",
        "https://localhost/",
        "https://unknown.example/",
    ] {
        verdicts.push(format!("{url}: {}", told(url).await));
    }
    insta::assert_snapshot!(verdicts.join("\n"), @r#"
    http://public.example/: the scheme 'http' is not allowed [] 
    https://u@public.example/: it has a user name or password [] 
    https://10.0.0.7/: 10.0.0.7 is a private address; it is called only if it is allowed by name [] outbound.allow_private = true, or outbound.allow = ["10.0.0.7"]
    https://169.254.169.254/: 169.254.169.254 is a cloud metadata address; it is called only if it is allowed by name [] outbound.allow = ["169.254.169.254"], if receivers may have this machine's credentials
    https://hook.example/: hook.example resolves to 127.0.0.1, which is a loopback address; it is called only if it is allowed by name ["127.0.0.1"] outbound.allow = ["hook.example"]
    https://[64:ff9b::a00:7]/: 64:ff9b::a00:7 is a private address; it is called only if it is allowed by name [] outbound.allow_private = true, or outbound.allow = ["64:ff9b::a00:7"]
    https://localhost/: localhost is a loopback address; it is called only if it is allowed by name [] outbound.allow = ["localhost"]
    https://unknown.example/: the name unknown.example was not resolved: no connections available []
    "#);
}

#[tokio::test]
async fn what_a_verdict_says_would_open_a_place_opens_it() {
    let serve = outbound(Policy::default(), Vec::new());
    for url in ["https://10.0.0.7/", "https://169.254.169.254/", "https://hook.example/", "https://[64:ff9b::a00:7]/"] {
        let opens = serve.examine(url, None).await.opens.unwrap();
        let named = opens.split('"').nth(1).unwrap();
        let policy = Policy { allow: vec![named.parse().unwrap()], ..Policy::default() };
        let checked = outbound(policy, Vec::new()).examine(url, None).await;
        assert!(checked.allowed && checked.addresses.iter().all(|judged| judged.allowed), "{url}: {checked:?}");
    }
}

#[tokio::test]
async fn a_handshake_is_told_step_by_step() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&Leaf::default(), rustls::ALL_VERSIONS);
    let echoes = |_: usize, request: &str| echo(request, "200 OK", "text/plain", |token| token);
    let receiver = Receiver::start_with(Some(acceptor), echoes).await;
    let outbound = outbound(opened(), vec![authority.file.clone()]);
    let url = format!("https://hook.example:{}/n?code=1", receiver.port);
    let checked = outbound.examine(&url, Some("id")).await;
    let tried = checked.handshake.as_ref().unwrap();
    assert!(checked.allowed && tried.passed && tried.told.is_none(), "{checked:?}");
    insta::assert_snapshot!(steps(&checked).replace(&receiver.port.to_string(), "PORT"), @r"
    dns true: 1 address may be called
    connect true: 127.0.0.1:PORT
    tls true: TLSv1_2
    headers true: status 200
    body true: 83 bytes
    ");
    assert_eq!(outbound.validate(&url, TlsVersion::V1_2, "id").await, Ok(()));
    let [probed, validated] = receiver.requests().try_into().unwrap();
    let lines = |request: String| request.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(probed), lines(validated), "the same request as for a subscription");
}

#[tokio::test]
async fn a_handshake_that_fails_names_the_step_and_what_an_app_is_told() {
    let receiver = Receiver::start(|_, request| match request.split(['/', '?']).nth(1) {
        Some("wrong") => echo(request, "200 OK", "text/plain", |token| token + "x"),
        Some("closed") => Reply::Close,
        Some("half") => Reply::Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        _ => Reply::Stall(""),
    })
    .await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cases = [
        (receiver.url("/wrong"), LONG, "body"),
        (receiver.url("/closed"), LONG, "headers"),
        (receiver.url("/half"), SHORT, "body"),
        (receiver.url("/silent"), SHORT, "headers"),
        (format!("http://127.0.0.1:{nobody}/"), LONG, "connect"),
        (format!("https://127.0.0.1:{}/", receiver.port), SHORT, "tls"),
    ];
    for (url, limit, failed) in cases {
        let outbound = dev();
        let checked = outbound.examine_within(&url, Some("id"), limit).await;
        let tried = checked.handshake.unwrap();
        let last = tried.steps.last().unwrap();
        assert_eq!((last.name, last.passed, tried.passed), (failed, false, false), "{url}: {tried:?}");
        assert!(tried.steps.iter().rev().skip(1).all(|step| step.passed), "{url}");
        let told = outbound.validate_within((&url, TlsVersion::V1_2), "id", limit).await.unwrap_err();
        assert_eq!(tried.told, Some(told.to_string()), "{url}");
    }
}
