//! What a schema says of a property, and which types fit which operators and functions.

use std::borrow::Cow;

use crate::evaluate::Read;
use crate::tree::Function;

/// One structured type.
pub trait Schema: Clone {
    /// Its qualified name: `microsoft.graph.message`.
    fn name(&self) -> Cow<'static, str>;
    /// Finds a property by its name in any case.
    fn property(&self, name: &str) -> Option<Property<Self>>;
}

#[derive(Clone, Debug)]
pub struct Property<S> {
    /// In the schema's spelling; [`Value::member`](crate::Value::member) is asked for it.
    pub name: Cow<'static, str>,
    pub shape: Shape<S>,
    pub is_collection: bool,
}

/// What one value may be.
#[derive(Clone, Debug)]
pub enum Shape<S> {
    /// Compared without regard to case.
    Text,
    /// A text that is compared to the letter.
    Key,
    Boolean,
    Integer,
    Double,
    /// A point in time, with `Z` or an offset.
    Instant,
    /// A text that holds a date and time without an offset, in UTC.
    LocalTime,
    Date,
    Time,
    Guid,
    Enumeration(Enumeration),
    Structure(S),
    /// Of no known type: it is read as whatever it is compared with, and its members are what the schema
    /// says. A comparison with a value does not hold if it is missing or of another type.
    Open(S),
    /// Neither filtered nor ordered by.
    Closed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Enumeration {
    pub name: Cow<'static, str>,
    pub members: Cow<'static, [String]>,
}

impl Enumeration {
    pub(crate) fn member(&self, text: &str) -> Option<&str> {
        self.members.iter().find(|member| member.eq_ignore_ascii_case(text)).map(String::as_str)
    }
}

/// The type of an operand.
#[derive(Clone, Debug)]
pub(super) enum Typed<S> {
    One(Type),
    Many(Box<Typed<S>>),
    Structure(S),
    Open(S),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Double,
    Text,
    Key,
    Instant,
    LocalTime,
    Date,
    Time,
    Guid,
    Enumeration(Enumeration),
    /// A literal of the enumeration that is named.
    Member(String),
}

impl<S: Schema> Typed<S> {
    /// `None` if the property is closed.
    pub fn of(property: &Property<S>) -> Option<Self> {
        let one = match &property.shape {
            Shape::Text => Typed::One(Type::Text),
            Shape::Key => Typed::One(Type::Key),
            Shape::Boolean => Typed::One(Type::Boolean),
            Shape::Integer => Typed::One(Type::Integer),
            Shape::Double => Typed::One(Type::Double),
            Shape::Instant => Typed::One(Type::Instant),
            Shape::LocalTime => Typed::One(Type::LocalTime),
            Shape::Date => Typed::One(Type::Date),
            Shape::Time => Typed::One(Type::Time),
            Shape::Guid => Typed::One(Type::Guid),
            Shape::Enumeration(known) => Typed::One(Type::Enumeration(known.clone())),
            Shape::Structure(schema) => Typed::Structure(schema.clone()),
            Shape::Open(schema) => Typed::Open(schema.clone()),
            Shape::Closed => return None,
        };
        Some(if property.is_collection { Typed::Many(Box::new(one)) } else { one })
    }

    pub fn fits(&self, wanted: Wanted) -> bool {
        match self {
            Typed::One(one) => one.fits(wanted),
            Typed::Open(_) => true,
            Typed::Many(_) | Typed::Structure(_) => false,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Typed::One(one) => one.name().to_owned(),
            Typed::Many(member) => format!("Collection({})", member.name()),
            Typed::Structure(schema) | Typed::Open(schema) => schema.name().into_owned(),
        }
    }
}

impl Type {
    fn name(&self) -> &str {
        match self {
            Type::Null => "null",
            Type::Boolean => "Edm.Boolean",
            Type::Integer => "Edm.Int32",
            Type::Double => "Edm.Double",
            Type::Text | Type::Key | Type::LocalTime => "Edm.String",
            Type::Instant => "Edm.DateTimeOffset",
            Type::Date => "Edm.Date",
            Type::Time => "Edm.TimeOfDay",
            Type::Guid => "Edm.Guid",
            Type::Enumeration(known) => &known.name,
            Type::Member(name) => name,
        }
    }

    /// How a property of this type is read, unless an operator wants it otherwise.
    pub fn read(&self) -> Read {
        match self {
            Type::Null => Read::Presence,
            Type::Boolean => Read::Boolean,
            Type::Integer | Type::Double => Read::Number,
            Type::Text | Type::Key | Type::Enumeration(_) | Type::Member(_) => Read::Text,
            Type::Instant | Type::LocalTime => Read::Instant,
            Type::Date => Read::Date,
            Type::Time => Read::Time,
            Type::Guid => Read::Guid,
        }
    }

    pub fn fits(&self, wanted: Wanted) -> bool {
        let fitting: &[Type] = match wanted {
            Wanted::Text => &[Type::Text, Type::Key, Type::LocalTime],
            Wanted::Integer => &[Type::Integer],
            Wanted::Day => &[Type::Instant, Type::LocalTime, Type::Date],
            Wanted::Clock => &[Type::Instant, Type::LocalTime, Type::Time],
            Wanted::Moment => &[Type::Instant, Type::LocalTime],
        };
        *self == Type::Null || fitting.contains(self)
    }
}

/// How two operands are compared.
pub(super) struct Fit {
    pub read: Read,
    /// To the letter.
    pub exact: bool,
    pub is_ordered: bool,
}

/// `None` if they cannot be compared.
pub(super) fn fit(left: &Type, right: &Type) -> Option<Fit> {
    let ordered = |read, exact| Some(Fit { read, exact, is_ordered: true });
    let equal = |read| Some(Fit { read, exact: false, is_ordered: false });
    match (left, right) {
        (Type::Null, other) | (other, Type::Null) => ordered(other.read(), true),
        (Type::Boolean, Type::Boolean) => equal(Read::Boolean),
        (Type::Guid, Type::Guid) => equal(Read::Guid),
        (Type::Time, Type::Time) => ordered(Read::Time, true),
        (Type::Integer | Type::Double, Type::Integer | Type::Double) => ordered(Read::Number, true),
        (Type::Text | Type::Key, Type::Text | Type::Key) => {
            ordered(Read::Text, *left == Type::Key || *right == Type::Key)
        }
        (Type::Instant | Type::LocalTime | Type::Date, Type::Instant | Type::LocalTime | Type::Date)
        | (Type::LocalTime, Type::Text)
        | (Type::Text, Type::LocalTime) => ordered(Read::Instant, true),
        (Type::Enumeration(known), Type::Enumeration(other)) if known == other => equal(Read::Text),
        (Type::Enumeration(_), Type::Text) | (Type::Text, Type::Enumeration(_)) => equal(Read::Text),
        (Type::Enumeration(known), Type::Member(name)) | (Type::Member(name), Type::Enumeration(known)) => {
            if known.name.eq_ignore_ascii_case(name) { equal(Read::Text) } else { None }
        }
        _ => None,
    }
}

/// How something of no known type is compared with what is of `one`.
pub(super) fn fit_open(one: &Type) -> Fit {
    let is_ordered = match one {
        Type::Null | Type::Boolean | Type::Guid | Type::Enumeration(_) | Type::Member(_) => false,
        Type::Integer | Type::Double | Type::Text | Type::Key | Type::Instant | Type::LocalTime => true,
        Type::Date | Type::Time => true,
    };
    let read = if *one == Type::Date { Read::Instant } else { one.read() };
    Fit { read, exact: *one == Type::Key, is_ordered }
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Text,
    Integer,
    Day,
    Clock,
    Moment,
}

impl Wanted {
    pub fn name(self) -> &'static str {
        match self {
            Wanted::Text => "Edm.String",
            Wanted::Integer => "Edm.Int32",
            Wanted::Day | Wanted::Clock | Wanted::Moment => "Edm.DateTimeOffset",
        }
    }

    /// How a property is read as such an argument. `Read::Instant` reads what holds a date or time
    /// alone as such.
    pub fn read(self) -> Read {
        match self {
            Wanted::Text => Read::Text,
            Wanted::Integer => Read::Number,
            Wanted::Day | Wanted::Clock | Wanted::Moment => Read::Instant,
        }
    }
}

/// What a function takes, the last for all that follow, and what it gives.
pub(super) fn signature(function: Function) -> (&'static [Wanted], Type) {
    match function {
        Function::StartsWith | Function::EndsWith | Function::Contains => (&[Wanted::Text], Type::Boolean),
        Function::ToLower | Function::ToUpper | Function::Trim | Function::Concat => (&[Wanted::Text], Type::Text),
        Function::Length | Function::IndexOf => (&[Wanted::Text], Type::Integer),
        Function::Substring => (&[Wanted::Text, Wanted::Integer], Type::Text),
        Function::Year | Function::Month | Function::Day => (&[Wanted::Day], Type::Integer),
        Function::Hour | Function::Minute | Function::Second => (&[Wanted::Clock], Type::Integer),
        Function::Date => (&[Wanted::Moment], Type::Date),
        Function::Time => (&[Wanted::Moment], Type::Time),
    }
}

/// Whether a function looks for its second argument without regard to case.
pub(super) fn ignores_case(function: Function) -> bool {
    matches!(function, Function::StartsWith | Function::EndsWith | Function::Contains | Function::IndexOf)
}
