//! Name servers that change their mind, say too much, or say nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::tls::{Authority, Leaf};
use super::*;

/// What a name server answers to the n-th question for an IPv4 address, from 0. There are none of IPv6.
enum Said {
    Addresses(Vec<Ipv4Addr>),
    AliasOf(&'static str),
    Failed(ResponseCode),
    Nothing,
}

/// Answers by UDP, or by TCP what is too long for that.
async fn name_server(say: impl Fn(usize) -> Said + Send + Sync + 'static) -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let udp = UdpSocket::bind(tcp.local_addr().unwrap()).await.unwrap();
    let address = udp.local_addr().unwrap();
    let (say, asked) = (Arc::new(say), Arc::new(AtomicUsize::new(0)));
    let by_tcp = (Arc::clone(&say), Arc::clone(&asked));
    tokio::spawn(async move {
        let mut question = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut question).await {
            let Some(mut answer) = answer(&question[..length], &*say, &asked) else { continue };
            if answer.answers.len() > 20 {
                answer.answers.clear();
                answer.metadata.truncation = true;
                // The question by TCP is the one that counts.
                asked.fetch_sub(1, Ordering::SeqCst);
            }
            udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        let (say, asked) = by_tcp;
        while let Ok((mut socket, _)) = tcp.accept().await {
            let (say, asked) = (Arc::clone(&say), Arc::clone(&asked));
            tokio::spawn(async move {
                while let Ok(length) = socket.read_u16().await {
                    let mut question = vec![0; usize::from(length)];
                    socket.read_exact(&mut question).await.unwrap();
                    let Some(answer) = answer(&question, &*say, &asked) else { continue };
                    let bytes = answer.to_vec().unwrap();
                    socket.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
                    socket.write_all(&bytes).await.unwrap();
                }
            });
        }
    });
    address
}

fn answer(question: &[u8], say: &dyn Fn(usize) -> Said, asked: &AtomicUsize) -> Option<Message> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    if query.query_type() != RecordType::A {
        return Some(answer);
    }
    let record = |data| Record::from_rdata(query.name().clone(), 0, data);
    match say(asked.fetch_add(1, Ordering::SeqCst)) {
        Said::Addresses(addresses) => {
            answer.add_answers(addresses.into_iter().map(|address| record(RData::A(A(address)))));
        }
        Said::AliasOf(name) => {
            answer.add_answer(record(RData::CNAME(CNAME(Name::from_ascii(name).unwrap()))));
        }
        Said::Failed(code) => answer.metadata.response_code = code,
        Said::Nothing => return None,
    }
    Some(answer)
}

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// May call `HERE` alone of what is special; asks this name server, and has heard nothing of it before.
fn asking(server: SocketAddr, ca_files: Vec<PathBuf>) -> Outbound {
    let policy = Policy { allow: vec!["127.0.0.1".parse().unwrap()], ..Policy::default() };
    Outbound::with_dns(OutboundConfig { policy, ca_files, ..OutboundConfig::default() }, Dns::asking(server)).unwrap()
}

/// How many connections come to a port of an address that must not be called.
async fn watched(port: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((FORBIDDEN, port)).await.unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    connections
}

#[tokio::test]
async fn ssrf_by_dns_rebinding_reaches_only_what_was_vetted() {
    let authority = Authority::new();
    let leaf = Leaf { names: vec!["flips.example".to_owned()], ..Leaf::default() };
    let acceptor = authority.acceptor(&leaf, rustls::ALL_VERSIONS);
    let receiver = Receiver::start_with(Some(acceptor), |_, _| Reply::Send(OK.to_owned())).await;
    let forbidden = watched(receiver.port).await;
    let server = name_server(|n| {
        Said::Addresses(match n % 4 {
            0 => vec![HERE],
            1 => vec![FORBIDDEN],
            2 => vec![HERE, FORBIDDEN],
            _ => vec![FORBIDDEN, HERE],
        })
    })
    .await;
    let url = format!("https://flips.example:{}/", receiver.port);
    let mut refused = 0;
    for _ in 0..8 {
        // No name is remembered: each call asks anew and is told something else.
        let outbound = asking(server, vec![authority.file.clone()]);
        assert_eq!(outbound.check(&url), Ok(()));
        match post(&outbound, &url, LONG).await {
            Err(Failure::Forbidden(Refusal::Resolved { address, .. })) => {
                assert_eq!(address, IpAddr::from(FORBIDDEN));
                refused += 1;
            }
            result => assert_eq!(outcome(&result), Outcome::Acknowledged, "{result:?}"),
        }
    }
    assert_eq!((refused, receiver.requests().len()), (6, 2));
    assert_eq!(forbidden.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn ssrf_by_dns_rebinding_between_the_handshake_and_a_delivery_is_refused() {
    let receiver = Receiver::start(|_, request| echo(request, "200 OK", "text/plain", |token| token)).await;
    let forbidden = watched(receiver.port).await;
    let server =
        name_server(|n| Said::Addresses(vec![if n == 0 { HERE } else { Ipv4Addr::new(169, 254, 169, 254) }])).await;
    let url = format!("http://flips.example:{}/", receiver.port);
    let dev = || {
        let policy = Policy { dev: true, ..Policy::default() };
        Outbound::with_dns(OutboundConfig { policy, ..OutboundConfig::default() }, Dns::asking(server)).unwrap()
    };
    assert_eq!(dev().validate(&url, TlsVersion::V1_2, "id").await, Ok(()));
    let result = post(&dev(), &url, LONG).await;
    assert!(matches!(&result, Err(Failure::Forbidden(Refusal::Resolved { class: Class::Metadata, .. }))), "{result:?}");
    assert_eq!(outcome(&result), Outcome::Forbidden);
    assert_eq!((receiver.requests().len(), forbidden.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn scan_of_the_inner_network_tells_nothing_of_what_listens_there() {
    let receiver = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let serve = outbound(Policy::default(), Vec::new());
    let told = async |host: &str, port: u16| {
        let url = format!("https://{host}:{port}/");
        serve.validate(&url, TlsVersion::V1_2, "id").await.unwrap_err().to_string()
    };
    for host in ["127.0.0.1", "hook.example", "localhost"] {
        assert_eq!(told(host, receiver.port).await, told(host, nobody).await, "{host}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn silent_name_server_is_within_the_one_deadline() {
    let server = name_server(|_| Said::Nothing).await;
    let result = post(&asking(server, Vec::new()), "https://silent.example/", SHORT).await;
    assert_eq!(result, Err(Failure::TimedOut));
}

#[tokio::test]
async fn lying_name_server_leads_nowhere() {
    for (what, server) in [
        ("it fails", name_server(|_| Said::Failed(ResponseCode::ServFail)).await),
        ("it knows no such name", name_server(|_| Said::Failed(ResponseCode::NXDomain)).await),
        ("it has no address", name_server(|_| Said::Addresses(Vec::new())).await),
        ("each name stands for the next", name_server(|n| Said::AliasOf(["a.example.", "b.example."][n % 2])).await),
    ] {
        let result = post(&asking(server, Vec::new()), "https://a.example/", LONG).await;
        assert!(matches!(result, Err(Failure::Name(..))), "{what}: {result:?}");
        assert_eq!(outcome(&result), Outcome::Unresolved, "{what}");
    }
}

#[tokio::test]
async fn flood_of_addresses_is_judged_whole_and_tried_in_part() {
    let receiver = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let many = |last: Ipv4Addr| {
        let dead = (0..400_u16).map(|n| Ipv4Addr::from([127, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]]));
        dead.chain([last]).collect::<Vec<_>>()
    };
    let outbound = async |allow: &[&str], last| {
        let server = name_server(move |_| Said::Addresses(many(last))).await;
        let policy = Policy { allow: allow.iter().map(|net| net.parse().unwrap()).collect(), ..Policy::default() };
        Outbound::with_dns(OutboundConfig { policy, ..OutboundConfig::default() }, Dns::asking(server)).unwrap()
    };
    let url = format!("https://many.example:{}/", receiver.port);
    let judged = post(&outbound(&["127.1.0.0/16"], HERE).await, &url, LONG).await;
    let last =
        matches!(&judged, Err(Failure::Forbidden(Refusal::Resolved { address, .. })) if *address == IpAddr::from(HERE));
    assert!(last, "{judged:?}");
    let tried = post(&outbound(&["127.0.0.0/8"], HERE).await, &url, LONG).await;
    assert!(matches!(tried, Err(Failure::Connect(_))), "{tried:?}");
    assert_eq!(receiver.connections(), 0, "the last of hundreds is not tried");
}
