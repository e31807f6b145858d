//! Functions that are too large for some passes.
//!
//! Several of LLVM's passes are quadratic in a function's blocks or loops. They search for the stores that a load may
//! read, for the facts about a value that all branches on it imply, or for the facts about a loop that earlier branches
//! imply. For ordinary functions that time is negligible; a function of thousands of blocks would take minutes.
//!
//! A function that is too large is *set aside* while a pipeline runs over the module: it gets `optnone` and
//! `noinline`, which LLVM requires together, and is brought back for a pipeline of its own.

use std::collections::HashMap;

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::Module;
use inkwell::values::FunctionValue;

use crate::llvm::{self, Block, Value};

/// Blocks of a function beyond which it gets passes that take linear time only. The largest functions of large
/// programs have half as many.
pub const MANY_BLOCKS: usize = 2000;
/// Instructions of a function beyond which it gets passes that take linear time only.
const MANY_INSTS: usize = 100_000;
/// Loops of a function beyond which it gets no loop passes.
const MANY_LOOPS: usize = 150;
/// Loops times blocks of a function beyond which it gets no loop passes: for every exit of a loop they walk the blocks
/// before it, in search of conditions that hold there. The most in large programs without vectors is half of that; functions
/// with vectors, whose operators become several blocks, have twenty times as much.
const LOOP_WORK: usize = 75_000;

/// The attributes of a function that is set aside.
const ASIDE: [&str; 2] = ["noinline", "optnone"];

/// The size of a function.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Size {
    /// Its basic blocks.
    pub blocks: usize,
    /// Its instructions.
    pub insts: usize,
}

impl std::ops::Add for Size {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { blocks: self.blocks + other.blocks, insts: self.insts + other.insts }
    }
}

/// Sets functions with very many blocks or instructions aside.
pub fn set_huge_aside(module: &Module<'_>) {
    set_aside(module, |function| {
        let blocks = function.blocks();
        blocks.len() > MANY_BLOCKS
            || blocks.iter().map(|block| block.instructions().count()).sum::<usize>() > MANY_INSTS
    });
}

/// Sets functions aside that have very many loops, or many in very many blocks.
pub fn set_looping_aside(module: &Module<'_>) {
    set_aside(module, |function| {
        let loops = loops(function);
        loops > MANY_LOOPS || loops * function.blocks().len() > LOOP_WORK
    });
}

fn set_aside(module: &Module<'_>, is_too_large: impl Fn(Value<'_>) -> bool) {
    // Both lists are in the module's order.
    let large: Vec<bool> = llvm::Module::new(module).functions().map(is_too_large).collect();
    for (function, _) in module.get_functions().zip(large).filter(|(_, large)| *large) {
        for name in ASIDE {
            let kind = Attribute::get_named_enum_kind_id(name);
            let attribute = module.get_context().create_enum_attribute(kind, 0);
            function.add_attribute(AttributeLoc::Function, attribute);
        }
    }
}

/// The functions that are set aside, in the module's order.
pub fn aside<'ctx>(module: &Module<'ctx>) -> Vec<FunctionValue<'ctx>> {
    let kind = Attribute::get_named_enum_kind_id("optnone");
    let is_aside =
        |function: &FunctionValue<'_>| function.get_enum_attribute(AttributeLoc::Function, kind).is_some();
    module.get_functions().filter(is_aside).collect()
}

/// Lets passes work on a function again.
pub fn bring_back(function: FunctionValue<'_>) {
    for name in ASIDE {
        function.remove_enum_attribute(AttributeLoc::Function, Attribute::get_named_enum_kind_id(name));
    }
}

/// The number of loop headers: blocks that are the target of a back edge of a depth-first walk.
fn loops(function: Value<'_>) -> usize {
    let Some(entry) = function.entry_block() else { return 0 };
    let mut heads = 0;
    let mut states: HashMap<Block<'_>, State> = HashMap::from([(entry, State::Open)]);
    let mut stack = vec![(entry, entry.terminator().successors().into_iter())];
    while let Some((block, rest)) = stack.last_mut() {
        let Some(next) = rest.next() else {
            states.insert(*block, State::Closed);
            stack.pop();
            continue;
        };
        match states.get(&next) {
            None => {
                states.insert(next, State::Open);
                stack.push((next, next.terminator().successors().into_iter()));
            }
            Some(State::Open) => {
                heads += 1;
                states.insert(next, State::Head);
            }
            Some(State::Head | State::Closed) => {}
        }
    }
    heads
}

/// The state of a block in the walk.
enum State {
    /// On the path.
    Open,
    /// On the path, and known as the header of a loop.
    Head,
    /// Finished.
    Closed,
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    use super::*;

    /// The number of functions that are set aside.
    fn count_aside(text: &str, set_aside: impl Fn(&Module<'_>)) -> usize {
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "test");
        let module = context.create_module_from_ir(buffer).expect("the text is LLVM IR");
        set_aside(&module);
        let functions = aside(&module);
        functions.iter().for_each(|&function| bring_back(function));
        assert!(aside(&module).is_empty());
        functions.len()
    }

    /// A function with loops in sequence, and so many other blocks in all.
    fn with_blocks(loops: usize, blocks: usize) -> String {
        let mut text = with_loops(loops, false);
        text.truncate(text.len() - " ret void\n}\n".len());
        for n in loops..blocks - 2 {
            writeln!(text, " br label %l{}\nl{}:", n + 1, n + 1).expect("writing to a string");
        }
        text + " ret void\n}\n"
    }

    #[test]
    fn loops_in_many_blocks_are_too_much_work() {
        assert_eq!(count_aside(&with_blocks(75, LOOP_WORK / 75), set_looping_aside), 0);
        assert_eq!(count_aside(&with_blocks(75, LOOP_WORK / 75 + 1), set_looping_aside), 1);
    }

    /// Loops in sequence or nested; and a function without any.
    fn with_loops(count: usize, nested: bool) -> String {
        let mut text = String::from("define void @other() {\n ret void\n}\n");
        text.push_str("define void @f(i1 %c) {\n br label %l0\n");
        for n in 0..count {
            match nested {
                true => writeln!(text, "l{n}:\n br label %l{}", n + 1),
                false => writeln!(text, "l{n}:\n br i1 %c, label %l{n}, label %l{}", n + 1),
            }
            .expect("writing to a string");
        }
        writeln!(text, "l{count}:").expect("writing to a string");
        for n in (0..count).rev().filter(|_| nested) {
            writeln!(text, " br label %latch{n}\nlatch{n}:\n br i1 %c, label %l{n}, label %out{n}\nout{n}:")
                .expect("writing to a string");
        }
        text.push_str(" ret void\n}\n");
        text
    }

    #[test]
    fn loops_are_counted() {
        for nested in [false, true] {
            assert_eq!(count_aside(&with_loops(MANY_LOOPS, nested), set_looping_aside), 0);
            assert_eq!(count_aside(&with_loops(MANY_LOOPS + 1, nested), set_looping_aside), 1);
        }
    }

    #[test]
    fn huge_functions_are_set_aside() {
        // One block per loop, the entry and the end.
        assert_eq!(count_aside(&with_loops(MANY_BLOCKS - 2, false), set_huge_aside), 0);
        assert_eq!(count_aside(&with_loops(MANY_BLOCKS - 1, false), set_huge_aside), 1);
    }
}
