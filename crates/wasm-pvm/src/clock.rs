//! The clock of a compilation: it measures phases, logs them and notes them for the report of a panic.

use std::time::{Duration, Instant};

/// The phases so far.
#[derive(Default)]
pub struct Clock {
    /// Wall time of each phase, in order.
    pub phases: Vec<(&'static str, Duration)>,
}

impl Clock {
    /// Runs a phase and measures it.
    pub fn time<T>(&mut self, phase: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        progress::phase(phase);
        progress::expect(phase, 0);
        let result = work();
        let took = start.elapsed();
        tracing::info!(phase, seconds = took.as_secs_f64(), "finished");
        self.phases.push((phase, took));
        result
    }
}
