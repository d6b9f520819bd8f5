//! What may be sent, when, and in which order: checked at the moment in which an attempt begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::Partition;
use notify::node::{Attempt, Notification, Purpose};
use notify::topic::for_the_node;
use notify::{Monotonic, Now, Position, Record, StreamKind};

use super::{Delivery, InFlight, Tenure, Violation, Watch};
use crate::process::Life;
use crate::storage::Storage;
use crate::topics::ELSEWHERE;
use crate::truth::Subject;

/// One notification of an attempt, found in the truth.
pub(super) struct Sent<'a> {
    pub notification: &'a Notification,
    pub partition: Partition,
    pub delivery: Delivery,
}

/// The moment of an attempt.
pub(super) struct Moment<'a> {
    pub life: Life,
    pub now: Now,
    storage: &'a Storage,
    pub at: u64,
}

impl Watch {
    /// Each delivery of an attempt: its subscription, its position, and the failures known before.
    pub fn describe(&self, life: Life, attempt: &Attempt) -> Vec<(usize, u64, u32)> {
        let sent = attempt.notifications.iter().filter_map(|notification| self.find(notification).ok());
        let described = sent.map(|sent| {
            let tenure = self.tenures.get(&(life, sent.partition));
            let failures = tenure.and_then(|tenure| tenure.failures.get(&sent.delivery));
            (sent.delivery.0, sent.delivery.1.0, failures.map_or(0, |failure| failure.attempts))
        });
        described.collect()
    }

    /// A node begins an attempt.
    pub fn attempts(
        &mut self,
        life: Life,
        now: Now,
        attempt: &Attempt,
        storage: &Storage,
        at: u64,
    ) -> Result<(), Violation> {
        let moment = Moment { life, now, storage, at };
        let sent = attempt.notifications.iter().map(|one| self.find(one)).collect::<Result<Vec<_>, _>>()?;
        self.check_size(&moment, attempt)?;
        let mut passed = Vec::new();
        for one in &sent {
            self.check_asked(&moment, attempt, one)?;
            self.check_fence(&moment, attempt, one)?;
            self.check_id(one)?;
            self.check_restart(&moment, one)?;
            self.check_not_passed_over(&moment, one)?;
            if attempt.purpose != Purpose::Notify {
                continue;
            }
            passed.push((one.partition, self.check_item_order(&moment, &sent, one)?));
            passed.push((one.partition, self.check_overtaking(&moment, &sent, one)?));
            self.check_schedule(&moment, one)?;
            self.check_not_shut(&moment, one)?;
        }
        match attempt.purpose {
            Purpose::Notify => self.check_class(&moment, attempt, &sent)?,
            Purpose::Push | Purpose::DeadLetter => self.check_pushes(&moment, attempt, &sent)?,
        }
        let deliveries: Vec<_> = sent.iter().map(|one| (one.partition, one.delivery)).collect();
        for (notification, (partition, delivery)) in attempt.notifications.iter().zip(&deliveries) {
            self.keeps_letter(life, (*partition, *delivery), notification.given_up);
            // A replay has the id of what it tells again.
            let first = self.truth.first_told(*delivery);
            self.ids.insert(notification.id, first);
            if let Some(told) = self.truth.find(first.0, first.1) {
                told.sent.get_or_insert((notification.id, at));
            }
        }
        self.passed_over(life, passed);
        self.begin(life, now, attempt, &deliveries)
    }

    fn begin(
        &mut self,
        life: Life,
        now: Now,
        attempt: &Attempt,
        sent: &[(Partition, Delivery)],
    ) -> Result<(), Violation> {
        self.attempts += 1;
        let mut deliveries = Vec::new();
        for (partition, delivery) in sent {
            let Some(tenure) = self.tenures.get_mut(&(life, *partition)) else { continue };
            tenure.begun.insert(*delivery);
            deliveries.push((*partition, tenure.epoch, *delivery));
        }
        let deadline = now.mono.plus_micros(attempt.timeout_micros);
        let url = attempt.url.to_string();
        let (origin, begun, timeout_micros) = (origin(&url).to_owned(), now.mono, attempt.timeout_micros);
        let purpose = attempt.purpose;
        let flight = InFlight { purpose, origin, url, begun, timeout_micros, deadline, deliveries };
        match self.flights.insert((life, attempt.id), flight) {
            None => Ok(()),
            Some(_) => Err(Violation::new("slots_are_bounded", format!("attempt id {} is used twice", attempt.id))),
        }
    }

    fn find<'a>(&self, notification: &'a Notification) -> Result<Sent<'a>, Violation> {
        let unknown = |what: &str| {
            let seen = format!("{what}: {:?} for {}", notification.record, notification.subscription.id);
            Violation::new("nothing_unasked", seen)
        };
        let place = self.place(notification);
        let (partition, position) = place.ok_or_else(|| unknown("a record that is in no log"))?;
        let number = self.truth.number(notification.subscription.id);
        let number = number.ok_or_else(|| unknown("a subscription that never began"))?;
        let told = self.truth.spans[number].matches.get(&position);
        if told.is_none_or(|told| told.change != notification.change) {
            return Err(unknown(&format!("subscription {number} must not hear of position {position}")));
        }
        Ok(Sent { notification, partition, delivery: (number, position) })
    }

    /// Where the record of a notification lies. An event is without its data, and so is not the one of the log.
    fn place(&self, notification: &Notification) -> Option<(Partition, Position)> {
        if !matches!(notification.record.original(), Record::Event(_)) {
            return self.truth.place(&notification.record);
        }
        let (partition, position) = (notification.subscription.partition(), notification.position);
        let record = self.truth.log_after(partition, Position(position.0.checked_sub(1)?)).next()?;
        (*for_the_node(Arc::clone(record)) == *notification.record).then_some((partition, position))
    }

    pub(super) fn tenure(&self, life: Life, partition: Partition) -> Result<&Tenure, Violation> {
        let tenure = self.tenures.get(&(life, partition)).filter(|tenure| tenure.cursor.is_some());
        tenure.ok_or_else(|| {
            let seen = format!("node {} sends for partition {partition}, of which it holds no lease", life.process);
            Violation::new("fence_holds", seen)
        })
    }

    fn check_size(&self, moment: &Moment, attempt: &Attempt) -> Result<(), Violation> {
        let refuse = |promise, seen: String| Err(Violation::new(promise, seen));
        let count = attempt.notifications.len();
        if count == 0 || (count > usize::from(self.config.batch_max) && attempt.purpose == Purpose::Notify) {
            return refuse("memory_is_bounded", format!("{count} notifications in one attempt"));
        }
        if self.draining.contains(&moment.life) {
            return refuse("fence_holds", format!("node {} sends while it drains", moment.life.process));
        }
        let mine = || self.flights_of(moment.life);
        let all = mine().count();
        if all >= self.config.attempts_max as usize {
            return refuse("slots_are_bounded", format!("{} attempts in flight", all + 1));
        }
        let origin = origin(&attempt.url);
        let to_origin = mine().filter(|flight| flight.origin == origin).count();
        if to_origin >= self.config.attempts_per_origin_max as usize {
            return refuse("slots_are_bounded", format!("{} attempts in flight to {origin}", to_origin + 1));
        }
        Ok(())
    }

    fn check_asked(&self, moment: &Moment, attempt: &Attempt, one: &Sent) -> Result<(), Violation> {
        let (number, position) = one.delivery;
        let span = &self.truth.spans[number];
        let tenure = self.tenure(moment.life, one.partition)?;
        let refuse = |what: String| Err(Violation::new("nothing_unasked", what));
        let told = span.matches.get(&position);
        if told.is_some_and(|told| told.silenced) {
            return refuse(format!("position {position} for subscription {number}, which was paused"));
        }
        if tenure.ended.contains(&number) && told.is_none_or(|told| !told.last_word) {
            return refuse(format!("position {position} for subscription {number}, whose end the node was told of"));
        }
        // What a node tells of, it has read the log up to.
        let lost = span.lost_since.is_some_and(|since| since < position || since <= tenure.head);
        if lost && !one.notification.access_lost {
            return refuse(format!("the content of position {position} for subscription {number}, which lost access"));
        }
        let kind = told.map(|told| told.kind);
        let url = |subscription: &Arc<notify::Subscription>| match kind {
            Some(StreamKind::Lifecycle) => subscription.lifecycle_url.clone(),
            _ => Some(subscription.notification_url.clone()),
        };
        let is_kept = attempt.purpose == Purpose::DeadLetter && *attempt.url == *ELSEWHERE[1];
        if url(&one.notification.subscription).as_deref() != Some(&*attempt.url) && !is_kept {
            return refuse(format!("position {position} for subscription {number} goes to {}", attempt.url));
        }
        if one.notification.subscription.tls_version != attempt.tls {
            return refuse(format!("subscription {number} is told in a batch of another version of TLS"));
        }
        let oldest = tenure.versions.get(&number).copied().unwrap_or(0);
        match span.versions[oldest..].contains(&one.notification.subscription) {
            true => Ok(()),
            false => refuse(format!("subscription {number} is told of as it was before its last known patch")),
        }
    }

    fn check_fence(&self, moment: &Moment, attempt: &Attempt, one: &Sent) -> Result<(), Violation> {
        let tenure = self.tenure(moment.life, one.partition)?;
        let refuse = |what: String| Err(Violation::new("fence_holds", what));
        let (process, partition) = (moment.life.process, one.partition);
        let deadline = moment.now.mono.plus_micros(attempt.timeout_micros);
        if deadline > tenure.lease_end {
            let beyond = deadline.since(tenure.lease_end);
            return refuse(format!(
                "node {process} sends for partition {partition}; its lease may end {beyond} µs early"
            ));
        }
        let held = moment.storage.holder(partition, moment.at);
        match held {
            Some(held) if held.by == moment.life.node_id() && held.epoch == tenure.epoch => Ok(()),
            _ => refuse(format!("node {process} sends for partition {partition}, which is held by {held:?}")),
        }
    }

    fn check_id(&self, one: &Sent) -> Result<(), Violation> {
        let id = one.notification.id;
        let before = self.ids.get(&id);
        let first = self.truth.first_told(one.delivery);
        if before.is_some_and(|before| *before != first) {
            let seen = format!("id {id} stands for {before:?} and for {:?}", one.delivery);
            return Err(Violation::new("restart_is_boring", seen));
        }
        let told = self.truth.spans[first.0].matches.get(&first.1);
        if before.is_none() && told.is_some_and(|told| told.sent.is_some()) {
            return Err(Violation::new("restart_is_boring", format!("{:?} has two ids", one.delivery)));
        }
        Ok(())
    }

    /// What the store had finished when the node read its state is not sent again.
    fn check_restart(&self, moment: &Moment, one: &Sent) -> Result<(), Violation> {
        let tenure = self.tenure(moment.life, one.partition)?;
        let finished = tenure.cursor.is_some_and(|cursor| one.delivery.1 <= cursor);
        match finished && !tenure.rows.contains_key(&one.delivery) {
            false => Ok(()),
            true => {
                let seen = format!("{:?} was finished at the cursor and is sent again", one.delivery);
                Err(Violation::new("restart_is_boring", seen))
            }
        }
    }

    /// Returns those before it of its item that must have been given up for room.
    fn check_item_order(&self, moment: &Moment, sent: &[Sent], one: &Sent) -> Result<Vec<Delivery>, Violation> {
        let refuse = |what: String| Err(Violation::new("item_order_holds", what));
        let (number, position) = one.delivery;
        let span = &self.truth.spans[number];
        let matches = &span.matches;
        let Some(item) = matches.get(&position).and_then(|told| told.item.as_ref()) else { return Ok(Vec::new()) };
        let same = |other: Position| matches.get(&other).is_some_and(|told| told.item.as_ref() == Some(item));
        let in_flight = self.flights_of(moment.life).filter(|flight| flight.deadline > moment.now.mono);
        let mut busy = in_flight.flat_map(|flight| &flight.deliveries);
        if busy.any(|(_, _, (of, other))| *of == number && same(*other)) {
            return refuse(format!("{:?}: another change of the same item is in flight", one.delivery));
        }
        let twice = sent.iter().filter(|other| other.delivery.0 == number && same(other.delivery.1)).count();
        if twice > 1 {
            return refuse(format!("{:?}: the item is twice in one attempt", one.delivery));
        }
        let tenure = self.tenure(moment.life, one.partition)?;
        let cursor = tenure.cursor.unwrap_or_default();
        let mut passed = Vec::new();
        for earlier in span.of_subject(item).iter().copied().take_while(|earlier| *earlier < position) {
            let Some(told) = matches.get(&earlier).filter(|told| !told.has_ended() && !told.silenced) else { continue };
            let delivery = (number, earlier);
            let abandoned = earlier <= cursor && !tenure.rows.contains_key(&delivery);
            let may_have_ended = abandoned
                || self.may_be_given_up(moment, told.appended)
                || (self.may_be_dropped_in(delivery, tenure.epoch) && !tenure.begun.contains(&delivery));
            if !may_have_ended {
                if !self.may_be_shed(tenure, delivery) {
                    let what = format!("{:?} is sent before position {earlier} of the same item ended", one.delivery);
                    return refuse(what);
                }
                passed.push(delivery);
            }
        }
        Ok(passed)
    }

    /// Whether the horizon of something matched at `appended` may have passed for this node.
    fn may_be_given_up(&self, moment: &Moment, appended: u64) -> bool {
        self.horizon_passed(appended, self.latest_wall(moment.at))
    }

    /// Whether an item of a subscription is in flight, or in the attempt that begins.
    fn is_busy(&self, life: Life, sent: &[Sent], number: usize, item: Option<&Subject>) -> bool {
        let matches = &self.truth.spans[number].matches;
        let same = |delivery: &Delivery| {
            let told = matches.get(&delivery.1).filter(|_| delivery.0 == number);
            item.is_some() && told.is_some_and(|told| told.item.as_ref() == item)
        };
        let mut in_flight = self.flights_of(life).flat_map(|flight| &flight.deliveries);
        in_flight.any(|(_, _, delivery)| same(delivery)) || sent.iter().any(|one| same(&one.delivery))
    }

    /// A delivery that begins does not overtake one of its stream that failed, nor a parked one that only
    /// waits, unless that one waits for its own item. Returns those that must have been given up for room.
    fn check_overtaking(&self, moment: &Moment, sent: &[Sent], one: &Sent) -> Result<Vec<Delivery>, Violation> {
        let tenure = self.tenure(moment.life, one.partition)?;
        let (number, position) = one.delivery;
        let known = tenure.rows.get(&one.delivery).is_some_and(|row| row.attempts > 0);
        let matches = &self.truth.spans[number].matches;
        let told = matches.get(&position);
        // With the subscription everything before its last word is given up.
        let last_word = told.is_some_and(|told| told.last_word);
        if known || last_word || tenure.begun.contains(&one.delivery) {
            return Ok(Vec::new());
        }
        let mut passed = Vec::new();
        let kind = told.map(|told| told.kind);
        // Nothing else has failed, or is parked.
        let earlier = (number, Position(0))..one.delivery;
        let failed = tenure.failures.range(earlier.clone()).map(|(delivery, _)| *delivery);
        let known: BTreeSet<Delivery> =
            failed.chain(tenure.rows.range(earlier).map(|(delivery, _)| *delivery)).collect();
        for delivery in known.into_iter().filter(|delivery| !tenure.ended_deliveries.contains(delivery)) {
            let Some(told) = matches.get(&delivery.1).filter(|told| Some(told.kind) == kind) else { continue };
            let given_up = self.may_be_given_up(moment, told.appended);
            let together = sent.iter().any(|other| other.delivery == delivery);
            let waits = || {
                tenure.rows.contains_key(&delivery)
                    && !tenure.begun.contains(&delivery)
                    && !self.is_busy(moment.life, sent, number, told.item.as_ref())
            };
            if !given_up && !together && (tenure.failures.contains_key(&delivery) || waits()) {
                if !self.may_be_shed(tenure, delivery) {
                    let seen =
                        format!("{:?} overtakes position {}, which failed or is parked", one.delivery, delivery.1);
                    return Err(Violation::new("item_order_holds", seen));
                }
                passed.push(delivery);
            }
        }
        Ok(passed)
    }

    /// What a later one has passed over, since it was given up, is not sent any more.
    fn check_not_passed_over(&self, moment: &Moment, one: &Sent) -> Result<(), Violation> {
        let tenure = self.tenure(moment.life, one.partition)?;
        match tenure.passed_over.contains(&one.delivery) {
            false => Ok(()),
            true => {
                let seen = format!("{:?} is sent after later ones that had to wait for it", one.delivery);
                Err(Violation::new("item_order_holds", seen))
            }
        }
    }

    fn passed_over(&mut self, life: Life, passed: Vec<(Partition, Vec<Delivery>)>) {
        for (partition, deliveries) in passed {
            if let Some(tenure) = self.tenures.get_mut(&(life, partition)) {
                tenure.passed_over.extend(deliveries);
            }
        }
    }

    /// Nothing is tried again before its back-off is over, or, if its endpoint has acknowledged something since it failed,
    /// before that of a first failure is.
    fn check_schedule(&self, moment: &Moment, one: &Sent) -> Result<(), Violation> {
        let tenure = self.tenure(moment.life, one.partition)?;
        let refuse = |what: String| Err(Violation::new("schedule_is_kept", what));
        let acknowledged = self.acknowledged_last(moment.life, one.delivery.0);
        match (tenure.failures.get(&one.delivery), tenure.rows.get(&one.delivery)) {
            (Some(failure), _) if failure.known.is_some() => {
                let known = failure.known.unwrap_or_default();
                let waited = moment.now.mono.since(known);
                let is_back = acknowledged.is_some_and(|at| at >= known);
                let least = if is_back {
                    notify::retry::least_wait_micros(1, None)
                } else {
                    notify::retry::least_wait_micros(failure.attempts, failure.asked)
                };
                match waited < least {
                    true => refuse(format!(
                        "{:?} is tried again {waited} µs after failure {}; the least is {least}",
                        one.delivery, failure.attempts
                    )),
                    false => Ok(()),
                }
            }
            (_, Some(row)) if row.due > self.latest_wall(moment.at) && acknowledged.is_none() => {
                refuse(format!("{:?} is tried before its stored due time {}", one.delivery, row.due))
            }
            _ => Ok(()),
        }
    }

    /// While an endpoint is dropping nothing new goes to it.
    fn check_not_shut(&self, moment: &Moment, one: &Sent) -> Result<(), Violation> {
        let tenure = self.tenure(moment.life, one.partition)?;
        match tenure.shut.contains(&one.delivery) && !tenure.rows.contains_key(&one.delivery) {
            false => Ok(()),
            true => {
                let seen = format!("{:?} was to be dropped, and is sent", one.delivery);
                Err(Violation::new("health_is_kept", seen))
            }
        }
    }

    /// When a life was told last that one of the URLs that a subscription has had acknowledged something: due times move
    /// with it to the next.
    fn acknowledged_last(&self, life: Life, number: usize) -> Option<Monotonic> {
        let versions = self.truth.spans[number].versions.iter();
        let urls = versions.flat_map(|version| [Some(&version.notification_url), version.lifecycle_url.as_ref()]);
        urls.flatten().filter_map(|url| self.acknowledged.get(&(life, url.clone())).copied()).max()
    }

    /// An attempt holds first tries or retries, and has the time that its class gets.
    fn check_class(&self, moment: &Moment, attempt: &Attempt, sent: &[Sent]) -> Result<(), Violation> {
        let mut classes = Vec::new();
        for one in sent {
            let tenure = self.tenure(moment.life, one.partition)?;
            classes.push(tenure.failures.contains_key(&one.delivery));
        }
        let Some(retry) = classes.first() else { return Ok(()) };
        let timeout =
            if *retry { self.config.health.retry_timeout_micros } else { self.config.health.first_timeout_micros };
        if classes.iter().any(|class| class != retry) || attempt.timeout_micros != timeout {
            let seen = format!("attempt {} of {} µs mixes first tries and retries", attempt.id, attempt.timeout_micros);
            return Err(Violation::new("schedule_is_kept", seen));
        }
        Ok(())
    }
}

fn origin(url: &str) -> &str {
    if let Some(elsewhere) = ELSEWHERE.iter().find(|elsewhere| **elsewhere == url) {
        return elsewhere.split_inclusive(':').next().unwrap_or(url);
    }
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[start..].find('/').map_or(url.len(), |path| start + path);
    &url[..end]
}
