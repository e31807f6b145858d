//! Signatures of functions that may throw, and the functions beside those of the module: entries for the outside, and
//! referents of references to imports.

use std::collections::BTreeSet;

use ssa::{EntityId, FuncDecl, FuncId, FuncKind, SigId};

use super::Program;
use crate::module_info::ExportKind;
use crate::names::{self, Callee};

impl Program<'_> {
    /// The signature of a function. Where only direct calls reach it, it may differ from that of its type.
    pub(super) fn signature_of(&mut self, function: u32) -> SigId {
        let ty = self.info.functions[function as usize].ty;
        let throws = self.exceptions.throwing[function as usize];
        if throws == self.exceptions.is_throwing_type(self.info, ty) {
            return self.signatures[ty as usize];
        }
        self.intern(self.lowering().signature(self.info.type_of(function), throws))
    }

    /// Declares the functions that the outside calls in place of those that may throw.
    pub(super) fn declare_entries(&mut self) {
        let exported = self.info.exports.iter().filter_map(|export| match export.kind {
            ExportKind::Func(function) => Some(function),
            _ => None,
        });
        let entered = exported.chain(self.info.start);
        let entered: BTreeSet<u32> =
            entered.filter(|&function| self.exceptions.throwing[function as usize]).collect();
        for function in entered {
            let sig = self.intern(self.lowering().signature(self.info.type_of(function), false));
            let name = format!("{}.entry", self.module.decls[FuncId::new(function as usize)].name);
            let id = self.add_function(FuncDecl { name, sig, kind: FuncKind::Local });
            self.names.add_callee(names::entry_symbol(function), Callee::Function(id));
            self.entries.insert(function, id);
        }
    }

    /// Declares the functions that references to imports refer to where functions of that type may throw.
    pub(super) fn declare_thunks(&mut self) {
        for (function, declared) in (0u32..).zip(&self.info.functions) {
            if self.exceptions.needs_thunk(self.info, function) {
                let sig = self.signatures[declared.ty as usize];
                let name = format!("{}.reference", self.module.decls[FuncId::new(function as usize)].name);
                let id = self.add_function(FuncDecl { name, sig, kind: FuncKind::Local });
                self.names.add_callee(names::thunk_symbol(function), Callee::Function(id));
                self.names.add_callee(names::ref_func_symbol(function), Callee::FuncRef(id));
                self.thunks.insert(function, id);
            }
        }
    }

    /// The function that the outside enters for a function.
    pub(super) fn entry(&self, function: u32) -> FuncId {
        self.entries.get(&function).copied().unwrap_or_else(|| FuncId::new(function as usize))
    }

    /// The function that references to a function refer to.
    pub(super) fn referent(&self, function: u32) -> FuncId {
        self.thunks.get(&function).copied().unwrap_or_else(|| FuncId::new(function as usize))
    }
}
