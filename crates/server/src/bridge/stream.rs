//! The streams that events are bridged into: made if they are missing, used as they are if not.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use graph::TenantId;

use super::{StreamLimits, told};

/// As long as events are tried, so that none is in a stream twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(24 * 3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// By this and the tenant a stream is known that was made here, and may get more subjects of that tenant.
const MADE_HERE: &str = "Events that Tidings bridges";
/// Of a stream that was made here.
const SUBJECTS_MAX: usize = 256;

/// Sees to it that a stream takes these subjects; else says why it does not.
pub async fn ensure(
    context: &Context,
    (name, tenant): (&str, TenantId),
    subjects: &str,
    limits: StreamLimits,
) -> Result<(), String> {
    let wanted = config((name, tenant), subjects, limits);
    let stream = context.get_or_create_stream(wanted).await.map_err(|error| told(&error))?;
    let found = &stream.cached_info().config;
    let window = found.duplicate_window;
    if window < DUPLICATE_WINDOW {
        tracing::warn!(
            stream = name,
            window_seconds = window.as_secs(),
            "the stream's duplicate window is shorter than a day: an event that is published again later than that is in it \
             twice"
        );
    }
    if found.subjects.iter().any(|taken| covers(taken, subjects)) {
        return Ok(());
    }
    if found.description != Some(made_for(tenant)) || found.subjects.len() >= SUBJECTS_MAX {
        return Err(format!("it does not take the subjects {subjects}; add them to it"));
    }
    let mut more = found.clone();
    more.subjects.push(subjects.to_owned());
    context.update_stream(more).await.map(drop).map_err(|error| told(&error))
}

fn made_for(tenant: TenantId) -> String {
    format!("{MADE_HERE} for the tenant {tenant}")
}

fn config((name, tenant): (&str, TenantId), subjects: &str, limits: StreamLimits) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        description: Some(made_for(tenant)),
        storage: StorageType::File,
        // The oldest go, as in a topic.
        discard: DiscardPolicy::Old,
        max_bytes: limits.bytes_max,
        max_age: DAY * limits.days,
        num_replicas: limits.replicas,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    }
}

/// Whether all that `subjects` matches is matched by `taken`; both may have wildcards.
fn covers(taken: &str, subjects: &str) -> bool {
    let (mut taken, mut subjects) = (taken.split('.'), subjects.split('.'));
    loop {
        match (taken.next(), subjects.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(wanted)) if wanted != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_what_its_subjects_cover() {
        for (taken, subjects) in
            [("graph.>", "graph.*.a"), ("graph.*.*", "graph.*.a"), ("a.b", "a.b"), (">", "a"), ("a.*", "a.*")]
        {
            assert!(covers(taken, subjects), "{taken} {subjects}");
        }
        for (taken, subjects) in
            [("graph.*", "graph.*.a"), ("a.b", "a.*"), ("a.>", "a"), ("a.b.c", "a.b"), ("b.>", "a.b")]
        {
            assert!(!covers(taken, subjects), "{taken} {subjects}");
        }
    }
}
