//! The worst cycles of an object in `wasm-pvm info`.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_pvm::insight::cycles::timing::{Core, Timing};
use wasm_pvm::insight::cycles::{FunctionCycles, cycles};
use wasm_pvm::object::Summary;

use super::args::CyclesArgs;

/// The cycles of the functions of an object.
pub struct Cycles {
    timing: Timing,
    functions: Vec<FunctionCycles>,
}

impl Cycles {
    /// Computes the cycles on the given core, or on that of the object.
    pub fn of(bytes: &[u8], summary: &Summary, args: &CyclesArgs, core: Option<&str>) -> Result<Self> {
        let name = core.or(summary.core.as_deref()).unwrap_or("unknown");
        let core = Core::named(name).with_context(|| {
            format!(
                "Arm publishes no table of cycles for the core {name:?}; choose one that has it, with --cycles m0, m0plus, m3 or m4"
            )
        })?;
        let timing = Timing { core, wait_states: args.wait_states, multiply: args.multiply };
        Ok(Self { timing, functions: cycles(bytes, &timing)? })
    }

    /// A line per function and loop.
    pub fn text(&self) -> String {
        let mut text = format!(
            "cycles on {} with {} wait states of flash, without interrupts and unaligned accesses\n",
            self.timing.core.name(),
            self.timing.wait_states
        );
        for function in &self.functions {
            let bound = match &function.worst {
                Ok(cycles) => format!("at most {cycles}"),
                Err(reason) => {
                    format!("unbounded, because {reason}; {} with one round of each loop", function.straight)
                }
            };
            let imports: Vec<&str> = function.imports.iter().map(String::as_str).collect();
            let note = match imports.is_empty() {
                true => String::new(),
                false => format!("; not counted: {}", imports.join(", ")),
            };
            text += &format!("cycles of {}: {bound}{note}\n", function.name);
            for inner in &function.loops {
                let rounds = inner
                    .rounds
                    .map_or("any number of rounds".to_owned(), |most| format!("at most {most} rounds"));
                text += &format!("  loop at {:#x}: {rounds}, {} cycles each\n", inner.offset, inner.cycles);
            }
        }
        text
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        let functions = self.functions.iter().map(|function| {
            let loops = function.loops.iter().map(
                |inner| json!({ "offset": inner.offset, "rounds": inner.rounds, "cycles": inner.cycles }),
            );
            json!({
                "name": function.name,
                "worst": function.worst.as_ref().ok(),
                "unbounded": function.worst.as_ref().err().map(ToString::to_string),
                "straight": function.straight,
                "not_counted": function.imports,
                "loops": loops.collect::<Vec<_>>(),
            })
        });
        json!({
            "core": self.timing.core.name(),
            "wait_states": self.timing.wait_states,
            "functions": functions.collect::<Vec<_>>(),
        })
    }
}
