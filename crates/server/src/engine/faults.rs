//! The rules of faults that a development server has, between who changes them and who performs attempts. A server for
//! production has none, and its attempts ask for one flag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use graph::Timestamp;
use notify::fault_rules::{FaultRules, Plan};
use notify::node::Attempt;

/// A handle on the rules.
#[derive(Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rules: Mutex<FaultRules>,
    /// Whether there are any.
    any: AtomicBool,
}

impl Faults {
    /// Reads or changes the rules.
    pub fn with<T>(&self, act: impl FnOnce(&mut FaultRules) -> T) -> T {
        let mut rules = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut rules);
        self.0.any.store(!rules.all().is_empty(), Ordering::Relaxed);
        done
    }

    /// What becomes of an attempt; `None`: it is made as it is.
    pub(super) fn plan(&self, attempt: &Attempt, now: Timestamp) -> Option<Plan> {
        if !self.0.any.load(Ordering::Relaxed) {
            return None;
        }
        let plan = self.with(|rules| rules.plan(&attempt.url, &attempt.notifications, now));
        (plan != Plan::default()).then_some(plan)
    }
}
