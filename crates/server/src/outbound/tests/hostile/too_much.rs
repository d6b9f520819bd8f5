//! Those that say too much: what is read has an end, and so has what is kept.

use super::*;

/// Said for ever once the head was said.
async fn poured(head: &'static str, rest: impl AsRef<[u8]> + Clone + Send + Sync + 'static) -> Result<Answer, Failure> {
    let hostile = Hostile::start(move |mut line| {
        let rest = rest.clone();
        async move {
            line.hear().await;
            line.say(head).await;
            line.say_for_ever(rest).await;
        }
    })
    .await;
    hostile.called(&hostile.url(), LONG).await
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn endless_answer_is_cut_and_counts_by_its_status() {
    let block = vec![b'x'; 64 << 10];
    let chunk = [format!("{:x}\r\n", block.len()).into_bytes(), block.clone(), b"\r\n".to_vec()].concat();
    for (what, result) in [
        (
            "of a length beyond reason",
            poured("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551613\r\n\r\n", block.clone()).await,
        ),
        ("without a length", poured("HTTP/1.1 200 OK\r\n\r\n", block).await),
        ("in chunks", poured(CHUNKED, chunk).await),
        ("in chunks of one byte", poured(CHUNKED, "1\r\nx\r\n".repeat(1000)).await),
    ] {
        assert_eq!(result.as_ref().map(|answer| answer.body.len()), Ok(BODY_BYTES_MAX), "{what}");
        assert_eq!(outcome(&result), Outcome::Acknowledged, "{what}");
    }
}

#[tokio::test]
async fn endless_answer_that_never_comes_to_its_body_is_broken_off() {
    for (what, result) in [
        ("a line", poured("HTTP/1.1 200 ", "x".repeat(1000)).await),
        ("a header", poured("HTTP/1.1 200 OK\r\nA: ", "x".repeat(1000)).await),
        ("a name of a header", poured("HTTP/1.1 200 OK\r\n", "x".repeat(1000)).await),
        ("headers", poured("HTTP/1.1 200 OK\r\n", "A: b\r\n".repeat(1000)).await),
        ("interim answers", poured("", "HTTP/1.1 102 Processing\r\n\r\n".repeat(1000)).await),
        ("early hints", poured("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000)).await),
        ("digits of a chunk", poured(CHUNKED, "0".repeat(1000)).await),
        ("an extension of a chunk", poured(CHUNKED, "1;a=bbbbbbbb".repeat(100)).await),
        (
            "trailers",
            poured("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n".repeat(1000)).await,
        ),
        ("nothing but blanks", poured("", "\r\n".repeat(1000)).await),
    ] {
        assert!(is_broken(&result), "{what}: {result:?}");
    }
}

#[tokio::test]
async fn flood_of_headers_is_no_answer() {
    let many = |count| format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "A: b\r\n".repeat(count));
    let one = |bytes| format!("HTTP/1.1 200 OK\r\nA: {}\r\nContent-Length: 0\r\n\r\n", "b".repeat(bytes));
    answered(&[&many(100_000), &many(100), &one(1 << 20), &one(4 * HEAD_BYTES_MAX)], LONG, is_broken).await;
    let allowed = |result: &Result<Answer, Failure>| outcome(result) == Outcome::Acknowledged;
    answered(&[&many(99), &one(HEAD_BYTES_MAX / 2)], LONG, allowed).await;
}

#[tokio::test]
async fn flood_of_tls_records_is_broken_off() {
    let floods: [(&str, Vec<u8>); 4] = [
        ("a handshake message without end", [vec![0x16, 3, 3, 0x40, 0], vec![2; 0x4000]].concat()),
        ("warnings", vec![0x15, 3, 3, 0, 2, 1, 90]),
        ("changes of cipher", vec![0x14, 3, 3, 0, 1, 1]),
        ("empty records", vec![0x16, 3, 3, 0, 0]),
    ];
    for (what, record) in floods {
        let hostile = Hostile::start(move |mut line| {
            let record = record.repeat(100);
            async move {
                line.hear_a_bit().await;
                line.say_for_ever(record).await;
            }
        })
        .await;
        let result = hostile.called(&hostile.https(), LONG).await;
        assert!(matches!(result, Err(Failure::Tls(_))), "{what}: {result:?}");
        assert_eq!(outcome(&result), Outcome::Unreachable, "{what}");
    }
}

/// HTTP/2 is not spoken: whoever speaks it unasked is no receiver, and none of its floods is more than the first.
#[tokio::test]
async fn flood_of_http2_frames_is_no_answer() {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
    };
    for (what, flood) in [
        ("settings", frame(4, 0, 0, &[0, 3, 0, 0, 0, 1])),
        ("pings", frame(6, 0, 0, &[7; 8])),
        ("goaway", frame(7, 0, 0, &[0; 8])),
        ("resets", frame(3, 0, 1, &[0, 0, 0, 8])),
        ("continuations", frame(9, 0, 1, &[0x88; 200])),
    ] {
        let result = poured("", flood.repeat(100)).await;
        assert!(is_broken(&result), "{what}: {result:?}");
    }
}
