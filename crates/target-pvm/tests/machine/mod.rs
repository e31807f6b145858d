//! Running compiled programs on the `polkavm` interpreter.
//!
//! Programs are entered as by a call: arguments are where the compiler's convention has them, and the return address
//! halts. A closure answers host calls.

#![allow(dead_code, reason = "every test uses a part of it")]

use pvm_engine::{Backend, Engine, Exit, reg};
use pvm_isa::GpVersion;
use ssa::{Signature, Type};
use target_pvm::Program;

const ENGINE: Engine = Engine::Polkavm037(Backend::Interpreter);
const GAS: i64 = 1 << 40;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It returned these words.
    Returned(Vec<u64>),
    /// It panicked.
    Trapped,
}

/// An interpreter of GP 0.8 programs.
pub struct Machine;

/// A program in execution.
pub struct Instance {
    machine: pvm_engine::Machine,
    /// Gas used by calls so far.
    pub gas: i64,
}

impl Machine {
    /// The interpreter.
    pub fn new() -> Self {
        Self
    }

    /// A fresh instance of a program.
    pub fn load(&self, program: &Program) -> Instance {
        let machine = pvm_engine::Machine::new(&program.spi, GpVersion::V08, ENGINE);
        Instance { machine: machine.expect("an accepted program"), gas: 0 }
    }
}

impl Instance {
    /// Calls the function of entry number `entry`. `host` gets the number of a host call and its six words, and returns
    /// two.
    pub fn call(
        &mut self,
        entry: u32,
        sig: &Signature,
        args: &[u64],
        host: &mut dyn FnMut(u64, [u64; 6]) -> [u64; 2],
    ) -> Outcome {
        let word = |(&ty, &arg): (&Type, &u64)| if ty == Type::I32 { arg as i32 as i64 as u64 } else { arg };
        let words: Vec<u64> = sig.params.iter().zip(args).map(word).collect();
        let machine = &mut self.machine;
        let call = machine.enter_call(5 * entry, &words, sig.results.len()).expect("room on the stack");
        machine.set_gas(GAS);
        let outcome = loop {
            match machine.resume().expect("no engine error") {
                Exit::Halt => break Outcome::Returned(machine.results_of(call).expect("a regular return")),
                Exit::Panic => break Outcome::Trapped,
                Exit::HostCall(number) => {
                    let words = [0, 1, 2, 3, 4, 5].map(|n| machine.reg(reg::A0 + n));
                    let [a, b] = host(u64::from(number), words);
                    machine.set_reg(reg::A0, a);
                    machine.set_reg(reg::A1, b);
                }
                Exit::OutOfGas => panic!("out of gas"),
            }
        };
        self.gas += GAS - machine.gas();
        outcome
    }

    /// Bytes of memory.
    pub fn read(&mut self, address: u32, len: u32) -> Vec<u8> {
        self.machine.read(address, len).expect("accessible")
    }

    /// Whether an address can be written.
    pub fn is_writable(&mut self, address: u32, len: u32) -> bool {
        self.machine.is_writable(address, len)
    }
}
