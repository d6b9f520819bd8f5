//! What was checked, evaluated on an item. Nothing fails here: what is missing or of another type is null,
//! and a condition on null is neither true nor false.

mod functions;

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::civil::{Date, Time};
use uuid::Uuid;

use crate::check::{Filter, Order, Relation, Term};
use crate::compare::{self, folded};
use crate::instant;
use crate::tree::{Comparison, Function};

/// A value in an item, as its owner keeps it. A copy is cheap.
pub trait Value<'v>: Clone {
    /// What it holds under a name, in the schema's spelling.
    fn member(&self, name: &str) -> Option<Self>;
    /// The members of a collection; nothing if it is none.
    fn elements(&self) -> impl Iterator<Item = Self>;
    fn scalar(&self) -> Scalar<'v>;
}

/// A single value; a [`Filter`] reads it as the schema says, dates and GUIDs out of texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'v> {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(Cow<'v, str>),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
    /// A structure or collection.
    Compound,
}

impl Filter {
    pub fn matches<'v, V: Value<'v>>(&'v self, item: V) -> bool {
        self.test.holds(&Scope { value: item, outer: None }) == Some(true)
    }
}

impl Order {
    /// Null comes first. Items may be equal.
    pub fn compare<'v, V: Value<'v>>(&'v self, a: V, b: V) -> Ordering {
        let (a, b) = (Scope { value: a, outer: None }, Scope { value: b, outer: None });
        for key in &self.keys {
            let found = compare::order(&key.place.cell(&a), &key.place.cell(&b), key.exact).unwrap_or(Ordering::Equal);
            if found.is_ne() {
                return if key.descending { found.reverse() } else { found };
            }
        }
        Ordering::Equal
    }
}

/// A condition.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Constant(Option<bool>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Compare {
        operator: Comparison,
        exact: bool,
        left: Operand,
        right: Operand,
    },
    /// A boolean property or function.
    Truth(Operand),
    Lambda {
        is_all: bool,
        of: Place,
        test: Option<Box<Test>>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Literal(Cell<'static>),
    Place(Place),
    Call(Function, Vec<Operand>),
    Test(Box<Test>),
}

/// Where a value lies.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// How many lambdas out, of `depth`.
    pub up: usize,
    pub depth: usize,
    pub names: Vec<String>,
    pub read: Read,
}

#[derive(Clone, Debug)]
pub(crate) struct OrderKey {
    pub place: Place,
    pub exact: bool,
    pub descending: bool,
}

/// As what a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Presence,
    Boolean,
    Number,
    Text,
    /// A date alone is read as its midnight.
    Instant,
    Date,
    Time,
    Guid,
}

/// A value with a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'c> {
    Null,
    /// Something that is not null.
    Present,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(Cow<'c, str>),
    Instant(i64),
    Date(Date),
    Time(Time),
    Guid(Uuid),
}

/// The item, or a member that a lambda looks at.
struct Scope<'s, V> {
    value: V,
    outer: Option<&'s Scope<'s, V>>,
}

impl Test {
    fn holds<'v, V: Value<'v>>(&'v self, scope: &Scope<'_, V>) -> Option<bool> {
        match self {
            Test::Constant(value) => *value,
            Test::And(tests) => all(tests.iter().map(|test| test.holds(scope))),
            Test::Or(tests) => any(tests.iter().map(|test| test.holds(scope))),
            Test::Not(test) => test.holds(scope).map(|holds| !holds),
            Test::Compare { operator, exact, left, right } => {
                Some(compare::holds(*operator, *exact, &left.cell(scope), &right.cell(scope)))
            }
            Test::Truth(operand) => operand.cell(scope).boolean(),
            Test::Lambda { is_all, of, test } => {
                let collection = of.find(scope);
                let mut members = collection.iter().flat_map(Value::elements);
                let Some(test) = test else { return Some(members.next().is_some()) };
                let found = members.map(|value| test.holds(&Scope { value, outer: Some(scope) }));
                if *is_all { all(found) } else { any(found) }
            }
        }
    }

    /// The condition, if it is of a property of the item itself and a literal.
    pub(crate) fn term(&self) -> Option<Term<'_>> {
        let (place, relation) = match self {
            Test::Compare { operator, left: Operand::Place(place), right: Operand::Literal(cell), .. } => {
                (place, cell.relation(*operator)?)
            }
            Test::Compare { operator, left: Operand::Literal(cell), right: Operand::Place(place), .. } => {
                (place, cell.relation(mirrored(*operator))?)
            }
            Test::Truth(Operand::Place(place)) => (place, Relation::Boolean(true)),
            Test::Not(inner) => match inner.as_ref() {
                Test::Truth(Operand::Place(place)) => (place, Relation::Boolean(false)),
                _ => return None,
            },
            Test::Truth(Operand::Call(Function::StartsWith, arguments)) => match arguments.as_slice() {
                [Operand::Place(place), Operand::Literal(Cell::Text(text))] => (place, Relation::StartsWith(text)),
                _ => return None,
            },
            _ => return None,
        };
        (place.up == place.depth).then_some(Term { path: &place.names, relation })
    }

    /// Every place that is looked at, in the order of the text.
    pub(crate) fn places<'t>(&'t self, each: &mut impl FnMut(&'t Place)) {
        match self {
            Test::Constant(_) => {}
            Test::And(tests) | Test::Or(tests) => {
                for test in tests {
                    test.places(each);
                }
            }
            Test::Not(test) => test.places(each),
            Test::Compare { left, right, .. } => {
                left.places(each);
                right.places(each);
            }
            Test::Truth(operand) => operand.places(each),
            Test::Lambda { of, test, .. } => {
                each(of);
                if let Some(test) = test {
                    test.places(each);
                }
            }
        }
    }
}

/// The operator with its sides exchanged.
fn mirrored(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Eq | Comparison::Ne => operator,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
    }
}

/// False if one is false, else unknown if one is unknown.
fn all(tests: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for test in tests {
        match test {
            Some(false) => return test,
            None => all = None,
            Some(true) => {}
        }
    }
    all
}

/// True if one is true, else unknown if one is unknown.
fn any(tests: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(tests.map(|test| test.map(|holds| !holds))).map(|none| !none)
}

impl Operand {
    fn cell<'v, V: Value<'v>>(&'v self, scope: &Scope<'_, V>) -> Cell<'v> {
        match self {
            Operand::Literal(cell) => cell.borrowed(),
            Operand::Place(place) => place.cell(scope),
            Operand::Call(function, arguments) => {
                functions::call(*function, arguments.iter().map(|one| one.cell(scope)))
            }
            Operand::Test(test) => test.holds(scope).map_or(Cell::Null, Cell::Boolean),
        }
    }

    pub(crate) fn read_as(self, read: Read) -> Self {
        match self {
            Operand::Place(place) => Operand::Place(Place { read, ..place }),
            other => other,
        }
    }

    /// A literal text in lower case.
    pub(crate) fn folded(self) -> Self {
        match self {
            Operand::Literal(Cell::Text(text)) => Operand::Literal(Cell::Text(folded(&text).into_owned().into())),
            other => other,
        }
    }

    fn places<'t>(&'t self, each: &mut impl FnMut(&'t Place)) {
        match self {
            Operand::Literal(_) => {}
            Operand::Place(place) => each(place),
            Operand::Call(_, arguments) => {
                for argument in arguments {
                    argument.places(each);
                }
            }
            Operand::Test(test) => test.places(each),
        }
    }
}

impl Place {
    fn find<'v, V: Value<'v>>(&self, scope: &Scope<'_, V>) -> Option<V> {
        let mut scope = scope;
        for _ in 0..self.up {
            scope = scope.outer?;
        }
        let mut value = scope.value.clone();
        for name in &self.names {
            value = value.member(name)?;
        }
        Some(value)
    }

    fn cell<'v, V: Value<'v>>(&self, scope: &Scope<'_, V>) -> Cell<'v> {
        self.find(scope).map_or(Cell::Null, |value| self.read.cell(value.scalar()))
    }
}

impl Read {
    fn cell(self, scalar: Scalar<'_>) -> Cell<'_> {
        let found = match (self, scalar) {
            (_, Scalar::Null) => None,
            (Read::Presence, _) => Some(Cell::Present),
            (Read::Boolean, Scalar::Boolean(value)) => Some(Cell::Boolean(value)),
            (Read::Number, Scalar::Integer(value)) => Some(Cell::Integer(value)),
            (Read::Number, Scalar::Double(value)) => Some(Cell::Double(value)),
            (Read::Text, Scalar::Text(text)) => Some(Cell::Text(text)),
            (Read::Instant, Scalar::Instant(micros)) => Some(Cell::Instant(micros)),
            (Read::Instant, Scalar::Text(text)) => match instant::read(&text) {
                Some(read) => Some(Cell::Instant(read.in_utc())),
                None => instant::read_time(&text).map(Cell::Time),
            },
            (Read::Date, Scalar::Text(text)) => match instant::read(&text) {
                Some(instant::Read::Date(date)) => Some(Cell::Date(date)),
                _ => None,
            },
            (Read::Time, Scalar::Text(text)) => instant::read_time(&text).map(Cell::Time),
            (Read::Guid, Scalar::Text(text)) => Uuid::try_parse(&text).ok().map(Cell::Guid),
            _ => None,
        };
        found.unwrap_or(Cell::Null)
    }
}

impl<'c> Cell<'c> {
    fn borrowed(&'c self) -> Cell<'c> {
        match self {
            Cell::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Cell::Null => Cell::Null,
            Cell::Present => Cell::Present,
            Cell::Boolean(value) => Cell::Boolean(*value),
            Cell::Integer(value) => Cell::Integer(*value),
            Cell::Double(value) => Cell::Double(*value),
            Cell::Instant(value) => Cell::Instant(*value),
            Cell::Date(value) => Cell::Date(*value),
            Cell::Time(value) => Cell::Time(*value),
            Cell::Guid(value) => Cell::Guid(*value),
        }
    }

    fn boolean(&self) -> Option<bool> {
        if let Cell::Boolean(value) = self { Some(*value) } else { None }
    }

    fn relation(&self, operator: Comparison) -> Option<Relation<'_>> {
        match self {
            Cell::Boolean(value) => match operator {
                Comparison::Eq => Some(Relation::Boolean(*value)),
                _ => None,
            },
            Cell::Text(text) => Some(Relation::Text(operator, text)),
            Cell::Instant(micros) => Some(Relation::Instant(operator, *micros)),
            Cell::Date(date) => Some(Relation::Instant(operator, instant::midnight(*date))),
            _ => None,
        }
    }
}
