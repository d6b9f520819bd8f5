//! Properties as they are shown: to be written as JSON, or made a value of.

use serde_json::{Map, Value};

use crate::json::ObjectText;

/// By their names, in the order of these. What is shown as it is stored is borrowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members<'a>(Vec<(&'a str, Member<'a>)>);

#[derive(Clone, Debug)]
pub(super) enum Member<'a> {
    /// As it is stored; with `"name":value` as that was written, if it was.
    Stored(&'a Value, Option<&'a str>),
    Made(Value),
}

impl PartialEq for Member<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Member<'_> {
    fn value(&self) -> &Value {
        match self {
            Member::Stored(value, _) => value,
            Member::Made(value) => value,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Member::Stored(value, _) => value.clone(),
            Member::Made(value) => value,
        }
    }
}

impl<'a> Members<'a> {
    /// Of what is in the order of its names already.
    pub fn in_order(members: impl Iterator<Item = (&'a str, Member<'a>)>, room: usize) -> Self {
        let mut all = Vec::with_capacity(room);
        all.extend(members);
        debug_assert!(all.is_sorted_by(|(one, _), (next, _)| one < next), "names in order");
        Self(all)
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (*known).cmp(name))
    }

    pub fn insert(&mut self, name: &'a str, value: Value) {
        match self.place(name) {
            Ok(place) => self.0[place].1 = Member::Made(value),
            Err(place) => self.0.insert(place, (name, Member::Made(value))),
        }
    }

    pub fn insert_if_absent(&mut self, name: &'a str, value: impl FnOnce() -> Value) {
        if let Err(place) = self.place(name) {
            self.0.insert(place, (name, Member::Made(value())));
        }
    }

    /// A value to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let place = self.place(name).ok()?;
        let member = &mut self.0[place].1;
        if let Member::Stored(value, _) = member {
            *member = Member::Made(value.clone());
        }
        match member {
            Member::Made(value) => Some(value),
            Member::Stored(..) => None,
        }
    }

    pub fn to_json(&self) -> String {
        let mut json = ObjectText::new();
        for (name, member) in &self.0 {
            let written = match member {
                Member::Stored(_, written) => *written,
                Member::Made(_) => None,
            };
            json.push((name, member.value(), written));
        }
        json.finish()
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.0.into_iter().map(|(name, member)| (name.to_owned(), member.into_value())).collect()
    }
}
