//! Worlds in which the node's promises are tried: two processes, one store, receivers that misbehave,
//! clocks that jump, and a seed from which everything follows.
//!
//! The *performer* carries out what the nodes command, badly; the *watch* sees what each node was told
//! and what it commanded, and holds both against the *truth*, which is recomputed from the log alone.
//! What receivers, hints and crashes do needs no plausibility: whatever may happen, happens.

mod agenda;
mod api;
mod catalogue;
#[cfg(test)]
mod day;
mod invariants;
mod network;
mod performer;
mod plan;
mod planted;
mod process;
mod retention;
mod storage;
mod topics;
mod trace;
mod truth;
mod weather;
mod world;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};

pub use catalogue::{Fault, Place, Strikes};
pub use invariants::{Endings, Violation};
pub use planted::{Planted, UnknownDefect};
pub use world::Summary;
use world::World;

/// A broken promise, with what it takes to see it again.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub planted: Option<Planted>,
    pub violation: Violation,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.tail {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "seed {} breaks {}", self.seed, self.violation)?;
        write!(f, "replay: tidings-sim --seed {} --trace", self.seed)?;
        match self.planted {
            Some(planted) => write!(f, " --plant {}", planted.name()),
            None => Ok(()),
        }
    }
}

/// Runs the world of a seed to its end. A panic, of the node or of the store's model, is a violation too.
pub fn run(seed: u64, planted: Option<Planted>, print: bool) -> Result<Summary, Box<Report>> {
    let mut world = World::new(seed, planted, print);
    let result = catch(|| world.run());
    let violation = match result {
        Ok(Ok(summary)) => return Ok(summary),
        Ok(Err(violation)) => violation,
        Err(panic) => Violation::new("no_panic", panic_text(&*panic)),
    };
    Err(Box::new(Report { seed, planted, violation, tail: world.trace.tail() }))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}

thread_local! {
    static REPORTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `act`; a panic of it gives no message on standard error, for it is reported otherwise.
fn catch<T>(act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !REPORTED.get() {
                before(info);
            }
        }));
    });
    REPORTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(act));
    REPORTED.set(false);
    result
}

/// Runs seeds `from..from + count` on some threads; stops at the first violation and returns it, and when `progress`,
/// which is called after each seed, says so.
pub fn run_many(
    from: u64,
    count: u64,
    threads: u64,
    planted: Option<Planted>,
    progress: &(dyn Fn(&Summary) -> ControlFlow<()> + Sync),
) -> Option<Box<Report>> {
    let (found, stop) = (Mutex::new(None), AtomicBool::new(false));
    let work = |first: u64| {
        for seed in (from + first..from + count).step_by(threads as usize) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            match run(seed, planted, false) {
                Ok(summary) => {
                    if progress(&summary).is_break() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                Err(report) => {
                    stop.store(true, Ordering::Relaxed);
                    if let Ok(mut found) = found.lock() {
                        *found = Some(report);
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        for first in 0..threads {
            scope.spawn(move || work(first));
        }
    });
    found.into_inner().ok().flatten()
}
