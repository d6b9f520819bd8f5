//! Text to trees. A parser goes on after a problem, so that one answer tells of all of them.
//!
//! `or`, `and`, `eq ne`, `gt ge lt le in`, `not`: each binds tighter than the one before, as OData has it.

mod options;

use crate::lexer::{self, Kind, Token};
use crate::problem::{Problem, ProblemKind, Problems, shown};
use crate::tree::{Comparison, Expr, Function, Lambda, Literal, Name, Node, Path, Quantifier, Span};
use crate::{DEPTH_MAX, NODES_MAX, PROBLEMS_MAX, TEXT_BYTES_MAX};
pub use options::{expand, orderby, select};

/// The value of `$filter`.
pub fn filter(text: &str) -> Result<Expr, Problems> {
    whole(text, Parser::expr)
}

/// Reads a whole text.
fn whole<T>(text: &str, read: impl FnOnce(&mut Parser) -> T) -> Result<T, Problems> {
    if text.len() > TEXT_BYTES_MAX {
        let span = Span { start: TEXT_BYTES_MAX, end: text.len() };
        return Err(Problems(vec![Problem { span, kind: ProblemKind::TooLong }]));
    }
    let mut problems = Vec::new();
    let tokens = lexer::tokens(text, &mut problems);
    let mut parser = Parser { tokens, at: 0, end: text.len(), depth: 0, nodes: 0, problems };
    let tree = read(&mut parser);
    if parser.peek().is_some() && !parser.gave_up() {
        parser.expected("the end");
    }
    let mut problems = parser.problems;
    if problems.is_empty() {
        return Ok(tree);
    }
    problems.sort_by_key(|problem| problem.span.start);
    problems.truncate(PROBLEMS_MAX);
    Err(Problems(problems))
}

/// Where a problem is found it is told, and the tree gets a `null`; the tree is then never seen.
struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Of the text.
    end: usize,
    depth: usize,
    nodes: usize,
    problems: Vec<Problem>,
}

impl Parser {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    /// The place of the next token, or the end.
    fn here(&self) -> Span {
        self.tokens.get(self.at).map_or(Span { start: self.end, end: self.end }, |token| token.span)
    }

    /// From a place to the last token that was taken.
    fn since(&self, start: Span) -> Span {
        let last = self.at.checked_sub(1).and_then(|last| self.tokens.get(last));
        Span { start: start.start, end: last.map_or(start.end, |token| token.span.end).max(start.start) }
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Symbol(next)) if *next == symbol);
        self.at += usize::from(found);
        found
    }

    fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word().is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn is_symbol_at(&self, at: usize, symbol: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token { kind: Kind::Symbol(next), .. }) if *next == symbol)
    }

    fn problem(&mut self, span: Span, kind: ProblemKind) {
        if self.problems.len() < 2 * PROBLEMS_MAX {
            self.problems.push(Problem { span, kind });
        }
    }

    /// Tells that something else is here than was wanted.
    fn expected(&mut self, wanted: &'static str) {
        let span = self.here();
        let kind = match self.peek() {
            None => ProblemKind::Expected { wanted, found: "the end".to_owned() },
            Some(Kind::Symbol(symbol)) => {
                let is_punctuation = ["(", ")", ",", "/", ":", ";", "*"].contains(symbol);
                let found = format!("'{symbol}'");
                if is_punctuation {
                    ProblemKind::Expected { wanted, found }
                } else {
                    ProblemKind::Operator((*symbol).to_owned())
                }
            }
            Some(Kind::Word(word)) if wanted == "the end" => ProblemKind::Operator(shown(word)),
            Some(Kind::Word(word)) => ProblemKind::Expected { wanted, found: format!("'{}'", shown(word)) },
            Some(Kind::Literal(_)) => ProblemKind::Expected { wanted, found: "a literal".to_owned() },
        };
        self.problem(span, kind);
    }

    fn require(&mut self, symbol: &'static str) {
        if !self.take_symbol(symbol) && !self.gave_up() {
            self.expected(match symbol {
                "(" => "'('",
                ")" => "')'",
                ":" => "':'",
                "=" => "'='",
                _ => "','",
            });
            self.recover();
            self.take_symbol(symbol);
        }
    }

    /// Goes to the next place where a term can end.
    fn recover(&mut self) {
        let mut open = 0usize;
        while let Some(kind) = self.peek() {
            match kind {
                Kind::Symbol("(") => open += 1,
                Kind::Symbol(")") if open > 0 => open -= 1,
                Kind::Symbol(")" | "," | ";") if open == 0 => return,
                Kind::Word(word) if open == 0 && ["and", "or"].iter().any(|known| known.eq_ignore_ascii_case(word)) => {
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// A limit is passed: nothing more is read.
    fn give_up(&mut self, kind: ProblemKind) {
        let span = self.here();
        self.problem(span, kind);
        self.at = self.tokens.len();
        self.nodes = usize::MAX;
    }

    fn gave_up(&self) -> bool {
        self.nodes == usize::MAX
    }

    fn node(&mut self, start: Span, node: Node) -> Expr {
        if !self.gave_up() {
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                self.give_up(ProblemKind::TooMany);
            }
        }
        Expr { span: self.since(start), node }
    }

    /// Reads something that nests.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth == DEPTH_MAX {
            self.give_up(ProblemKind::TooDeep);
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        Some(read)
    }

    fn nothing(&mut self, start: Span) -> Expr {
        Expr { span: start, node: Node::Literal(Literal::Null) }
    }

    fn expr(&mut self) -> Expr {
        self.chain("or", Node::Or, |parser| parser.chain("and", Node::And, Self::equality))
    }

    fn chain(&mut self, word: &str, node: fn(Vec<Expr>) -> Node, next: impl Fn(&mut Self) -> Expr) -> Expr {
        let start = self.here();
        let first = next(self);
        if !self.peek_word().is_some_and(|next| next.eq_ignore_ascii_case(word)) {
            return first;
        }
        let mut terms = vec![first];
        while self.take_word(word) {
            terms.push(next(self));
        }
        self.node(start, node(terms))
    }

    fn equality(&mut self) -> Expr {
        self.compared(&[Comparison::Eq, Comparison::Ne], Self::relation)
    }

    fn relation(&mut self) -> Expr {
        let start = self.here();
        let operators = [Comparison::Gt, Comparison::Ge, Comparison::Lt, Comparison::Le];
        let left = self.compared(&operators, Self::unary);
        if !self.take_word("in") {
            return left;
        }
        let members = self.list();
        self.node(start, Node::In(Box::new(left), members))
    }

    /// One comparison; a second one needs parentheses.
    fn compared(&mut self, operators: &[Comparison], next: impl Fn(&mut Self) -> Expr) -> Expr {
        let start = self.here();
        let left = next(self);
        let found = self.peek_word().and_then(Comparison::find).filter(|found| operators.contains(found));
        let Some(operator) = found else { return left };
        self.at += 1;
        let right = next(self);
        self.node(start, Node::Compare(operator, Box::new(left), Box::new(right)))
    }

    fn unary(&mut self) -> Expr {
        let start = self.here();
        // A path may begin with this name.
        if self.is_symbol_at(self.at + 1, "/") || !self.take_word("not") {
            return self.primary();
        }
        match self.nested(Self::unary) {
            Some(term) => self.node(start, Node::Not(Box::new(term))),
            None => self.nothing(start),
        }
    }

    fn primary(&mut self) -> Expr {
        let start = self.here();
        match self.peek() {
            Some(Kind::Symbol("(")) => {
                self.at += 1;
                let inner = self.nested(Self::expr);
                self.require(")");
                inner.unwrap_or_else(|| self.nothing(start))
            }
            Some(Kind::Literal(literal)) => {
                let literal = literal.clone();
                self.at += 1;
                self.after_operand();
                self.node(start, Node::Literal(literal))
            }
            Some(Kind::Word(word)) if self.is_symbol_at(self.at + 1, "(") => {
                let word = word.clone();
                self.at += 1;
                self.call(start, &word)
            }
            Some(Kind::Word(word)) => match constant(word).filter(|_| !self.is_symbol_at(self.at + 1, "/")) {
                Some(literal) => {
                    self.at += 1;
                    self.node(start, Node::Literal(literal))
                }
                None if is_operator(word) => self.missing_operand(start),
                None => self.path_or_lambda(start),
            },
            _ => self.missing_operand(start),
        }
    }

    fn missing_operand(&mut self, start: Span) -> Expr {
        if !self.gave_up() {
            self.expected("a property, literal or function");
            let before = self.at;
            self.recover();
            // An operator in an operand's place is told once.
            if self.at == before && self.peek_word().is_some_and(is_comparison) {
                self.at += 1;
            }
        }
        self.nothing(start)
    }

    /// An operand is followed by an operator or an end; anything else is told here, once.
    fn after_operand(&mut self) {
        let is_strange = match self.peek() {
            Some(Kind::Symbol(symbol)) => !["(", ")", ",", ";", ":", "/", "*"].contains(symbol),
            Some(Kind::Word(word)) => !is_operator(word) && !is_direction(word),
            Some(Kind::Literal(_)) => true,
            None => false,
        };
        if is_strange {
            let (span, found) = (self.here(), self.found());
            self.problem(span, ProblemKind::Operator(found));
            self.recover();
        }
    }

    fn found(&self) -> String {
        match self.peek() {
            Some(Kind::Symbol(symbol)) => (*symbol).to_owned(),
            Some(Kind::Word(word)) => shown(word),
            Some(Kind::Literal(literal)) => shown(&literal.to_string()),
            None => String::new(),
        }
    }

    fn call(&mut self, start: Span, word: &str) -> Expr {
        let Some(function) = Function::find(word) else {
            self.problem(start, ProblemKind::Function(shown(word)));
            self.recover();
            return self.nothing(start);
        };
        let arguments = self.list();
        let (least, most) = function.arity();
        if !(least..=most).contains(&arguments.len()) && !self.gave_up() {
            let takes = if least != most { "2 or 3 arguments" } else { ["1 argument", "2 arguments"][least - 1] };
            let kind = ProblemKind::Arity { name: function.word(), takes, given: arguments.len() };
            self.problem(self.since(start), kind);
        }
        self.after_operand();
        self.node(start, Node::Call(function, arguments))
    }

    /// Terms in parentheses, with commas between.
    fn list(&mut self) -> Vec<Expr> {
        self.require("(");
        let read = self.nested(|parser| {
            let mut terms = vec![parser.expr()];
            while parser.take_symbol(",") {
                terms.push(parser.expr());
            }
            terms
        });
        self.require(")");
        read.unwrap_or_default()
    }

    fn path(&mut self) -> Path {
        let mut names = Vec::new();
        loop {
            match self.tokens.get(self.at) {
                Some(Token { kind: Kind::Word(word), span }) => names.push(Name { span: *span, text: word.clone() }),
                _ => {
                    if !self.gave_up() {
                        self.expected("a name");
                    }
                    return Path { names };
                }
            }
            self.at += 1;
            let is_lambda = self.quantifier_at(self.at + 1).is_some();
            if is_lambda || !self.take_symbol("/") {
                return Path { names };
            }
        }
    }

    /// `any(` or `all(` at a token.
    fn quantifier_at(&self, at: usize) -> Option<Quantifier> {
        let Some(Token { kind: Kind::Word(word), .. }) = self.tokens.get(at) else { return None };
        let is_call = self.is_symbol_at(at + 1, "(") && self.is_symbol_at(at - 1, "/");
        let known = [("any", Quantifier::Any), ("all", Quantifier::All)];
        known.into_iter().find(|(name, _)| is_call && name.eq_ignore_ascii_case(word)).map(|(_, found)| found)
    }

    fn path_or_lambda(&mut self, start: Span) -> Expr {
        let path = self.path();
        if path.names.is_empty() {
            return self.nothing(start);
        }
        let Some(quantifier) = self.quantifier_at(self.at + 1) else {
            self.after_operand();
            return self.node(start, Node::Path(path));
        };
        // The slash, the word and the parenthesis.
        self.at += 3;
        let test = if self.take_symbol(")") { None } else { self.lambda_test() };
        self.after_operand();
        self.node(start, Node::Lambda(Box::new(Lambda { quantifier, of: path, test })))
    }

    fn lambda_test(&mut self) -> Option<(Name, Expr)> {
        let variable = match self.tokens.get(self.at) {
            Some(Token { kind: Kind::Word(word), span }) => Name { span: *span, text: word.clone() },
            _ => {
                self.expected("a variable");
                self.recover();
                self.take_symbol(")");
                return None;
            }
        };
        self.at += 1;
        self.require(":");
        let test = self.nested(Self::expr);
        self.require(")");
        test.map(|test| (variable, test))
    }
}

fn constant(word: &str) -> Option<Literal> {
    let known = [("null", Literal::Null), ("true", Literal::Boolean(true)), ("false", Literal::Boolean(false))];
    known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, literal)| literal)
}

fn is_comparison(word: &str) -> bool {
    Comparison::find(word).is_some() || word.eq_ignore_ascii_case("in")
}

fn is_operator(word: &str) -> bool {
    is_comparison(word) || ["and", "or"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn is_direction(word: &str) -> bool {
    ["asc", "desc"].iter().any(|known| known.eq_ignore_ascii_case(word))
}
