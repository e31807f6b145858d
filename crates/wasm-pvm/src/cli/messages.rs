//! Errors and warnings on standard error: as text, or each as a line of JSON.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::registry::LookupSpan;
use wasm_pvm::excerpt::{Excerpt, SourceLine, Styled};
use wasm_pvm::insight::budget::BudgetError;
use wasm_pvm::insight::json::MapError;
use wasm_pvm::insight::size::SizeError;
use wasm_pvm::object::FileError;
use wasm_pvm::run::{MachineError, RunError, Status};
use wasm_pvm::verify::VerifyError;
use wasm_pvm::{Error, ImportMapError, OptionsError, codes, input};

use super::bar;
use super::explained::Explained;
use super::json::SCHEMA;

/// The code of errors of the command line.
pub const USAGE: &str = "E0001";
/// The code of limits that the user has set.
pub const LIMIT: &str = "E0501";
/// The code of programs that don't do what their module says.
pub const DIFFERENCE: &str = "E0502";
/// The code of errors without one of their own: what a command says about its input.
const OTHER: &str = "E0007";

/// Whether messages are JSON, for all of this process.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether messages have colours, for all of this process.
static HAS_COLOURS: AtomicBool = AtomicBool::new(false);

/// The form of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum MessageForm {
    Text,
    Json,
}

/// Chooses the form of all messages.
pub fn set_form(form: MessageForm) {
    IS_JSON.store(form == MessageForm::Json, Ordering::Relaxed);
}

fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Chooses whether messages have colours.
pub fn set_colours(has_colours: bool) {
    HAS_COLOURS.store(has_colours, Ordering::Relaxed);
}

fn has_colours() -> bool {
    HAS_COLOURS.load(Ordering::Relaxed)
}

/// Prints an error. Lines of help follow it.
pub fn error(code: &str, text: &str, help: &str) {
    print_error(code, text, help, None, &[]);
}

/// The same without help, and without any allocation: standard error has no buffer. Nothing in the text needs an escape.
pub fn error_without_memory(code: &str, text: &str) {
    bar::clear_without_memory();
    let mut stderr = io::stderr();
    let _ = match is_json() {
        true => writeln!(
            stderr,
            "{{\"schema\":{SCHEMA},\"level\":\"error\",\"code\":\"{code}\",\"message\":\"{text}\"}}"
        ),
        false => writeln!(stderr, "error[{code}]: {text}"),
    };
}

fn print_error(
    code: &str,
    text: &str,
    help: &str,
    place: Option<(Option<&str>, usize)>,
    excerpts: &[Excerpt],
) {
    if !is_json() {
        let (start, end) = if has_colours() { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
        let styled = |excerpt| Styled { excerpt, colours: has_colours() }.to_string();
        let excerpts: String = excerpts.iter().map(styled).collect();
        bar::print(format_args!("{start}error[{code}]{end}: {text}\n{excerpts}{help}"));
        return;
    }
    let mut object = json!({ "schema": SCHEMA, "level": "error", "code": code, "message": text });
    if !help.is_empty() {
        object["help"] = json!(help.trim_end());
    }
    if let Some((function, offset)) = place {
        object["function"] = json!(function);
        object["offset"] = json!(offset);
    }
    if !excerpts.is_empty() {
        object["excerpts"] = json!(excerpts.iter().map(excerpt_json).collect::<Vec<_>>());
    }
    bar::print(format_args!("{object}\n"));
}

fn excerpt_json(excerpt: &Excerpt) -> Value {
    let Excerpt { function, offset, source, lines } = excerpt;
    let lines = lines.iter();
    json!({
        "function": function.as_ref().map(|(index, name)| json!({ "index": index, "name": name })),
        "offset": offset,
        "source": source.as_ref().map(|SourceLine { file, line, column }| {
            json!({ "file": file, "line": line, "column": column })
        }),
        "operators": lines.map(|line| {
            json!({ "offset": line.offset, "text": line.text, "here": line.is_here })
        }).collect::<Vec<_>>(),
    })
}

/// Prints lines about the error before.
pub fn note(text: &str) {
    match is_json() {
        true => {
            let object = json!({ "schema": SCHEMA, "level": "note", "message": text.trim_end() });
            bar::print(format_args!("{object}\n"));
        }
        false => bar::print(format_args!("{text}")),
    }
}

/// Prints the error that a command ended with: as text one line, as JSON one for each requirement that isn't met.
pub fn failure(error: &anyhow::Error) {
    let known = error.chain().find_map(known);
    let excerpts = error.chain().find_map(|cause| cause.downcast_ref::<Explained>());
    let excerpts = excerpts.map_or(&[][..], |explained| &explained.excerpts);
    match known {
        Some(Error::Several(errors)) if is_json() => {
            for error in errors {
                let places = error.places();
                let excerpts = excerpts
                    .iter()
                    .filter(|excerpt| places.iter().any(|(_, offset)| *offset == excerpt.offset));
                let excerpts: Vec<Excerpt> = excerpts.cloned().collect();
                let help = help(error.code(), Some(error), &excerpts);
                print_error(error.code(), &one_line(&error.to_string()), &help, error.place(), &excerpts);
            }
        }
        _ => {
            let code = error.chain().find_map(code_of).unwrap_or(OTHER);
            let text = one_line(&format!("{error:#}"));
            print_error(code, &text, &help(code, known, excerpts), known.and_then(Error::place), excerpts);
        }
    }
}

/// The error of a compilation, with excerpts or without.
pub fn known<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    cause.downcast_ref().or_else(|| Some(&cause.downcast_ref::<Explained>()?.error))
}

/// The help of an error. One with an excerpt and no help of its own has its page.
fn help(code: &str, known: Option<&Error>, excerpts: &[Excerpt]) -> String {
    match known.and_then(Error::help) {
        Some(help) => help,
        None if excerpts.is_empty() => String::new(),
        None => format!("help: `wasm-pvm explain {code}` has an example and the ways out\n"),
    }
}

/// The code of an error of a known type.
fn code_of(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let frontend = error.downcast_ref().map(codes::of_frontend);
    let file = error.is::<FileError>() || error.is::<pvm_isa::ParseError>();
    let beside = error.is::<ImportMapError>() || error.is::<MapError>() || error.is::<BudgetError>();
    known(error)
        .map(Error::code)
        .or_else(|| error.downcast_ref::<input::InputError>().map(codes::of_input))
        .or_else(|| match error.downcast_ref()? {
            VerifyError::Compile(error) => Some(error.code()),
            _ => Some(OTHER),
        })
        .or(frontend)
        .or_else(|| error.downcast_ref::<RunError>().map(code_of_run))
        .or_else(|| error.downcast_ref::<SizeError>().map(code_of_size))
        .or_else(|| error.is::<OptionsError>().then_some("E0002"))
        .or_else(|| error.is::<std::io::Error>().then_some("E0003"))
        .or_else(|| file.then_some("E0004"))
        .or_else(|| error.is::<MachineError>().then_some("E0005"))
        .or_else(|| beside.then_some("E0006"))
        .or_else(|| error.is::<wasm_pvm::counts::ProfileError>().then_some("E0206"))
}

fn code_of_run(error: &RunError) -> &'static str {
    match error {
        RunError::Parse(_) | RunError::Machine(MachineError::Refused(_)) => "E0004",
        _ => "E0005",
    }
}

fn code_of_size(error: &SizeError) -> &'static str {
    match error {
        SizeError::Wasm(error) => codes::of_frontend(error),
        _ => "E0004",
    }
}

/// The code of a run that did not halt.
pub const fn code_of_status(status: &Status) -> &'static str {
    match status {
        Status::OutOfGas => "E0402",
        Status::HostCall { .. } => "E0403",
        Status::Halt | Status::Panic => "E0401",
    }
}

/// A text without line ends.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The form of events: warnings like errors, and others as usual.
pub struct Events {
    others: Format<Full, ()>,
}

impl Events {
    /// The form of all events of this process.
    pub fn new() -> Self {
        Self { others: Format::default().with_target(false).without_time() }
    }
}

impl<S, N> FormatEvent<S, N> for Events
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_warning = *event.metadata().level() == Level::WARN;
        if !is_warning && !is_json() {
            return self.others.format_event(context, writer, event);
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if is_json() {
            let level = event.metadata().level().as_str().to_lowercase();
            let level = if is_warning { "warning" } else { &level };
            let mut object = json!({ "schema": SCHEMA, "level": level, "message": fields.message });
            if let Some(code) = fields.code {
                object["code"] = json!(code);
            }
            if !fields.others.is_empty() {
                object["fields"] = Value::Object(fields.others);
            }
            return writeln!(writer, "{object}");
        }
        let (start, end) = if writer.has_ansi_escapes() { ("\x1b[33m", "\x1b[0m") } else { ("", "") };
        let code = fields.code.map(|code| format!("[{code}]")).unwrap_or_default();
        write!(writer, "{start}warning{code}{end}: {}", fields.message)?;
        for (name, value) in &fields.others {
            write!(writer, " {name}={}", value.as_str().unwrap_or_default())?;
        }
        writeln!(writer)
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    code: Option<String>,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "code" => self.code = Some(value.to_owned()),
            name => {
                self.others.insert(name.to_owned(), json!(value));
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => {
                self.others.insert(name.to_owned(), json!(format!("{value:?}")));
            }
        }
    }
}
