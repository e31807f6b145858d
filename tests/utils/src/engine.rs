//! The independent engine as an executor: it runs scripts to check that their expectations are right.
//!
//! Imports are answered by [`crate::oracle::import_result`].

use anyhow::Result;

use crate::executor::{Call, CallExit, Executable, Executor, Host, Refusal};
use crate::oracle::{Outcome, Reference};

/// Enough for any script.
const FUEL: u64 = 10_000_000;

/// `wasmi`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine;

/// An instance; `None` if its start function trapped.
struct Instance(Option<Reference>);

fn instantiate(wasm: &[u8]) -> Result<Instance, Refusal> {
    Reference::new(wasm, FUEL).map(Instance).map_err(|error| Refusal::Invalid(format!("{error:#}")))
}

impl Executor for Engine {
    fn validate(&self, wasm: &[u8]) -> Result<(), Refusal> {
        instantiate(wasm).map(|_| ())
    }

    fn load(&self, wasm: &[u8]) -> Result<Box<dyn Executable>, Refusal> {
        Ok(Box::new(instantiate(wasm)?))
    }

    fn has_floats(&self) -> bool {
        true
    }
}

impl Instance {
    fn live(&mut self) -> Result<&mut Reference> {
        self.0.as_mut().ok_or_else(|| anyhow::anyhow!("not instantiated"))
    }
}

impl Executable for Instance {
    fn start(&mut self, _: Host<'_>) -> Result<CallExit> {
        Ok(self.0.as_ref().map_or(CallExit::Trapped(None), |_| CallExit::Returned(Vec::new())))
    }

    fn call(&mut self, call: Call<'_>, _: Host<'_>) -> Result<CallExit> {
        Ok(match self.live()?.invoke(call.name, call.args, FUEL)? {
            Outcome::Returned(words) => CallExit::Returned(words),
            Outcome::Trapped(trap) => CallExit::Trapped(Some(trap)),
            Outcome::Exhausted => CallExit::Exhausted,
        })
    }

    fn memory(&mut self, len: u32) -> Result<Vec<u8>> {
        self.exported_memory("memory", len)
    }

    fn exported_memory(&mut self, name: &str, len: u32) -> Result<Vec<u8>> {
        let memory = self.live()?.memory(name).unwrap_or_default();
        Ok(memory[..memory.len().min(len as usize)].to_vec())
    }

    fn memory_exports(&self) -> Vec<String> {
        let has_memory = self.0.as_ref().is_some_and(|instance| instance.memory("memory").is_some());
        if has_memory { vec!["memory".to_owned()] } else { Vec::new() }
    }

    fn global_word(&mut self, name: &str, _: u32) -> Result<Option<u64>> {
        let globals = self.live()?.globals();
        Ok(globals.into_iter().find(|(global, ..)| global == name).map(|(_, _, value)| value))
    }
}
