//! Reads the files of an import, of whatever format, and hands on what they hold.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::mbox::{Piece, Splitter, is_separator};
use graph::mime::{self, Origin, ParsedMessage};
use graph::{Kind, Properties, ical, vcard};

use super::{Found, FoundItem, Unreadable};
use crate::sources::once::import_key;

const READ_BYTES: usize = 256 * 1024;

/// As much of a file as its format is told by.
const SNIFFED_BYTES: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Mbox,
    Message,
    Calendar,
    Cards,
}

/// Hands what the files hold to `emit`, until that answers that nobody listens.
pub(super) fn read_all(files: &[PathBuf], owner: &str, emit: &mut dyn FnMut(Found) -> bool) {
    for file in files {
        let mut reader = Reader { file: Arc::from(file.as_path()), owner, seen: HashMap::new(), emit, heard: true };
        if let Err(error) = reader.read() {
            reader.unreadable("", error.to_string());
        }
        if !reader.heard {
            return;
        }
    }
}

struct Reader<'a> {
    file: Arc<Path>,
    owner: &'a str,
    /// How often each content was found in this file, by the start of its key.
    seen: HashMap<u64, u32>,
    emit: &'a mut dyn FnMut(Found) -> bool,
    heard: bool,
}

impl Reader<'_> {
    fn read(&mut self) -> io::Result<()> {
        let mut file = File::open(&self.file)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("this is a directory, not a file"));
        }
        let mut start = vec![0; SNIFFED_BYTES];
        let count = fill(&mut file, &mut start)?;
        start.truncate(count);
        let rest = io::Cursor::new(start.clone()).chain(file);
        match format_of(&self.file, &start) {
            Some(Format::Mbox) => self.mbox(rest),
            Some(Format::Message) => {
                let Some(bytes) = self.whole(rest, mime::MESSAGE_BYTES_MAX)? else { return Ok(()) };
                self.message(&bytes, String::new());
                Ok(())
            }
            Some(Format::Calendar) => {
                let Some(bytes) = self.whole(rest, ical::CALENDAR_BYTES_MAX)? else { return Ok(()) };
                self.calendar(&bytes);
                Ok(())
            }
            Some(Format::Cards) => {
                let Some(bytes) = self.whole(rest, vcard::CARDS_BYTES_MAX)? else { return Ok(()) };
                self.cards(&bytes);
                Ok(())
            }
            None if start.is_empty() => Err(io::Error::other("the file is empty")),
            None => Err(io::Error::other("the file is none of mbox, message, iCalendar and vCard")),
        }
    }

    fn tell(&mut self, found: Found) {
        self.heard = self.heard && (self.emit)(found);
    }

    fn unreadable(&mut self, place: &str, why: String) {
        let file = self.file.to_path_buf();
        self.tell(Found::Unreadable(Unreadable { file, place: place.to_owned(), why }));
    }

    /// The file's bytes; `None`, and a report, if there are more than `bytes_max`.
    fn whole(&mut self, file: impl Read, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        file.take(limit + 1).read_to_end(&mut bytes)?;
        self.tell(Found::Bytes(bytes.len() as u64));
        if bytes.len() > bytes_max {
            self.unreadable("", format!("the file has more than {bytes_max} bytes"));
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    fn mbox(&mut self, mut file: impl Read) -> io::Result<()> {
        let mut splitter = Splitter::new(mime::MESSAGE_BYTES_MAX);
        let mut buffer = vec![0; READ_BYTES];
        let mut found = Vec::new();
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            splitter.feed(&buffer[..count], &mut found);
            found.drain(..).for_each(|piece| self.piece(piece));
            self.tell(Found::Bytes(count as u64));
            if !self.heard {
                return Ok(());
            }
        }
        splitter.finish(&mut found);
        found.drain(..).for_each(|piece| self.piece(piece));
        Ok(())
    }

    fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Message { offset, bytes } => self.message(&bytes, format!("byte {offset}")),
            Piece::TooLarge { offset, bytes } => {
                let why = format!("the message has {bytes} bytes, more than {}", mime::MESSAGE_BYTES_MAX);
                self.unreadable(&format!("byte {offset}"), why);
            }
            Piece::Garbage { bytes } => {
                self.unreadable("byte 0", format!("{bytes} bytes before the first \"From \" line are no message"));
            }
        }
    }

    fn message(&mut self, bytes: &[u8], place: String) {
        match mime::parse(bytes, Origin::Archive) {
            Ok(message) => {
                let once_key = self.once_key(bytes);
                let ParsedMessage { properties, folder, meeting } = message;
                let (kind, meeting) = (Kind::Message, meeting.map(Box::new));
                self.item(place, |file, place| FoundItem { kind, folder, properties, meeting, once_key, file, place });
            }
            Err(error) => self.unreadable(&place, error.to_string()),
        }
    }

    fn calendar(&mut self, bytes: &[u8]) {
        let parsed = match ical::parse(bytes, self.owner) {
            Ok(parsed) => parsed,
            Err(error) => return self.unreadable("", error.to_string()),
        };
        self.tell(Found::Skipped(parsed.skipped));
        for event in parsed.events {
            let uid = event.get("iCalUId").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            self.plain_item(Kind::Event, event, format!("event {uid}"));
        }
        for (uid, why) in parsed.unreadable {
            self.unreadable(&format!("event {uid}"), why.to_string());
        }
    }

    fn cards(&mut self, bytes: &[u8]) {
        let parsed = match vcard::parse(bytes) {
            Ok(parsed) => parsed,
            Err(error) => return self.unreadable("", error.to_string()),
        };
        self.tell(Found::Skipped(parsed.skipped));
        for contact in parsed.contacts {
            let name = contact.get("displayName").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            self.plain_item(Kind::Contact, contact, format!("card of {name}"));
        }
        for (number, why) in parsed.unreadable {
            self.unreadable(&format!("card {number}"), why.to_string());
        }
    }

    fn plain_item(&mut self, kind: Kind, properties: Properties, place: String) {
        let content = serde_json::to_vec(&properties).unwrap_or_default();
        let (once_key, folder, meeting) = (self.once_key(&content), None, None);
        self.item(place, |file, place| FoundItem { kind, folder, properties, meeting, once_key, file, place });
    }

    fn item(&mut self, place: String, found: impl FnOnce(Arc<Path>, String) -> FoundItem) {
        let found = found(Arc::clone(&self.file), place);
        self.tell(Found::Item(Box::new(found)));
    }

    /// What a file holds twice is imported twice; what was imported before is not imported again.
    fn once_key(&mut self, content: &[u8]) -> String {
        let first = import_key(content, 0);
        let start = first.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default();
        let count = self.seen.entry(start).or_default();
        *count += 1;
        if *count == 1 { first } else { import_key(content, *count - 1) }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// By the extension; a message saved with a mailbox's `From ` line is read as a mailbox. Without a known
/// extension by the first bytes.
fn format_of(path: &Path, start: &[u8]) -> Option<Format> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        _ if is_separator(first_line) => Some(Format::Mbox),
        "mbox" | "mbx" if !start.is_empty() => Some(Format::Mbox),
        "eml" if !start.is_empty() => Some(Format::Message),
        "ics" | "ical" | "ifb" if !start.is_empty() => Some(Format::Calendar),
        "vcf" | "vcard" if !start.is_empty() => Some(Format::Cards),
        _ if begins(first_line, b"BEGIN:VCALENDAR") => Some(Format::Calendar),
        _ if begins(first_line, b"BEGIN:VCARD") => Some(Format::Cards),
        _ if is_header(first_line) => Some(Format::Message),
        _ => None,
    }
}

fn begins(line: &[u8], word: &[u8]) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn is_header(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_name = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_name && name.len() < line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_extension_and_then_by_content() {
        let mbox = b"From a@b Sat Nov 21 23:52:24 2026\nSubject: x\n";
        for (name, start, format) in [
            ("a.mbox", b"Subject: x\n".as_slice(), Some(Format::Mbox)),
            ("a.EML", b"Subject: x\n", Some(Format::Message)),
            ("saved.eml", mbox, Some(Format::Mbox)),
            ("archive", mbox, Some(Format::Mbox)),
            ("a.txt", b"Subject: x\n", Some(Format::Message)),
            ("a.txt", b"\xef\xbb\xbfbegin:vcalendar\r\n", Some(Format::Calendar)),
            ("a.txt", b"BEGIN:VCARD\r\n", Some(Format::Cards)),
            ("a.txt", b"From here on it is text\n", None),
            ("a.txt", b"\x1f\x8b\x08\x00", None),
            ("a.eml", b"", None),
        ] {
            assert_eq!(format_of(Path::new(name), start), format, "{name}");
        }
    }
}
