//! The deepest stack of a PVM program, proven from its code alone.
//!
//! The compiler proves the stack from frames and calls while it has them, and the map keeps the result. This proof knows
//! only the program: it follows the code from each entry with the distance of the stack pointer from where it was at
//! the entry of the function. A function is what an entry, a call or an address in the jump table leads to. So the proof
//! is an independent check of the compiler's, and works for programs of others.
//!
//! What it relies on are the rules of the machine: a dynamic jump goes to an entry of the jump table. A jump that loads
//! such an address into `r0` is a call, and the code at the address is where it goes on. A dynamic jump
//!
//! - through `r0`, or any register, where the stack pointer is as at the entry of the function, returns;
//! - through another register there may also be a tail call of every address in the table that is neither a return
//!   address nor the target of a switch;
//! - after a comparison of its index with a constant, with an offset into the table, is a switch.
//!
//! Functions may share code, so a place can be reached with the stack pointer at several distances. Where there are very
//! many, or code does anything else to the stack pointer, there is a reason instead of a bound.

use std::collections::{BTreeMap, BTreeSet};

use codegen::depth::{Depth, Depths, Edge, Node, Step};
use pvm_isa::{Container, GpVersion, Inst, Opcode, ProgramBlob, Reg};
use target_pvm::EntryStack;

/// Distances of the stack pointer at one position, at most. A loop that lowers it has no end of them.
const DISTANCES: usize = 256;

/// Instructions that are looked at, per byte of code. Functions that share code look at it again.
const STEPS: usize = 16;

/// The deepest stack of each entry of a program: a depth, or the reason why nothing is known.
pub fn stacks(container: &Container, gp: GpVersion) -> Vec<(String, Result<EntryStack, String>)> {
    let code = Code::new(container.blob(), gp);
    let mut entries: Vec<(String, u32)> =
        container.extension().exports.iter().map(|export| (export.name.clone(), export.pc)).collect();
    if entries.is_empty() {
        entries.push(("0".to_owned(), 0));
    }
    let names: BTreeMap<u32, String> =
        container.functions(gp).into_iter().map(|function| (function.pc, function.name)).collect();
    let graph = Graph::new(&code, entries.iter().map(|&(_, pc)| pc).collect());
    let nodes = graph.nodes(&names);
    let depths = Depths::new(&nodes);
    let reasons = graph.reasons();
    let stack = |name: &String, pc: u32| {
        if let Some(reason) = reasons.get(&pc) {
            return Err((*reason).clone());
        }
        let above = graph.functions[&pc].as_ref().map_or(0, |shape| shape.above);
        let mut depth = depths.of(graph.index_of(pc));
        if depth.path.is_empty() {
            depth.path.push(Step { function: name.clone(), bytes: 0 });
        }
        let bytes = depth.bytes.saturating_add(above);
        Ok(EntryStack { name: name.clone(), depth: Depth { bytes, ..depth } })
    };
    entries.iter().map(|(name, pc)| (name.clone(), stack(name, *pc))).collect()
}

/// A program, with what its dynamic jumps can go to.
struct Code<'a> {
    blob: &'a ProgramBlob,
    gp: GpVersion,
    /// The targets of the switch at a position.
    switches: BTreeMap<u32, Vec<u32>>,
    /// Addresses in the table that are neither a return address nor the target of a switch.
    functions: BTreeSet<u32>,
}

impl<'a> Code<'a> {
    fn new(blob: &'a ProgramBlob, gp: GpVersion) -> Self {
        let mut code = Self { blob, gp, switches: BTreeMap::new(), functions: BTreeSet::new() };
        let mut used = BTreeSet::new();
        // From the branch before the block on.
        let mut before: Vec<Inst> = Vec::new();
        for (pc, decoded) in blob.instructions(gp) {
            match decoded.inst {
                Inst::RegImmOff { op: Opcode::LoadImmJump, reg: Reg::RA, imm, .. }
                | Inst::Reg2Imm2 { op: Opcode::LoadImmJumpInd, dst: Reg::RA, imm, .. }
                | Inst::RegImm { op: Opcode::LoadImm, reg: Reg::RA, imm } => used.extend(code.entry(imm)),
                Inst::RegImm { op: Opcode::JumpInd, reg, imm } => {
                    if let Some((first, count)) = code.entry(imm).zip(count_of(&before, reg)) {
                        let entries = first..(first + count).min(blob.jump_table.len());
                        used.extend(entries.clone());
                        code.switches.insert(pc, blob.jump_table[entries].to_vec());
                    }
                }
                _ => {}
            }
            if decoded.inst.op().is_terminator() {
                before.clear();
            }
            before.push(decoded.inst);
        }
        let others = blob.jump_table.iter().enumerate().filter(|(index, _)| !used.contains(index));
        code.functions = others.map(|(_, &pc)| pc).collect();
        code
    }

    /// The index in the jump table that a code address means.
    fn entry(&self, address: i32) -> Option<usize> {
        let index = usize::try_from(address).ok().filter(|address| address % 2 == 0)?.checked_sub(2)? / 2;
        (index < self.blob.jump_table.len()).then_some(index)
    }
}

/// How many entries a switch on `index` has: the register is twice another that the branch before the block, the first of
/// the instructions, has compared with a constant.
fn count_of(block: &[Inst], index: Reg) -> Option<usize> {
    let (Inst::RegImmOff { op, reg, imm, .. }, body) = block.split_first()? else { return None };
    let most = match op {
        Opcode::BranchGtUImm => u32::try_from(*imm).ok()?,
        Opcode::BranchGeUImm => u32::try_from(*imm).ok()?.checked_sub(1)?,
        _ => return None,
    };
    let at = body.iter().rposition(|inst| inst.writes().contains(index))?;
    let Inst::Reg2Imm { op: Opcode::ShloLImm64 | Opcode::ShloLImm32, b, imm: 1, .. } = body[at] else {
        return None;
    };
    let is_compared = b == *reg && !body[..at].iter().any(|inst| inst.writes().contains(b));
    is_compared.then_some(most as usize + 1)
}

/// What a function does with the stack.
#[derive(Default)]
struct Shape {
    /// Bytes by which it lowers the stack pointer.
    frame: u32,
    /// Bytes below the lowered stack pointer that it accesses.
    below: u32,
    /// Bytes above the stack pointer at its entry that it accesses: arguments.
    above: u32,
    /// Its calls, by the bytes on the stack at the call.
    calls: BTreeMap<u32, Calls>,
    /// Where it goes when its frame is gone.
    tails: Calls,
}

/// Functions that are called.
#[derive(Default)]
struct Calls {
    functions: BTreeSet<u32>,
    /// Whether all addresses in the table may be called, too.
    is_indirect: bool,
}

impl Shape {
    fn all_calls(&self) -> impl Iterator<Item = &Calls> {
        self.calls.values().chain([&self.tails])
    }
}

/// All functions that the entries lead to, by their position.
struct Graph {
    functions: BTreeMap<u32, Result<Shape, String>>,
    /// What an indirect call can go to.
    addresses: BTreeSet<u32>,
}

impl Graph {
    fn new(code: &Code<'_>, entries: Vec<u32>) -> Self {
        let starts: BTreeSet<u32> = code.starts(&entries);
        let mut graph = Self { functions: BTreeMap::new(), addresses: code.functions.clone() };
        let mut steps = code.blob.code.len() * STEPS + 1000;
        let mut open = entries;
        while let Some(pc) = open.pop() {
            if graph.functions.contains_key(&pc) {
                continue;
            }
            let shape = Walk::new(code, &starts, pc).shape(&mut steps);
            if let Ok(shape) = &shape {
                open.extend(graph.called(shape));
            }
            graph.functions.insert(pc, shape);
        }
        graph
    }

    fn index_of(&self, pc: u32) -> usize {
        self.functions.range(..pc).count()
    }

    /// The functions that a function calls.
    fn called(&self, shape: &Shape) -> BTreeSet<u32> {
        let direct = shape.all_calls().flat_map(|calls| &calls.functions);
        let is_indirect = shape.all_calls().any(|calls| calls.is_indirect);
        direct.chain(self.addresses.iter().filter(|_| is_indirect)).copied().collect()
    }

    /// The call graph: functions in order, without a name; then one node for all that an indirect call can go to. A function
    /// goes on to nodes with its name: one with its whole frame, and one per number of bytes that are on the stack at
    /// calls, since it may call when its frame is gone.
    fn nodes(&self, names: &BTreeMap<u32, String>) -> Vec<Node> {
        let indices: BTreeMap<u32, usize> = self.functions.keys().copied().zip(0..).collect();
        let table = indices.len();
        let edges = |calls: &Calls, is_tail: bool| -> Vec<Edge> {
            let indirect = calls.is_indirect.then_some(table);
            let to = calls.functions.iter().map(|to| indices[to]).chain(indirect);
            to.map(|to| Edge { to, is_tail }).collect()
        };
        let addresses = self.addresses.iter().filter_map(|pc| indices.get(pc));
        let addresses = addresses.map(|&to| Edge { to, is_tail: true }).collect();
        let unnamed = |edges: Vec<Edge>, bytes: Option<u32>| Node { edges, bytes, ..Node::default() };
        let mut nodes: Vec<Node> = indices.keys().map(|_| unnamed(Vec::new(), None)).collect();
        nodes.push(unnamed(addresses, Some(0)));
        for (index, (pc, shape)) in self.functions.iter().enumerate() {
            let Ok(shape) = shape else { continue };
            let name = names.get(pc).cloned().unwrap_or_else(|| format!("@{pc}"));
            let first = nodes.len();
            nodes.push(unnamed(Vec::new(), Some(shape.below)));
            let below = vec![Edge { to: first, is_tail: false }];
            nodes.push(Node {
                name: name.clone(),
                bytes: Some(shape.frame),
                edges: below,
                ..Node::default()
            });
            for (&bytes, calls) in &shape.calls {
                nodes.push(Node {
                    name: name.clone(),
                    bytes: Some(bytes),
                    edges: edges(calls, false),
                    is_import: false,
                    is_indirect: calls.is_indirect,
                });
            }
            let parts = (first + 1..nodes.len()).map(|to| Edge { to, is_tail: true });
            nodes[index].edges = parts.chain(edges(&shape.tails, true)).collect();
            nodes[index].bytes = Some(0);
        }
        nodes
    }

    /// For each function that leads to one without a shape, or is one, a reason.
    fn reasons(&self) -> BTreeMap<u32, &String> {
        let mut callers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut open: Vec<(u32, &String)> = Vec::new();
        for (&pc, shape) in &self.functions {
            match shape {
                Ok(shape) => {
                    self.called(shape).into_iter().for_each(|to| callers.entry(to).or_default().push(pc));
                }
                Err(reason) => open.push((pc, reason)),
            }
        }
        let mut reasons = BTreeMap::new();
        while let Some((pc, reason)) = open.pop() {
            if reasons.insert(pc, reason).is_none() {
                open.extend(callers.get(&pc).into_iter().flatten().map(|&caller| (caller, reason)));
            }
        }
        reasons
    }
}

impl Code<'_> {
    /// Positions that are functions: entries, targets of calls, and addresses.
    fn starts(&self, entries: &[u32]) -> BTreeSet<u32> {
        let calls = self.blob.instructions(self.gp).filter_map(|(pc, decoded)| match decoded.inst {
            Inst::RegImmOff { op: Opcode::LoadImmJump, reg: Reg::RA, imm, .. } => {
                self.entry(imm).and(decoded.inst.target(pc)).and_then(|target| u32::try_from(target).ok())
            }
            _ => None,
        });
        entries.iter().copied().chain(calls).chain(self.functions.iter().copied()).collect()
    }
}

/// A walk through the code of a function.
struct Walk<'a> {
    code: &'a Code<'a>,
    starts: &'a BTreeSet<u32>,
    start: u32,
    /// The distances of the stack pointer below where it was at the entry, at each position reached.
    distances: BTreeMap<u32, BTreeSet<i64>>,
    open: Vec<(u32, i64)>,
    shape: Shape,
    /// The lowest byte accessed and the lowest stack pointer, as distances.
    deepest: i64,
    lowest: i64,
}

impl<'a> Walk<'a> {
    fn new(code: &'a Code<'a>, starts: &'a BTreeSet<u32>, start: u32) -> Self {
        let shape = Shape::default();
        let distances = [(start, [0].into())].into();
        Self { code, starts, start, distances, open: vec![(start, 0)], shape, deepest: 0, lowest: 0 }
    }

    /// Takes a step less for each instruction that it looks at.
    fn shape(mut self, steps: &mut usize) -> Result<Shape, String> {
        while let Some((pc, distance)) = self.open.pop() {
            *steps = steps.checked_sub(1).ok_or("the code has too many paths")?;
            self.step(pc, distance)?;
        }
        self.shape.frame = bytes(self.lowest);
        self.shape.below = bytes(self.deepest - self.lowest);
        Ok(self.shape)
    }

    /// Goes on at a position.
    fn go(&mut self, to: u32, distance: i64) -> Result<(), String> {
        if distance == 0 && to != self.start && self.starts.contains(&to) {
            self.shape.tails.functions.insert(to);
            return Ok(());
        }
        let distances = self.distances.entry(to).or_default();
        if distances.insert(distance) {
            self.open.push((to, distance));
        }
        match distances.len() > DISTANCES {
            true => Err(format!("position {to} is reached with very many different stacks")),
            false => Ok(()),
        }
    }

    fn step(&mut self, pc: u32, distance: i64) -> Result<(), String> {
        let decoded = self.code.blob.decode(self.code.gp, pc);
        let (inst, next) = (decoded.inst, pc + decoded.len);
        self.access(&inst, distance);
        let distance = match inst {
            Inst::Reg2Imm { op: Opcode::AddImm64, a: Reg::SP, b: Reg::SP, imm } => distance - i64::from(imm),
            _ if inst.writes().contains(Reg::SP) => {
                return Err(format!("the stack pointer is set at {pc}: {inst}"));
            }
            _ => distance,
        };
        self.lowest = self.lowest.max(distance);
        let target = inst.target(pc).and_then(|target| u32::try_from(target).ok());
        match (inst, target) {
            (Inst::RegImmOff { op: Opcode::LoadImmJump, reg: Reg::RA, imm, .. }, Some(callee)) => {
                match self.code.entry(imm) {
                    Some(entry) => {
                        self.calls(distance).functions.insert(callee);
                        self.go(self.code.blob.jump_table[entry], distance)
                    }
                    None => self.go(callee, distance),
                }
            }
            (Inst::Reg2Imm2 { op: Opcode::LoadImmJumpInd, dst: Reg::RA, imm, .. }, _) => {
                let Some(entry) = self.code.entry(imm) else {
                    return Err(format!("the jump at {pc} goes to an unknown place: {inst}"));
                };
                self.calls(distance).is_indirect = true;
                self.go(self.code.blob.jump_table[entry], distance)
            }
            (Inst::RegImm { op: Opcode::JumpInd, reg, .. }, _) => self.dynamic_jump(pc, reg, distance),
            (Inst::Reg2Imm2 { .. }, _) => Err(format!("the jump at {pc} goes to an unknown place: {inst}")),
            (Inst::NoArg { op: Opcode::Trap }, _) => Ok(()),
            (_, Some(target)) => {
                if !matches!(inst.op(), Opcode::Jump | Opcode::LoadImmJump) {
                    self.go(next, distance)?;
                }
                self.go(target, distance)
            }
            (_, None) => self.go(next, distance),
        }
    }

    fn dynamic_jump(&mut self, pc: u32, reg: Reg, distance: i64) -> Result<(), String> {
        if let Some(targets) = self.code.switches.get(&pc) {
            return targets.iter().try_for_each(|&target| self.go(target, distance));
        }
        if distance != 0 {
            return Err(format!("the jump through {reg} at {pc} leaves {distance} bytes on the stack"));
        }
        self.shape.tails.is_indirect |= reg != Reg::RA;
        Ok(())
    }

    fn calls(&mut self, distance: i64) -> &mut Calls {
        self.shape.calls.entry(bytes(distance)).or_default()
    }

    /// Counts an access relative to the stack pointer.
    fn access(&mut self, inst: &Inst, distance: i64) {
        let (base, disp) = match *inst {
            Inst::Reg2Imm { b, imm, .. } => (b, imm),
            Inst::RegImm2 { base, disp, .. } => (base, disp),
            _ => return,
        };
        let Some(bytes_accessed) = inst.op().access_bytes().filter(|_| base == Reg::SP) else { return };
        let from_entry = i64::from(disp) - distance;
        self.deepest = self.deepest.max(-from_entry);
        self.shape.above = self.shape.above.max(bytes(from_entry + i64::from(bytes_accessed)));
    }
}

/// A distance as a number of bytes; none if it is above.
fn bytes(distance: i64) -> u32 {
    distance.max(0).try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use pvm_isa::{ProgramBlob, asm};

    use super::*;

    /// The stack of the first instruction's function.
    fn stack(insts: &[Inst], jump_table: &[u32]) -> Result<u32, String> {
        let mut blob = ProgramBlob::default();
        for inst in insts {
            blob.push(GpVersion::V08, inst);
        }
        blob.jump_table = jump_table.to_vec();
        let stacks = stacks(&Container::Raw(blob), GpVersion::V08);
        let [(_, stack)] = &stacks[..] else { panic!("one entry") };
        stack.clone().map(|stack| stack.depth.bytes)
    }

    fn lower(bytes: i32) -> Inst {
        asm::add_imm_64(Reg::SP, Reg::SP, -bytes)
    }

    const RETURN: fn() -> Inst = || asm::jump_ind(Reg::RA, 0);

    #[test]
    fn accesses_below_and_above_the_frame_count() {
        let load = |at| asm::load_ind_u64(Reg::A0, Reg::SP, at);
        assert_eq!(stack(&[lower(32), load(-24), lower(-32), RETURN()], &[]), Ok(56));
        assert_eq!(stack(&[lower(32), load(24), lower(-32), RETURN()], &[]), Ok(32));
        assert_eq!(stack(&[lower(32), load(40), lower(-32), RETURN()], &[]), Ok(48));
    }

    #[test]
    fn calls_add_their_frames_and_tail_calls_do_not() {
        // 0: lower, 3: call 12, 7: restore, 10: return, 12: the callee.
        let call = asm::load_imm_jump(Reg::RA, 2, 9);
        let callee = [lower(48), lower(-48), RETURN()];
        let caller = [lower(16), call, lower(-16), RETURN()];
        assert_eq!(stack(&[&caller[..], &callee].concat(), &[7]), Ok(64));
        let jump = [lower(16), lower(-16), asm::jump(2)];
        assert_eq!(stack(&[&jump[..], &callee].concat(), &[8]), Ok(48));
    }

    #[test]
    fn what_has_no_bound_has_a_reason() {
        let reason = |insts: &[Inst]| stack(insts, &[]).unwrap_err();
        assert_eq!(reason(&[lower(16), RETURN()]), "the jump through r0 at 3 leaves 16 bytes on the stack");
        assert_eq!(
            reason(&[lower(16), asm::jump(-3)]),
            "position 0 is reached with very many different stacks"
        );
        assert!(
            reason(&[asm::move_reg(Reg::SP, Reg::A0), RETURN()]).starts_with("the stack pointer is set at 0")
        );
        assert!(
            reason(&[asm::load_imm_jump_ind(Reg::RA, Reg::A0, 7, 0)]).contains("goes to an unknown place")
        );
    }

    /// The cases of a switch are not functions, though they are in the jump table.
    #[test]
    fn switches_stay_in_their_function() {
        // 0: lower, 3: compare, 7: double, 10: dispatch, 13: case 0, 16: return, 18: the default.
        let insts = [
            lower(64),
            asm::branch_gt_u_imm(Reg::A0, 1, 15),
            asm::shlo_l_imm_64(Reg::A1, Reg::A0, 1),
            asm::jump_ind(Reg::A1, 2),
            lower(-64),
            RETURN(),
            lower(-64),
            RETURN(),
        ];
        assert_eq!(stack(&insts, &[13, 18]), Ok(64));
        assert!(stack(&insts[2..], &[6, 11]).unwrap_err().contains("leaves"), "without the comparison");
    }
}
