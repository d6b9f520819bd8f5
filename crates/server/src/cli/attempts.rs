//! `tidings attempts`: what came of single requests to receivers.

use anyhow::ensure;
use graph::Timestamp;
use serde_json::Value;

use super::desk::{Desk, Output, query, text};
use super::place::Running;

/// Show what came of single requests to receivers.
///
/// Each line is one attempt, the newest first: when it ended, what it came to, the answer's status, how long it took, how
/// many notifications it carried, where it went, and when these are tried again; of events that were pushed also for which
/// event subscription. It says why something did not arrive;
/// what became of all notifications says `tidings ledger show`. Only so much is kept as section [attempt_log] of the
/// configuration says, and when there is more than can be written, attempts are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings attempts                                                   the last hundred
  tidings attempts --outcome timed_out --since 2026-11-28T09:00:00Z
  tidings attempts --subscription 7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11 --excerpts")]
pub struct Options {
    /// Those at the receivers of this app, by its application (client) id
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Those that told of this subscription, with or without others
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// Those that ended at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Those that came to this: acknowledged, refused, timed_out, unreachable, unresolved, forbidden, not_sent,
    /// delayed
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Those before this one, by its number
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// How many at most, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    top: usize,
    /// Show how answers began that did not acknowledge; they may repeat secrets that they were sent, so name --app or
    /// --subscription, too
    #[arg(long)]
    excerpts: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Running,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { app, subscription, since, outcome, before, top, excerpts, output, place } = options;
    ensure!(
        !excerpts || app.is_some() || subscription.is_some(),
        "--excerpts shows what one owner's receiver answered: name --app APP or --subscription ID, too"
    );
    let desk = Desk::of_running(&place, "a running server shows its attempt log")?.patient().await?;
    let asked = [
        ("app", app),
        ("subscription", subscription),
        ("since", since.map(|since| since.to_string())),
        ("outcome", outcome),
        ("before", before.map(|before| before.to_string())),
        ("excerpts", excerpts.then(|| "true".to_owned())),
        ("$top", Some(top.to_string())),
    ];
    output.print(&desk.get(&query("attempts", &asked)).await?, table);
    Ok(())
}

fn table(answer: &Value) -> String {
    let entries = answer["value"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines: String = entries.iter().map(line).collect();
    if let Some(last) = entries.last().filter(|_| answer["more"] == true) {
        lines.push_str(&format!("… and more: --before {}\n", text(last, "number")));
    }
    lines
}

fn line(entry: &Value) -> String {
    let [at, outcome, status, notifications, url] =
        ["at", "outcome", "status", "notifications", "url"].map(|member| text(entry, member));
    let millis = entry["latencyMicros"].as_u64().unwrap_or_default() as f64 / 1e3;
    let pushed_by = &entry["eventSubscription"];
    let mut line = format!("{at:27}  {outcome:12}  {status:3}  {millis:>9.1} ms  {notifications:>4}  {url}");
    if pushed_by.is_object() {
        line.push_str(&format!("  for {} of topic {}", text(pushed_by, "name"), text(pushed_by, "topic")));
    }
    let remarks = [
        ("again at", "nextRetryAt"),
        ("too old, and given up, at", "givenUpAt"),
        ("given up:", "abandoned"),
        ("because", "cause"),
        ("answer:", "excerpt"),
    ];
    for (words, member) in remarks {
        let told = match entry[member].as_array() {
            Some(reasons) => reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            None => text(entry, member),
        };
        if !told.is_empty() {
            line.push_str(&format!("  {words} {told}"));
        }
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_push_is_said_with_its_event_subscription_and_when_its_events_will_be_too_old() {
        let topic = "00d8a100-2e92-4bfa-86e1-0056dacd0fce";
        let entry = json!({
            "number": 7, "at": "2026-11-28T09:00:00Z", "outcome": "timed_out", "latencyMicros": 30_000_000,
            "notifications": 1, "url": "https://hook.example.net/n", "nextRetryAt": null,
            "eventSubscription": { "topic": topic, "name": "worker" }, "givenUpAt": "2026-11-28T12:00:00Z",
        });
        assert_eq!(
            table(&json!({ "value": [entry] })),
            format!(
                "2026-11-28T09:00:00Z         timed_out            30000.0 ms     1  https://hook.example.net/n  for worker of \
                 topic {topic}  too old, and given up, at 2026-11-28T12:00:00Z\n"
            )
        );
    }

    #[test]
    fn each_attempt_is_a_line_that_says_when_it_is_tried_again_and_why() {
        let entry = json!({
            "number": 7, "at": "2026-11-28T09:00:00Z", "outcome": "refused", "status": 503, "latencyMicros": 12_340,
            "notifications": 3, "url": "https://hook.example.net/n", "nextRetryAt": "2026-11-28T09:00:05Z",
            "cause": null, "abandoned": ["not_retried", "injected"], "excerpt": "busy",
        });
        let told = table(&json!({ "value": [entry], "more": true }));
        assert_eq!(
            told,
            "2026-11-28T09:00:00Z         refused       503       12.3 ms     3  https://hook.example.net/n  again at \
             2026-11-28T09:00:05Z  given up: not_retried, injected  answer: busy\n… and more: --before 7\n"
        );
    }
}
