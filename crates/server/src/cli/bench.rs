//! `tidings bench`: what this machine delivers, each figure beside the ceiling of the same run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;

use crate::bench::drain::{Backlog, Drained, drain};
use crate::bench::load::{Arrivals, Server};
use crate::bench::{Receiver, ceiling};
use crate::outbound::{Outbound, OutboundConfig, Policy};

/// Posts under way when the ceiling is measured.
const CONCURRENCY: usize = 64;
/// About what one notification needs.
const BODY_BYTES: usize = 760;

/// Measure deliveries on this machine: a server and a receiver on loopback, nothing leaves it.
///
/// The ceiling is the same outbound client posting bodies of the same size to the same receiver with no
/// server between. Server, receiver and writers share the machine's cores.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long each measurement takes, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// How many changes the backlog has that is drained.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    backlog: u64,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let span = Duration::from_secs(options.seconds);
    let policy = Policy { dev: true, ..Policy::default() };
    let outbound = Arc::new(Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() })?);
    let ceiling = measure_ceiling(&outbound, span).await?;
    let basic = measure_drain(&outbound, Backlog { changes: options.backlog, rich: false }, ceiling).await?;
    let rich = measure_drain(&outbound, Backlog { changes: options.backlog, rich: true }, ceiling).await?;
    compare("with content, to without", &rich, &basic);
    for fan_out in [0, 1, 10] {
        measure_throughput(span, fan_out, ceiling).await?;
    }
    measure_latency(span).await
}

fn line(name: &str, figure: String) {
    println!("{name:<34}{figure}");
}

/// Posts a second that the outbound client reaches alone.
async fn measure_ceiling(outbound: &Arc<Outbound>, span: Duration) -> anyhow::Result<f64> {
    let receiver = Receiver::start(1, None)?;
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    let url = receiver.url("/");
    let post = |posts| ceiling(outbound, &url, body.clone(), posts, CONCURRENCY);
    let warm = post(20_000).await.context("the receiver cannot be reached")?;
    let run = post((warm.posts_per_second() * span.as_secs_f64()) as u64).await?;
    let cpu = run.cpu_per_post().map_or_else(String::new, |cpu| format!(", {:.1} µs CPU each", micros(cpu)));
    line("ceiling", format!("{:>9.0} posts/s{cpu}", run.posts_per_second()));
    Ok(run.posts_per_second())
}

async fn measure_drain(outbound: &Arc<Outbound>, backlog: Backlog, ceiling: f64) -> anyhow::Result<Drained> {
    let receiver = Receiver::start(1, None)?;
    let dir = tempfile::tempdir()?;
    let run = drain(dir.path(), Arc::clone(outbound), &receiver, backlog).await?;
    let per_second = run.per_second();
    if !backlog.rich {
        let committed = run.changes as f64 / run.committing.as_secs_f64();
        line("changes committed to the store", format!("{committed:>9.0} /s, fsync on, 64 writers in process"));
    }
    let name = if backlog.rich { "backlog drained, 1 KiB of content" } else { "backlog drained" };
    line(name, format!("{per_second:>9.0} deliveries/s = {:.2} of the ceiling", per_second / ceiling));
    let cpu = run.cpu_micros_each().map_or_else(String::new, |cpu| format!("{cpu:.1} µs CPU each, "));
    let written = run.written;
    let rows = format!(
        "{} log rows, {} parked rows, {} checkpoints",
        written.log_rows, written.parked_rows, written.checkpoints
    );
    line("", format!("{cpu}{rows}"));
    Ok(run)
}

fn compare(name: &str, one: &Drained, other: &Drained) {
    let cpu = one.cpu_micros_each().zip(other.cpu_micros_each());
    let cpu = cpu.map_or_else(String::new, |(one, other)| format!(", {:.2} of the CPU", one / other));
    line(name, format!("{:>9.2} of the deliveries/s{cpu}", one.per_second() / other.per_second()));
}

async fn measure_throughput(span: Duration, fan_out: u64, ceiling: f64) -> anyhow::Result<()> {
    let receiver = Receiver::start(1, None)?;
    let server = Server::start()?;
    if fan_out == 0 {
        let idle = server.resident_bytes().map_or_else(|| "unknown".to_owned(), |bytes| (bytes >> 20).to_string());
        line("memory of an idle server", format!("{idle:>9} MiB resident"));
    }
    server.subscribe(&receiver, fan_out as usize).await?;
    let run = server.throughput(&receiver, span, fan_out).await?;
    let accepted = run.accepted as f64 / run.accepting.as_secs_f64();
    if fan_out == 0 {
        line("accepted, nobody subscribed", format!("{accepted:>9.0} changes/s, fsync on, 64 writers over HTTP"));
        return Ok(());
    }
    let delivered = run.delivered as f64 / run.delivering.as_secs_f64();
    let name = format!("end to end, fan-out {fan_out}");
    line(&name, format!("{delivered:>9.0} deliveries/s = {:.2} of the ceiling", delivered / ceiling));
    let cpu = run.cpu.map(|cpu| cpu.as_secs_f64() * 1_000.0 / run.delivered as f64);
    let cpu = cpu.map_or_else(String::new, |cpu| format!(", {cpu:.3} CPU s per 1,000 deliveries"));
    let rows = run.durable_rows as f64 / run.accepted as f64;
    line("", format!("{accepted:>9.0} changes/s accepted{cpu}, {rows:.3} durable rows per change"));
    Ok(())
}

async fn measure_latency(span: Duration) -> anyhow::Result<()> {
    const RATE: u32 = 200;
    let arrivals = Arrivals::default();
    let noted = arrivals.clone();
    let receiver = Receiver::start(1, Some(Arc::new(move |body| noted.note(body))))?;
    let server = Server::start()?;
    server.subscribe(&receiver, 1).await?;
    let run = server.latency(RATE, span, &arrivals).await?;
    let figures = [run.p50, run.p95, run.p99].map(|taken| micros(taken) / 1_000.0);
    let [p50, p95, p99] = figures;
    line(
        &format!("accepted to received, {RATE}/s"),
        format!("p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, {} samples", run.samples),
    );
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
