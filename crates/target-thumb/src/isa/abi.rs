//! The procedure call standard (AAPCS): locations of arguments and results.
//!
//! - A word goes to the next of r0–r3, two words to an even-aligned pair of them. When an argument doesn't fit, it and
//!   all later ones of its kind go to the stack, where two-word values are 8-aligned.
//! - Where the core has a floating-point unit, floats that it can compute with go to s0–s15 (d0–d7). Each gets the
//!   lowest free registers, until one doesn't fit.
//! - One result is in r0, r0:r1 or s0/d0. The standard doesn't define several results. Inside the program they go to
//!   r0–r3, then to float registers, then to the stack below the arguments. Exports and imports with such signatures
//!   get wrappers that pass a pointer.

use codegen::{ArgLoc, ArgumentRoom, CallLayout, PReg, RegClass, RegSet};
use ssa::{Module, Signature, Type};

use crate::isa::cpu::Cpu;

/// Number of words of arguments or results in core registers.
const WORDS: u8 = 4;
/// Bytes of a word.
pub const WORD: u32 = 4;
/// Alignment of the stack pointer in bytes at calls.
pub const STACK_ALIGN: u32 = 8;
/// Least alignment of linear memory in bytes.
pub const MEMORY_ALIGN: u32 = 8;
/// Number of s0 in the common numbering of registers.
pub const FIRST_SINGLE: u8 = 16;
/// Number of d0 in the common numbering of registers.
pub const FIRST_DOUBLE: u8 = 48;

/// The registers that hold a value of a type, low word first.
pub const fn value_classes(cpu: Cpu, ty: Type) -> &'static [RegClass] {
    match ty {
        Type::I32 => &[RegClass::Int],
        Type::F32 if cpu.has_single() => &[RegClass::Float],
        Type::F32 => &[RegClass::Int],
        Type::F64 if cpu.has_double() => &[RegClass::Float],
        Type::I64 | Type::F64 => &[RegClass::Int, RegClass::Int],
    }
}

/// The layout of a call.
pub fn call_layout(cpu: Cpu, sig: &Signature) -> CallLayout {
    let mut assignment = Assignment { cpu, words: 0, singles: 0xffff, stack: 0 };
    let results = sig.results.iter().map(|&ty| assignment.result(ty)).collect();
    let mut assignment = Assignment { cpu, words: 0, singles: 0xffff, stack: assignment.stack };
    let params = sig.params.iter().map(|&ty| assignment.param(ty)).collect();
    let stack_bytes = assignment.stack.next_multiple_of(STACK_ALIGN);
    CallLayout { params, results, stack_bytes, clobbers: clobbers(cpu) }
}

/// The registers that a call may change.
pub fn clobbers(cpu: Cpu) -> RegSet {
    let core = [0, 1, 2, 3, 12, 14].into_iter();
    let floats = match (cpu.has_single(), cpu.has_double()) {
        (_, true) => FIRST_DOUBLE..FIRST_DOUBLE + 8,
        (true, false) => FIRST_SINGLE..FIRST_SINGLE + 16,
        (false, false) => 0..0,
    };
    core.chain(floats).map(PReg::new).collect()
}

/// The stack space that each call in a module reserves for arguments.
pub fn argument_room(module: &Module, cpu: Cpu) -> ArgumentRoom {
    ArgumentRoom::new(module, |sig| call_layout(cpu, sig).stack_bytes)
}

/// Whether an intrinsic is a function of the run-time ABI, which has the intrinsic's name.
pub fn is_runtime_function(name: &str) -> bool {
    name.starts_with("__aeabi_")
}

/// Replaces locations that can't be allocated: where doubles are allocated as a whole, the upper half of one. Each is
/// replaced by a double that the list doesn't use. Returns the replaced singles, each with its double.
pub fn stage_singles(cpu: Cpu, locations: &mut [Vec<ArgLoc>]) -> Vec<(PReg, PReg)> {
    let mut staged = Vec::new();
    if !cpu.has_double() {
        return staged;
    }
    let mut used = RegSet::EMPTY;
    for loc in locations.iter_mut().flatten() {
        if let ArgLoc::Reg(reg) = loc {
            let single = reg.number().wrapping_sub(FIRST_SINGLE);
            if single < 32 && single.is_multiple_of(2) {
                *reg = PReg::new(FIRST_DOUBLE + single / 2);
            }
            used.insert(*reg);
        }
    }
    let mut free =
        (0..8).rev().chain(8..16).map(|n| PReg::new(FIRST_DOUBLE + n)).filter(|&reg| !used.contains(reg));
    for loc in locations.iter_mut().flatten() {
        if let ArgLoc::Reg(reg) = loc
            && (FIRST_SINGLE..FIRST_DOUBLE).contains(&reg.number())
        {
            let double = free.next().expect("there are as many doubles as float arguments in registers");
            staged.push((*reg, double));
            *reg = double;
        }
    }
    staged
}

/// Assigns locations to values in order.
struct Assignment {
    cpu: Cpu,
    /// Number of core registers taken.
    words: u8,
    /// Free single-precision registers as a bit set.
    singles: u16,
    /// Bytes of stack taken.
    stack: u32,
}

impl Assignment {
    fn param(&mut self, ty: Type) -> Vec<ArgLoc> {
        match value_classes(self.cpu, ty) {
            [RegClass::Float] => vec![self.float(ty).unwrap_or_else(|| self.float_on_stack(ty))],
            [_] => vec![self.word()],
            _ => {
                self.words = self.words.next_multiple_of(2);
                if self.words == WORDS {
                    self.stack = self.stack.next_multiple_of(2 * WORD);
                }
                vec![self.word(), self.word()]
            }
        }
    }

    fn result(&mut self, ty: Type) -> Vec<ArgLoc> {
        match value_classes(self.cpu, ty) {
            [RegClass::Float] => {
                let spacing = if self.cpu.has_double() { Type::F64 } else { ty };
                vec![self.float(spacing).unwrap_or_else(|| self.float_on_stack(ty))]
            }
            classes => classes.iter().map(|_| self.word()).collect(),
        }
    }

    fn word(&mut self) -> ArgLoc {
        if self.words < WORDS {
            self.words += 1;
            return ArgLoc::Reg(PReg::new(self.words - 1));
        }
        self.stack += WORD;
        ArgLoc::Stack(self.stack - WORD)
    }

    /// The lowest free registers for a float.
    fn float(&mut self, ty: Type) -> Option<ArgLoc> {
        let (step, mask) = if ty == Type::F32 { (1, 1) } else { (2, 3) };
        let first = (0..16).step_by(step).find(|&n| self.singles >> n & mask == mask)?;
        self.singles &= !(mask << first);
        let first = first as u8;
        let number = match self.cpu.has_double() {
            true if ty == Type::F64 => FIRST_DOUBLE + first / 2,
            _ => FIRST_SINGLE + first,
        };
        Some(ArgLoc::Reg(PReg::new(number)))
    }

    /// Puts a float on the stack; all later floats go to the stack, too.
    fn float_on_stack(&mut self, ty: Type) -> ArgLoc {
        self.singles = 0;
        let bytes = ty.bits() / 8;
        let at = self.stack.next_multiple_of(bytes);
        self.stack = at + bytes;
        ArgLoc::Stack(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(cpu: Cpu, params: &[Type]) -> (Vec<String>, u32) {
        let sig = Signature { params: params.to_vec(), results: Vec::new() };
        let layout = call_layout(cpu, &sig);
        let text = |loc: &ArgLoc| match loc {
            ArgLoc::Reg(reg) => thumb_isa::Reg::from_number(reg.number()).to_string(),
            ArgLoc::Stack(at) => format!("[{at}]"),
        };
        let of_param = |locs: &Vec<ArgLoc>| locs.iter().map(text).collect::<Vec<_>>().join(":");
        (layout.params.iter().map(of_param).collect(), layout.stack_bytes)
    }

    /// The expected locations are those of clang.
    #[test]
    fn arguments_are_where_clang_puts_them() {
        use Type::{F32, F64, I32, I64};
        assert_eq!(params(Cpu::M3, &[I32, I64]).0, ["r0", "r2:r3"]);
        assert_eq!(
            params(Cpu::M3, &[I32, I32, I32, I64, I32]),
            (vec!["r0", "r1", "r2", "[0]:[4]", "[8]"].into_iter().map(str::to_owned).collect(), 16)
        );
        assert_eq!(params(Cpu::M3, &[I64, I64, I32, I64]).0, ["r0:r1", "r2:r3", "[0]", "[8]:[12]"]);
        assert_eq!(params(Cpu::M4F, &[F32, I32, F32]).0, ["s0", "r0", "s1"]);
        assert_eq!(params(Cpu::M7DP, &[F32, F64, F32, F32]).0, ["s0", "d1", "s1", "s4"]);
        assert_eq!(params(Cpu::M3, &[F32, F64]).0, ["r0", "r2:r3"]);
    }
}
