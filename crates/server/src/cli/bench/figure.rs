//! One measured figure, for people and for machines.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// As `--only` names it.
    measurement: &'static str,
    /// How many of what is counted there were, where several sizes are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    name: String,
    value: f64,
    unit: &'static str,
    /// To what, and how much of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<(&'static str, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<&'static str>,
}

impl Figure {
    pub fn new(measurement: &'static str, name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { measurement, size: None, name: name.into(), value, unit, ratio: None, aim: None }
    }

    pub fn millis(measurement: &'static str, name: impl Into<String>, taken: Duration) -> Self {
        Self::new(measurement, name, taken.as_secs_f64() * 1e3, "ms")
    }

    pub fn seconds(measurement: &'static str, name: impl Into<String>, taken: Duration) -> Self {
        Self::new(measurement, name, taken.as_secs_f64(), "s")
    }

    pub fn mebibytes(measurement: &'static str, name: impl Into<String>, bytes: u64) -> Self {
        Self::new(measurement, name, bytes as f64 / f64::from(1 << 20), "MiB")
    }

    pub fn of_size(self, size: u64) -> Self {
        Self { size: Some(size), ..self }
    }

    pub fn ratio(self, to: &'static str, ratio: f64) -> Self {
        Self { ratio: Some((to, ratio)), ..self }
    }

    pub fn aim(self, aim: &'static str) -> Self {
        Self { aim: Some(aim), ..self }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size.map_or_else(String::new, |size| format!(" {size}"));
        let name = format!("{}{size}: {}", self.measurement, self.name);
        let digits = if self.value >= 1_000.0 { 0 } else { 3 };
        write!(f, "{name:<58}{:>12.digits$} {}", self.value, self.unit)?;
        if let Some((to, ratio)) = self.ratio {
            write!(f, " = {ratio:.2} of {to}")?;
        }
        self.aim.map_or(Ok(()), |aim| write!(f, " (aim: {aim})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_of_what_it_is_and_what_is_aimed_at() {
        let figure = Figure::new("drain", "deliveries", 45_984.3, "/s").ratio("the ceiling", 0.5501).aim("0.8");
        insta::assert_snapshot!(figure, @"drain: deliveries                                                45984 /s = 0.55 of the ceiling (aim: 0.8)");
        let json = serde_json::to_string(&Figure::mebibytes("memory", "resident", 3 << 19).of_size(1_000)).unwrap();
        insta::assert_snapshot!(json, @r#"{"measurement":"memory","size":1000,"name":"resident","value":1.5,"unit":"MiB"}"#);
    }
}
