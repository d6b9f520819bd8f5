//! Performs the node's commands against the real world, and tells it what came of them.
//!
//! The persons of the play: the *node* decides ([`notify::node`]); this module carries its commands out
//! against the store and [`Outbound`], each in a task of its own, and feeds the answers back through one
//! queue; the *tail* hands over what the store has just committed. Nothing here decides anything, and
//! losing what the tail holds costs a read of the log, never a delivery.

mod advance;
mod attempt;
mod bodies;
mod crew;
mod faults;
mod perform;
mod publish;
mod push;
mod tail;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use graph::{Partition, SubscriptionId, Timestamp, UserId};
use notify::log::Submission;
use notify::node::NodeStats;
use notify::{Event, HealthLimits, Monotonic, Node, NodeConfig, Position, push_policy};
use protocol::event_grid::push::Origin;
use store::{NodeId, Publish, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::directory::Directory;
use crate::evidence::attempts::AttemptLog;
use crate::evidence::attempts::entry::Tried;
use crate::identity::Tokens;
use crate::outbound::Outbound;
use crate::sinks::Sinks;
use crate::telemetry::Telemetry;
use crate::telemetry::traces::Traces;
pub use advance::advance;
pub use faults::Faults;
use perform::Performer;
use tail::Tail;
use watchdog::Watchdog;

/// Events taken from the queue before the node is asked for its timers again.
const EVENTS_PER_ROUND: usize = 256;
/// How much longer than the longest attempt what is under way is waited for, at a stop and before the clock is moved.
const PATIENCE: Duration = Duration::from_secs(2);

/// Puts a submitted message into its recipients' mailboxes.
#[async_trait]
pub trait Deliver: Send + Sync + 'static {
    /// Delivers to one recipient, once however often it is called. `false`: try again later.
    async fn deliver(&self, submission: &Submission, recipient: UserId) -> bool;
}

/// What the engine works with.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub outbound: Arc<Outbound>,
    /// Who is told of content, and what signs that it comes from here.
    pub directory: Directory,
    pub tokens: Arc<Tokens>,
    pub deliver: Arc<dyn Deliver>,
    /// Who this server is to those that it pushes to.
    pub push_origin: Origin,
    /// Where events of topics go that no webhook takes.
    pub sinks: Arc<Sinks>,
    pub clock: Clock,
    pub node: NodeId,
    pub config: NodeConfig,
    pub telemetry: Arc<Telemetry>,
    /// How long a delivery that is due may wait for its attempt before the log warns.
    pub overdue: Duration,
    /// `None`: nobody is told of single attempts.
    pub attempts: Option<Arc<AttemptLog>>,
    pub traces: Traces,
}

enum Input {
    Event(Event),
    /// An attempt has ended: what the node is told, and what the attempt log is.
    Tried {
        event: Event,
        tried: Box<Tried>,
    },
    EndCommitted {
        event: Event,
        handled: oneshot::Sender<()>,
    },
    /// Answered once the node has followed the log up to there.
    Followed(Partition, Position, oneshot::Sender<()>),
    Stats(oneshot::Sender<NodeStats>),
    OnProbation(Partition, oneshot::Sender<Vec<(SubscriptionId, Timestamp)>>),
    LeasedUntil(oneshot::Sender<Option<Monotonic>>),
    /// Answered with when time brings the next thing, once the node is at rest.
    Due(oneshot::Sender<Option<Monotonic>>),
}

/// A handle on the running engine.
#[derive(Clone)]
pub struct Engine {
    inputs: mpsc::UnboundedSender<Input>,
    tail: Arc<Tail>,
    faults: Faults,
}

/// The engine before it runs. It exists first, because the store is opened with its publisher.
pub struct Stopped {
    handle: Engine,
    inputs: mpsc::UnboundedReceiver<Input>,
}

impl Engine {
    pub fn stopped() -> Stopped {
        // The queue is bounded by what is under way: each command has one answer, and each open request asks once.
        let (sender, inputs) = mpsc::unbounded_channel();
        Stopped { handle: Engine { inputs: sender, tail: Arc::default(), faults: Faults::default() }, inputs }
    }

    /// Returns once no attempt for this subscription begins any more on this node.
    pub async fn end_committed(&self, partition: Partition, subscription: SubscriptionId, position: Position) {
        let (handled, done) = oneshot::channel();
        let event = Event::EndCommitted { partition, subscription, position };
        if self.inputs.send(Input::EndCommitted { event, handled }).is_ok() {
            // An error means that the engine has stopped, and begins no attempt either.
            let _ = done.await;
        }
    }

    /// Returns once the node goes by what the log says up to this position, if it has the partition and reads on within
    /// the time of the longest attempt.
    pub async fn followed(&self, partition: Partition, position: Position) {
        let (reply, followed) = oneshot::channel();
        if self.inputs.send(Input::Followed(partition, position, reply)).is_ok() {
            // An error means that the engine has stopped, and begins no attempt.
            let _ = followed.await;
        }
    }

    /// The log is to be cut up to this position: what is parked there is given up, as far as this node has the partition.
    pub fn give_up(&self, partition: Partition, through: Position) {
        // Once the engine has stopped nobody cuts the log.
        let _ = self.inputs.send(Input::Event(Event::GiveUp { partition, through }));
    }

    /// The faults that strike its attempts.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What the node holds now; `None` once it has stopped.
    pub async fn stats(&self) -> Option<NodeStats> {
        let (reply, stats) = oneshot::channel();
        self.inputs.send(Input::Stats(reply)).ok()?;
        stats.await.ok()
    }

    /// The event subscriptions of a partition that are on probation, with the end of that; `None` once it has stopped.
    pub async fn on_probation(&self, partition: Partition) -> Option<Vec<(SubscriptionId, Timestamp)>> {
        let (reply, probations) = oneshot::channel();
        self.inputs.send(Input::OnProbation(partition, reply)).ok()?;
        probations.await.ok()
    }

    /// When the first of its leases ends, if it holds any: to ask costs it next to nothing. `None` once it has stopped.
    pub async fn leased_until(&self) -> Option<Option<Monotonic>> {
        let (reply, leased) = oneshot::channel();
        self.inputs.send(Input::LeasedUntil(reply)).ok()?;
        leased.await.ok()
    }

    /// Waits until nothing is under way, for a little longer than the longest attempt; then tells when time brings the
    /// next thing.
    pub async fn settled(&self) -> Option<Monotonic> {
        let (reply, due) = oneshot::channel();
        self.inputs.send(Input::Due(reply)).ok()?;
        due.await.ok()?
    }
}

impl Stopped {
    pub fn handle(&self) -> Engine {
        self.handle.clone()
    }

    /// What the store calls after each commit.
    pub fn publisher(&self, telemetry: Arc<Telemetry>) -> Publish {
        let tail = Arc::clone(&self.handle.tail);
        Arc::new(move |partition, records| {
            telemetry.published(&records);
            tail.publish(partition, records);
        })
    }

    /// Runs until `stop`, then ends what was begun, records it and gives the leases back.
    pub async fn run(self, parts: Parts, stop: CancellationToken) {
        let Stopped { handle, inputs } = self;
        let performer = Performer::new(&parts, handle.inputs.clone(), handle.faults);
        let running = Running {
            patience: patience(&parts.config.health),
            node: Node::new(parts.config),
            clock: parts.clock,
            performer,
            inputs,
            tail: handle.tail,
            commands: Vec::new(),
            waiting_for_rest: Vec::new(),
            waiting_for_log: Vec::new(),
            watchdog: Watchdog::new(parts.overdue),
            attempts: parts.attempts,
            released: false,
        };
        running.run(stop).await;
        if let Err(error) = parts.store.release(parts.node).await {
            tracing::warn!(%error, "the leases could not be given back; they will lapse");
        }
    }
}

struct Running {
    node: Node,
    clock: Clock,
    performer: Performer,
    inputs: mpsc::UnboundedReceiver<Input>,
    tail: Arc<Tail>,
    commands: Vec<notify::Command>,
    /// Who waits for rest, and until when.
    waiting_for_rest: Vec<(Duration, oneshot::Sender<Option<Monotonic>>)>,
    /// Who waits for what of the log, and until when.
    waiting_for_log: Vec<(Duration, Partition, Position, oneshot::Sender<()>)>,
    /// How long what is under way is waited for.
    patience: Duration,
    watchdog: Watchdog,
    attempts: Option<Arc<AttemptLog>>,
    /// The node has nothing more to do.
    released: bool,
}

impl Running {
    async fn run(mut self, stop: CancellationToken) {
        self.handle(Event::Tick);
        let mut round = Vec::with_capacity(EVENTS_PER_ROUND);
        let mut drain_until = None;
        let clock = self.clock.clone();
        loop {
            let moved = clock.moved();
            let asleep = self.sleep();
            tokio::select! {
                biased;
                () = stop.cancelled(), if drain_until.is_none() => {
                    drain_until = Some(clock.elapsed() + self.patience);
                    self.handle(Event::Drain);
                }
                _ = self.inputs.recv_many(&mut round, EVENTS_PER_ROUND) => {}
                () = self.tail.grown() => {}
                () = moved => self.handle(Event::Tick),
                () = tokio::time::sleep(asleep) => self.handle(Event::Tick),
            }
            for input in round.drain(..) {
                self.take(input);
            }
            for event in self.tail.take() {
                self.handle(event);
            }
            self.answer_followed();
            self.answer_at_rest();
            self.watch();
            if let Some(until) = drain_until
                && (self.released || clock.elapsed() >= until)
            {
                return;
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.handle(event),
            Input::Tried { event, mut tried } => {
                self.handle(event);
                tried.retry_micros = self.node.retried_in();
                tried.abandoned = self.node.abandoned().to_vec();
                if let Some(log) = &self.attempts {
                    log.offer(tried);
                }
            }
            Input::EndCommitted { event, handled } => {
                self.handle(event);
                // Nobody waits any more if the request was given up.
                let _ = handled.send(());
            }
            Input::Followed(partition, position, reply) => {
                self.waiting_for_log.push((self.clock.elapsed() + self.patience, partition, position, reply));
            }
            Input::Stats(reply) => {
                let _ = reply.send(self.node.stats_at(self.clock.now()));
            }
            Input::OnProbation(partition, reply) => {
                drop(reply.send(self.node.on_probation(partition, self.clock.now())));
            }
            Input::LeasedUntil(reply) => drop(reply.send(self.node.leased_until())),
            Input::Due(reply) => {
                // What has become due since the last event is begun first.
                self.handle(Event::Tick);
                self.waiting_for_rest.push((self.clock.elapsed() + self.patience, reply));
            }
        }
    }

    fn answer_followed(&mut self) {
        let (node, now) = (&self.node, self.clock.elapsed());
        let is_due = |one: &mut (Duration, Partition, Position, _)| one.0 <= now || node.has_followed(one.1, one.2);
        for (.., reply) in self.waiting_for_log.extract_if(.., is_due) {
            // Nobody waits any more if the request was given up.
            let _ = reply.send(());
        }
    }

    fn answer_at_rest(&mut self) {
        if self.waiting_for_rest.is_empty() {
            return;
        }
        let (at_rest, now) =
            (self.node.is_at_rest() && self.inputs.is_empty() && self.tail.is_empty(), self.clock.elapsed());
        for (until, reply) in std::mem::take(&mut self.waiting_for_rest) {
            match at_rest || until <= now {
                true => drop(reply.send(self.node.due_at())),
                false => self.waiting_for_rest.push((until, reply)),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.node.handle(event, self.clock.now(), &mut self.commands);
        for command in self.commands.drain(..) {
            self.released |= matches!(command, notify::Command::Release);
            self.performer.perform(command);
        }
    }

    /// Nothing wakes for this: it goes with what the loop does anyway, and its sleep is short. That the loop itself
    /// stands still, `/readyz` says.
    fn watch(&mut self) {
        if self.watchdog.is_time(self.clock.elapsed()) {
            let waited = Duration::from_micros(self.node.oldest_due_micros(self.clock.now()));
            self.watchdog.look(waited);
        }
    }

    fn sleep(&self) -> Duration {
        let now = self.clock.mono();
        let wakes_at = self.node.wakes_at().unwrap_or(Monotonic(u64::MAX));
        Duration::from_micros(wakes_at.since(now)).min(Duration::from_secs(1))
    }
}

/// How long what is under way is waited for: until each attempt that has begun has ended.
fn patience(health: &HealthLimits) -> Duration {
    let notifying = health.first_timeout_micros.max(health.retry_timeout_micros);
    Duration::from_micros(notifying.max(push_policy::TIMEOUT_MICROS)) + PATIENCE
}
