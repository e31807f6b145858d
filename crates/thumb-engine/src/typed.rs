//! Calls with typed arguments and results.

use crate::aapcs::{Type, Words, members};
use crate::fault::Ending;
use crate::machine::{Call, Host, Machine, STRUCTURE_BYTES};

/// A function with its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Its address.
    pub address: u32,
    /// Types of its parameters.
    pub params: Vec<Type>,
    /// Types of its results. Several are returned in memory, to which a hidden first argument points.
    pub results: Vec<Type>,
}

/// The result of a typed call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The address of the last instruction.
    pub at: u32,
    /// The results, if it returned. Values of 32 bits have zeros above them.
    pub results: Vec<u64>,
    /// The number of executed instructions.
    pub instructions: u64,
}

impl Machine {
    /// Calls a function with typed arguments. `base` is the initial value of r11, for memory that a register points to.
    ///
    /// # Panics
    /// If the results take more than 1024 bytes.
    pub fn invoke<H: Host>(
        &mut self,
        function: &Function,
        args: &[u64],
        base: Option<u32>,
        budget: u64,
        host: &mut H,
    ) -> Outcome {
        let has_floats = self.image().core.passes_floats;
        let is_structure = function.results.len() > 1;
        let (mut types, mut values) = (function.params.clone(), args.to_vec());
        if is_structure {
            types.insert(0, Type::I32);
            values.insert(0, self.structure().into());
        }
        let words = Words::arguments(has_floats, &types, &values);
        let call = Call { address: function.address, words, base, canonical_nans: true, budget };
        let exit = self.call(&call, host);
        let results = match exit.ending {
            Ending::Returned if is_structure => members(&function.results, &self.structure_words()),
            Ending::Returned => exit.words.values(has_floats, &function.results),
            _ => Vec::new(),
        };
        Outcome { ending: exit.ending, at: exit.at, results, instructions: exit.instructions }
    }

    fn structure_words(&self) -> Vec<u32> {
        let bytes = self.memory.read(self.structure(), STRUCTURE_BYTES).expect("it is mapped");
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
    }
}
