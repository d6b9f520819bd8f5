//! Text to tokens. What cannot be a token is told and passed over.

use uuid::Uuid;

use crate::instant::{self, Read};
use crate::problem::{Problem, ProblemKind, shown};
use crate::tree::{Literal, Span};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub span: Span,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A name, keyword, or option with its `$`.
    Word(String),
    Literal(Literal),
    /// `( ) , / : ; *` and symbols that other languages have as operators.
    Symbol(&'static str),
}

/// The longest come first.
const SYMBOLS: [&str; 19] =
    ["==", "!=", "<>", ">=", "<=", "&&", "||", "(", ")", ",", "/", ":", ";", "*", "=", ">", "<", "!", "&"];

/// Types that may stand before a quoted text, besides those with a dot in their name.
const QUOTED: [&str; 6] = ["guid", "datetime", "datetimeoffset", "date", "time", "timeofday"];

pub(crate) fn tokens(text: &str, problems: &mut Vec<Problem>) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, problems };
    let mut tokens = Vec::new();
    while let Some(next) = lexer.rest().chars().next() {
        let start = lexer.at;
        let kind = lexer.token(next);
        let span = Span { start, end: lexer.at };
        tokens.extend(kind.map(|kind| Token { span, kind }));
    }
    tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes the characters that fulfil a condition.
    fn take(&mut self, is_in: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is_in(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn problem(&mut self, start: usize, kind: ProblemKind) {
        self.problems.push(Problem { span: Span { start, end: self.at }, kind });
    }

    fn token(&mut self, next: char) -> Option<Kind> {
        if next.is_whitespace() {
            self.take(char::is_whitespace);
            return None;
        }
        if next == '\'' {
            return Some(Kind::Literal(Literal::Text(self.quoted())));
        }
        if let Some(guid) = self.guid() {
            return Some(Kind::Literal(Literal::Guid(guid)));
        }
        let is_negative = next == '-' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
        if next.is_ascii_digit() || is_negative {
            return Some(Kind::Literal(self.number()));
        }
        if next.is_alphabetic() || next == '_' || next == '$' {
            return Some(self.word());
        }
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol)) {
            self.at += symbol.len();
            return Some(Kind::Symbol(symbol));
        }
        let start = self.at;
        self.at += next.len_utf8();
        self.problem(start, ProblemKind::Character(next));
        None
    }

    /// A text in quotes, in which two quotes stand for one.
    fn quoted(&mut self) -> String {
        let start = self.at;
        let mut value = String::new();
        loop {
            self.at += 1;
            value.push_str(self.take(|c| c != '\''));
            if self.rest().starts_with("''") {
                self.at += 1;
                value.push('\'');
            } else if self.rest().is_empty() {
                self.problem(start, ProblemKind::OpenText);
                return value;
            } else {
                self.at += 1;
                return value;
            }
        }
    }

    fn guid(&mut self) -> Option<Uuid> {
        let text = self.rest().get(..36)?;
        let ends = !self.rest()[36..].starts_with(|c: char| c.is_alphanumeric() || c == '-');
        let guid = Uuid::try_parse(text).ok().filter(|_| ends && text.as_bytes()[8] == b'-')?;
        self.at += 36;
        Some(guid)
    }

    /// A number, date or time.
    fn number(&mut self) -> Literal {
        let start = self.at;
        let text = self.take(|c| c.is_alphanumeric() || matches!(c, '.' | ':' | '+' | '-'));
        self.literal(start, text)
    }

    fn literal(&mut self, start: usize, text: &str) -> Literal {
        match read_literal(text) {
            Some(literal) => literal,
            None => {
                self.problem(start, ProblemKind::Literal(shown(text)));
                Literal::Null
            }
        }
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        self.at += usize::from(self.rest().starts_with('$'));
        self.take(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        let word = &self.text[start..self.at];
        if !self.rest().starts_with('\'') {
            return Kind::Word(word.to_owned());
        }
        if QUOTED.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            let text = self.quoted();
            let guid = || Uuid::try_parse(&text).ok().filter(|_| word.eq_ignore_ascii_case("guid")).map(Literal::Guid);
            return Kind::Literal(guid().unwrap_or_else(|| self.literal(start, &text)));
        }
        if word.contains('.') {
            return Kind::Literal(Literal::Member { type_name: word.to_owned(), member: self.quoted() });
        }
        Kind::Word(word.to_owned())
    }
}

fn read_literal(text: &str) -> Option<Literal> {
    if let Ok(integer) = text.parse() {
        return Some(Literal::Integer(integer));
    }
    if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        let double = text.parse::<f64>().ok().filter(|double| double.is_finite());
        if let Some(double) = double {
            return Some(Literal::Double(double));
        }
    }
    match instant::read(text) {
        Some(Read::Instant(micros)) => Some(Literal::Instant(micros)),
        Some(Read::Date(date)) => Some(Literal::Date(date)),
        Some(Read::Local(_)) => None,
        None => instant::read_time(text).map(Literal::Time),
    }
}
