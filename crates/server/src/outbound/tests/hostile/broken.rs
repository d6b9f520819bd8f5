//! Those that end the connection, at each point of a call, politely or not; and those that are somebody else.

use rcgen::{CertificateParams, KeyPair};

use super::super::tls::{Authority, Leaf, acceptor, opened};
use super::*;

/// Where a call is when its connection ends.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Accepted,
    /// Some bytes of the request, or of the TLS hello, have come.
    Speaking,
    Asked,
    InTheHead,
    InTheBody,
    InAChunk,
}

impl Phase {
    async fn reach(self, line: &mut Line) {
        match self {
            Phase::Accepted => return,
            Phase::Speaking => return line.hear_a_bit().await,
            _ => line.hear().await,
        }
        line.say(match self {
            Phase::InTheHead => "HTTP/1.1 200 OK\r\nContent-Le",
            Phase::InTheBody => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
            Phase::InAChunk => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n12345",
            _ => "",
        })
        .await;
    }
}

const PHASES: [Phase; 6] =
    [Phase::Accepted, Phase::Speaking, Phase::Asked, Phase::InTheHead, Phase::InTheBody, Phase::InAChunk];

#[tokio::test]
async fn broken_connection_is_unreachable_at_each_phase() {
    for (phase, resets) in PHASES.into_iter().flat_map(|phase| [(phase, false), (phase, true)]) {
        let hostile = Hostile::start(move |mut line| async move {
            phase.reach(&mut line).await;
            if resets {
                line.reset();
            }
        })
        .await;
        let result = hostile.called(&hostile.url(), LONG).await;
        assert_eq!(outcome(&result), Outcome::Unreachable, "{phase:?}, reset {resets}: {result:?}");
        assert_eq!(hostile.begun.load(Ordering::SeqCst), 1, "{phase:?}, reset {resets}: no attempt of its own");
    }
}

/// The request is larger than what the sockets hold, so that most of its body is still to come.
#[tokio::test]
async fn broken_connection_in_the_body_of_a_request_is_unreachable() {
    for resets in [false, true] {
        let hostile = Hostile::start(move |mut line| async move {
            line.hear_a_bit().await;
            if resets {
                line.reset();
            }
        })
        .await;
        let body = Bytes::from(vec![b'x'; 32 << 20]);
        let result = dev().post((&hostile.url(), TlsVersion::V1_2), JSON, body, LONG).await;
        assert_eq!(outcome(&result), Outcome::Unreachable, "reset {resets}: {result:?}");
    }
}

#[tokio::test]
async fn broken_connection_in_the_tls_handshake_is_unreachable() {
    for (phase, resets) in
        [(Phase::Accepted, false), (Phase::Accepted, true), (Phase::Speaking, false), (Phase::Speaking, true)]
    {
        let hostile = Hostile::start(move |mut line| async move {
            phase.reach(&mut line).await;
            if resets {
                line.reset();
            }
        })
        .await;
        let result = hostile.called(&hostile.https(), LONG).await;
        assert!(matches!(result, Err(Failure::Tls(_))), "{phase:?}, reset {resets}: {result:?}");
        assert_eq!(outcome(&result), Outcome::Unreachable);
    }
}

/// A receiver that dies in the middle of every second answer, and comes back.
#[tokio::test]
async fn broken_connection_is_not_remembered() {
    let receiver = Receiver::start(|n, _| if n % 3 < 2 { Reply::Close } else { Reply::Send(OK.to_owned()) }).await;
    let outbound = dev();
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        outcomes.push(outcome(&post(&outbound, &receiver.url("/"), LONG).await));
    }
    let (good, bad) = (Outcome::Acknowledged, Outcome::Unreachable);
    // What fails on a connection that had worked is asked once more at once.
    assert_eq!(outcomes, [bad, bad, good, bad, good, bad]);
}

/// A receiver with TLS like this, which must see nothing of a request.
async fn refuses(what: &str, ca_files: Vec<PathBuf>, acceptor: TlsAcceptor, why: &str) {
    let receiver = Receiver::start_with(Some(acceptor), |_, _| Reply::Send(OK.to_owned())).await;
    let url = format!("https://hook.example:{}/n?code=secret", receiver.port);
    let result = post(&outbound(opened(), ca_files), &url, LONG).await;
    assert!(matches!(&result, Err(Failure::Tls(text)) if text.contains(why)), "{what}: {result:?}");
    assert_eq!(outcome(&result), Outcome::Unreachable, "{what}");
    assert!(receiver.requests().is_empty(), "{what}");
}

#[tokio::test]
async fn impostor_of_a_receiver_is_told_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let known = || vec![authority.file.clone()];
    let with = |leaf: Leaf| authority.acceptor(&leaf, rustls::ALL_VERSIONS);
    refuses("expired", known(), with(Leaf { years: (2001, 2002), ..Leaf::default() }), "xpired").await;
    refuses("not yet", known(), with(Leaf { years: (3000, 3001), ..Leaf::default() }), "not valid yet").await;
    let other = Leaf { names: vec!["other.example".to_owned(), "*.hook.example".to_owned()], ..Leaf::default() };
    refuses("another name", known(), with(other), "not valid for name").await;
    let unknown = stranger.acceptor(&Leaf::default(), rustls::ALL_VERSIONS);
    refuses("an unknown authority", known(), unknown, "UnknownIssuer").await;
    let key = KeyPair::generate().unwrap();
    let itself = Leaf::default().params().self_signed(&key).unwrap();
    refuses("signed by itself", known(), acceptor(&itself, &key, rustls::ALL_VERSIONS, None), "UnknownIssuer").await;
}

/// The names in a certificate are whatever its owner likes, and a failure repeats them.
#[tokio::test]
async fn flood_of_the_log_by_names_in_a_certificate_is_clipped() {
    let names = (0..1_000).map(|n| format!("name-{n}.of.a.receiver.example")).collect();
    let (authority, leaf) = (Authority::new(), Leaf { names, ..Leaf::default() });
    let acceptor = authority.acceptor(&leaf, rustls::ALL_VERSIONS);
    let receiver = Receiver::start_with(Some(acceptor), |_, _| Reply::Send(OK.to_owned())).await;
    let url = format!("https://hook.example:{}/", receiver.port);
    let result = post(&outbound(opened(), vec![authority.file.clone()]), &url, LONG).await;
    let Err(Failure::Tls(text)) = result else { panic!("{result:?}") };
    assert!(text.ends_with('…') && text.chars().count() < 300, "{text}");
}

#[tokio::test]
async fn downgrade_of_tls_is_refused() {
    // A hello of the server that chooses this version, with a cipher that all of them have.
    let hello = |minor: u8| {
        let rest = [&[3, minor][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat();
        let length = u8::try_from(rest.len()).unwrap();
        [&[0x16, 3, minor, 0, length + 4, 2, 0, 0, length][..], &rest].concat()
    };
    for (what, said) in [
        ("SSL 3.0", hello(0)),
        ("TLS 1.0", hello(1)),
        ("TLS 1.1", hello(2)),
        ("an old protocol's alert", vec![0x15, 3, 1, 0, 2, 2, 70]),
        ("no TLS at all", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("garbage", vec![0xff; 100]),
    ] {
        let hostile = Hostile::start(move |mut line| {
            let said = said.clone();
            async move {
                line.hear_a_bit().await;
                line.say(said).await;
                line.hang().await;
            }
        })
        .await;
        let result = hostile.called(&hostile.https(), LONG).await;
        assert!(matches!(result, Err(Failure::Tls(_))), "{what}: {result:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_speaks_http2_alone_is_not_called() {
    let (certificate, key) = {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec!["hook.example".to_owned()]).unwrap().self_signed(&key).unwrap(), key)
    };
    let only_http1 = acceptor(&certificate, &key, rustls::ALL_VERSIONS, None);
    let mut config = rustls::ServerConfig::clone(only_http1.config());
    config.alpn_protocols = vec![b"h2".to_vec()];
    refuses("HTTP/2", Vec::new(), TlsAcceptor::from(Arc::new(config)), "NoApplicationProtocol").await;
}
