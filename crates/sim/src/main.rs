//! Runs seeds until a promise breaks: `tidings-sim --seeds 20000`, `tidings-sim --seed 17 --trace`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use tidings_sim::{Planted, Summary, run, run_many};

/// Tries the promises of the node in simulated worlds.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run only this seed.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Print everything that happens; with --seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Plant a defect, to see that it is found.
    #[arg(long)]
    plant: Option<Planted>,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    match run(seed, arguments.plant, arguments.trace) {
        Ok(summary) => {
            println!("seed {seed} keeps every promise: {summary:?}");
            ExitCode::SUCCESS
        }
        Err(report) if arguments.trace => {
            println!("seed {seed} breaks {}", report.violation);
            ExitCode::FAILURE
        }
        Err(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let (done, attempts, hash) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let progress = |summary: &Summary| {
        hash.fetch_xor(summary.trace_hash, Ordering::Relaxed);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let attempts = attempts.fetch_add(summary.attempts, Ordering::Relaxed) + summary.attempts;
        if done.is_multiple_of(500) {
            eprint!("\r{done} of {} seeds, {attempts} attempts", arguments.seeds);
            std::io::stderr().flush().ok();
        }
    };
    let report = run_many(arguments.from, arguments.seeds, arguments.threads, arguments.plant, &progress);
    eprintln!();
    match report {
        None => {
            let hash = hash.load(Ordering::Relaxed);
            println!("{} seeds keep every promise; their traces hash to {hash:016x}", arguments.seeds);
            ExitCode::SUCCESS
        }
        Some(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}
