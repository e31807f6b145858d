//! The host's implementation of host calls.

use std::collections::BTreeMap;

use pvm_isa::GpVersion;
use pvm_isa::metadata::{Extension, Import, ImportKind};

use crate::answer::{Answer, read_text};
use crate::machine::{GROW_HEAP, Machine, reg};
use crate::substrate::Substrate;
use crate::{Host, LogLine, RunError, RunOptions};

/// The number of the host call `log` (JIP-1).
const LOG: u32 = 100;
/// "No such host call" (Gray Paper, appendix B).
const WHAT: u64 = u64::MAX - 1;

/// A host call, by its number or by the name of its import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostCallId {
    /// Its number.
    Number(u32),
    /// The import's name, with or without that of its module before a dot.
    Name(String),
}

/// An answer to every call of one host call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenAnswer {
    /// The host call.
    pub call: HostCallId,
    /// The value of r7 after it.
    pub r7: u64,
    /// The value of r8, if it changes.
    pub r8: Option<u64>,
}

/// The host's state during a run.
pub struct HostState {
    gp: GpVersion,
    /// Imports by number.
    imports: Vec<(u32, String)>,
    /// Values of r7 and r8 after host calls, by number.
    answers: BTreeMap<u32, (u64, Option<u64>)>,
    substrate: Option<Substrate>,
    /// Whether the program numbers its host calls itself, by a table of symbols.
    pub has_symbols: bool,
    pub log: Vec<LogLine>,
}

/// Gas of the known calls (Gray Paper 0.8, appendix B); under 0.7.2 each costs 10.
mod cost {
    pub const V072: i64 = 10;
    pub const GAS: i64 = 48;
    pub const GROW_HEAP: i64 = 275;
    pub const GROW_HEAP_PAGE: i64 = 121;
    pub const UNKNOWN: i64 = 1000;
}

impl HostState {
    /// The host of a program with this metadata, whose heap ends at page `heap_end`.
    ///
    /// # Errors
    /// If an answer is for a name that is no host call of the program.
    pub fn new(
        extension: &Extension,
        gp: GpVersion,
        options: &RunOptions,
        heap_end: u32,
    ) -> Result<Self, RunError> {
        let numbered = extension.imports.iter().filter_map(|import| match import.kind {
            ImportKind::Ecalli(number) => Some((number, import.name.clone())),
            ImportKind::Trap | ImportKind::Nop | ImportKind::BuiltIn => None,
        });
        let mut answers = BTreeMap::new();
        for answer in &options.answers {
            let number = match &answer.call {
                HostCallId::Number(number) => *number,
                HostCallId::Name(name) => number_of(extension, name)?,
            };
            answers.insert(number, (answer.r7, answer.r8));
        }
        let base = extension.linear_memory.unwrap_or(0);
        let substrate = (options.host == Host::Substrate).then(|| Substrate::new(base, heap_end));
        Ok(Self { gp, imports: numbered.collect(), answers, substrate, has_symbols: false, log: Vec::new() })
    }

    /// The import with this number.
    pub fn name_of(&self, number: u32) -> Option<String> {
        self.imports.iter().find(|(known, _)| *known == number).map(|(_, name)| name.clone())
    }

    /// Answers a host call.
    pub fn call(&mut self, number: u32, machine: &mut Machine) -> Answer {
        if let Some(&given) = self.answers.get(&number) {
            return self.give(given, machine);
        }
        let by_name = self.name_of(number);
        if let (Some(name), Some(substrate)) = (&by_name, &mut self.substrate)
            && let Some(answer) = substrate.call(name, machine, &mut self.log)
        {
            return answer;
        }
        let number = match by_name.as_deref() {
            _ if !self.has_symbols => number,
            Some("gas") => 0,
            Some("grow_heap") => GROW_HEAP,
            Some("log") => LOG,
            _ => return Answer::Unknown,
        };
        match (self.gp, number) {
            (_, 0) => self.gas(machine),
            (GpVersion::V08 | GpVersion::Next, GROW_HEAP) => self.grow_heap(machine),
            (_, LOG) => self.log(machine),
            _ => Answer::Unknown,
        }
    }

    /// Charges the gas of a call; `cost` is that of 0.8.
    fn charge(&self, machine: &mut Machine, cost: i64) -> bool {
        let cost = if self.gp == GpVersion::V072 { cost::V072 } else { cost };
        let left = machine.gas() - cost;
        machine.set_gas(left.max(0));
        left >= 0
    }

    fn give(&self, (r7, r8): (u64, Option<u64>), machine: &mut Machine) -> Answer {
        if !self.charge(machine, cost::UNKNOWN) {
            return Answer::OutOfGas;
        }
        machine.set_reg(reg::A0, r7);
        r8.into_iter().for_each(|r8| machine.set_reg(reg::A1, r8));
        Answer::Continue
    }

    fn gas(&self, machine: &mut Machine) -> Answer {
        if !self.charge(machine, cost::GAS) {
            return Answer::OutOfGas;
        }
        let left = machine.gas() as u64;
        machine.set_reg(reg::A0, left);
        Answer::Continue
    }

    fn grow_heap(&self, machine: &mut Machine) -> Answer {
        let wanted = machine.reg(reg::A0);
        let before = machine.heap_end();
        if !self.charge(machine, cost::GROW_HEAP) {
            return Answer::OutOfGas;
        }
        machine.grow_heap(wanted);
        let pages = machine.heap_end() - before;
        if !self.charge(machine, cost::GROW_HEAP_PAGE * i64::from(pages)) {
            return Answer::OutOfGas;
        }
        let end = u64::from(machine.heap_end());
        machine.set_reg(reg::A0, end);
        Answer::Continue
    }

    /// JIP-1: level, target and its length, message and its length.
    fn log(&mut self, machine: &mut Machine) -> Answer {
        if !self.charge(machine, cost::UNKNOWN) {
            return Answer::OutOfGas;
        }
        let [level, target, target_len, message, message_len] =
            [0, 1, 2, 3, 4].map(|n| machine.reg(reg::A0 + n));
        let target = if target == 0 { Some(String::new()) } else { read_text(machine, target, target_len) };
        let message = read_text(machine, message, message_len);
        machine.set_reg(reg::A0, WHAT);
        if let (Some(target), Some(message)) = (target, message) {
            self.log.push(LogLine { level, target, message });
        }
        Answer::Continue
    }
}

/// The number of the host call that an import with this name is.
fn number_of(extension: &Extension, name: &str) -> Result<u32, RunError> {
    let is_named = |import: &&Import| {
        let (module, field) = name.split_once('.').unwrap_or(("", ""));
        import.name == name || import.module == module && import.name == field
    };
    let import = extension.imports.iter().find(is_named);
    let known = match import.map(|import| import.kind) {
        Some(ImportKind::Ecalli(number)) => return Ok(number),
        Some(ImportKind::Trap) => "the import of that name traps".to_owned(),
        Some(ImportKind::Nop) => "calls of the import of that name have no effect".to_owned(),
        Some(ImportKind::BuiltIn) => "the import of that name is built in".to_owned(),
        None => {
            let calls =
                extension.imports.iter().filter(|import| matches!(import.kind, ImportKind::Ecalli(_)));
            let names: Vec<String> =
                calls.map(|import| format!("{}.{}", import.module, import.name)).collect();
            match names.is_empty() {
                true => "the metadata names no host call".to_owned(),
                false => format!("there are {}", names.join(", ")),
            }
        }
    };
    Err(RunError::UnknownHostCall { name: name.to_owned(), known })
}
