//! One LMTP connection: commands in, answers out, a message between them.

use std::io;
use std::sync::Arc;

use graph::mime::{self, MimeError, Origin, ParsedMessage};
use smtp_proto::request::receiver::{DataReceiver, DummyDataReceiver, RequestReceiver};
use smtp_proto::{Error, MAIL_BODY_BINARYMIME, Request};
use store::User;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::sources::once::delivery_key;
use crate::sources::{DeliverError, Delivered, Inbound, Mail};

const READ_BYTES: usize = 16 * 1024;

pub(super) struct Session {
    inbound: Arc<dyn Inbound>,
    limits: Limits,
    shutdown: CancellationToken,
    greeted: bool,
    /// `MAIL` was accepted.
    sender: bool,
    recipients: Vec<Recipient>,
    commands: u32,
    errors: u32,
    /// Answers not yet written; pipelined commands are answered together.
    answers: String,
}

/// A recipient as the MTA wrote it, and whose mailbox that is.
struct Recipient {
    address: String,
    user: User,
}

/// How the bytes that come next are to be read.
enum Reading {
    Commands,
    Message {
        receiver: DataReceiver,
        bytes: Vec<u8>,
    },
    /// The rest of a message that is too large.
    Excess(DummyDataReceiver),
}

/// Whether the conversation goes on.
enum Next {
    Commands,
    Message,
    Close,
}

impl Session {
    pub fn new(inbound: Arc<dyn Inbound>, limits: Limits, shutdown: CancellationToken) -> Self {
        Self {
            inbound,
            limits,
            shutdown,
            greeted: false,
            sender: false,
            recipients: Vec::new(),
            commands: 0,
            errors: 0,
            answers: String::new(),
        }
    }

    pub async fn run(mut self, mut stream: TcpStream) -> io::Result<()> {
        let mut receiver = RequestReceiver::default();
        let mut reading = Reading::Commands;
        let mut buffer = vec![0u8; READ_BYTES];
        self.answer("220 localhost LMTP ready");
        loop {
            self.flush(&mut stream).await?;
            let read = tokio::select! {
                () = self.shutdown.cancelled() => None,
                read = timeout(self.limits.idle, stream.read(&mut buffer)) => Some(read),
            };
            let count = match read {
                None => return self.close(&mut stream, "421 4.3.2 shutting down").await,
                Some(Err(_)) => return self.close(&mut stream, "421 4.4.2 idle for too long").await,
                Some(Ok(count)) => count?,
            };
            if count == 0 {
                return Ok(());
            }
            let mut bytes = buffer[..count].iter();
            while !bytes.as_slice().is_empty() {
                reading = match reading {
                    Reading::Commands => match receiver.ingest(&mut bytes) {
                        Err(Error::NeedsMoreData { .. }) => Reading::Commands,
                        request => match self.command(request).await {
                            Next::Commands => Reading::Commands,
                            Next::Message => Reading::Message { receiver: DataReceiver::new(), bytes: Vec::new() },
                            Next::Close => return self.flush(&mut stream).await,
                        },
                    },
                    Reading::Message { receiver, bytes: message } => self.message(receiver, message, &mut bytes).await,
                    Reading::Excess(mut receiver) => match receiver.ingest(&mut bytes) {
                        true => {
                            self.answer_each("552 5.3.4 the message is too large");
                            Reading::Commands
                        }
                        false => Reading::Excess(receiver),
                    },
                };
            }
        }
    }

    async fn flush(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let written = timeout(self.limits.idle, stream.write_all(self.answers.as_bytes())).await;
        self.answers.clear();
        written.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }

    async fn close(&mut self, stream: &mut TcpStream, answer: &str) -> io::Result<()> {
        self.answer(answer);
        self.flush(stream).await
    }

    fn answer(&mut self, answer: &str) {
        self.answers.push_str(answer);
        self.answers.push_str("\r\n");
    }

    fn refuse(&mut self, answer: &str) {
        self.errors += 1;
        self.answer(answer);
    }

    /// The same answer for each recipient of the message, which is then done with.
    fn answer_each(&mut self, answer: &str) {
        for _ in 0..self.recipients.len() {
            self.answer(answer);
        }
        self.reset();
    }

    fn reset(&mut self) {
        self.sender = false;
        self.recipients.clear();
    }

    async fn command(&mut self, request: Result<Request<std::borrow::Cow<'_, str>>, Error>) -> Next {
        self.commands += 1;
        match request {
            Ok(Request::Lhlo { .. }) => self.greet(),
            Ok(Request::Ehlo { .. } | Request::Helo { .. }) => self.refuse("500 5.5.1 this is LMTP, say LHLO"),
            Ok(Request::Mail { from }) => self.mail(from.size, from.flags & MAIL_BODY_BINARYMIME != 0),
            Ok(Request::Rcpt { to }) => self.recipient(&to.address).await,
            Ok(Request::Data) if self.recipients.is_empty() => self.refuse("503 5.5.1 no valid recipients"),
            Ok(Request::Data) => {
                self.answer("354 go ahead, end with a dot");
                return Next::Message;
            }
            Ok(Request::Rset) => {
                self.reset();
                self.answer("250 2.0.0 reset");
            }
            Ok(Request::Noop { .. }) => self.answer("250 2.0.0 ok"),
            Ok(Request::Vrfy { .. }) => self.answer("252 2.1.5 send mail and see"),
            Ok(Request::Quit) => {
                self.answer("221 2.0.0 bye");
                return Next::Close;
            }
            Ok(_) | Err(Error::UnknownCommand) => self.refuse("500 5.5.1 no such command"),
            // What follows a cut line would be read as commands.
            Err(Error::ResponseTooLong) => {
                self.answer("500 5.5.6 the line is too long");
                return Next::Close;
            }
            Err(error) => self.refuse(&format!("501 5.5.4 {}", one_line(&error.to_string()))),
        }
        if self.commands >= self.limits.commands_max || self.errors >= self.limits.errors_max {
            self.answer("421 4.7.0 too many commands or errors");
            return Next::Close;
        }
        Next::Commands
    }

    fn greet(&mut self) {
        self.reset();
        self.greeted = true;
        let size = self.limits.message_bytes_max;
        self.answer("250-localhost");
        for extension in ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"] {
            self.answer(&format!("250-{extension}"));
        }
        self.answer(&format!("250 SIZE {size}"));
    }

    fn mail(&mut self, size: usize, binary: bool) {
        match () {
            () if !self.greeted => self.refuse("503 5.5.1 say LHLO first"),
            () if self.sender => self.refuse("503 5.5.1 there is a sender already"),
            () if size > self.limits.message_bytes_max => self.refuse("552 5.3.4 the message is too large"),
            () if binary => self.refuse("555 5.6.1 BINARYMIME is not offered"),
            () => {
                self.sender = true;
                self.answer("250 2.1.0 ok");
            }
        }
    }

    async fn recipient(&mut self, address: &str) {
        if !self.sender {
            return self.refuse("503 5.5.1 say MAIL first");
        }
        if self.recipients.len() >= self.limits.recipients_max {
            return self.answer("452 4.5.3 too many recipients");
        }
        match self.inbound.recipient(address).await {
            Ok(Some(user)) => {
                self.recipients.push(Recipient { address: address.to_owned(), user });
                self.answer("250 2.1.5 ok");
            }
            // A mailing's unknown users are no error of the MTA's.
            Ok(None) => self.answer("550 5.1.1 no such user here"),
            Err(error) => {
                tracing::warn!(%error, "cannot look a recipient up");
                self.answer("451 4.3.0 try again later");
            }
        }
    }

    async fn message(
        &mut self,
        mut receiver: DataReceiver,
        mut message: Vec<u8>,
        bytes: &mut std::slice::Iter<'_, u8>,
    ) -> Reading {
        let complete = receiver.ingest(bytes, &mut message);
        match (complete, message.len() > self.limits.message_bytes_max) {
            (false, false) => return Reading::Message { receiver, bytes: message },
            (false, true) => return Reading::Excess(DummyDataReceiver::new_data(&receiver)),
            (true, true) => self.answer_each("552 5.3.4 the message is too large"),
            (true, false) => self.deliver(message).await,
        }
        Reading::Commands
    }

    /// One answer for each recipient, in the order in which they were accepted.
    async fn deliver(&mut self, message: Vec<u8>) {
        let read = tokio::task::spawn_blocking(move || {
            let parsed = mime::parse(&message, Origin::Delivered);
            (parsed, message)
        });
        let (mail, message) = match read.await {
            Ok((Ok(ParsedMessage { properties, meeting, .. }), message)) => {
                (Mail { properties, meeting: meeting.map(Box::new) }, message)
            }
            Ok((Err(error @ MimeError::TooLarge(_)), _)) => return self.answer_each(&format!("552 5.3.4 {error}")),
            Ok((Err(error), _)) => return self.answer_each(&format!("554 5.6.0 {error}")),
            Err(error) => {
                tracing::error!(%error, "reading a message failed");
                return self.answer_each("451 4.3.0 try again later");
            }
        };
        for recipient in std::mem::take(&mut self.recipients) {
            let answer = self.deliver_to(&recipient, mail.clone(), &message).await;
            self.answer(&answer);
        }
        self.reset();
    }

    async fn deliver_to(&self, recipient: &Recipient, mail: Mail, message: &[u8]) -> String {
        let once_key = delivery_key(&recipient.address, message);
        match self.inbound.deliver(&recipient.user, mail, once_key).await {
            Ok(Delivered::New) => "250 2.0.0 stored".to_owned(),
            Ok(Delivered::Duplicate) => "250 2.0.0 duplicate, already stored".to_owned(),
            Err(DeliverError::NoMailbox) => "550 5.1.1 no such user here".to_owned(),
            Err(DeliverError::Refused(why)) => format!("554 5.6.0 {}", one_line(&why)),
            Err(DeliverError::NoRoom(_)) => "452 4.3.1 the system has no room now, try again later".to_owned(),
            Err(DeliverError::Temporary(why)) => {
                tracing::warn!(why, "a message was not stored");
                "451 4.3.0 try again later".to_owned()
            }
        }
    }
}

/// Text that can stand in an answer.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(200).collect()
}
