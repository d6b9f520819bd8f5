//! Which change of a resource outside of mailboxes a subscription hears. As what a change is told is for the
//! table to say; the subscription's filters look at the states that were told with it.

use graph::ChangeType;
use graph::registry::{Asked, Ingested, Open, place};

use crate::Subscription;
use crate::subscription::{ChangeTypes, Watched};

/// What of a subscription decides which changes it hears, of those that are told at its places.
#[derive(Clone, Debug)]
pub struct ResourceInterest {
    change_types: ChangeTypes,
    sight: Sight,
    /// From `notificationQueryOptions`: told of once, when a state comes to be so.
    becomes: Option<Open>,
}

/// Which states a subscription watches.
#[derive(Clone, Debug)]
enum Sight {
    All,
    Filtered(Open),
    /// Its filter cannot be read any more.
    Nothing,
}

impl ResourceInterest {
    pub fn of(subscription: &Subscription, watched: &Watched) -> Self {
        let change_types = subscription.change_types;
        let becomes = subscription.query_options().map(Open::read_query_options).transpose();
        match (filter(subscription, watched), becomes) {
            (Some(None), Ok(becomes)) => Self { change_types, sight: Sight::All, becomes },
            (Some(Some(filter)), Ok(becomes)) => Self { change_types, sight: Sight::Filtered(filter), becomes },
            _ => Self { change_types, sight: Sight::Nothing, becomes: None },
        }
    }

    /// The change type that the subscription sees, if it must hear of the change.
    pub fn sees(&self, change: &Ingested) -> Option<ChangeType> {
        let seen = change.told().filter(|told| self.change_types.contains(*told))?;
        let is_in_sight = match &self.sight {
            Sight::All => true,
            // Of what is gone, the last state counts.
            Sight::Filtered(filter) => filter.holds(change.after.as_ref().or(change.before.as_ref())),
            Sight::Nothing => false,
        };
        let has_become =
            |becomes: &Open| becomes.holds(change.after.as_ref()) && !becomes.holds(change.before.as_ref());
        (is_in_sight && self.becomes.as_ref().is_none_or(has_become)).then_some(seen)
    }

    /// What its filters say, the same in every spelling; empty for nothing.
    pub fn likeness(&self) -> String {
        let filter = match &self.sight {
            Sight::Filtered(filter) => format!("$filter={}", filter.text()),
            Sight::All | Sight::Nothing => String::new(),
        };
        let becomes = self.becomes.as_ref().map(|becomes| format!("&becomes={}", becomes.text()));
        filter + &becomes.unwrap_or_default()
    }
}

/// The `$filter` of its `resource`; `None` if that cannot be read any more.
fn filter(subscription: &Subscription, watched: &Watched) -> Option<Option<Open>> {
    if !subscription.resource.contains('?') {
        return Some(None);
    }
    let asked = Asked::read(&place(&subscription.resource).ok()?, watched.owner).ok()?;
    Some(asked.filter)
}

#[cfg(test)]
mod tests {
    use graph::registry::{Happened, ThingError, thing};
    use graph::{AppId, ChangeId, Properties, SubscriptionId, TenantId, Timestamp, UserId};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::subscription::{Extras, Target, TlsVersion};

    const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);

    fn interest(resource: &str, query_options: Option<&str>) -> ResourceInterest {
        let asked = place(resource).unwrap();
        let watched = Watched { resource: asked.kind, owner: None, places: Vec::new() };
        let extras = Extras { notification_query_options: query_options.map(str::to_owned), ..Extras::default() };
        let subscription = Subscription {
            id: SubscriptionId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            app: AppId(Uuid::from_u128(3)),
            creator: UserId(Uuid::from_u128(4)),
            resource: resource.to_owned(),
            target: Target::Resource(Box::new(watched.clone())),
            change_types: ChangeType::ALL.into_iter().collect(),
            change_type: "created,updated,deleted".to_owned(),
            notification_url: "https://hook.example.net/n".to_owned(),
            lifecycle_url: None,
            client_state: None,
            tls_version: TlsVersion::V1_2,
            extras: extras.boxed(),
            immutable_ids: false,
            expires: NOW.plus_minutes(60),
            expires_tenths: 0,
            authorized: NOW,
            created: NOW,
        };
        ResourceInterest::of(&subscription, &watched)
    }

    fn change(path: &str, happened: Happened, before: Value, after: Value) -> Ingested {
        let state = |state: Value| -> Option<Properties> { state.as_object().cloned() };
        Ingested {
            id: ChangeId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            thing: thing(path, |_| Err::<UserId, _>(ThingError::Me)).unwrap(),
            happened,
            at: NOW,
            before: state(before),
            after: state(after),
        }
    }

    #[test]
    fn query_options_tell_once_that_a_state_has_come_to_be_so() {
        let interest = interest("print/printers/p/jobs", Some("$filter = isFetchable eq true"));
        let sees = |happened, before, after| interest.sees(&change("print/printers/p/jobs/j", happened, before, after));
        let (yes, no) = (json!({ "isFetchable": true }), json!({ "isFetchable": false }));
        let told = Some(ChangeType::Updated);
        assert_eq!(sees(Happened::Updated, no.clone(), yes.clone()), told, "it became so");
        assert_eq!(sees(Happened::Updated, yes.clone(), yes.clone()), None, "it was so before");
        assert_eq!(sees(Happened::Updated, yes.clone(), no.clone()), None, "it is so no more");
        assert_eq!(sees(Happened::Created, Value::Null, yes.clone()), told, "it was made so");
        assert_eq!(sees(Happened::Updated, json!({}), yes.clone()), told, "what is absent is not so");
        assert_eq!(sees(Happened::Updated, json!({ "isFetchable": "true" }), yes.clone()), told, "nor a text");
        assert_eq!(sees(Happened::Deleted, yes, Value::Null), None, "what is gone is not so");
    }

    #[test]
    fn a_filter_looks_at_the_last_state_that_was_told() {
        let interest = interest("security/alerts?$filter=status eq 'newAlert'", None);
        let sees = |before, after| interest.sees(&change("security/alerts/1", Happened::Updated, before, after));
        let (new, seen) = (json!({ "status": "newAlert" }), json!({ "status": "resolved" }));
        assert_eq!(sees(seen.clone(), new.clone()), Some(ChangeType::Updated));
        assert_eq!(sees(new.clone(), seen), None);
        assert_eq!(sees(new, Value::Null), Some(ChangeType::Updated));
        assert_eq!(sees(Value::Null, Value::Null), None);
    }

    #[test]
    fn two_spellings_of_what_is_asked_are_alike() {
        let one = interest("security/alerts?$filter=status  EQ 'new'", None).likeness();
        assert_eq!(one, interest("/Security/Alerts?filter=status eq 'new'", None).likeness());
        assert_ne!(one, interest("security/alerts", None).likeness());
        let jobs = |options| interest("print/printers/p/jobs", options).likeness();
        assert_eq!(jobs(Some("$filter = isFetchable eq true")), jobs(Some("$filter=isFetchable  eq true")));
        assert_ne!(jobs(Some("$filter=isFetchable eq true")), jobs(None));
    }
}
