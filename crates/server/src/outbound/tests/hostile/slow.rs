//! Those that take their time: the one deadline ends all of them.

use super::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

async fn outlasted<F>(what: &str, act: impl Fn(Line) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let hostile = Hostile::start(act).await;
    let result = hostile.called(&hostile.url(), SHORT).await;
    assert_eq!(result, Err(Failure::TimedOut), "{what}");
    assert_eq!(outcome(&result), Outcome::TimedOut, "{what}");
}

#[tokio::test]
async fn slow_receiver_that_says_nothing_is_left_in_time() {
    outlasted("a connection and no more", |mut line| async move { line.hang().await }).await;
    outlasted("a request and no answer", |mut line| async move {
        line.hear().await;
        line.hang().await;
    })
    .await;
    outlasted("half a head", |mut line| async move {
        line.hear().await;
        line.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n").await;
        line.hang().await;
    })
    .await;
    outlasted("a head and half a body", |mut line| async move {
        line.hear().await;
        line.say(HEAD).await;
        line.say("half").await;
        line.hang().await;
    })
    .await;
}

#[tokio::test]
async fn slow_receiver_of_one_byte_at_a_time_is_left_in_time() {
    outlasted("a status that never ends", |mut line| async move {
        line.hear().await;
        line.say("HTTP/1.1 200 ").await;
        line.drip("x").await;
    })
    .await;
    outlasted("headers for ever", |mut line| async move {
        line.hear().await;
        line.say("HTTP/1.1 200 OK\r\n").await;
        line.drip("A: b\r\n").await;
    })
    .await;
    outlasted("a body that drips", |mut line| async move {
        line.hear().await;
        line.say(HEAD).await;
        line.drip("x").await;
    })
    .await;
    outlasted("chunks of one byte", |mut line| async move {
        line.hear().await;
        line.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        line.drip("1\r\nx\r\n").await;
    })
    .await;
    outlasted("interim answers", |mut line| async move {
        line.hear().await;
        line.drip("HTTP/1.1 102 Processing\r\n\r\n").await;
    })
    .await;
}

#[tokio::test]
async fn slow_receiver_that_does_not_read_is_left_in_time() {
    let read_on = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&read_on);
    let hostile = Hostile::start(move |mut line| {
        let read_on = Arc::clone(&told);
        async move {
            read_on.notified().await;
            line.hang().await;
        }
    })
    .await;
    let body = Bytes::from(vec![b'x'; 32 << 20]);
    let result = dev().post((&hostile.url(), TlsVersion::V1_2), JSON, body, SHORT).await;
    assert_eq!(result, Err(Failure::TimedOut));
    read_on.notify_one();
    let ended = tokio::time::timeout(LONG, hostile.ended.acquire());
    ended.await.expect("no connection is left behind").unwrap().forget();
}

#[tokio::test]
async fn slow_receiver_in_the_tls_handshake_is_left_in_time() {
    for drips in [false, true] {
        let hostile = Hostile::start(move |mut line| async move {
            line.hear_a_bit().await;
            if drips {
                // A record of TLS 1.2 that holds a long handshake message.
                line.say([0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xf0]).await;
                line.drip([0]).await;
            } else {
                line.hang().await;
            }
        })
        .await;
        assert_eq!(hostile.called(&hostile.https(), SHORT).await, Err(Failure::TimedOut), "{drips}");
    }
}

#[tokio::test]
async fn hanging_receivers_do_not_keep_others_waiting() {
    let hostile = Hostile::start(|mut line| async move { line.hang().await }).await;
    let honest = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let outbound = Arc::new(dev());
    let hanging: Vec<_> = (0..64)
        .map(|_| {
            let (outbound, url) = (Arc::clone(&outbound), hostile.url());
            tokio::spawn(async move { post(&outbound, &url, Duration::from_secs(600)).await })
        })
        .collect();
    while hostile.begun.load(Ordering::SeqCst) < hanging.len() {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        assert_eq!(outcome(&post(&outbound, &honest.url("/"), LONG).await), Outcome::Acknowledged);
    }
    assert!(hanging.iter().all(|call| !call.is_finished()), "they hang all the while");
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    let ended = hostile.ended.acquire_many(64);
    tokio::time::timeout(LONG, ended).await.expect("who stops waiting holds no connection").unwrap().forget();
}
