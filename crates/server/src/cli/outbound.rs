//! `tidings outbound`: whether receivers can be called.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, text};
use super::place::Running;

/// Find out whether a receiver can be called.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tidings outbound check https://app.example.com/notifications")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a URL may be called, and what would open it.
    ///
    /// The verdict is the one that an app gets with this URL when it subscribes, and that counts at each
    /// delivery: by the URL's text and by every address that its host leads to. With --probe the receiver is
    /// asked to echo a token, as before a subscription, and each step is told with the time that it took. The
    /// exit code is 1 if the URL may not be called or the receiver fails.
    #[command(after_help = "\
Examples:
  tidings outbound check https://app.example.com/notifications
  tidings outbound check --probe 'https://app.example.com/notifications?code=1'")]
    Check {
        /// The URL that an app gives as notificationUrl
        url: String,
        /// Make a handshake with the receiver
        #[arg(long)]
        probe: bool,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Running,
    },
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Command::Check { url, probe, output, place } = options.command;
    let desk = Desk::of_running(&place, "URLs are judged by a running server, which has the configuration")?;
    let checked = desk.post("outbound/check", json!({ "url": url, "handshake": probe })).await?;
    output.print(&checked, verdict);
    let passed = checked["allowed"] == true && checked["handshake"]["passed"] != false;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict(checked: &Value) -> String {
    let mut lines = match checked["allowed"] == true {
        true => "it may be called\n".to_owned(),
        false => format!("it is not called: {}\n", text(checked, "reason")),
    };
    for address in checked["addresses"].as_array().into_iter().flatten() {
        let class = address["class"].as_str().unwrap_or("a public address");
        let verdict = if address["allowed"] == true { "allowed" } else { "forbidden" };
        lines.push_str(&format!("  {:39}  {verdict:9}  {class}\n", text(address, "address")));
    }
    if let Some(opens) = checked["opens"].as_str() {
        lines.push_str(&format!("to open it, in the configuration: {opens}\n"));
    }
    let handshake = &checked["handshake"];
    for step in handshake["steps"].as_array().into_iter().flatten() {
        let (failed, took) = (if step["passed"] == true { "" } else { "failed: " }, step["milliseconds"].as_f64());
        let (name, took) = (text(step, "name"), took.unwrap_or_default());
        lines.push_str(&format!("  {name:8} {took:>8.1} ms  {failed}{}\n", text(step, "detail")));
    }
    match handshake["told"].as_str() {
        Some(told) => lines.push_str(&format!("an app that subscribes is told: {told}\n")),
        None if handshake["passed"] == true => lines.push_str("the receiver has echoed the token\n"),
        None => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_names_the_rule_the_addresses_and_the_steps() {
        let refused = json!({
            "allowed": false, "reason": "h.example resolves to 10.0.0.7, which is a private address",
            "opens": "outbound.allow_private = true, or outbound.allow = [\"h.example\"]",
            "addresses": [{"address": "10.0.0.7", "class": "a private address", "allowed": false},
                          {"address": "1.1.1.1", "class": null, "allowed": true}],
            "handshake": null,
        });
        insta::assert_snapshot!(verdict(&refused), @r#"
        it is not called: h.example resolves to 10.0.0.7, which is a private address
          10.0.0.7                                 forbidden  a private address
          1.1.1.1                                  allowed    a public address
        to open it, in the configuration: outbound.allow_private = true, or outbound.allow = ["h.example"]
        "#);
        let tried = json!({
            "allowed": true, "reason": null, "opens": null,
            "addresses": [{"address": "1.1.1.1", "class": null, "allowed": true}],
            "handshake": {"passed": false, "told": "Subscription validation request timed out.", "steps": [
                {"name": "dns", "milliseconds": 3.5, "passed": true, "detail": "1 address may be called"},
                {"name": "connect", "milliseconds": 10_000.0, "passed": false, "detail": "no complete answer in time"},
            ]},
        });
        insta::assert_snapshot!(verdict(&tried), @r"
        it may be called
          1.1.1.1                                  allowed    a public address
          dns           3.5 ms  1 address may be called
          connect   10000.0 ms  failed: no complete answer in time
        an app that subscribes is told: Subscription validation request timed out.
        ");
    }
}
