//! Data flow of a module: which values are computed from which others.
//!
//! One pass over all instructions makes a graph. Its nodes are values that can hold addresses, parameters of imports
//! and results of functions. An edge leads from a value to each value computed from it by addition, alignment, choice,
//! variables, and calls and returns of functions of the module. Every other use is recorded as a use. All later work
//! is on the graph, and linear in it.

use ssa::EntityId as _;
use wasm_program::names::{self, Callee};
use wasm_program::program::Program;

use crate::llvm::lookup::LookupMap;
use crate::llvm::{self, IntPredicate, Opcode, ValueKind};

/// Objects keep their addresses modulo this.
const KEPT_ALIGNMENT: u128 = 16;

/// Number of a node.
pub type Node = usize;

/// The way a value is computed from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is the same, a choice, an alignment, or the sum with a constant.
    Same,
    /// The sum with this node.
    Sum(Node),
    /// The difference from this node.
    Less(Node),
}

/// The way two values are related.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// They are compared.
    Test,
    /// One is subtracted from the other.
    Difference,
}

/// A use that ends the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// The address of an access, alone or with constants.
    Address,
    /// An operand of an operation on numbers.
    Number,
    /// It is stored.
    Stored,
    /// It is returned to the outside, widened, or passed to an unknown function.
    Kept,
}

/// The origin of a node's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A literal, by its number.
    Literal(usize),
    /// An object on the stack.
    Frame,
    /// A parameter of an import.
    ImportParam,
    /// The sum of the indices of an access.
    Access,
    /// Scaled, masked, widened: a number that is not an address.
    Index,
    /// A choice or sum: its inputs decide.
    Inputs,
    /// Any other value.
    Unknown,
}

/// The graph.
#[derive(Default)]
pub struct Graph<'m> {
    nodes: LookupMap<llvm::Value<'m>, Node>,
    results: LookupMap<llvm::Value<'m>, Node>,
    params: LookupMap<(llvm::Value<'m>, usize), Node>,
    /// By node.
    pub origins: Vec<Origin>,
    /// By node: the values computed from it.
    pub steps: Vec<Vec<(Node, Step)>>,
    /// By node: the values it is compared with, or subtracted from or by.
    pub compared: Vec<Vec<(Node, Comparison)>>,
    /// Other uses.
    pub uses: Vec<(Node, Use)>,
    /// Constants that nodes are computed from.
    pub constants: Vec<(Node, u32)>,
    /// The wasm function of each constant, if it is in one.
    pub functions: Vec<Option<u32>>,
    /// The wasm function of the current instructions.
    function: Option<u32>,
    /// Literals: their calls.
    pub literals: Vec<llvm::Value<'m>>,
    /// Loads and stores, in order.
    pub accesses: Vec<Access>,
}

/// The address of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Not to linear memory.
    Elsewhere,
    /// To a constant address.
    Constant,
    /// To the address that is this node.
    Variable(Node),
}

impl<'m> Graph<'m> {
    /// The graph of a module whose local variables have been promoted to values.
    pub fn new(module: &'m inkwell::module::Module<'_>, program: &Program<'_>) -> Self {
        let mut graph = Self::default();
        for function in llvm::Module::new(module).functions() {
            if function.is_declaration() {
                continue;
            }
            graph.function = match program.names.callee(&function.name()) {
                Some(Callee::Function(id)) => Some(id.index() as u32),
                _ => None,
            };
            for block in function.blocks() {
                block.instructions().for_each(|inst| graph.instruction(function, inst, program));
            }
            if is_known_outside(&function.name(), program) {
                let result = graph.result_of(function);
                graph.uses.push((result, Use::Kept));
            }
        }
        graph
    }

    fn add(&mut self, origin: Origin) -> Node {
        self.origins.push(origin);
        self.steps.push(Vec::new());
        self.compared.push(Vec::new());
        self.origins.len() - 1
    }

    /// The node of a value; `None` for a constant.
    fn node(&mut self, value: llvm::Value<'m>) -> Option<Node> {
        if let Some(&node) = self.nodes.get(&value) {
            return Some(node);
        }
        let is_variable = value.kind() == ValueKind::LLVMArgumentValueKind
            || value.kind() == ValueKind::LLVMInstructionValueKind;
        if !is_variable {
            return None;
        }
        let origin = origin(value);
        let node = self.add(origin);
        self.nodes.insert(value, node);
        Some(node)
    }

    fn result_of(&mut self, function: llvm::Value<'m>) -> Node {
        match self.results.get(&function) {
            Some(&node) => node,
            None => {
                let node = self.add(Origin::Inputs);
                self.results.insert(function, node);
                node
            }
        }
    }

    fn step(&mut self, from: llvm::Value<'m>, to: Node, step: Step) {
        match self.node(from) {
            Some(from) => self.steps[from].push((to, step)),
            None => {
                if let Some(value) = from.const_int() {
                    self.constants.push((to, value as u32));
                    self.functions.push(self.function);
                }
            }
        }
    }

    fn note(&mut self, value: llvm::Value<'m>, what: Use) {
        let node = self.node(value);
        self.uses.extend(node.map(|node| (node, what)));
    }

    fn instruction(&mut self, function: llvm::Value<'m>, inst: llvm::Value<'m>, program: &Program<'_>) {
        let Some(opcode) = inst.opcode() else { return };
        match opcode {
            Opcode::LLVMLoad | Opcode::LLVMStore => {
                let is_store = opcode == Opcode::LLVMStore;
                if is_store {
                    self.note(inst.operand(0), Use::Stored);
                }
                let access = self.pointer(inst.operand(u32::from(is_store)));
                self.accesses.push(access);
            }
            Opcode::LLVMRet => {
                if let Some(value) = inst.operands().next() {
                    let result = self.result_of(function);
                    self.step(value, result, Step::Same);
                }
            }
            Opcode::LLVMCall => self.call(inst, program),
            Opcode::LLVMICmp => self.compare(inst, inst.operand(0), inst.operand(1)),
            Opcode::LLVMGetElementPtr | Opcode::LLVMAlloca | Opcode::LLVMBr => {}
            Opcode::LLVMInsertValue => self.note(inst.operand(1), Use::Kept),
            _ => self.arithmetic(opcode, inst),
        }
    }

    fn arithmetic(&mut self, opcode: Opcode, inst: llvm::Value<'m>) {
        let Some(to) = self.node(inst) else { return };
        let is_wide = inst.ty().int_width() == Some(64);
        match opcode {
            Opcode::LLVMAdd | Opcode::LLVMSub if is_wide => {
                inst.operands().for_each(|value| self.note(value, Use::Number));
            }
            Opcode::LLVMAdd => self.sum(inst.operand(0), inst.operand(1), to),
            Opcode::LLVMSub => self.difference(inst.operand(0), inst.operand(1), to),
            Opcode::LLVMAnd => self.mask(inst, to),
            Opcode::LLVMOr => inst.operands().for_each(|value| self.step(value, to, Step::Same)),
            Opcode::LLVMPHI => {
                inst.incoming().into_iter().for_each(|(value, _)| self.step(value, to, Step::Same));
            }
            Opcode::LLVMSelect => [1, 2].iter().for_each(|&n| self.step(inst.operand(n), to, Step::Same)),
            Opcode::LLVMFreeze => self.step(inst.operand(0), to, Step::Same),
            Opcode::LLVMTrunc if inst.ty().int_width() == Some(32) || is_piece(inst.operand(0)) => {
                self.step(inst.operand(0), to, Step::Same);
            }
            Opcode::LLVMLShr if is_piece(inst) => self.step(inst.operand(0), to, Step::Same),
            Opcode::LLVMZExt | Opcode::LLVMSExt => self.note(inst.operand(0), Use::Kept),
            _ => inst.operands().for_each(|value| self.note(value, Use::Number)),
        }
    }

    fn sum(&mut self, a: llvm::Value<'m>, b: llvm::Value<'m>, to: Node) {
        let steps = match (self.node(a), self.node(b)) {
            (Some(a), Some(b)) => [Step::Sum(b), Step::Sum(a)],
            _ => [Step::Same; 2],
        };
        self.step(a, to, steps[0]);
        self.step(b, to, steps[1]);
    }

    fn difference(&mut self, left: llvm::Value<'m>, right: llvm::Value<'m>, to: Node) {
        match (self.node(left), self.node(right)) {
            (Some(a), Some(b)) => {
                self.steps[a].push((to, Step::Less(b)));
                self.compared[a].push((b, Comparison::Difference));
                self.compared[b].push((a, Comparison::Difference));
            }
            (Some(_), None) => self.step(left, to, Step::Same),
            (None, _) => self.note(right, Use::Number),
        }
    }

    /// A mask that clears low bits of an address gives an address; other masks compute a number.
    fn mask(&mut self, inst: llvm::Value<'m>, to: Node) {
        let is_alignment = |mask: u128| {
            let mask = mask as u32;
            mask.leading_ones() + mask.trailing_zeros() == 32 && mask != 0
        };
        match inst.operands().find_map(llvm::Value::const_int) {
            Some(mask) if is_alignment(mask) && inst.ty().int_width() == Some(32) => {
                inst.operands().filter(|value| value.const_int().is_none()).for_each(|value| {
                    self.step(value, to, Step::Same);
                });
            }
            // All objects keep their alignment.
            Some(mask) if mask < KEPT_ALIGNMENT => {}
            _ => inst.operands().for_each(|value| self.note(value, Use::Number)),
        }
    }

    fn compare(&mut self, inst: llvm::Value<'m>, a: llvm::Value<'m>, b: llvm::Value<'m>) {
        match (self.node(a), self.node(b)) {
            (Some(a), Some(b)) => {
                self.compared[a].push((b, Comparison::Test));
                self.compared[b].push((a, Comparison::Test));
            }
            (Some(node), None) | (None, Some(node)) => {
                let constant = a.const_int().or_else(|| b.const_int()).unwrap_or(0);
                let is_test =
                    matches!(inst.int_predicate(), Some(IntPredicate::LLVMIntEQ | IntPredicate::LLVMIntNE));
                if constant != 0 || !is_test {
                    self.uses.push((node, Use::Number));
                }
            }
            (None, None) => {}
        }
    }

    /// The sum of a pointer's indices.
    fn pointer(&mut self, mut pointer: llvm::Value<'m>) -> Access {
        let mut indices = Vec::new();
        while pointer.opcode() == Some(Opcode::LLVMGetElementPtr) {
            indices.push(pointer.operand(1));
            pointer = pointer.operand(0);
        }
        let callee = if pointer.opcode() == Some(Opcode::LLVMCall) { pointer.callee() } else { None };
        if callee.is_none_or(|callee| names::memory_of_base(&callee.name()).is_none()) {
            // A table or another object: the index is a number.
            indices.into_iter().for_each(|index| self.note(index, Use::Number));
            return Access::Elsewhere;
        }
        if indices.iter().all(|index| index.const_int().is_some()) {
            return Access::Constant;
        }
        let to = self.add(Origin::Access);
        match indices[..] {
            [a, b] => self.sum(a, b, to),
            _ => indices.into_iter().for_each(|index| self.step(index, to, Step::Same)),
        }
        self.uses.push((to, Use::Address));
        Access::Variable(to)
    }

    fn call(&mut self, inst: llvm::Value<'m>, program: &Program<'_>) {
        let callee = inst.callee().filter(|callee| callee.kind() == ValueKind::LLVMFunctionValueKind);
        let Some(callee) = callee else {
            return inst.arguments().into_iter().for_each(|value| self.note(value, Use::Kept));
        };
        let name = callee.name();
        if name == names::LITERAL || name == names::LITERAL_WIDE {
            let node = self.add(Origin::Literal(self.literals.len()));
            // Uses may come first, in a phi.
            let node = *self.nodes.entry(inst).or_insert(node);
            self.origins[node] = Origin::Literal(self.literals.len());
            self.literals.push(inst);
        } else if matches!(&name[..], names::FRAME | names::STATIC_ADDRESS)
            || names::memory_of_base(&name).is_some()
        {
        } else if !callee.is_declaration() {
            for (value, param) in inst.arguments().into_iter().zip(callee.params()) {
                if let Some(param) = self.node(param) {
                    self.step(value, param, Step::Same);
                }
            }
            let (from, to) = (self.result_of(callee), self.node(inst));
            self.steps[from].extend(to.map(|to| (to, Step::Same)));
        } else if let Some(Callee::Function(id)) = program.names.callee(&name)
            && let Some(function) = program.info.functions.get(id.index())
        {
            let is_import = function.import.is_some();
            inst.arguments().into_iter().enumerate().for_each(|(n, value)| {
                if is_import { self.import(callee, n, value) } else { self.note(value, Use::Kept) }
            });
        } else {
            inst.arguments().into_iter().for_each(|value| self.helper_argument(value));
        }
    }

    /// A pointer argument of a helper or intrinsic is the address of an access, the others are numbers.
    fn helper_argument(&mut self, value: llvm::Value<'m>) {
        if value.opcode() == Some(Opcode::LLVMGetElementPtr) {
            self.pointer(value);
        } else {
            self.note(value, Use::Number);
        }
    }

    fn import(&mut self, callee: llvm::Value<'m>, n: usize, value: llvm::Value<'m>) {
        let param = match self.params.get(&(callee, n)) {
            Some(&param) => param,
            None => {
                let param = self.add(Origin::ImportParam);
                self.params.insert((callee, n), param);
                param
            }
        };
        self.step(value, param, Step::Same);
    }
}

/// Whether a value is a literal or its upper bytes. Compilers store an address in pieces if another path stores smaller
/// values to the same place. They compute operations on constant numbers themselves.
fn is_piece(value: llvm::Value<'_>) -> bool {
    match value.opcode() {
        Some(Opcode::LLVMCall) => {
            let callee = value.callee().filter(|callee| callee.kind() == ValueKind::LLVMFunctionValueKind);
            callee.is_some_and(|callee| callee.name() == names::LITERAL)
        }
        Some(Opcode::LLVMLShr) => {
            let is_whole_bytes = value.operand(1).const_int().is_some_and(|count| count % 8 == 0);
            is_whole_bytes
                && value.operand(0).opcode() == Some(Opcode::LLVMCall)
                && is_piece(value.operand(0))
        }
        _ => false,
    }
}

/// Whether a function may be called other than by direct calls of the module, and return its result there.
fn is_known_outside(name: &str, program: &Program<'_>) -> bool {
    match program.names.callee(name) {
        Some(Callee::Function(id)) => program.facts.referenced.get(id.index()).copied().unwrap_or(true),
        _ => true,
    }
}

fn origin(value: llvm::Value<'_>) -> Origin {
    match value.opcode() {
        Some(
            Opcode::LLVMShl
            | Opcode::LLVMLShr
            | Opcode::LLVMMul
            | Opcode::LLVMURem
            | Opcode::LLVMUDiv
            | Opcode::LLVMZExt
            | Opcode::LLVMXor,
        ) => Origin::Index,
        Some(Opcode::LLVMAnd) => match value.operands().find_map(llvm::Value::const_int) {
            Some(mask) if (mask as u32).leading_zeros() >= 16 => Origin::Index,
            _ => Origin::Inputs,
        },
        Some(
            Opcode::LLVMAdd | Opcode::LLVMOr | Opcode::LLVMPHI | Opcode::LLVMSelect | Opcode::LLVMFreeze,
        ) => Origin::Inputs,
        Some(Opcode::LLVMCall) => {
            let callee = value.callee().filter(|callee| callee.kind() == ValueKind::LLVMFunctionValueKind);
            match callee {
                Some(callee) if callee.name() == names::FRAME => Origin::Frame,
                Some(callee) if !callee.is_declaration() => Origin::Inputs,
                _ => Origin::Unknown,
            }
        }
        _ => Origin::Unknown,
    }
}
