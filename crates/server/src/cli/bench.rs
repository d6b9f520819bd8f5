//! `tidings bench`: what this machine delivers, each figure beside the ceiling of the same run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueEnum as _;

mod figure;
mod run;

use run::Run;

/// Measure deliveries on this machine: servers and receivers on loopback, nothing leaves it.
///
/// The ceiling is the same outbound client posting bodies of the size of one notification to the same receiver with no
/// server between. Servers, receivers and writers share the machine's cores. Figures come as they are measured;
/// what is under way stands on stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings bench                                             everything, in sizes that take some minutes
  tidings bench --only drain,batched --json                 two measurements, one line of JSON for each figure
  tidings bench --only memory --subscriptions 1000000       resident memory with 10,000, 100,000 and a million")]
pub struct Options {
    /// Measure only these; the ceiling is always measured if figures are compared with it.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measurement>,
    /// How long a measurement takes whose length can be chosen, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many notifications the backlog has that is drained.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    backlog: u64,
    /// The most idle subscriptions (`memory`, with a tenth and a hundredth as well, and `idle`).
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..))]
    subscriptions: u64,
    /// The most subscriptions that have something unfinished (`lanes`, with a tenth and a hundredth as well).
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    lanes: u64,
    /// The most changes behind the checkpoint (`recovery`, with a tenth and a hundredth as well).
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..))]
    behind: u64,
    /// The program of a NATS server, which `events` starts to bridge into [default: nats-server, if it is on the PATH].
    #[arg(long, value_name = "PROGRAM")]
    nats_server: Option<PathBuf>,
    /// Print one line of JSON for each figure.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Measurement {
    /// Posts a second with no server between
    Ceiling,
    /// A committed backlog, one notification in each POST
    Drain,
    /// The same with about 1 KiB of content, sealed
    Content,
    /// The same to one URL in batches of at most 100
    Batched,
    /// 10,000 notifications that are parked, once their endpoint is back
    DrainParked,
    /// The same through topics: events published, pulled, pushed and, with a NATS server, bridged
    Events,
    /// 64 writers over HTTP, nobody, one and ten subscribed
    EndToEnd,
    /// From accepted to received at 50/s, 200/s and half load
    Latency,
    /// The same with a tenth of the endpoints hanging
    Hanging,
    /// Resident memory with idle subscriptions
    Memory,
    /// CPU and wake-ups of an idle server
    Idle,
    /// Resident memory with something unfinished for each subscription
    Lanes,
    /// From the start of the process until a log that nobody has read is delivered
    Recovery,
}

impl Measurement {
    fn is_compared_with_the_ceiling(self) -> bool {
        matches!(self, Self::Ceiling | Self::Drain | Self::Content | Self::Batched | Self::Events | Self::EndToEnd)
    }
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let chosen: BTreeSet<Measurement> = match options.only.is_empty() {
        true => Measurement::value_variants().iter().copied().collect(),
        false => options.only.iter().copied().collect(),
    };
    let needs_ceiling = chosen.iter().any(|one| one.is_compared_with_the_ceiling());
    let run = Run::new(options, needs_ceiling).await?;
    for measurement in chosen {
        match measurement {
            // It was measured first.
            Measurement::Ceiling => {}
            Measurement::Drain => run.drain().await?,
            Measurement::Content => run.content().await?,
            Measurement::Batched => run.batched().await?,
            Measurement::DrainParked => run.drain_parked().await?,
            Measurement::Events => run.events().await?,
            Measurement::EndToEnd => run.end_to_end().await?,
            Measurement::Latency => run.latency().await?,
            Measurement::Hanging => run.hanging().await?,
            Measurement::Memory => run.memory().await?,
            Measurement::Idle => run.idle().await?,
            Measurement::Lanes => run.lanes().await?,
            Measurement::Recovery => run.recovery().await?,
        }
    }
    Ok(())
}
