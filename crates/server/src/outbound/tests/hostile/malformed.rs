//! Those whose answers are none, or two at once.

use super::*;

#[tokio::test]
async fn malformed_answer_is_none() {
    let answers = [
        "",
        "<html>It works</html>",
        "200 OK\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
    ];
    answered(&answers, LONG, is_broken).await;
}

#[tokio::test]
async fn malformed_answer_with_bad_chunks_is_none() {
    let chunks =
        ["zz\r\nx\r\n", "-1\r\nx\r\n", "ffffffffffffffffff\r\nx", "1\r\nxyz\r\n0\r\n\r\n", "1\nx\n", "1\r\nx", "\r\n"];
    let answers = chunks.map(|chunk| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"));
    answered(&answers.each_ref().map(String::as_str), LONG, is_broken).await;
}

#[tokio::test]
async fn malformed_answer_that_is_shorter_than_it_says_is_none() {
    answered(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxy"], LONG, is_broken).await;
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxy";
    answered(&[cut], LONG, is_broken).await;
}

#[tokio::test]
async fn malformed_answer_never_acknowledges_by_switching_to_another_protocol() {
    let switches = ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"];
    answered(&switches, LONG, |result| outcome(result) != Outcome::Acknowledged).await;
}

/// What a receiver says beyond its answer is not taken for the answer to the next request.
#[tokio::test]
async fn smuggled_answer_is_not_taken_for_the_next_ones() {
    let beyond = [
        "HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "rest of a body that was longer than it said".to_owned(),
        "HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n".repeat(100),
    ];
    for beyond in beyond {
        let receiver = Receiver::start(move |n, _| {
            let beyond = if n == 0 { beyond.as_str() } else { "" };
            Reply::Send(format!("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n{beyond}"))
        })
        .await;
        let outbound = dev();
        for _ in 0..3 {
            assert_eq!(outcome(&post(&outbound, &receiver.url("/"), LONG).await), Outcome::Acknowledged);
        }
        assert_eq!((receiver.requests().len(), receiver.connections()), (3, 2), "the connection is not used again");
    }
}

#[tokio::test]
async fn chain_of_redirects_is_one_answer() {
    let receiver = Receiver::start(|n, _| {
        let location = format!("Location: /{n}\r\nRefresh: 0; url=/{n}\r\nContent-Length: 0\r\n\r\n");
        Reply::Send(format!("HTTP/1.1 30{} Go\r\n{location}", [1, 2, 3, 7, 8][n % 5]))
    })
    .await;
    let outbound = dev();
    for (n, status) in [301, 302, 303, 307, 308].into_iter().enumerate() {
        let result = post(&outbound, &receiver.url("/"), LONG).await;
        assert_eq!(outcome(&result), Outcome::refused(status));
        assert_eq!(receiver.requests().len(), n + 1);
    }
}
