//! `$orderby`, `$select` and `$expand` with options in parentheses.

use super::{Parser, whole};
use crate::lexer::{Kind, Token};
use crate::problem::{ProblemKind, Problems, shown};
use crate::tree::{Expansion, Key, Literal, Options, Path, Selected};

/// The value of `$orderby`.
pub fn orderby(text: &str) -> Result<Vec<Key>, Problems> {
    whole(text, Parser::keys)
}

/// The value of `$select`; empty parts are passed over.
pub fn select(text: &str) -> Result<Vec<Selected>, Problems> {
    whole(text, Parser::selected)
}

/// The value of `$expand`.
pub fn expand(text: &str) -> Result<Vec<Expansion>, Problems> {
    whole(text, Parser::expansions)
}

impl Parser {
    fn listed<T>(&mut self, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut list = vec![read(self)];
        while self.take_symbol(",") {
            list.push(read(self));
        }
        list
    }

    fn counted_path(&mut self) -> Path {
        let start = self.here();
        let path = self.path();
        if path.names.is_empty() {
            self.recover();
        }
        // Paths count as nodes do.
        self.node(start, crate::tree::Node::Literal(Literal::Null));
        path
    }

    fn keys(&mut self) -> Vec<Key> {
        self.listed(|parser| {
            let path = parser.counted_path();
            let descending = parser.take_word("desc");
            if !descending {
                parser.take_word("asc");
            }
            Key { path, descending }
        })
    }

    fn selected(&mut self) -> Vec<Selected> {
        let mut selected = Vec::new();
        loop {
            while self.take_symbol(",") {}
            match self.peek() {
                None | Some(Kind::Symbol(")" | ";")) => return selected,
                Some(Kind::Symbol("*")) => {
                    self.at += 1;
                    selected.push(Selected::All);
                }
                _ => selected.push(Selected::Path(self.counted_path())),
            }
            if !self.is_symbol_at(self.at, ",") {
                return selected;
            }
        }
    }

    fn expansions(&mut self) -> Vec<Expansion> {
        self.listed(|parser| {
            let path = parser.counted_path();
            if !parser.take_symbol("(") {
                return Expansion { path, options: Options::default() };
            }
            let options = parser.nested(Self::options).unwrap_or_default();
            parser.require(")");
            Expansion { path, options }
        })
    }

    fn options(&mut self) -> Options {
        let mut options = Options::default();
        loop {
            while self.take_symbol(";") {}
            if self.peek().is_none() || self.is_symbol_at(self.at, ")") {
                return options;
            }
            let before = self.at;
            self.option(&mut options);
            if !self.is_symbol_at(self.at, ";") && !self.is_symbol_at(self.at, ")") && !self.gave_up() {
                self.expected("';' or ')'");
                self.recover();
                // A comma or word that nothing here can take.
                self.at += usize::from(self.at == before);
            }
        }
    }

    fn option(&mut self, options: &mut Options) {
        let span = self.here();
        let Some(Token { kind: Kind::Word(word), .. }) = self.tokens.get(self.at) else {
            return;
        };
        let word = word.clone();
        self.at += 1;
        let name = word.trim_start_matches('$').to_ascii_lowercase();
        self.require("=");
        let given_before = match name.as_str() {
            "filter" => options.filter.replace(self.expr()).is_some(),
            "select" => options.select.replace(self.selected()).is_some(),
            "orderby" => options.orderby.replace(self.keys()).is_some(),
            "expand" => {
                let Some(inner) = self.nested(Self::expansions) else { return };
                options.expand.replace(inner).is_some()
            }
            "top" => options.top.replace(self.whole_number()).is_some(),
            "skip" => options.skip.replace(self.whole_number()).is_some(),
            "count" => options.count.replace(self.boolean()).is_some(),
            _ => {
                self.problem(span, ProblemKind::Option(shown(&word)));
                self.recover();
                false
            }
        };
        if given_before {
            self.problem(span, ProblemKind::Twice(shown(&word)));
        }
    }

    fn whole_number(&mut self) -> u64 {
        if let Some(Kind::Literal(Literal::Integer(number))) = self.peek()
            && let Ok(number) = u64::try_from(*number)
        {
            self.at += 1;
            return number;
        }
        self.expected("a whole number");
        self.recover();
        0
    }

    fn boolean(&mut self) -> bool {
        if self.take_word("true") {
            return true;
        }
        if !self.take_word("false") {
            self.expected("true or false");
            self.recover();
        }
        false
    }
}
