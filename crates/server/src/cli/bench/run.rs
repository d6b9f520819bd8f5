//! The measurements, in the order in which they are named, and what is told of each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;

use super::Options;
use super::figure::Figure;
use crate::bench::drain::{Backlog, Drained, drain, drain_parked};
use crate::bench::events::events;
use crate::bench::latency::{Latency, Pace, latency};
use crate::bench::nats::NatsServer;
use crate::bench::throughput::throughput;
use crate::bench::{Receiver, ceiling, resting};
use crate::outbound::{Outbound, OutboundConfig, Policy};

/// Posts under way when the ceiling is measured.
const CONCURRENCY: usize = 64;
/// About what one notification needs.
const BODY_BYTES: usize = 760;
const WARM_UP_POSTS: u64 = 20_000;
/// The most notifications that are parked before they are drained.
const PARKED_MAX: u64 = 10_000;
const CEILING: &str = "the ceiling";
/// How long full load is looked for before half of it is put on.
const FULL_LOAD_MAX: Duration = Duration::from_secs(3);
/// Messages a second and endpoints that hear of each, when some of these hang.
const HANGING_RATE: u32 = 50;
const ENDPOINTS: usize = 10;
const HANGING: usize = 1;
const NATS_SERVER: &str = "nats-server";

/// What the measurements of one run share.
pub struct Run {
    options: Options,
    outbound: Arc<Outbound>,
    span: Duration,
    /// Posts a second that the outbound client reaches alone; not a number if nothing is compared with it.
    ceiling: f64,
}

impl Run {
    pub async fn new(options: Options, needs_ceiling: bool) -> anyhow::Result<Self> {
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Arc::new(Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() })?);
        let span = Duration::from_secs(options.seconds);
        let mut run = Self { options, outbound, span, ceiling: f64::NAN };
        if needs_ceiling {
            run.ceiling = run.measure_ceiling().await?;
        }
        Ok(run)
    }

    fn tell(&self, figure: Figure) {
        match self.options.json {
            true => println!("{}", serde_json::json!(figure)),
            false => println!("{figure}"),
        }
    }

    async fn measure_ceiling(&self) -> anyhow::Result<f64> {
        eprintln!("ceiling: a receiver is posted to");
        let receiver = Receiver::start(1, None)?;
        let body = Bytes::from(vec![b'x'; BODY_BYTES]);
        let url = receiver.url("/");
        let post = |posts| ceiling(&self.outbound, &url, body.clone(), posts, CONCURRENCY);
        let warm = post(WARM_UP_POSTS).await.context("the receiver cannot be reached")?;
        let run = post((warm.posts_per_second() * self.span.as_secs_f64()) as u64).await?;
        self.tell(Figure::new("ceiling", "posts", run.posts_per_second(), "/s"));
        if let Some(cpu) = run.cpu_per_post() {
            self.tell(Figure::new("ceiling", "CPU of a post", micros(cpu), "µs"));
        }
        Ok(run.posts_per_second())
    }

    pub async fn drain(&self) -> anyhow::Result<()> {
        let run = self.drained("drain", Backlog::one_by_one(self.options.backlog, false)).await?;
        self.tell_drained("drain", "one by one", &run, Some("0.8"));
        self.tell(Figure::new("drain", "changes committed, 256 at a time, fsync", run.committed_per_second(), "/s"));
        let rows = run.written.log_rows + run.written.parked_rows;
        self.tell(Figure::new("drain", "rows written while draining", rows as f64, "rows"));
        self.tell(Figure::new("drain", "checkpoints", run.written.checkpoints as f64, "rows"));
        Ok(())
    }

    pub async fn content(&self) -> anyhow::Result<()> {
        let run = self.drained("content", Backlog::one_by_one(self.options.backlog, true)).await?;
        self.tell_drained("content", "one by one", &run, None);
        Ok(())
    }

    pub async fn batched(&self) -> anyhow::Result<()> {
        let notifications = self.options.backlog;
        let to_all = ("each change to all", Backlog::batched_together(notifications));
        let to_one = ("each change to one", Backlog::batched_apart(notifications));
        for (name, backlog) in [to_all, to_one] {
            let run = self.drained("batched", backlog).await?;
            self.tell_drained("batched", name, &run, Some("5"));
            let notifications = run.backlog.notifications() as f64;
            self.tell(Figure::new("batched", format!("{name}, in a POST"), notifications / run.posts as f64, ""));
        }
        Ok(())
    }

    pub async fn drain_parked(&self) -> anyhow::Result<()> {
        let notifications = self.options.backlog.min(PARKED_MAX);
        eprintln!("drain-parked: {notifications} changes are committed, and refused until all of them are parked");
        let dir = tempfile::tempdir()?;
        let backlog = Backlog::batched_apart(notifications);
        let run = drain_parked(dir.path(), Arc::clone(&self.outbound), backlog).await?;
        let figure = |name, value, unit| Figure::new("drain-parked", name, value, unit).of_size(run.notifications);
        let draining = run.draining.as_secs_f64();
        self.tell(figure("from the first acknowledgement to the last", draining, "s").aim("within seconds"));
        self.tell(figure("in a POST", run.notifications as f64 / run.posts as f64, ""));
        Ok(())
    }

    /// Each compared with notifications to a webhook, one in each POST.
    pub async fn events(&self) -> anyhow::Result<()> {
        let nats = self.nats_server()?;
        let webhook = self.drained("events", Backlog::one_by_one(self.options.backlog, false)).await?.per_second();
        self.tell(Figure::new("events", "to a webhook, one by one, for comparison", webhook, "/s"));
        eprintln!("events: as many changes are committed, published, pulled, pushed and bridged");
        let dir = tempfile::tempdir()?;
        let run = events(dir.path(), Arc::clone(&self.outbound), self.options.backlog, nats).await?;
        let alone = [("published", run.publishing), ("pulled", run.pulling), ("pushed", run.pushing)];
        for (name, took) in alone.into_iter().chain(run.bridging.map(|took| ("bridged", took))) {
            let per_second = run.events as f64 / took.as_secs_f64();
            self.tell(Figure::new("events", name, per_second, "/s").ratio("the webhook", per_second / webhook));
        }
        Ok(())
    }

    /// `None` if there is none and none was asked for.
    fn nats_server(&self) -> anyhow::Result<Option<&Path>> {
        let program = self.options.nats_server.as_deref();
        let found = Some(program.unwrap_or(Path::new(NATS_SERVER))).filter(|program| NatsServer::is_there(program));
        match (found, program) {
            (None, Some(program)) => bail!("{} does not run: --nats-server names no NATS server", program.display()),
            (None, None) => {
                eprintln!(
                    "events: nothing is bridged, since {NATS_SERVER} is not on the PATH; --nats-server names one"
                );
                Ok(None)
            }
            (found, _) => Ok(found),
        }
    }

    async fn drained(&self, measurement: &str, backlog: Backlog) -> anyhow::Result<Drained> {
        eprintln!("{measurement}: {} changes are committed, and delivered then", backlog.changes);
        let dir = tempfile::tempdir()?;
        drain(dir.path(), Arc::clone(&self.outbound), backlog).await
    }

    fn tell_drained(&self, measurement: &'static str, name: &str, run: &Drained, aim: Option<&'static str>) {
        let told = Figure::new(measurement, format!("{name}, notifications"), run.per_second(), "/s");
        let told = told.ratio(CEILING, run.per_second() / self.ceiling);
        self.tell(aim.map_or(told.clone(), |aim| told.aim(aim)));
        if let Some(cpu) = run.cpu_micros_each() {
            self.tell(Figure::new(measurement, format!("{name}, CPU of each"), cpu, "µs"));
        }
        self.tell(Figure::new(measurement, format!("{name}, size of each"), run.bytes_each(), "B"));
    }

    pub async fn end_to_end(&self) -> anyhow::Result<()> {
        for (fan_out, aim) in [(0, None), (1, Some("0.2")), (10, Some("0.5"))] {
            eprintln!("end-to-end: 64 writers, {fan_out} subscriptions");
            let run = throughput(self.span, fan_out).await?;
            let figure = |name: &str, value, unit| Figure::new("end-to-end", name, value, unit).of_size(fan_out);
            self.tell(figure("changes accepted, fsync", run.accepted_per_second(), "/s"));
            let Some(aim) = aim else { continue };
            let delivered = figure("deliveries", run.delivered_per_second(), "/s");
            self.tell(delivered.ratio(CEILING, run.delivered_per_second() / self.ceiling).aim(aim));
            if let Some(cpu) = run.cpu {
                let of_thousand = cpu.as_secs_f64() * 1_000.0 / run.delivered as f64;
                self.tell(figure("CPU of 1,000 deliveries", of_thousand, "s").aim("0.1"));
            }
            self.tell(figure("durable rows of a change", run.durable_rows as f64 / run.accepted as f64, "rows"));
        }
        Ok(())
    }

    pub async fn latency(&self) -> anyhow::Result<()> {
        eprintln!("latency: full load is looked for");
        let full = throughput(self.span.min(FULL_LOAD_MAX), 1).await?.accepted_per_second();
        self.tell(Figure::new("latency", "full load", full, "/s"));
        for (name, per_second) in [("50/s", 50), ("200/s", 200), ("half load", (full / 2.0) as u32)] {
            eprintln!("latency: {per_second} messages a second");
            let pace = Pace { per_second: per_second.max(1), span: self.span, endpoints: 1, hanging: 0 };
            self.tell_latency(name, &latency(pace).await?);
        }
        Ok(())
    }

    fn tell_latency(&self, name: &str, run: &Latency) {
        let figure = |what: &str, taken| Figure::millis("latency", format!("{name}, {what}"), taken);
        self.tell(figure("request to received, p50", run.from_request.p50).aim("2"));
        self.tell(figure("request to received, p99", run.from_request.p99).aim("10"));
        self.tell(figure("answer to received, p50", run.from_answer.p50));
        self.tell(figure("answer to received, p99", run.from_answer.p99));
        self.tell(figure("request to answer, p50", run.answering.p50));
        self.tell(figure("request to answer, p99", run.answering.p99));
        self.tell(Figure::new("latency", format!("{name}, samples"), run.samples as f64, ""));
    }

    /// The endpoints that answer are the same in number in both.
    pub async fn hanging(&self) -> anyhow::Result<()> {
        eprintln!("hanging: {HANGING_RATE} messages a second to {ENDPOINTS} endpoints, of which {HANGING} hangs");
        let clean = Pace { per_second: HANGING_RATE, span: self.span, endpoints: ENDPOINTS, hanging: 0 };
        let clean_run = latency(clean).await?;
        let run = latency(Pace { hanging: HANGING, ..clean }).await?;
        let figure = |what: &str, taken| Figure::millis("hanging", format!("request to received, {what}"), taken);
        self.tell(figure("p99, none hangs", clean_run.from_request.p99));
        let ratio = run.from_request.p99.as_secs_f64() / clean_run.from_request.p99.as_secs_f64();
        self.tell(figure("p99, a tenth hangs", run.from_request.p99).ratio("the clean one", ratio).aim("at most 2"));
        self.tell(figure("p50, none hangs", clean_run.from_request.p50));
        self.tell(figure("p50, a tenth hangs", run.from_request.p50));
        Ok(())
    }

    pub async fn memory(&self) -> anyhow::Result<()> {
        for size in growth(self.options.subscriptions) {
            eprintln!("memory: {size} subscriptions are made, and a server starts with them");
            let run = resting::idle(size, Duration::ZERO).await?;
            let [resident, starting] = [
                Figure::mebibytes("memory", "idle subscriptions, resident", run.bytes),
                Figure::seconds("memory", "idle subscriptions, from start to rest", run.starting),
            ];
            self.tell(resident.of_size(run.subscriptions));
            self.tell(starting.of_size(run.subscriptions));
        }
        Ok(())
    }

    pub async fn idle(&self) -> anyhow::Result<()> {
        let subscriptions = self.options.subscriptions;
        eprintln!("idle: {subscriptions} subscriptions are made, and a server that has them is watched");
        let run = resting::idle(subscriptions, self.span).await?;
        let figure = |name: &str, value, unit| Figure::new("idle", name, value, unit).of_size(run.subscriptions);
        self.tell(figure("CPU", run.cpu_share() * 100.0, "% of a core").aim("below 0.1"));
        self.tell(figure("wake-ups", run.wake_ups_per_second(), "/s"));
        for (thread, sleeps) in run.activity.sleeps.iter().filter(|(_, sleeps)| **sleeps > 0) {
            let each_second = *sleeps as f64 / run.watched.as_secs_f64();
            self.tell(figure(&format!("wake-ups of {thread}"), each_second, "/s"));
        }
        Ok(())
    }

    pub async fn lanes(&self) -> anyhow::Result<()> {
        for size in growth(self.options.lanes) {
            eprintln!("lanes: {size} subscriptions are told, and refuse");
            let run = resting::lanes(size).await?;
            let figure = |figure: Figure| self.tell(figure.of_size(run.lanes));
            figure(Figure::mebibytes("lanes", "all in use, resident", run.bytes));
            figure(Figure::mebibytes("lanes", "none in use, resident", run.idle_bytes));
            figure(Figure::new("lanes", "more for each in use", run.bytes_each(), "B"));
            figure(Figure::seconds("lanes", "from start until each was told", run.telling));
        }
        Ok(())
    }

    pub async fn recovery(&self) -> anyhow::Result<()> {
        for size in growth(self.options.behind) {
            eprintln!("recovery: {size} changes are committed, and a server starts with them");
            let run = resting::recovery(size).await?;
            let figure = |figure: Figure| self.tell(figure.of_size(run.changes));
            figure(Figure::seconds("recovery", "from start until it serves", run.ready));
            figure(Figure::seconds("recovery", "until the first delivery", run.first));
            figure(Figure::seconds("recovery", "until the last delivery", run.last));
            figure(Figure::mebibytes("recovery", "resident then", run.bytes));
        }
        Ok(())
    }
}

/// The sizes that growth is shown for.
fn growth(most: u64) -> [u64; 3] {
    [most / 100, most / 10, most]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
