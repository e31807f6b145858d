//! The report of a panic: a bug of the compiler, never a fault of its input.
//!
//! A panic hook runs on the thread that panics, so it knows the function and the stage of that thread
//! ([`progress::current`]). Threads that wait for this one panic as well; only the first panic is reported. Then the
//! stack is unwound as usual, so temporary files are removed, and the process ends with its own exit code.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use progress::Work;

use super::bar;

/// Exit code of a bug.
const BUG: u8 = 70;

/// Runs `work`. A panic in it, on any thread, is reported on standard error with the command line.
pub fn guarded(command: String, work: impl FnOnce() -> ExitCode) -> ExitCode {
    let is_reported = AtomicBool::new(false);
    set_hook(Box::new(move |info| {
        if !is_reported.swap(true, Ordering::Relaxed) {
            // The panic may come from a thread that holds the bar.
            bar::clear_without_memory();
            let mut stderr = io::stderr();
            let _ = write!(stderr, "{}", report(&message(info), &progress::current(), &command));
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                let _ = writeln!(stderr, "{trace}");
            }
        }
    }));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(ExitCode::from(BUG))
}

/// The command line of this process, with quotes where they are needed.
pub fn command_line() -> String {
    let quoted = std::env::args_os().map(|argument| {
        let text = argument.to_string_lossy().into_owned();
        let is_plain = |c: char| c.is_alphanumeric() || "-_=./:,@+".contains(c);
        let is_word = !text.is_empty() && text.chars().all(is_plain);
        if is_word { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("a panic without a message");
    match info.location() {
        Some(place) => format!("{text} ({}:{})", place.file(), place.line()),
        None => text.to_owned(),
    }
}

fn report(message: &str, work: &Work, command: &str) -> String {
    let place = match (work.stage, work.function.as_str()) {
        ("", _) => String::new(),
        (stage, "") => format!("  in stage `{stage}`\n"),
        (stage, function) => format!("  in stage `{stage}` of function `{function}`\n"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let input = match work.function.as_str() {
        "" => "the input files".to_owned(),
        function => format!("the input files or the text of the function (`--emit-function '{function}'`)"),
    };
    format!(
        "error: this is a bug in wasm-pvm: {message}\n{place}  please report it with {input}, version {version} and the \
         command line:\n  {command}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_name_stage_and_function() {
        let of = |stage, function: &str| Work { stage, function: function.to_owned() };
        let text = report("no room (a.rs:3)", &of("allocate", "main"), "wasm-pvm compile a.wasm");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "error: this is a bug in wasm-pvm: no room (a.rs:3)");
        assert_eq!(lines[1], "  in stage `allocate` of function `main`");
        assert_eq!(lines[3], "  wasm-pvm compile a.wasm");
        assert!(report("", &of("link", ""), "").contains("  in stage `link`\n"));
        assert!(!report("", &Work::default(), "").contains("stage"));
    }
}
