//! Types for trees: every name is looked up in a schema and comes out in its spelling there, every
//! operator gets operands that fit. What was checked is evaluated without errors.
//!
//! `$filter` compares texts without regard to case, as Outlook does, apart from those that the schema says
//! are [`Shape::Key`]s.

mod types;

use std::borrow::Cow;

use crate::evaluate::{Cell, Operand, OrderKey, Place, Read, Test};
use crate::problem::{Problem, ProblemKind, Problems, shown};
use crate::tree::{Comparison, Expr, Function, Key, Lambda, Literal, Node, Path, Quantifier, Span};
use crate::{PROBLEMS_MAX, instant, parse};
pub use types::{Enumeration, Property, Schema, Shape};
use types::{Fit, Type, Typed};

/// A `$filter` that fits a schema.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) test: Test,
}

/// An `$orderby` that fits a schema.
#[derive(Clone, Debug)]
pub struct Order {
    pub(crate) keys: Vec<OrderKey>,
}

/// A term that every item that a filter finds fulfils: a property compared with a literal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term<'a> {
    /// The property's path in the schema's spelling.
    pub path: &'a [String],
    pub relation: Relation<'a>,
}

/// How a property compares in a [`Term`]. Texts that compare without regard to case are [`folded`](crate::folded).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Relation<'a> {
    Boolean(bool),
    Text(Comparison, &'a str),
    /// Microseconds since 1970 in UTC.
    Instant(Comparison, i64),
    StartsWith(&'a str),
}

impl Filter {
    /// Reads and checks the value of `$filter`.
    pub fn read<S: Schema>(text: &str, schema: &S) -> Result<Self, Problems> {
        Self::check(&parse::filter(text)?, schema)
    }

    pub fn check<S: Schema>(expr: &Expr, schema: &S) -> Result<Self, Problems> {
        let mut checker = Checker::new(schema);
        let test = checker.test(expr, "$filter");
        checker.done(Self { test })
    }

    /// The paths of the item itself that the filter looks at, in the order they stand there; one may come
    /// twice.
    pub fn paths(&self) -> Vec<&[String]> {
        let mut found = Vec::new();
        self.test.places(&mut |place| {
            if place.up == place.depth {
                found.push(place.names.as_slice());
            }
        });
        found
    }

    /// How many properties the filter looks at, each as often as it stands there: what an evaluation costs.
    pub fn places(&self) -> usize {
        let mut count = 0;
        self.test.places(&mut |_| count += 1);
        count
    }

    /// Terms that all must hold; there may be other conditions besides.
    pub fn terms(&self) -> impl Iterator<Item = Term<'_>> {
        let tests = match &self.test {
            Test::And(tests) => tests.as_slice(),
            test => std::slice::from_ref(test),
        };
        tests.iter().filter_map(Test::term)
    }
}

impl Order {
    /// Reads and checks the value of `$orderby`.
    pub fn read<S: Schema>(text: &str, schema: &S) -> Result<Self, Problems> {
        Self::check(&parse::orderby(text)?, schema)
    }

    pub fn check<S: Schema>(keys: &[Key], schema: &S) -> Result<Self, Problems> {
        let mut checker = Checker::new(schema);
        let mut checked = Vec::new();
        for key in keys {
            let Some((place, found)) = checker.path(&key.path) else { continue };
            match found {
                Typed::One(one) => {
                    checked.push(OrderKey { place, exact: one == Type::Key, descending: key.descending });
                }
                Typed::Many(_) => {
                    checker.problem(key.path.span(), ProblemKind::Collection(shown(&key.path.to_string())));
                }
                Typed::Structure(_) | Typed::Open(_) => {
                    checker.problem(key.path.span(), ProblemKind::Closed(shown(&key.path.to_string())));
                }
            }
        }
        checker.done(Self { keys: checked })
    }

    /// The paths in the schema's spelling, and whether each is descending.
    pub fn keys(&self) -> impl Iterator<Item = (&[String], bool)> {
        self.keys.iter().map(|key| (key.place.names.as_slice(), key.descending))
    }
}

struct Checker<S> {
    /// What names are looked up in: the item, then the members that lambdas look at, by their variables.
    scopes: Vec<(Option<String>, Typed<S>)>,
    problems: Vec<Problem>,
}

/// An operand with its type; `None`: told already.
type Checked<S> = Option<(Operand, Typed<S>)>;

impl<S: Schema> Checker<S> {
    fn new(schema: &S) -> Self {
        Self { scopes: vec![(None, Typed::Structure(schema.clone()))], problems: Vec::new() }
    }

    fn problem(&mut self, span: Span, kind: ProblemKind) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { span, kind });
        }
    }

    fn done<T>(self, checked: T) -> Result<T, Problems> {
        if self.problems.is_empty() { Ok(checked) } else { Err(Problems(self.problems)) }
    }

    fn test(&mut self, expr: &Expr, operator: &'static str) -> Test {
        match &expr.node {
            Node::And(terms) => Test::And(terms.iter().map(|term| self.test(term, "and")).collect()),
            Node::Or(terms) => Test::Or(terms.iter().map(|term| self.test(term, "or")).collect()),
            Node::Not(inner) => Test::Not(Box::new(self.test(inner, "not"))),
            Node::Compare(operator, left, right) => {
                let (left, right) = ((left.as_ref(), self.operand(left)), (right.as_ref(), self.operand(right)));
                self.comparison(expr.span, *operator, left, right).unwrap_or(Test::Constant(None))
            }
            Node::In(left, members) => {
                let checked = self.operand(left);
                let tests = members.iter().filter_map(|member| {
                    let right = self.operand(member);
                    let span = Span { start: left.span.start, end: member.span.end };
                    self.comparison(span, Comparison::Eq, (left, checked.clone()), (member, right))
                });
                Test::Or(tests.collect())
            }
            Node::Lambda(lambda) => self.lambda(lambda),
            Node::Literal(Literal::Null) => Test::Constant(None),
            Node::Literal(Literal::Boolean(value)) => Test::Constant(Some(*value)),
            Node::Literal(_) | Node::Path(_) | Node::Call(..) => {
                let Some((operand, found)) = self.operand(expr) else { return Test::Constant(None) };
                if matches!(found, Typed::Open(_)) {
                    return Test::Truth(operand.read_as(Read::Boolean));
                }
                if !matches!(found, Typed::One(Type::Boolean)) {
                    let kind = ProblemKind::Operand { operator, found: found.name(), wanted: "Edm.Boolean" };
                    self.problem(expr.span, kind);
                }
                Test::Truth(operand)
            }
        }
    }

    fn comparison(
        &mut self,
        span: Span,
        operator: Comparison,
        (left_expr, left): (&Expr, Checked<S>),
        (right_expr, right): (&Expr, Checked<S>),
    ) -> Option<Test> {
        let ((left, left_type), (right, right_type)) = (left?, right?);
        let fit = match (&left_type, &right_type) {
            (Typed::One(left), Typed::One(right)) => types::fit(left, right),
            (Typed::Open(_), Typed::One(known)) | (Typed::One(known), Typed::Open(_)) => Some(types::fit_open(known)),
            (Typed::Structure(_), Typed::One(Type::Null)) | (Typed::One(Type::Null), Typed::Structure(_)) => {
                Some(Fit { read: Read::Presence, exact: true, is_ordered: false })
            }
            _ => None,
        };
        let fit = fit.filter(|fit| fit.is_ordered || matches!(operator, Comparison::Eq | Comparison::Ne));
        let Some(fit) = fit else {
            let (left, right) = (left_type.name(), right_type.name());
            self.problem(span, ProblemKind::Operands { left, right, operator: operator.word() });
            return None;
        };
        let left = self.converted(left_expr, left, &fit, &right_type)?;
        let right = self.converted(right_expr, right, &fit, &left_type)?;
        let there = match (&left_type, &right_type) {
            _ if operator != Comparison::Ne || fit.read == Read::Presence => None,
            (Typed::Open(_), _) => Some(left.clone()),
            (_, Typed::Open(_)) => Some(right.clone()),
            _ => None,
        };
        let test = Test::Compare { operator, exact: fit.exact, left, right };
        Some(match there {
            // What is missing, or cannot be read as such a value, does not differ from it.
            Some(left) => {
                let right = Operand::Literal(Cell::Null);
                Test::And(vec![Test::Compare { operator: Comparison::Ne, exact: true, left, right }, test])
            }
            None => test,
        })
    }

    /// An operand as it is compared with one of another type.
    fn converted(&mut self, expr: &Expr, operand: Operand, fit: &Fit, other: &Typed<S>) -> Option<Operand> {
        let Operand::Literal(Cell::Text(text)) = &operand else { return Some(operand.read_as(fit.read)) };
        let kind = match other {
            Typed::One(Type::Enumeration(known)) => match known.member(text) {
                Some(_) => return Some(operand.folded()),
                None => ProblemKind::Member {
                    member: shown(text),
                    type_name: known.name.to_string(),
                    members: known.members.join(", "),
                },
            },
            Typed::One(Type::LocalTime) => match instant::read(text) {
                Some(read) => return Some(Operand::Literal(Cell::Instant(read.in_utc()))),
                None => ProblemKind::DateTime(shown(text)),
            },
            _ => return Some(if fit.exact { operand } else { operand.folded() }),
        };
        self.problem(expr.span, kind);
        None
    }

    fn operand(&mut self, expr: &Expr) -> Checked<S> {
        match &expr.node {
            Node::Literal(literal) => Some(literal_operand(literal)),
            Node::Path(path) => {
                let (place, found) = self.path(path)?;
                Some((Operand::Place(place), found))
            }
            Node::Call(function, arguments) => self.call(expr.span, *function, arguments),
            _ => Some((Operand::Test(Box::new(self.test(expr, "eq"))), Typed::One(Type::Boolean))),
        }
    }

    fn call(&mut self, span: Span, function: Function, arguments: &[Expr]) -> Checked<S> {
        let (takes, gives) = types::signature(function);
        let mut operands = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            let wanted = takes[at.min(takes.len() - 1)];
            if let Some((operand, found)) = self.operand(argument) {
                match &found {
                    Typed::One(_) | Typed::Open(_) if found.fits(wanted) => {
                        let is_sought = at == 1 && types::ignores_case(function);
                        let operand = operand.read_as(wanted.read());
                        operands.push(if is_sought { operand.folded() } else { operand });
                    }
                    _ => {
                        let wanted = wanted.name();
                        let kind = ProblemKind::Operand { operator: function.word(), found: found.name(), wanted };
                        self.problem(argument.span, kind);
                    }
                }
            }
        }
        let (least, most) = function.arity();
        if arguments.len() < least || arguments.len() > most {
            // A tree that was not parsed.
            let takes = if least == most { "another number of arguments" } else { "2 or 3 arguments" };
            self.problem(span, ProblemKind::Arity { name: function.word(), takes, given: arguments.len() });
        }
        (operands.len() == arguments.len()).then(|| (Operand::Call(function, operands), Typed::One(gives)))
    }

    /// Where a path leads; whether it may be used as it is asked for is for the caller to say.
    fn path(&mut self, path: &Path) -> Option<(Place, Typed<S>)> {
        let first = path.names.first()?;
        let depth = self.scopes.len() - 1;
        let is_first = |name: &Option<String>| name.as_ref().is_some_and(|name| *name == first.text);
        let variable = self.scopes.iter().rposition(|(name, _)| is_first(name));
        let level = variable.unwrap_or(0);
        let mut found = self.scopes[level].1.clone();
        let mut names: Vec<String> = Vec::new();
        let skipped = usize::from(variable.is_some());
        for name in &path.names[skipped..] {
            let property = match &found {
                Typed::Structure(schema) | Typed::Open(schema) => schema.property(&name.text),
                Typed::Many(_) => {
                    self.problem(name.span, ProblemKind::Collection(names.join("/")));
                    return None;
                }
                Typed::One(_) => None,
            };
            let Some(property) = property else {
                let kind = ProblemKind::Property { name: shown(&name.text), type_name: found.name() };
                self.problem(name.span, kind);
                return None;
            };
            found = match Typed::of(&property) {
                Some(found) => found,
                None => {
                    self.problem(name.span, ProblemKind::Closed(property.name.into_owned()));
                    return None;
                }
            };
            names.push(property.name.into_owned());
        }
        let read = if let Typed::One(one) = &found { one.read() } else { Read::Presence };
        Some((Place { up: depth - level, depth, names, read }, found))
    }

    fn lambda(&mut self, lambda: &Lambda) -> Test {
        let told = Test::Constant(None);
        let Some((place, found)) = self.path(&lambda.of) else { return told };
        let member = match found {
            Typed::Many(member) => *member,
            Typed::Open(schema) => Typed::Open(schema),
            Typed::One(_) | Typed::Structure(_) => {
                self.problem(lambda.of.span(), ProblemKind::NotACollection(shown(&lambda.of.to_string())));
                return told;
            }
        };
        // Else the time that an evaluation takes would grow with a power of the item's size.
        if place.up > 0 {
            self.problem(lambda.of.span(), ProblemKind::Lambda);
            return told;
        }
        let is_all = lambda.quantifier == Quantifier::All;
        let Some((variable, test)) = &lambda.test else {
            return Test::Lambda { is_all, of: place, test: None };
        };
        if self.scopes.iter().any(|(name, _)| name.as_ref() == Some(&variable.text)) {
            self.problem(variable.span, ProblemKind::Variable(shown(&variable.text)));
            return told;
        }
        self.scopes.push((Some(variable.text.clone()), member));
        let test = self.test(test, if is_all { "all" } else { "any" });
        self.scopes.pop();
        Test::Lambda { is_all, of: place, test: Some(Box::new(test)) }
    }
}

fn literal_operand<S>(literal: &Literal) -> (Operand, Typed<S>) {
    let (cell, found) = match literal {
        Literal::Null => (Cell::Null, Type::Null),
        Literal::Boolean(value) => (Cell::Boolean(*value), Type::Boolean),
        Literal::Integer(value) => (Cell::Integer(*value), Type::Integer),
        Literal::Double(value) => (Cell::Double(*value), Type::Double),
        Literal::Text(text) => (Cell::Text(Cow::Owned(text.clone())), Type::Text),
        Literal::Instant(micros) => (Cell::Instant(*micros), Type::Instant),
        Literal::Date(date) => (Cell::Date(*date), Type::Date),
        Literal::Time(time) => (Cell::Time(*time), Type::Time),
        Literal::Guid(guid) => (Cell::Guid(*guid), Type::Guid),
        Literal::Member { type_name, member } => {
            (Cell::Text(Cow::Owned(member.clone())), Type::Member(type_name.clone()))
        }
    };
    (Operand::Literal(cell), Typed::One(found))
}
