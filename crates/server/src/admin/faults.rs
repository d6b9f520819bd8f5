//! `/admin/faults`: rules by which deliveries go wrong on purpose. Development only.

use axum::Json;
use axum::extract::{Path, State};
use graph::{AppId, ChangeType, SubscriptionId, Timestamp};
use http::StatusCode;
use jiff::SignedDuration;
use notify::StreamKind;
use notify::fault_rules::{self, Action, DELAY_MICROS_MAX, Frequency, Kept, Rule, Selector};
use notify::node::Outcome;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{Body, bad};
use super::{Admin, Failure, clock};
use crate::engine::Faults;

/// The longest text that is compared with URLs and resources.
const TEXT_BYTES_MAX: usize = 2_048;
/// How the URL begins that dead letters go to.
const DEAD_LETTERS: &str = "dead-letters:";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FaultAction {
    /// A notification, or an event that is pushed, is never sent
    Drop,
    /// A request is made twice
    Duplicate,
    /// A request goes later
    Delay,
    /// The notifications of a request stand in the opposite order
    Reorder,
    /// A request counts as refused, timed out or not connected, and is not made
    Fail,
}

/// What is to go wrong, for what, and how often. What is not given selects everything, always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Fault {
    action: FaultAction,
    /// How a request fails: a status from 300 to 599, `timeout` or `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    with: Option<String>,
    /// How long a request is delayed: a duration, `PT30S` or `30s`, of 10 minutes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    subscription: Option<SubscriptionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    app: Option<AppId>,
    /// How the receiver's URL begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// `changes` or `lifecycle` notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    kind: Option<StreamKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    change_type: Option<ChangeType>,
    /// How the subscription's resource begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// Only each so-manieth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    /// Only so many of a hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    /// What `percent` is drawn from: the same seed strikes the same ones.
    #[serde(default)]
    seed: u64,
    /// No more than so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    /// Until the server has this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
}

/// A rule, and what it has done.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownFault {
    number: u32,
    #[serde(flatten)]
    fault: Fault,
    /// How many notifications, or requests, it was asked about.
    seen: u64,
    /// How many of them it struck.
    struck: u64,
}

/// The rules in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FaultList {
    value: Vec<ShownFault>,
}

/// Why a rule is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NoRule {
    #[error("say how requests fail: \"with\" a status from 300 to 599, \"timeout\" or \"refused\"")]
    With,
    #[error("say how long requests are delayed: \"by\" a duration such as 30s, of 10 minutes at most")]
    By,
    #[error("\"with\" is for fail alone, and \"by\" for delay")]
    Beside,
    #[error("\"every\" and \"times\" count from 1, \"percent\" is 1 to 100")]
    Count,
    #[error("\"url\" and \"resource\" have {TEXT_BYTES_MAX} bytes at most")]
    TooLong,
    #[error("no URL begins so: give \"url\" with its scheme, as https://app.example/")]
    Url,
    #[error("\"changeType\" is of changes, and \"kind\" says lifecycle: leave one out")]
    NoChange,
    #[error(
        "events and dead letters are no changes or lifecycle events: leave \"kind\" or \"changeType\" out, or \"url\""
    )]
    OfNotifications,
    #[error("\"until\" has passed: the server's time is {0}")]
    Over(Timestamp),
}

#[utoipa::path(
    get,
    path = "/admin/faults",
    responses((status = 200, body = FaultList), (status = 403, body = Failure, description = "Not a development server"))
)]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<FaultList>, Failure> {
    let value = faults(&admin)?.with(|rules| rules.all().iter().map(ShownFault::from).collect());
    Ok(Json(FaultList { value }))
}

#[utoipa::path(
    post,
    path = "/admin/faults",
    request_body = Fault,
    responses(
        (status = 201, body = ShownFault, description = "From now on it strikes; it is gone when the server stops"),
        (status = 400, body = Failure),
        (status = 403, body = Failure, description = "Not a development server"),
        (status = 409, body = Failure, description = "There are 100 rules")
    )
)]
pub(super) async fn add(
    State(admin): State<Admin>,
    Body(fault): Body<Fault>,
) -> Result<(StatusCode, Json<ShownFault>), Failure> {
    let faults = faults(&admin)?;
    let rule = fault.rule(admin.state.clock.wall()).map_err(|why| bad(why.to_string()))?;
    if let Some(id) = rule.selector.subscription
        && admin.state.store.subscription(id).await?.is_none()
    {
        return Err(bad(format!("there is no subscription {id}, and ids of later ones are others")));
    }
    let added = faults.with(|rules| rules.add(rule).map(ShownFault::from));
    let too_many = |why: fault_rules::TooMany| Failure::new(StatusCode::CONFLICT, why.to_string());
    Ok((StatusCode::CREATED, Json(added.map_err(too_many)?)))
}

#[utoipa::path(
    delete,
    path = "/admin/faults/{number}",
    params(("number" = u32, Path, description = "The rule's number")),
    responses(
        (status = 204, description = "It strikes no more"),
        (status = 403, body = Failure, description = "Not a development server"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn remove(State(admin): State<Admin>, Path(number): Path<u32>) -> Result<StatusCode, Failure> {
    match faults(&admin)?.with(|rules| rules.remove(number)) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no fault {number}; see /admin/faults"))),
    }
}

#[utoipa::path(
    delete,
    path = "/admin/faults",
    responses(
        (status = 204, description = "There are no rules"),
        (status = 403, body = Failure, description = "Not a development server")
    )
)]
pub(super) async fn clear(State(admin): State<Admin>) -> Result<StatusCode, Failure> {
    faults(&admin)?.with(fault_rules::FaultRules::clear);
    Ok(StatusCode::NO_CONTENT)
}

fn faults(admin: &Admin) -> Result<&Faults, Failure> {
    match admin.dev {
        true => Ok(admin.state.engine.faults()),
        false => Err(Failure::new(StatusCode::FORBIDDEN, "only `tidings dev` makes faults on purpose")),
    }
}

impl Fault {
    /// The rule, unless it can never strike.
    fn rule(self, now: Timestamp) -> Result<Rule, NoRule> {
        let action = self.action()?;
        let is_count = |count: Option<u64>| count.is_none_or(|count| count > 0);
        if !is_count(self.every) || !is_count(self.times) || self.percent.is_some_and(|of| !(1..=100).contains(&of)) {
            return Err(NoRule::Count);
        }
        if [&self.url, &self.resource].into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(NoRule::TooLong);
        }
        let url = self.url.as_deref();
        if url.is_some_and(|url| !begins_a_url(url)) {
            return Err(NoRule::Url);
        }
        let names_letters = url.is_some_and(is_of_dead_letters);
        let is_of_letters = names_letters || self.kind == Some(StreamKind::DeadLetters);
        let is_of_events = is_of_letters || url.is_some_and(|url| is_within("nats:", url) || is_within(url, "nats:"));
        let is_of_notifications = self.change_type.is_some() || self.kind == Some(StreamKind::Lifecycle);
        let is_of_others =
            is_of_letters && (self.kind == Some(StreamKind::Changes) || (url.is_some() && !names_letters));
        if is_of_others || (is_of_events && is_of_notifications) {
            return Err(NoRule::OfNotifications);
        }
        if self.kind == Some(StreamKind::Lifecycle) && self.change_type.is_some() {
            return Err(NoRule::NoChange);
        }
        if self.until.is_some_and(|until| until <= now) {
            return Err(NoRule::Over(now));
        }
        let Self { subscription, app, url, kind, change_type: change, resource, .. } = self;
        let selector = Selector { subscription, app, url, kind, change, resource };
        let Self { every, percent, seed, times, until, .. } = self;
        Ok(Rule { selector, frequency: Frequency { every, percent, seed, times, until }, action })
    }

    fn action(&self) -> Result<Action, NoRule> {
        let others = [
            (self.with.is_some(), self.action != FaultAction::Fail),
            (self.by.is_some(), self.action != FaultAction::Delay),
        ];
        if others.contains(&(true, true)) {
            return Err(NoRule::Beside);
        }
        Ok(match self.action {
            FaultAction::Drop => Action::Drop,
            FaultAction::Duplicate => Action::Duplicate,
            FaultAction::Reorder => Action::Reverse,
            FaultAction::Delay => {
                let micros = self.by.as_deref().and_then(clock::micros).and_then(|micros| u64::try_from(micros).ok());
                let micros = micros.filter(|micros| (1..=DELAY_MICROS_MAX).contains(micros)).ok_or(NoRule::By)?;
                Action::Delay { micros }
            }
            FaultAction::Fail => Action::Fail(match self.with.as_deref() {
                Some("timeout") => Outcome::TimedOut,
                Some("refused") => Outcome::Unreachable,
                with => {
                    let status = with.and_then(|with| with.parse().ok());
                    let status = status.filter(|status| (300..600).contains(status)).ok_or(NoRule::With)?;
                    Outcome::refused(status)
                }
            }),
        })
    }
}

/// Whether where an attempt goes can begin so, in any case.
fn begins_a_url(text: &str) -> bool {
    let schemes = ["https://", "http://", "EventGrid:", "nats:", DEAD_LETTERS];
    !text.is_empty() && schemes.into_iter().any(|scheme| is_within(scheme, text) || is_within(text, scheme))
}

fn is_within(text: &str, whole: &str) -> bool {
    whole.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text))
}

/// Whether a rule with such a beginning is about dead letters alone.
pub(crate) fn is_of_dead_letters(url: &str) -> bool {
    !url.is_empty() && (is_within(DEAD_LETTERS, url) || is_within(url, DEAD_LETTERS))
}

impl From<&Kept> for ShownFault {
    fn from(kept: &Kept) -> Self {
        let Rule { selector, frequency, action } = kept.rule.clone();
        let (action, with, by) = match action {
            Action::Drop => (FaultAction::Drop, None, None),
            Action::Duplicate => (FaultAction::Duplicate, None, None),
            Action::Reverse => (FaultAction::Reorder, None, None),
            Action::Delay { micros } => {
                let by = SignedDuration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
                (FaultAction::Delay, None, Some(by.to_string()))
            }
            Action::Fail(Outcome::Refused { status, .. }) => (FaultAction::Fail, Some(status.to_string()), None),
            Action::Fail(Outcome::TimedOut) => (FaultAction::Fail, Some("timeout".to_owned()), None),
            Action::Fail(_) => (FaultAction::Fail, Some("refused".to_owned()), None),
        };
        let Selector { subscription, app, url, kind, change: change_type, resource } = selector;
        let Frequency { every, percent, seed, times, until } = frequency;
        #[rustfmt::skip]
        let fault = Fault {
            action, with, by, subscription, app, url, kind, change_type, resource, every, percent, seed, times, until,
        };
        Self { number: kept.number, fault, seen: kept.seen, struck: kept.struck }
    }
}

#[cfg(test)]
mod tests {
    use notify::fault_rules::FaultRules;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);

    fn read(fault: Value) -> Result<Rule, NoRule> {
        serde_json::from_value::<Fault>(fault).unwrap().rule(NOW)
    }

    #[test]
    fn a_rule_is_shown_as_it_was_given() {
        let id = "5f7c0a11-2222-4333-8444-555566667777";
        for given in [
            json!({"action": "drop", "subscription": id, "times": 1, "seed": 0}),
            json!({"action": "duplicate", "app": id, "every": 3, "seed": 0}),
            json!({"action": "delay", "by": "PT30S", "url": "https://h/", "seed": 0}),
            json!({"action": "reorder", "kind": "changes", "changeType": "created", "seed": 0}),
            json!({"action": "fail", "with": "503", "percent": 20, "seed": 7, "resource": "me/"}),
            json!({"action": "fail", "with": "timeout", "until": "2026-12-01T00:00:00Z", "seed": 0}),
            json!({"action": "fail", "with": "refused", "kind": "lifecycle", "seed": 0}),
            json!({"action": "drop", "url": "EventGrid:?", "seed": 0}),
            json!({"action": "drop", "url": "dead-letters:", "seed": 0}),
            json!({"action": "drop", "url": "eventgrid:?resource", "seed": 0}),
        ] {
            let mut rules = FaultRules::default();
            let shown = ShownFault::from(rules.add(read(given.clone()).unwrap()).unwrap());
            assert_eq!(serde_json::to_value(&shown.fault).unwrap(), given);
            assert_eq!((shown.number, shown.seen, shown.struck), (1, 0, 0));
        }
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for (given, why) in [
            (json!({"action": "fail"}), NoRule::With),
            (json!({"action": "fail", "with": "200"}), NoRule::With),
            (json!({"action": "fail", "with": "soon"}), NoRule::With),
            (json!({"action": "delay"}), NoRule::By),
            (json!({"action": "delay", "by": "11m"}), NoRule::By),
            (json!({"action": "delay", "by": "-5s"}), NoRule::By),
            (json!({"action": "drop", "with": "500"}), NoRule::Beside),
            (json!({"action": "fail", "with": "500", "by": "5s"}), NoRule::Beside),
            (json!({"action": "drop", "every": 0}), NoRule::Count),
            (json!({"action": "drop", "times": 0}), NoRule::Count),
            (json!({"action": "drop", "percent": 101}), NoRule::Count),
            (json!({"action": "drop", "url": "h".repeat(3_000)}), NoRule::TooLong),
            (json!({"action": "drop", "url": "localhost:3000"}), NoRule::Url),
            (json!({"action": "drop", "url": ""}), NoRule::Url),
            (json!({"action": "drop", "url": "dead-letters:", "kind": "changes"}), NoRule::OfNotifications),
            (json!({"action": "drop", "url": "NATS:EVENTS", "changeType": "created"}), NoRule::OfNotifications),
            (json!({"action": "drop", "url": "nats:", "kind": "lifecycle"}), NoRule::OfNotifications),
            (json!({"action": "drop", "kind": "deadLetters", "changeType": "created"}), NoRule::OfNotifications),
            (json!({"action": "drop", "kind": "deadLetters", "url": "https://h/"}), NoRule::OfNotifications),
            (json!({"action": "drop", "kind": "lifecycle", "changeType": "created"}), NoRule::NoChange),
            (json!({"action": "drop", "until": "2026-11-01T00:00:00Z"}), NoRule::Over(NOW)),
        ] {
            assert_eq!(read(given.clone()), Err(why), "{given}");
        }
    }
}
