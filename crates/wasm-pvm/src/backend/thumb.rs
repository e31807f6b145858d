//! Cortex-M as a backend of the driver: from SSA to an object.

use llvm_frontend::Demands;
use prepare::stubs::Stub;
use pvm_isa::metadata::FunctionName;
use ssa::Module;

use super::{Backend, Translated};
use crate::clock::Clock;
use crate::error::Error;
use crate::insight::CodeMap;
use crate::options::{FloatHelpers, Floats, ImportAction, MemoryMode, Options, OptionsError, ThumbOptions};
use crate::report::{Details, ThumbReport};

/// A Cortex-M core with the options of one compilation.
pub struct Thumb<'a> {
    /// Options of Cortex-M only.
    pub target: &'a ThumbOptions,
    /// All options.
    pub options: &'a Options,
}

impl Thumb<'_> {
    fn codegen(&self) -> target_thumb::Options {
        self.target.codegen(self.options)
    }

    /// The module, in which imports that trap or do nothing have bodies.
    fn stubbed(&self, mut module: Module) -> Module {
        let map = &self.target.imports;
        prepare::stubs::add_bodies(&mut module, |import| {
            match map.action(import).or_else(|| map.wildcard(import))? {
                ImportAction::Trap | ImportAction::LoggedTrap => Some(Stub::Trap),
                ImportAction::Nop => Some(Stub::Nop),
                _ => None,
            }
        });
        module
    }

    fn object(
        &self,
        translated: Translated<'_>,
        observe: &mut dyn FnMut(&Module),
    ) -> Result<target_thumb::Object, target_thumb::Error> {
        let mut codegen = self.codegen();
        codegen.object.functions = translated.bodies;
        target_thumb::compile_observed(self.stubbed(translated.module), &codegen, observe)
    }
}

impl Backend for Thumb<'_> {
    fn check(&self) -> Result<(), OptionsError> {
        self.target.check(self.options)
    }

    /// Without a unit, floats that are only moved are bits, as with [`Floats::Reject`].
    fn default_floats(&self, computes: bool) -> Floats {
        let needs_helpers = computes || self.target.float_helpers == FloatHelpers::Own;
        match self.target.cpu.has_single() {
            true => Floats::Hard,
            false if needs_helpers => Floats::Soft,
            false => Floats::Reject,
        }
    }

    fn frontend(&self) -> llvm_frontend::Options {
        self.target.frontend()
    }

    /// Imports are undefined symbols unless they get a body, so none of them is refused. A region of memory has to fit.
    fn unmet(&self, demands: &Demands) -> Vec<Error> {
        let object = self.codegen().object;
        let declared = demands.memory_bytes.filter(|_| self.target.memory == MemoryMode::Symbol);
        let size = declared.map(|bytes| object.memory_size(bytes.into(), self.target.cpu));
        let too_large = size.filter(|&size| u32::try_from(size).is_err());
        let error = too_large.map(|size| {
            let what = format!("a memory whose region has {} GiB", size >> 30);
            llvm_frontend::Error::Unsupported { function: None, offset: 0, what }.into()
        });
        error.into_iter().collect()
    }

    /// Exports are symbols.
    fn unmet_names(&self, demands: &Demands) -> Vec<Error> {
        let object = self.codegen().object;
        let illegal = demands.exports.iter().filter_map(|name| object.check_export(name).err());
        illegal.map(|error| target_thumb::Error::from(error).into()).collect()
    }

    fn pass_names(&self) -> Vec<&'static str> {
        codegen::pass_names::<target_thumb::Thumb>()
    }

    fn limits_memory(&self) -> bool {
        self.target.memory != MemoryMode::Native
    }

    fn records_bodies(&self) -> bool {
        self.target.reports_traps()
    }

    fn compile(
        &self,
        translated: Translated<'_>,
        clock: &mut Clock,
        observe: &mut dyn FnMut(&Module),
    ) -> Result<(Vec<u8>, Details), Error> {
        let wasm = translated.wasm;
        let object = clock.time("codegen", || self.object(translated, observe))?;
        let map = map(wasm, &object);
        let target_thumb::Object { bytes, functions, imports, sizes, first_call, .. } = object;
        let report = ThumbReport { total: bytes.len(), sizes, functions, imports, first_call, map };
        Ok((bytes, Details::Thumb(Box::new(report))))
    }

    fn prepared(&self, translated: Translated<'_>) -> Result<String, Error> {
        Ok(target_thumb::print_ssa(self.stubbed(translated.module), &self.codegen())?)
    }

    fn after(&self, translated: Translated<'_>, pass: &str) -> Result<String, Error> {
        Ok(target_thumb::print(self.stubbed(translated.module), &self.codegen(), Some(pass))?)
    }

    fn assembly(&self, translated: Translated<'_>) -> Result<String, Error> {
        let object = self.object(translated, &mut |_| ())?;
        Ok(target_thumb::file::assembly(&object.bytes)?)
    }

    fn has_header(&self) -> bool {
        true
    }

    fn header(&self, translated: Translated<'_>) -> Result<String, Error> {
        Ok(target_thumb::header(self.stubbed(translated.module), &self.codegen())?)
    }
}

/// The map of an object's code, if it has locations.
fn map(wasm: &[u8], object: &target_thumb::Object) -> Option<CodeMap> {
    let locations = object.locations.as_ref()?;
    let mut next = 0;
    let function = |info: &target_thumb::FunctionInfo| {
        let pc = next;
        next += info.size;
        FunctionName { pc, name: info.name.clone() }
    };
    let functions: Vec<FunctionName> = object.functions.iter().map(function).collect();
    Some(CodeMap::of_module(wasm, &object.bytes, 0, &functions, locations))
}
