//! The text of a search to its tree.

use odata::instant::{self, Read};
use odata::tree::Comparison;

use super::{DEPTH_MAX, Moment, Place, Range, SearchRefusal, TERMS_MAX, Test, Words};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) fn search(text: &str) -> Result<Test, SearchRefusal> {
    let text = unwrapped(text.trim());
    let mut parser = Parser { text: &text, at: 0, depth: 0, terms: 0 };
    let test = parser.any()?;
    parser.blanks();
    if parser.at < text.len() { Err(parser.expected("a word")) } else { Ok(test) }
}

/// The text within the double quotes that Graph wants around it, in which others stand behind a `\`.
fn unwrapped(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    // Several phrases rather than one text in quotes.
    let is_wrapped = |inner: &&str| !inner.replace("\\\"", "").contains('"');
    match inner.filter(is_wrapped) {
        // With nothing escaped in it, a text of several words is sought as these words.
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, expected: &'static str) -> SearchRefusal {
        SearchRefusal::Syntax { position: self.at, expected }
    }

    /// Takes a symbol, or a word that ends here.
    fn take(&mut self, wanted: &str) -> bool {
        self.blanks();
        let Some(after) = self.rest().strip_prefix(wanted) else { return false };
        let is_word = wanted.chars().all(char::is_alphabetic);
        let ends = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == '(' || c == '"');
        if is_word && !ends {
            return false;
        }
        self.at += wanted.len();
        true
    }

    fn any(&mut self) -> Result<Test, SearchRefusal> {
        let mut tests = vec![self.all()?];
        while self.take("OR") {
            tests.push(self.all()?);
        }
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::Any(tests) })
    }

    fn all(&mut self) -> Result<Test, SearchRefusal> {
        let mut tests = vec![self.not()?];
        loop {
            let explicit = self.take("AND");
            self.blanks();
            let is_over = self.rest().is_empty() || self.rest().starts_with(')') || self.is_or();
            if is_over && !explicit {
                return Ok(if tests.len() == 1 { tests.remove(0) } else { Test::All(tests) });
            }
            tests.push(self.not()?);
        }
    }

    fn is_or(&mut self) -> bool {
        let before = self.at;
        let found = self.take("OR");
        self.at = before;
        found
    }

    fn not(&mut self) -> Result<Test, SearchRefusal> {
        if self.take("NOT") || self.take("-") {
            return Ok(Test::Not(Box::new(self.nested(Self::not)?)));
        }
        self.take("+");
        if self.take("(") {
            let inner = self.nested(Self::any)?;
            return if self.take(")") { Ok(inner) } else { Err(self.expected("')'")) };
        }
        self.term()
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Test, SearchRefusal>) -> Result<Test, SearchRefusal> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SearchRefusal::TooLarge);
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn term(&mut self) -> Result<Test, SearchRefusal> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(SearchRefusal::TooLarge);
        }
        let start = self.at;
        let letters = self.rest().find(|c: char| !c.is_alphabetic()).unwrap_or(self.rest().len());
        let (name, after) = self.rest().split_at(letters);
        let Some((operator, symbol)) = operator(after).filter(|_| !name.is_empty()) else {
            let text = self.value()?;
            return self.words(start, Place::Anywhere, &text);
        };
        self.at += letters + symbol.len();
        self.blanks();
        self.property(start, name, operator)
    }

    /// A phrase in quotes, or what stands up to a blank or parenthesis.
    fn value(&mut self) -> Result<String, SearchRefusal> {
        if let Some(rest) = self.rest().strip_prefix('"') {
            let end = rest.find('"').ok_or_else(|| self.expected("a closing quote"))?;
            // A star may stand behind the quote.
            let star = usize::from(rest[end + 1..].starts_with('*'));
            self.at += end + 2 + star;
            return Ok(format!("{}{}", &rest[..end], if star == 1 { "*" } else { "" }));
        }
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected("a word"));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn words(&self, position: usize, place: Place, text: &str) -> Result<Test, SearchRefusal> {
        let words = Words::read(text).ok_or(SearchRefusal::Syntax { position, expected: "a word" })?;
        Ok(Test::Words(place, words))
    }

    fn property(&mut self, start: usize, name: &str, operator: Comparison) -> Result<Test, SearchRefusal> {
        let name = name.to_ascii_lowercase();
        let place = match name.as_str() {
            "subject" => Some(Place::Subject),
            "body" => Some(Place::Body),
            "from" => Some(Place::From),
            "to" => Some(Place::To),
            "cc" => Some(Place::Cc),
            "bcc" => Some(Place::Bcc),
            "recipients" => Some(Place::Recipients),
            "participants" => Some(Place::Participants),
            "attachment" => Some(Place::Attachment),
            _ => None,
        };
        let known = ["hasattachment", "hasattachments", "importance", "kind", "received", "sent", "size"];
        if place.is_none() && !known.contains(&name.as_str()) {
            return Err(SearchRefusal::Property { position: start, name: name.chars().take(64).collect() });
        }
        let position = self.at;
        let value = self.value()?;
        let (positive, is_negated) =
            if operator == Comparison::Ne { (Comparison::Eq, true) } else { (operator, false) };
        let test = match place {
            Some(place) => self.words(position, place, &value)?,
            None => {
                let value = value.to_ascii_lowercase();
                let wrong =
                    |expected| SearchRefusal::Value { position, value: value.chars().take(64).collect(), expected };
                scalar(&name, positive, &value).map_err(wrong)?
            }
        };
        Ok(if is_negated { Test::Not(Box::new(test)) } else { test })
    }
}

fn operator(text: &str) -> Option<(Comparison, &'static str)> {
    let known = [
        (Comparison::Eq, ":"),
        (Comparison::Ne, "<>"),
        (Comparison::Ge, ">="),
        (Comparison::Le, "<="),
        (Comparison::Gt, ">"),
        (Comparison::Lt, "<"),
        (Comparison::Eq, "="),
    ];
    let (found, symbol) = known.into_iter().find(|(_, symbol)| text.starts_with(symbol))?;
    // `received:>=2026-01-01`
    let inner = if symbol == ":" { operator(&text[1..]).filter(|(_, inner)| *inner != ":") } else { None };
    match inner {
        Some((found, ">=")) => Some((found, ":>=")),
        Some((found, "<=")) => Some((found, ":<=")),
        Some((found, ">")) => Some((found, ":>")),
        Some((found, "<")) => Some((found, ":<")),
        _ => Some((found, symbol)),
    }
}

/// A condition that is no search for words; else what should have been written.
fn scalar(name: &str, operator: Comparison, value: &str) -> Result<Test, &'static str> {
    match name {
        "hasattachment" | "hasattachments" => match value {
            "true" | "yes" | "1" => Ok(Test::HasAttachment(true)),
            "false" | "no" | "0" => Ok(Test::HasAttachment(false)),
            _ => Err("true or false"),
        },
        "importance" => match value {
            "low" | "normal" | "high" => Ok(Test::Importance(value.to_owned())),
            "medium" => Ok(Test::Importance("normal".to_owned())),
            _ => Err("low, normal or high"),
        },
        "kind" => Ok(Test::Kind(value.to_owned())),
        "received" => Ok(Test::Time(Moment::Received, range(operator, value, day).ok_or("a date: 2026-01-31")?)),
        "sent" => Ok(Test::Time(Moment::Sent, range(operator, value, day).ok_or("a date: 2026-01-31")?)),
        _ => Ok(Test::Size(range(operator, value, bytes).ok_or("a number of bytes")?)),
    }
}

/// One value compared, or all `from..to`.
fn range(operator: Comparison, value: &str, read: fn(&str) -> Option<Range>) -> Option<Range> {
    if let Some((first, last)) = value.split_once("..") {
        let both = Range { first: read(first)?.first, last: read(last)?.last };
        return Some(both).filter(|_| operator == Comparison::Eq);
    }
    Range::of(operator, read(value)?)
}

/// A whole day, or a point in time: `2026-01-31`, `1/31/2026`, `2026-01-31T10:00:00Z`.
fn day(text: &str) -> Option<Range> {
    let american = || {
        let mut parts = text.split('/').map(|part| part.parse::<u32>().ok());
        let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
        instant::read(&format!("{year:04}-{month:02}-{day:02}"))
    };
    Some(match instant::read(text).or_else(american)? {
        Read::Date(date) => {
            let first = instant::midnight(date);
            Range { first, last: first + DAY - 1 }
        }
        Read::Local(at) | Read::Instant(at) => Range { first: at, last: at },
    })
}

fn bytes(text: &str) -> Option<Range> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "b" => 1,
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return None,
    };
    let value = digits.parse::<u32>().ok().map(i64::from)?.checked_mul(unit)?;
    Some(Range { first: value, last: value })
}
