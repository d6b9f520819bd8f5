//! Receivers that do what they like with a connection. Whatever that is: the call ends in its time with the outcome
//! that is due, takes a bounded amount of what is offered, and leaves no connection behind.

use std::future::Future;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::super::capped::ANSWER_WIRE_BYTES_MAX;
use super::*;

mod broken;
mod malformed;
mod slow;
mod too_much;

/// What the sockets of both sides hold beyond what was read.
const SOCKET_BYTES_MAX: usize = 16 << 20;

/// One connection, from the receiver's side.
struct Line {
    socket: TcpStream,
    taken: Arc<AtomicUsize>,
}

impl Line {
    /// Reads the request; whatever came if there is not a whole one.
    async fn hear(&mut self) {
        read_request(&mut self.socket).await;
    }

    /// Reads a first piece of what comes.
    async fn hear_a_bit(&mut self) {
        let _ = self.socket.read(&mut [0; 16]).await;
    }

    /// Whether it was taken.
    async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        self.taken.fetch_add(bytes.len(), Ordering::SeqCst);
        self.socket.write_all(bytes).await.is_ok()
    }

    async fn say_for_ever(&mut self, bytes: impl AsRef<[u8]>) {
        while self.say(&bytes).await {}
    }

    /// A byte at a time, for ever.
    async fn drip(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref().iter().cycle() {
            if !self.say([*byte]).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Says nothing until the other side has gone.
    async fn hang(&mut self) {
        while self.socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    }

    /// Ends the connection as a crashed machine does, not as a program that closes it.
    fn reset(&mut self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

struct Hostile {
    port: u16,
    /// Bytes that were offered and went into the network.
    taken: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
    ended: Arc<Semaphore>,
}

impl Hostile {
    async fn start<F>(act: impl Fn(Line) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hostile = Self { port, taken: Arc::default(), begun: Arc::default(), ended: Arc::new(Semaphore::new(0)) };
        let (taken, begun, ended) =
            (Arc::clone(&hostile.taken), Arc::clone(&hostile.begun), Arc::clone(&hostile.ended));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                begun.fetch_add(1, Ordering::SeqCst);
                let (acted, ended) = (act(Line { socket, taken: Arc::clone(&taken) }), Arc::clone(&ended));
                tokio::spawn(async move {
                    acted.await;
                    ended.add_permits(1);
                });
            }
        });
        hostile
    }

    /// What a call of it came to, once nothing of it is left.
    async fn called(&self, url: &str, limit: Duration) -> Result<Answer, Failure> {
        let (outbound, before) = (dev(), self.begun.load(Ordering::SeqCst));
        let started = Instant::now();
        let result = post(&outbound, url, limit).await;
        assert!(started.elapsed() < limit + LONG, "it ends in its time");
        if let Ok(answer) = &result {
            assert!(answer.body.len() <= BODY_BYTES_MAX);
        }
        let connections = self.begun.load(Ordering::SeqCst) - before;
        drop(outbound);
        let ended = self.ended.acquire_many(u32::try_from(connections).unwrap());
        tokio::time::timeout(LONG, ended).await.expect("no connection is left behind").unwrap().forget();
        assert!(self.taken.load(Ordering::SeqCst) < ANSWER_WIRE_BYTES_MAX + SOCKET_BYTES_MAX);
        result
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/n", self.port)
    }

    fn https(&self) -> String {
        format!("https://127.0.0.1:{}/n", self.port)
    }
}

/// Each of these, said when the request has come, ends in that.
async fn answered(answers: &[&str], limit: Duration, due: impl Fn(&Result<Answer, Failure>) -> bool) {
    for answer in answers {
        let said = (*answer).to_owned();
        let hostile = Hostile::start(move |mut line| {
            let said = said.clone();
            async move {
                line.hear().await;
                line.say(said).await;
            }
        })
        .await;
        let result = hostile.called(&hostile.url(), limit).await;
        let shown: String = answer.chars().take(80).collect();
        assert!(due(&result), "{shown:?}: {result:?}");
    }
}

fn is_broken(result: &Result<Answer, Failure>) -> bool {
    matches!(result, Err(Failure::Broken(_))) && outcome(result) == Outcome::Unreachable
}
