//! Parameters of a request: of a query, or of a form that was posted. None stands there twice, all are
//! bounded, and what nobody asks for means nothing.

use std::collections::HashMap;

use super::refusal::Refusal;

const PARAMETERS_MAX: usize = 100;

/// The parameters by name.
#[derive(Clone, Default)]
pub struct Form(HashMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn read(text: &[u8]) -> Result<Self, Refusal> {
        let mut form = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if form.len() >= PARAMETERS_MAX || form.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Refusal::Malformed);
            }
        }
        Ok(Self(form))
    }

    /// A parameter that is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn need(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal::Missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_there_once() {
        let form = Form::read(b"a=1&b=&c=x%20y+z").unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c"), form.get("d")),
            (Some("1"), None, Some("x y z"), None)
        );
        assert_eq!(form.need("b"), Err(Refusal::Missing("b")));
        assert!(Form::read(b"a=1&a=2").is_err());
        let many: Vec<String> = (0..101).map(|number| format!("p{number}=")).collect();
        assert!(Form::read(many.join("&").as_bytes()).is_err());
    }
}
