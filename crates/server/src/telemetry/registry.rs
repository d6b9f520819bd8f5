//! Metrics by their handles: whoever counts has looked its handle up before.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalogue::{self, Kind, METRICS};

const METADATA: Metadata<'static> = Metadata::new("tidings", Level::INFO, None);

/// The metrics of one server. Another server in the same process has its own.
pub struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    pub fn new() -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            if let Kind::Histogram(buckets) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        for metric in METRICS {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
        let handle = recorder.handle();
        Ok(Self { recorder, handle })
    }

    pub fn counter(&self, name: &'static str, values: &[&'static str]) -> Counter {
        self.recorder.register_counter(&key(name, values), &METADATA)
    }

    pub fn gauge(&self, name: &'static str, values: &[&'static str]) -> Gauge {
        self.recorder.register_gauge(&key(name, values), &METADATA)
    }

    pub fn histogram(&self, name: &'static str, values: &[&'static str]) -> Histogram {
        self.recorder.register_histogram(&key(name, values), &METADATA)
    }

    /// A counter for each value of the one label of a metric.
    pub fn counters(&self, name: &'static str, values: &[&'static str]) -> ByLabel<Counter> {
        ByLabel(values.iter().map(|value| (*value, self.counter(name, &[*value]))).collect())
    }

    /// A histogram for each value of the one label of a metric.
    pub fn histograms(&self, name: &'static str, values: &[&'static str]) -> ByLabel<Histogram> {
        ByLabel(values.iter().map(|value| (*value, self.histogram(name, &[*value]))).collect())
    }

    /// Samples lie in memory one by one until they are counted into their buckets: by this, or by [`Self::render`].
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

/// The name with the values of the labels that the catalogue gives it, in that order.
fn key(name: &'static str, values: &[&'static str]) -> Key {
    let labels = catalogue::find(name).map_or(&[][..], |metric| metric.labels);
    debug_assert!(catalogue::find(name).is_some(), "{name} stands in the catalogue");
    debug_assert_eq!(labels.len(), values.len(), "{name} has a value for each label");
    let labels = labels.iter().zip(values).map(|(label, value)| Label::from_static_parts(label, value));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

/// The handles of one metric by the values of its label. They are few.
pub struct ByLabel<T>(Vec<(&'static str, T)>);

impl<T> ByLabel<T> {
    pub fn with(&self, value: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| *known == value).map(|(_, handle)| handle)
    }
}
