//! Sites: places where code could be replaced by a jump or call to equal code elsewhere.
//!
//! A site is an instruction that leaves a function, or a call, with the instructions before it. Both end with a jump to
//! the same function, if they do: only a call has set the return address before. So the instructions before a call,
//! which then are executed after it has set the return address, must not use that register. They are from the basic block
//! of the call. Those before an exit may contain calls. No instruction after the first that is a target of a jump inside of
//! its function belongs to a site, nor does a branch.

use std::ops::Range;

use codegen::{Fragment, Place, Reference};
use pvm_isa::{GpVersion, Inst, Opcode, Reg, asm};
use ssa::FuncId;

use super::tokens::{Token, Tokens};
use crate::emit::{Fixup, Need};
use crate::join::Item;

/// Where the code of a site continues. Only sites with equal exits can share code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// Where an instruction leads.
    Inst(Token),
    /// At a function.
    Func(FuncId),
}

/// A place where code could be replaced.
#[derive(Clone, Debug)]
pub struct Site {
    /// The function's position.
    pub part: usize,
    /// The instructions before the last one, in [`Sites::line`].
    pub line: Range<usize>,
    /// Where it continues.
    pub exit: Exit,
    /// The end of its code.
    pub end: Place,
    /// Whether it is a call.
    pub is_call: bool,
}

/// All sites of a program.
pub struct Sites<'a> {
    /// The sites in order.
    pub list: Vec<Site>,
    /// Instructions of the sites with their places.
    pub line: Vec<(Place, Token)>,
    /// Numbers of instructions.
    pub tokens: Tokens<'a>,
    /// Jumps to code addresses, as instructions of [`Exit::Inst`].
    jumps: &'a [(Inst, Vec<u8>)],
}

/// Jumps to the address in each register, with their bytes.
pub fn indirect_jumps(gp: GpVersion) -> Vec<(Inst, Vec<u8>)> {
    let jump = |reg| {
        let (inst, mut bytes) = (asm::jump_ind(reg, 0), Vec::new());
        inst.encode(gp, &mut bytes);
        (inst, bytes)
    };
    Reg::all().map(jump).collect()
}

impl<'a> Sites<'a> {
    /// Collects the sites of all functions.
    pub fn collect(
        gp: GpVersion,
        fragments: &'a [&'a Fragment<Fixup>],
        jumps: &'a [(Inst, Vec<u8>)],
    ) -> Self {
        let mut sites = Self { list: Vec::new(), line: Vec::new(), tokens: Tokens::new(gp), jumps };
        for (part, &fragment) in fragments.iter().enumerate() {
            sites.function(part, fragment);
        }
        sites
    }

    /// The instruction of an exit that is no jump to a function.
    pub fn instruction(&mut self, token: Token) -> Option<Inst> {
        let jumps = self.jumps;
        jumps.iter().find(|(_, bytes)| self.tokens.plain(bytes) == token).map(|(inst, _)| *inst)
    }

    fn function(&mut self, part: usize, fragment: &'a Fragment<Fixup>) {
        let targets = targets(fragment);
        let mut targets = targets.iter().peekable();
        // Where the instructions of an exit, and of a call, begin.
        let (mut exit_start, mut call_start) = (self.line.len(), self.line.len());
        let mut at = Place { byte: 0, fixups: 0 };
        while let Some(item) = Item::at(fragment, at) {
            while targets.next_if(|&&place| place <= at).is_some() {
                exit_start = self.line.len();
            }
            call_start = call_start.max(exit_start);
            at = item.next;
            let bytes = item.bytes(fragment);
            let site = |line, exit, is_call| Site { part, line, exit, end: item.next, is_call };
            let here = self.line.len();
            if bytes.is_empty() {
                let fixup = &fragment.fixups[item.place.fixups as usize];
                match (fixup.fixup.need(), fixup.target) {
                    (Need::FuncRef(_), _) => {}
                    (Need::ReturnPlace, target) => {
                        let exit = self.callee(&fixup.fixup, target);
                        self.list.extend(exit.map(|exit| site(call_start..here, exit, true)));
                    }
                    (Need::Nothing, Reference::Func(func)) => {
                        self.list.push(site(exit_start..here, Exit::Func(func), false));
                        (exit_start, call_start) = (here, here);
                        continue;
                    }
                    _ => {
                        (exit_start, call_start) = (here, here);
                        continue;
                    }
                }
                let token = self.tokens.fixup(&fixup.fixup, fixup.target);
                self.push(item.place, token, &mut call_start);
                continue;
            }
            let token = self.tokens.plain(bytes);
            let op = self.tokens.facts(token).op;
            if !op.is_terminator() {
                self.push(item.place, token, &mut call_start);
                continue;
            }
            if op == Opcode::JumpInd {
                self.list.push(site(exit_start..here, Exit::Inst(token), false));
            }
            (exit_start, call_start) = (here, here);
        }
    }

    /// Where a call leads.
    fn callee(&mut self, fixup: &Fixup, target: Reference) -> Option<Exit> {
        match (target, fixup.inst()) {
            (Reference::Func(func), _) => Some(Exit::Func(func)),
            // The call overwrites the address before a jump could read it.
            (_, Inst::Reg2Imm2 { base: Reg::RA, .. }) => None,
            (_, Inst::Reg2Imm2 { base, .. }) => {
                let jumps = self.jumps;
                let (_, bytes) = jumps.iter().find(|(inst, _)| inst.reads().contains(base))?;
                Some(Exit::Inst(self.tokens.plain(bytes)))
            }
            _ => None,
        }
    }

    fn push(&mut self, place: Place, token: Token, call_start: &mut usize) {
        self.line.push((place, token));
        let facts = self.tokens.facts(token);
        if facts.uses_return_address || facts.op.is_terminator() {
            *call_start = self.line.len();
        }
    }
}

/// Places that the function's own jumps go to, ascending.
fn targets(fragment: &Fragment<Fixup>) -> Vec<Place> {
    let of_fixups = fragment.fixups.iter().filter_map(|site| match site.target {
        Reference::Label(label) => Some(label),
        _ => None,
    });
    let labels = of_fixups.chain(fragment.tables.iter().flatten().copied());
    let mut targets: Vec<Place> = labels.map(|label| fragment.labels[label]).collect();
    targets.sort();
    targets.dedup();
    targets
}
