//! The progress of a long compilation, on a terminal.
//!
//! A thread draws a line on standard error once a second has passed, and then ten times a second. Everything else that
//! goes to standard error while it may be there is printed by a [`suspended`] bar: the line is cleared before it, and
//! drawn again below it.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use progress::Overall;
use tracing_subscriber::fmt::MakeWriter;

/// Time between two drawings.
const EVERY: Duration = Duration::from_millis(100);
/// Characters of the bar.
const WIDTH: usize = 24;
/// Clears the line of a terminal.
const CLEAR: &str = "\r\x1b[K";
/// Nothing is drawn.
const NEVER: u64 = u64::MAX;

/// Milliseconds before the line appears.
static AFTER: AtomicU64 = AtomicU64::new(NEVER);
/// Whether the line is on the terminal.
static IS_DRAWN: Mutex<bool> = Mutex::new(false);

/// Lets bars appear after so many milliseconds, if standard error is a terminal.
pub fn enable(after: u64) {
    if io::stderr().is_terminal() {
        AFTER.store(after, Ordering::Relaxed);
    }
}

/// Runs `work` and shows its progress.
pub fn shown<T>(work: impl FnOnce() -> T) -> T {
    let after = AFTER.load(Ordering::Relaxed);
    if after == NEVER {
        return work();
    }
    let end = End::default();
    std::thread::scope(|scope| {
        // Without memory for a thread there is no bar.
        let _ = std::thread::Builder::new().spawn_scoped(scope, || draw(&end, Duration::from_millis(after)));
        // The bar ends if `work` panics, too.
        let _stop = Stop(&end);
        work()
    })
}

/// The end of the work.
#[derive(Default)]
struct End {
    has_come: Mutex<bool>,
    signal: Condvar,
}

impl End {
    /// Waits; returns whether the end has come.
    fn wait(&self, time: Duration) -> bool {
        let has_come = self.has_come.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.signal.wait_timeout_while(has_come, time, |has_come| !*has_come);
        *result.unwrap_or_else(PoisonError::into_inner).0
    }
}

struct Stop<'a>(&'a End);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        *self.0.has_come.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.signal.notify_all();
    }
}

fn draw(end: &End, after: Duration) {
    let mut has_ended = end.wait(after);
    while !has_ended {
        let mut is_drawn = IS_DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
        *is_drawn = write!(io::stderr(), "{CLEAR}{}", line(&progress::overall())).is_ok();
        drop(is_drawn);
        has_ended = end.wait(EVERY);
    }
    drop(suspended());
}

fn line(Overall { step, done, total }: &Overall) -> String {
    if *total == 0 {
        return format!("{step} ...");
    }
    let full = WIDTH * done / total;
    format!("{step} [{}{}] {done} of {total} functions", "#".repeat(full), " ".repeat(WIDTH - full))
}

/// A cleared line. Nothing is drawn as long as it lives.
pub struct Suspended(#[expect(dead_code, reason = "it holds the lock")] MutexGuard<'static, bool>);

/// Prints to standard error.
pub fn print(text: fmt::Arguments<'_>) {
    let mut suspended = suspended();
    let _ = suspended.write_fmt(text);
}

/// Clears the line for something else.
pub fn suspended() -> Suspended {
    let mut is_drawn = IS_DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::take(&mut *is_drawn) {
        let _ = write!(io::stderr(), "{CLEAR}");
    }
    Suspended(is_drawn)
}

/// Clears the line without any allocation, unless it is being drawn at this moment.
pub fn clear_without_memory() {
    if let Ok(mut is_drawn) = IS_DRAWN.try_lock()
        && std::mem::take(&mut *is_drawn)
    {
        let _ = write!(io::stderr(), "{CLEAR}");
    }
}

impl Write for Suspended {
    /// A pipe that its reader has closed is no failure; who is told of one would print to it again.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error for events.
pub struct Events;

impl<'a> MakeWriter<'a> for Events {
    type Writer = Suspended;

    fn make_writer(&'a self) -> Suspended {
        suspended()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_much_is_done() {
        let line = |done, total| line(&Overall { step: "codegen", done, total });
        assert_eq!(line(0, 0), "codegen ...");
        assert_eq!(line(1, 2), "codegen [############            ] 1 of 2 functions");
        assert_eq!(line(2, 2), "codegen [########################] 2 of 2 functions");
    }
}
