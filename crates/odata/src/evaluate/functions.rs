//! The functions. Positions and lengths count characters; null in gives null out.

use std::borrow::Cow;

use jiff::civil::DateTime;

use super::Cell;
use crate::compare::folded;
use crate::instant;
use crate::tree::Function;

pub(super) fn call<'c>(function: Function, mut arguments: impl Iterator<Item = Cell<'c>>) -> Cell<'c> {
    let first = arguments.next().unwrap_or(Cell::Null);
    let found = match first {
        Cell::Text(text) => of_text(function, text, &mut arguments),
        other => of_time(function, &other),
    };
    found.unwrap_or(Cell::Null)
}

fn of_text<'c>(function: Function, text: Cow<'c, str>, rest: &mut impl Iterator<Item = Cell<'c>>) -> Option<Cell<'c>> {
    match function {
        Function::ToLower => return Some(Cell::Text(Cow::Owned(text.to_lowercase()))),
        Function::ToUpper => return Some(Cell::Text(Cow::Owned(text.to_uppercase()))),
        Function::Trim => return Some(Cell::Text(Cow::Owned(text.trim().to_owned()))),
        Function::Length => return Some(Cell::Integer(text.chars().count() as i64)),
        _ => {}
    }
    let second = rest.next()?;
    if let (Function::Substring, Cell::Integer(start)) = (function, &second) {
        let length = match rest.next() {
            None => usize::MAX,
            Some(Cell::Integer(length)) => usize::try_from(length).unwrap_or(0),
            Some(_) => return None,
        };
        let start = usize::try_from(*start).unwrap_or(0);
        return Some(Cell::Text(Cow::Owned(text.chars().skip(start).take(length).collect())));
    }
    let Cell::Text(second) = second else { return None };
    if function == Function::Concat {
        return Some(Cell::Text(Cow::Owned(format!("{text}{second}"))));
    }
    let (text, second) = (folded(&text), folded(&second));
    Some(match function {
        Function::StartsWith => Cell::Boolean(text.starts_with(&*second)),
        Function::EndsWith => Cell::Boolean(text.ends_with(&*second)),
        Function::Contains => Cell::Boolean(text.contains(&*second)),
        Function::IndexOf => Cell::Integer(text.find(&*second).map_or(-1, |at| text[..at].chars().count() as i64)),
        _ => return None,
    })
}

fn of_time<'c>(function: Function, cell: &Cell<'_>) -> Option<Cell<'c>> {
    let at = match cell {
        Cell::Instant(micros) => instant::date_time(*micros)?,
        Cell::Date(date) => date.to_datetime(jiff::civil::Time::midnight()),
        Cell::Time(time) => DateTime::from_parts(jiff::civil::Date::ZERO, *time),
        _ => return None,
    };
    Some(match function {
        Function::Year => Cell::Integer(at.year().into()),
        Function::Month => Cell::Integer(at.month().into()),
        Function::Day => Cell::Integer(at.day().into()),
        Function::Hour => Cell::Integer(at.hour().into()),
        Function::Minute => Cell::Integer(at.minute().into()),
        Function::Second => Cell::Integer(at.second().into()),
        Function::Date => Cell::Date(at.date()),
        Function::Time => Cell::Time(at.time()),
        _ => return None,
    })
}
