//! Runs seeds until a promise breaks: `tidings-sim --seeds 20000`, `tidings-sim --seed 17 --trace`.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};
use tidings_sim::{Fault, Planted, Strikes, Summary, run, run_many};

/// That of the server: worlds live from small allocations, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Print what was found, and how often each fault struck, as JSON.
    #[arg(long, conflicts_with = "trace")]
    json: bool,
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
            match arguments.json {
                true => println!("{}", json!({ "seed": seed, "kept": true, "faults": faults(&summary.strikes) })),
                false => println!("seed {seed} keeps every promise: {summary:?}"),
            }
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

/// What the worlds that were run came to.
#[derive(Clone, Default)]
struct Found {
    seeds: u64,
    attempts: u64,
    hash: u64,
    strikes: Strikes,
}

impl Found {
    fn add(&mut self, summary: &Summary) {
        self.seeds += 1;
        self.attempts += summary.attempts;
        self.hash ^= summary.trace_hash;
        self.strikes.add(&summary.strikes);
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_for_interrupts(Arc::clone(&interrupted));
    let (began, found) = (Instant::now(), Mutex::new(Found::default()));
    let progress = |summary: &Summary| {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.add(summary);
        if found.seeds.is_multiple_of(500) {
            show_progress(&found, arguments.seeds, began);
        }
        match interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let report = run_many(arguments.from, arguments.seeds, arguments.threads, arguments.plant, &progress);
    eprintln!();
    let found = found.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Found { seeds, attempts, hash, strikes } = &found;
    if arguments.json {
        let broken =
            report.as_ref().map(|report| json!({ "seed": report.seed, "promise": report.violation.to_string() }));
        let of = arguments.seeds;
        let told =
            json!({ "seeds": seeds, "of": of, "attempts": attempts, "broken": broken, "faults": faults(strikes) });
        println!("{told:#}");
    } else {
        print!("{strikes}");
        match &report {
            Some(report) => println!("{report}"),
            None if *seeds < arguments.seeds => {
                println!("{seeds} of {} seeds were run, and keep every promise", arguments.seeds);
            }
            None => println!("{seeds} seeds keep every promise; their traces hash to {hash:016x}"),
        }
    }
    if report.is_none() && *seeds == arguments.seeds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// With how long the rest will take if it goes on like this.
fn show_progress(found: &Found, of: u64, began: Instant) {
    let Found { seeds, attempts, .. } = found;
    let speed = *seeds as f64 / began.elapsed().as_secs_f64();
    let left = ((of - seeds) as f64 / speed) as u64;
    let left = format!("{}:{:02}:{:02}", left / 3_600, left / 60 % 60, left % 60);
    eprint!("\r{seeds} of {of} seeds, {attempts} attempts, {speed:.0} seeds/s, {left} left ");
    io::stderr().flush().ok();
}

/// The first Ctrl-C ends a run after the worlds that are under way; a second one at once.
fn watch_for_interrupts(interrupted: Arc<AtomicBool>) {
    let watch = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if interrupted.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    };
    thread::spawn(watch);
}

fn faults(strikes: &Strikes) -> Vec<Value> {
    let told = |fault: &Fault| {
        json!({
            "place": fault.place().name(),
            "fault": fault.name(),
            "looks": fault.looks(),
            "shownBy": fault.shown_by(),
            "struck": strikes.of(*fault),
        })
    };
    Fault::ALL.iter().map(told).collect()
}
