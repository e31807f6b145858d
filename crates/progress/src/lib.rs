//! The function and the stage that each thread works on, and how far all of them are.
//!
//! A bug of the compiler is a panic. Its message names a line of the compiler, but not the function of the input that
//! has to be reported. So every thread notes its current [`Work`], and a panic hook, which runs on the thread that
//! panics, reads it with [`current`]. A note costs a few stores and, for a function, a copy of its name.
//!
//! - [`phase`] begins a step of the whole program: there is no current function.
//! - [`function`] begins work on a function, with its first stage.
//! - [`stage`] begins the next stage of the current function.
//!
//! For whoever waits, [`expect`] begins a step over so many functions, [`done`] notes that some of them are done, and
//! [`overall`] says how far the process is. That is for show: nothing depends on it.

use std::cell::RefCell;
#[cfg(debug_assertions)]
use std::sync::OnceLock;
use std::sync::{Mutex, PoisonError};

/// The work of a thread.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// The stage; empty before the first note.
    pub stage: &'static str,
    /// The function; empty in a step of the whole program.
    pub function: String,
}

/// How far the process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Overall {
    /// The step; empty before the first one.
    pub step: &'static str,
    /// Functions that are done.
    pub done: usize,
    /// All functions of the step; 0 if it has none.
    pub total: usize,
}

static OVERALL: Mutex<Overall> = Mutex::new(Overall { step: "", done: 0, total: 0 });

/// Notes the begin of a step over `total` functions, or over the whole program if that is 0.
pub fn expect(step: &'static str, total: usize) {
    *OVERALL.lock().unwrap_or_else(PoisonError::into_inner) = Overall { step, done: 0, total };
}

/// Notes that functions of the step are done.
pub fn done(functions: usize) {
    let mut overall = OVERALL.lock().unwrap_or_else(PoisonError::into_inner);
    overall.done = overall.total.min(overall.done + functions);
}

/// How far the process is.
pub fn overall() -> Overall {
    *OVERALL.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Notes the begin of a step of the whole program.
pub fn phase(name: &'static str) {
    note(|work| {
        work.stage = name;
        work.function.clear();
    });
}

/// Notes the begin of work on a function, at a stage.
pub fn function(name: &str, stage: &'static str) {
    note(|work| {
        work.stage = stage;
        work.function.clear();
        work.function.push_str(name);
    });
}

/// Notes the begin of the next stage of the current function.
pub fn stage(name: &'static str) {
    note(|work| work.stage = name);
}

/// The work of this thread.
pub fn current() -> Work {
    WORK.with_borrow(Work::clone)
}

fn note(change: impl FnOnce(&mut Work)) {
    WORK.with_borrow_mut(change);
    #[cfg(debug_assertions)]
    if let Some((stage, function)) = PROVOKED.get() {
        let is_there = WORK.with_borrow(|work| work.stage == stage && work.function == *function);
        assert!(!is_there, "provoked by a test");
    }
}

#[cfg(debug_assertions)]
static PROVOKED: OnceLock<(String, String)> = OnceLock::new();

/// Lets every thread panic that reaches a stage of a function (empty: of the whole program). For tests of the report
/// of panics, so it exists in debug builds only.
#[cfg(debug_assertions)]
pub fn provoke(stage: &str, function: &str) {
    // The first call of the process decides.
    let _ = PROVOKED.set((stage.to_owned(), function.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_counted_over_all_threads() {
        expect("codegen", 3);
        std::thread::scope(|scope| {
            scope.spawn(|| done(1));
            scope.spawn(|| done(1));
        });
        assert_eq!(overall(), Overall { step: "codegen", done: 2, total: 3 });
        done(5);
        assert_eq!(overall().done, 3);
        expect("write", 0);
        assert_eq!(overall(), Overall { step: "write", done: 0, total: 0 });
    }

    #[test]
    fn every_thread_has_its_own_work() {
        phase("frontend");
        function("f", "select");
        stage("order");
        let other = std::thread::spawn(|| {
            let before = current();
            phase("read");
            (before, current())
        });
        let read = Work { stage: "read", function: String::new() };
        assert_eq!(other.join().expect("no panic"), (Work::default(), read));
        assert_eq!(current(), Work { stage: "order", function: "f".to_owned() });
        phase("link");
        assert_eq!(current(), Work { stage: "link", function: String::new() });
    }
}
