//! Splits an mbox into messages, fed in chunks of any size and without holding more than one message.
//!
//! Reads mboxo and mboxrd: a message begins with a `From ` line that has a time in it and stands first
//! or after an empty line; `>From ` in a message loses one `>`.

/// What a splitter found, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message without its `From ` line, which began at `offset` of the file.
    Message { offset: u64, bytes: Vec<u8> },
    /// A message of `bytes` bytes, which is more than the limit; it was skipped.
    TooLarge { offset: u64, bytes: u64 },
    /// The file begins with bytes that belong to no message and are not all white space.
    Garbage { bytes: u64 },
}

/// A line that is longer than this is no `From ` line.
const SEPARATOR_BYTES_MAX: usize = 1_024;

/// Reads an mbox chunk by chunk.
#[derive(Debug)]
pub struct Splitter {
    message_bytes_max: usize,
    /// Bytes taken in so far.
    offset: u64,
    /// The line being read, while it may still be a `From ` line or a quoted one.
    line: Vec<u8>,
    /// The line being read went beyond `SEPARATOR_BYTES_MAX`; it is taken as it comes.
    in_long_line: bool,
    after_empty_line: bool,
    current: Option<Current>,
    /// Bytes before the first `From ` line, and whether one of them is not white space.
    before: u64,
    before_is_garbage: bool,
}

#[derive(Debug)]
struct Current {
    offset: u64,
    bytes: Vec<u8>,
    length: u64,
}

impl Splitter {
    /// Messages of more than `message_bytes_max` bytes are reported and skipped.
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            offset: 0,
            line: Vec::new(),
            in_long_line: false,
            after_empty_line: true,
            current: None,
            before: 0,
            before_is_garbage: false,
        }
    }

    /// Takes the next bytes of the file and adds what they complete to `found`.
    pub fn feed(&mut self, chunk: &[u8], found: &mut Vec<Piece>) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.offset += part.len() as u64;
            if self.in_long_line {
                self.keep(part);
                self.in_long_line = !part.ends_with(b"\n");
                continue;
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line(found);
            } else if self.line.len() > SEPARATOR_BYTES_MAX {
                self.in_long_line = true;
                self.after_empty_line = false;
                self.keep_line();
            }
        }
    }

    /// Tells that the file has ended.
    pub fn finish(mut self, found: &mut Vec<Piece>) {
        if !self.line.is_empty() {
            self.end_line(found);
        }
        self.end_message(found);
    }

    fn end_line(&mut self, found: &mut Vec<Piece>) {
        if self.after_empty_line && is_separator(&self.line) {
            self.end_message(found);
            let offset = self.offset - self.line.len() as u64;
            self.current = Some(Current { offset, bytes: Vec::new(), length: 0 });
            self.line.clear();
            self.after_empty_line = false;
            return;
        }
        self.after_empty_line = matches!(self.line.as_slice(), b"\n" | b"\r\n");
        self.keep_line();
    }

    fn keep_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.keep(if is_quoted_separator(&line) { &line[1..] } else { &line });
        self.line = line;
        self.line.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else {
            self.before += bytes.len() as u64;
            self.before_is_garbage |= !bytes.trim_ascii().is_empty();
            return;
        };
        current.length += bytes.len() as u64;
        if current.length <= self.message_bytes_max as u64 {
            current.bytes.extend_from_slice(bytes);
        } else {
            current.bytes = Vec::new();
        }
    }

    /// Hands out the message that ends here, or what stands before the first one.
    fn end_message(&mut self, found: &mut Vec<Piece>) {
        if std::mem::take(&mut self.before_is_garbage) {
            found.push(Piece::Garbage { bytes: self.before });
        }
        let Some(Current { offset, mut bytes, length }) = self.current.take() else { return };
        if length > self.message_bytes_max as u64 {
            found.push(Piece::TooLarge { offset, bytes: length });
            return;
        }
        // The empty line before the next `From ` line is not part of the message.
        for end in [b"\r\n\r\n".as_slice(), b"\n\n"] {
            if bytes.ends_with(end) {
                bytes.truncate(bytes.len() - end.len() / 2);
                break;
            }
        }
        found.push(Piece::Message { offset, bytes });
    }
}

/// `From sender Sat Nov 21 23:52:24 2026`: what has no time of day is a sentence of a message.
pub fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ").filter(|_| line.len() <= SEPARATOR_BYTES_MAX) else { return false };
    rest.windows(5)
        .any(|window| window[2] == b':' && [0, 1, 3, 4].iter().all(|index: &usize| window[*index].is_ascii_digit()))
}

fn is_quoted_separator(line: &[u8]) -> bool {
    let unquoted = line.iter().position(|byte| *byte != b'>').unwrap_or(0);
    unquoted > 0 && line[unquoted..].starts_with(b"From ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"From a@x Sat Nov 21 23:52:24 2026\nSubject: one\n\n>From here on\n>>From there\nFrom me\n\n\
        From b@x Sat Nov 21 23:52:25 2026\nSubject: two\n\nbody\n";

    fn split(data: &[u8], chunk: usize, limit: usize) -> Vec<Piece> {
        let mut splitter = Splitter::new(limit);
        let mut found = Vec::new();
        for part in data.chunks(chunk.max(1)) {
            splitter.feed(part, &mut found);
        }
        splitter.finish(&mut found);
        found
    }

    #[test]
    fn messages_are_split_and_unquoted_whatever_the_chunks() {
        let expected = vec![
            Piece::Message { offset: 0, bytes: b"Subject: one\n\nFrom here on\n>From there\nFrom me\n".to_vec() },
            Piece::Message { offset: 84, bytes: b"Subject: two\n\nbody\n".to_vec() },
        ];
        for chunk in [1, 2, 7, 64, 4096] {
            assert_eq!(split(TWO, chunk, 1 << 20), expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn a_sentence_that_begins_with_from_is_not_a_separator() {
        let data = b"From a@x Sat Nov 21 23:52:24 2026\nSubject: s\n\nHello\n\nFrom now on we meet daily.\n";
        assert_eq!(split(data, 9, 1 << 20).len(), 1);
    }

    #[test]
    fn a_message_that_is_too_large_is_skipped_and_the_rest_goes_on() {
        let mut data = b"From a@x Sat Nov 21 23:52:24 2026\nSubject: big\n\n".to_vec();
        data.extend(std::iter::repeat_n(b'x', 10_000));
        data.extend_from_slice(b"\n\n");
        data.extend_from_slice(&TWO[84..]);
        for chunk in [3, 5_000, 20_000] {
            let found = split(&data, chunk, 1_000);
            assert!(matches!(found[0], Piece::TooLarge { offset: 0, bytes: 10_016 }), "{:?}", found[0]);
            assert!(matches!(&found[1], Piece::Message { bytes, .. } if bytes == b"Subject: two\n\nbody\n"));
            assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn garbage_before_the_first_message_is_reported() {
        let mut data = b"\nnot an mbox\n\n".to_vec();
        data.extend_from_slice(TWO);
        let found = split(&data, 8, 1 << 20);
        assert_eq!(found[0], Piece::Garbage { bytes: 14 });
        assert_eq!(found.len(), 3);
        assert_eq!(split(b"only garbage", 5, 100), [Piece::Garbage { bytes: 12 }]);
        assert_eq!(split(b"", 1, 100), []);
    }
}
