//! One module of the suite, compiled and instantiated.

use std::collections::{BTreeMap, BTreeSet};

use wast::{WastArg, WastRet};

use super::{Skip, spectest, values};
use crate::executor::{Call, CallExit, Executable, Executor, Refusal};
use crate::interface::{Interface, interface};

/// The judgement of an assertion about an instance.
pub enum Judged {
    /// It holds.
    Yes,
    /// It doesn't, for this reason.
    No(String),
    /// It can't be judged.
    Skipped(Skip),
}

impl From<Result<(), String>> for Judged {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::No, |()| Self::Yes)
    }
}

/// An instance, or the reason why there is none.
pub struct Instance {
    bytes: Vec<u8>,
    state: State,
    foreign_imports: BTreeSet<String>,
    /// The reason why its state may differ from the suite's.
    tainted: Option<Skip>,
}

enum State {
    Live(Live),
    Skipped(Skip),
    /// The start function trapped.
    Trapped,
    Failed(String),
}

impl State {
    fn of(executor: &dyn Executor, bytes: &[u8], interface: Interface, is_linked: bool) -> Self {
        if is_linked {
            return Self::Skipped(Skip::Linking);
        }
        let bytes = match spectest::with_real_limits(bytes) {
            Ok(bytes) => bytes,
            Err(error) => return Self::Failed(error.to_string()),
        };
        let mut program = match executor.load(&bytes) {
            Ok(program) => program,
            Err(Refusal::NoRoom) => return Self::Skipped(Skip::NoRoom),
            Err(refusal) => return Self::Failed(refusal.to_string()),
        };
        match program.start(&mut |_, _| 0) {
            Ok(CallExit::Returned(_)) => {
                Self::Live(Live { program, constant_globals: interface.constant_globals })
            }
            Ok(CallExit::Trapped(_)) => Self::Trapped,
            Ok(CallExit::Exhausted) => Self::Failed("the start function doesn't end".to_owned()),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

struct Live {
    program: Box<dyn Executable>,
    constant_globals: BTreeMap<String, u64>,
}

impl Instance {
    /// Compiles and loads a valid module.
    pub fn new(executor: &dyn Executor, bytes: &[u8]) -> Self {
        let (foreign_imports, state) = match interface(bytes) {
            Err(error) => (BTreeSet::new(), State::Failed(error.to_string())),
            Ok(interface) => {
                let mut foreign = interface.imported_modules.clone();
                foreign.remove("spectest");
                let state = State::of(executor, bytes, interface, !foreign.is_empty());
                (foreign, state)
            }
        };
        Self { bytes: bytes.to_vec(), state, foreign_imports, tainted: None }
    }

    /// The module.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Modules other than `spectest` that it imports from.
    pub fn foreign_imports(&self) -> &BTreeSet<String> {
        &self.foreign_imports
    }

    /// Records that from now on its state may differ from the suite's.
    pub fn taint(&mut self, reason: Skip) {
        self.tainted = Some(reason);
    }

    /// The reason why a failed assertion can't be judged, if there is one.
    pub fn tainted(&self) -> Option<Skip> {
        self.tainted
    }

    /// The reason why compiling failed, if it did.
    pub fn failure(&self) -> Option<String> {
        match &self.state {
            State::Failed(why) => Some(why.clone()),
            State::Trapped => Some("the start function trapped".to_owned()),
            _ => None,
        }
    }

    /// The reason why no assertion about this instance can be judged, if there is one.
    pub fn skipped(&self) -> Option<Skip> {
        match self.state {
            State::Skipped(reason) => Some(reason),
            _ => None,
        }
    }

    /// Instantiation must fail: a segment out of bounds is refused at compile time, a start function traps.
    pub fn must_not_start(&self) -> Judged {
        match &self.state {
            State::Failed(_) | State::Trapped => Judged::Yes,
            State::Skipped(reason) => Judged::Skipped(*reason),
            State::Live(_) => Judged::No("the module was instantiated".to_owned()),
        }
    }

    /// Calls an export.
    pub fn call(&mut self, name: &str, args: &[WastArg<'_>], is_endless: bool) -> Result<Outcome, String> {
        let State::Live(live) = &mut self.state else {
            return Err("the module was not instantiated".to_owned());
        };
        let words = args.iter().map(values::words).collect::<Result<Vec<_>, _>>()?.concat();
        let call = Call { name, args: &words, is_endless };
        let exit = live.program.call(call, &mut |_, _| 0).map_err(|error| format!("{error:#}"))?;
        // Growing memory may fail, with this result.
        if live.program.is_limited()
            && matches!(&exit, CallExit::Returned(words) if words.contains(&u64::MAX))
        {
            self.taint(Skip::NoRoom);
        }
        Ok(Outcome(exit))
    }

    /// Compares an exported global.
    pub fn global(&mut self, name: &str, expected: &[WastRet<'_>]) -> Judged {
        let State::Live(live) = &mut self.state else {
            return self.skipped().map_or_else(|| Judged::No("not instantiated".to_owned()), Judged::Skipped);
        };
        let [expected] = expected else { return Judged::No("not one value".to_owned()) };
        let size = values::size(expected);
        let word = match (live.program.global_word(name, size), live.constant_globals.get(name)) {
            (Ok(Some(word)), _) => word,
            (Ok(None), Some(&word)) => word,
            (Ok(None), None) => return Judged::No(format!("global {name} has no address")),
            (Err(error), _) => return Judged::No(format!("{error:#}")),
        };
        let word = if size == 4 { i64::from(word as i32) as u64 } else { word };
        match values::matches(&[word], expected) {
            true => Judged::Yes,
            false => Judged::No(format!("global {name} is {word:#x}, expected {expected:?}")),
        }
    }
}

/// The outcome of a call, to be judged.
pub struct Outcome(CallExit);

impl Outcome {
    /// It must return, and return these values if given.
    pub fn returned(self, expected: Option<&[WastRet<'_>]>) -> Result<(), String> {
        let CallExit::Returned(words) = self.0 else {
            return Err(format!("{:?} instead of a return", self.0));
        };
        let Some(expected) = expected else { return Ok(()) };
        let mut rest = &words[..];
        let is_next = |expected: &WastRet<'_>| match rest.split_at_checked(values::count(expected)) {
            Some((value, others)) => {
                rest = others;
                values::matches(value, expected)
            }
            None => false,
        };
        let all = expected.iter().all(is_next) && rest.is_empty();
        if all { Ok(()) } else { Err(format!("returned {words:#x?}, expected {expected:?}")) }
    }

    /// It must trap, for this reason if the machine tells it.
    pub fn trapped(self, message: &str) -> Result<(), String> {
        match self.0 {
            CallExit::Trapped(None) => Ok(()),
            CallExit::Trapped(Some(trap)) if trap.is_called(message) => Ok(()),
            exit => Err(format!("{exit:?} instead of a trap: {message}")),
        }
    }

    /// It must exhaust the stack, or its time where the recursion needs no stack.
    pub fn exhausted(self) -> Result<(), String> {
        match self.0 {
            CallExit::Trapped(None) | CallExit::Exhausted => Ok(()),
            exit => Err(format!("{exit:?} instead of exhaustion")),
        }
    }
}
