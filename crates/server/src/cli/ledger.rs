//! `tidings ledger`: what became of everything that matched, and whether that is true.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, encoded, query, text};
use super::place::Place;
use super::progress;

/// Show what became of notifications, and count it again.
///
/// For each subscription a ledger says how many changes it had to be told of (matched), and how many of
/// these were delivered, are parked (tried in vain or waiting, and still owed) or were abandoned for a
/// reason. It speaks of everything up to the last checkpoint, and always balances.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings ledger show --app 507c3b9a-67b8-463d-88a2-15a8cefb2111
  tidings ledger verify")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the ledger of everything, of an app's subscriptions, or of one subscription.
    #[command(after_help = "\
Examples:
  tidings ledger show                                                the sums over all subscriptions
  tidings ledger show --app 507c3b9a-67b8-463d-88a2-15a8cefb2111     each of an app's
  tidings ledger show --subscription 7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11")]
    Show {
        /// The application (client) id
        #[arg(long, value_name = "APP", conflicts_with = "subscription")]
        app: Option<String>,
        /// Of the app's subscriptions, show those after this one
        #[arg(long, value_name = "ID", requires = "app")]
        after: Option<String>,
        /// The subscription's id, also for a while after its end
        #[arg(long, value_name = "ID")]
        subscription: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Count again from the log how often each subscription matched, and compare.
    ///
    /// For each partition the log is read from where it begins to the last checkpoint, and who must have been told
    /// is worked out anew. The ledgers' matches must be these; what is parked must lie in the store; and
    /// delivered, parked and abandoned must come to matched. Each number that is wrong is printed with what it
    /// should be, and the exit code is then 1. It reads beside a running server, and changes nothing.
    #[command(after_help = "\
Examples:
  tidings ledger verify
  tidings ledger verify --data-dir /var/lib/tidings --json")]
    Verify {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Show { app, after, subscription, output, place } => {
            let desk = Desk::open(&place)?.patient().await?;
            let path = match (&app, &subscription) {
                (Some(app), _) => query(&format!("apps/{}/ledger", encoded(app)), &[("after", after)]),
                (None, Some(id)) => format!("subscriptions/{}/ledger", encoded(id)),
                (None, None) => "ledger".to_owned(),
            };
            output.print(&desk.get(&path).await?, |answer| table(answer, subscription.as_deref()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { output, place } => {
            let verified = verify(&Desk::open(&place)?.patient().await?).await?;
            output.print(&verified, summary);
            Ok(if verified["balances"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Verifies partition after partition, so that it can be seen how far it has come.
async fn verify(desk: &Desk) -> anyhow::Result<Value> {
    let bar = progress::bar("partitions");
    bar.set_length(graph::PARTITIONS.into());
    let (mut records, mut subscriptions, mut more) = (0, 0, false);
    let mut discrepancies = Vec::new();
    for partition in 0..graph::PARTITIONS {
        let one = desk.get(&query("ledger/verify", &[("partition", Some(partition.to_string()))])).await?;
        records += one["records"].as_u64().unwrap_or_default();
        subscriptions += one["subscriptions"].as_u64().unwrap_or_default();
        more |= one["more"] == true;
        discrepancies.extend(one["discrepancies"].as_array().cloned().unwrap_or_default());
        bar.inc(1);
        bar.set_message(format!("partitions, {records} records"));
    }
    bar.finish_and_clear();
    Ok(json!({
        "balances": discrepancies.is_empty(),
        "partitions": graph::PARTITIONS,
        "records": records,
        "subscriptions": subscriptions,
        "discrepancies": discrepancies,
        "more": more,
    }))
}

fn summary(verified: &Value) -> String {
    let found = verified["discrepancies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut summary = String::new();
    for one in found {
        let of = match text(one, "subscription") {
            id if id.is_empty() => String::new(),
            id => format!(", subscription {id}"),
        };
        summary.push_str(&format!("partition {}{of}: {}\n", text(one, "partition"), text(one, "text")));
    }
    let verdict = match (found.len(), verified["more"] == true) {
        (0, _) => "everything balances".to_owned(),
        (1, false) => "1 discrepancy".to_owned(),
        (count, false) => format!("{count} discrepancies"),
        (count, true) => format!("more than {count} discrepancies"),
    };
    let number = |name: &str| text(verified, name);
    let (partitions, subscriptions, records) = (number("partitions"), number("subscriptions"), number("records"));
    summary + &format!("{partitions} partitions, {subscriptions} subscriptions, {records} records: {verdict}\n")
}

/// A line for each subscription of an app, and one for the sums.
fn table(answer: &Value, subscription: Option<&str>) -> String {
    let mut lines = line("subscription", "", ["matched", "delivered", "parked", "abandoned"].map(str::to_owned));
    for one in answer["value"].as_array().into_iter().flatten() {
        let state = if one["live"] == true { "live" } else { "ended" };
        lines.push_str(&line(&text(one, "id"), state, counts(one)));
    }
    if answer["more"] == true {
        lines.push_str("… and more: --after the last of these\n");
    }
    if answer["gone"].as_u64().is_some_and(|gone| gone > 0) {
        lines.push_str(&format!(
            "… and {} that ended long ago, of which only the sums are left\n",
            text(answer, "gone")
        ));
    }
    let all = format!("all {}", text(answer, "subscriptions"));
    lines + &line(subscription.unwrap_or(&all), "", counts(answer))
}

fn line(name: &str, state: &str, [matched, delivered, parked, abandoned]: [String; 4]) -> String {
    format!("{name:36}  {state:5}  {matched:>12}  {delivered:>12}  {parked:>8}  {abandoned}\n")
}

/// The counts of a ledger; the abandoned ones with their reasons.
fn counts(ledger: &Value) -> [String; 4] {
    let reasons: Vec<(&str, u64)> = ledger["abandoned"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(reason, count)| (reason.as_str(), count.as_u64().unwrap_or_default()))
        .collect();
    let sum: u64 = reasons.iter().map(|(_, count)| count).sum();
    let named: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let abandoned = if named.is_empty() { sum.to_string() } else { format!("{sum} ({})", named.join(", ")) };
    [text(ledger, "matched"), text(ledger, "delivered"), text(ledger, "parked"), abandoned]
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    #[tokio::test]
    async fn the_exit_code_says_whether_it_balances() {
        let (data, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, key) = (data.path().display().to_string(), keys.path().join("key").display().to_string());
        let verify = async || {
            let line = ["ledger", "verify", "--data-dir", &dir, "--key-file", &key];
            run(Program::try_parse_from(line).unwrap().options).await.unwrap()
        };
        assert_eq!(verify().await, ExitCode::SUCCESS);
        // A ledger of nobody: one matched and delivered.
        let database = rusqlite::Connection::open(data.path().join("store/tidings.db")).unwrap();
        database.execute("INSERT INTO ledger VALUES (3, zeroblob(16), x'01010000')", ()).unwrap();
        drop(database);
        assert_eq!(verify().await, ExitCode::FAILURE);
    }

    #[test]
    fn ledgers_are_shown_as_a_table_with_their_sums_below() {
        let sums = json!({ "matched": 9, "delivered": 5, "parked": 1, "abandoned": { "horizon": 2, "paused": 1 } });
        let mut answer = sums.clone();
        answer["subscriptions"] = 1.into();
        answer["gone"] = 7.into();
        answer["value"] = json!([sums]);
        answer["value"][0]["id"] = "7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11".into();
        answer["value"][0]["live"] = true.into();
        insta::assert_snapshot!(table(&answer, None), @r"
        subscription                                      matched     delivered    parked  abandoned
        7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11  live              9             5         1  3 (horizon 2, paused 1)
        … and 7 that ended long ago, of which only the sums are left
        all 1                                                   9             5         1  3 (horizon 2, paused 1)
        ");
    }

    #[test]
    fn each_discrepancy_is_a_line_and_the_last_line_says_how_many() {
        let found = |subscription: Option<&str>, text: &str| json!({ "partition": 12, "subscription": subscription, "about": "matched", "text": text });
        let mut verified = json!({ "partitions": 256, "records": 40, "subscriptions": 2, "more": false });
        verified["discrepancies"] = json!([]);
        assert_eq!(summary(&verified), "256 partitions, 2 subscriptions, 40 records: everything balances\n");
        verified["discrepancies"] = json!([
            found(Some("7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11"), "the log has 5 matches, the ledger 6"),
            found(None, "the log has no record at position 7; it goes on at 9"),
        ]);
        assert_eq!(
            summary(&verified),
            "partition 12, subscription 7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11: the log has 5 matches, the ledger 6\n\
             partition 12: the log has no record at position 7; it goes on at 9\n\
             256 partitions, 2 subscriptions, 40 records: 2 discrepancies\n"
        );
    }
}
