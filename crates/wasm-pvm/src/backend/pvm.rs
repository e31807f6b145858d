//! The PVM as a backend of the driver: from SSA to a program in its container.

use std::collections::BTreeSet;

use llvm_frontend::{Demands, ReachedImport};
use ssa::Module;
use target_pvm::ImportError;
use target_pvm::imports::{ImportUse, Numbering, check, full_name};
use target_pvm::memory::check_size;

use super::container::{container, pvm_report};
use super::limits::{check_container, check_profile};
use super::{Backend, Translated};
use crate::clock::Clock;
use crate::error::Error;
use crate::exports::Exports;
use crate::insight::CodeMap;
use crate::missing::MissingImports;
use crate::options::{Floats, Options, OptionsError, PvmOptions};
use crate::report::{Details, Sizes};

/// The PVM with the options of one compilation.
pub struct Pvm<'a> {
    /// Options of the PVM only.
    pub target: &'a PvmOptions,
    /// All options.
    pub options: &'a Options,
}

impl Pvm<'_> {
    fn codegen(&self, exports: &Exports) -> target_pvm::Options {
        self.target.codegen(self.options, exports)
    }

    /// The error for imports without a suitable action.
    fn unmet_imports(&self, demands: &Demands) -> Option<Error> {
        let uses: Vec<ImportUse<'_>> = demands.imports.iter().map(import_use).collect();
        Some(match check(&uses, &self.target.import_map(), self.target.gp).err()? {
            ImportError::Unmapped(names) => {
                let is_missing = |import: &&ReachedImport| names.contains(&full_name(&import.import));
                let missing = demands.imports.iter().filter(is_missing).cloned();
                Error::MissingImports(MissingImports::new(missing))
            }
            error => target_pvm::Error::from(error).into(),
        })
    }

    /// Warns of numbers of host calls that may be those of another version.
    fn warn_of(&self, ambiguous: &BTreeSet<u32>) {
        let Some(first) = ambiguous.first() else { return };
        let numbers: Vec<String> = ambiguous.iter().map(ToString::to_string).collect();
        let gp = self.target.gp;
        tracing::warn!(
            code = "W0110",
            "the module makes host calls by numbers that differ between versions ({}); they are taken as those of GP {gp}: \
             --host-calls 0.7 or 0.8 says which they are ({})",
            numbers.join(", "),
            Numbering::meanings(*first)
        );
    }
}

impl Backend for Pvm<'_> {
    fn check(&self) -> Result<(), OptionsError> {
        self.target.check(self.options)
    }

    fn default_floats(&self, _: bool) -> Floats {
        Floats::Soft
    }

    fn frontend(&self) -> llvm_frontend::Options {
        self.target.frontend()
    }

    fn unmet(&self, demands: &Demands) -> Vec<Error> {
        let memory = demands.memory_bytes.map(|bytes| check_size(bytes.into(), &self.target.layout()));
        let memory = memory.and_then(Result::err).map(|error| target_pvm::Error::from(error).into());
        self.unmet_imports(demands).into_iter().chain(memory).collect()
    }

    fn pass_names(&self) -> Vec<&'static str> {
        codegen::pass_names::<target_pvm::Pvm>()
    }

    fn limits_memory(&self) -> bool {
        true
    }

    fn compile(
        &self,
        translated: Translated<'_>,
        clock: &mut Clock,
        observe: &mut dyn FnMut(&Module),
    ) -> Result<(Vec<u8>, Details), Error> {
        let Translated { module, exports, wasm, .. } = translated;
        let program = clock
            .time("codegen", || target_pvm::compile_observed(module, &self.codegen(&exports), observe))?;
        self.warn_of(&program.ambiguous_host_calls);
        let map = program.locations.as_ref().map(|locations| {
            let base = program.linear_base.unwrap_or(0);
            let map = CodeMap::of_module(wasm, &program.blob.code, base, &program.functions, locations);
            CodeMap { stacks: program.stacks.entries.clone(), ..map }
        });
        let container = container(&program, &exports, self.options.level, self.target, map.as_ref());
        check_container(&container)?;
        let to_bytes = || container.to_bytes().expect("the memory plan keeps the container's limits");
        let bytes = clock.time("write", to_bytes);
        let sizes = Sizes::of_container(&container, self.target.gp, bytes.len());
        if let Some(profile) = self.target.profile {
            check_profile(profile, &program, &container, self.target.gp, &sizes)?;
        }
        Ok((bytes, Details::Pvm(Box::new(pvm_report(program, sizes, map)))))
    }

    fn prepared(&self, translated: Translated<'_>) -> Result<String, Error> {
        let Translated { module, exports, .. } = translated;
        Ok(target_pvm::print_ssa(module, &self.codegen(&exports))?)
    }

    fn after(&self, translated: Translated<'_>, pass: &str) -> Result<String, Error> {
        let Translated { module, exports, .. } = translated;
        Ok(target_pvm::print(module, &self.codegen(&exports), Some(pass))?)
    }

    fn assembly(&self, translated: Translated<'_>) -> Result<String, Error> {
        let Translated { module, exports, .. } = translated;
        Ok(target_pvm::print(module, &self.codegen(&exports), None)?)
    }

    fn has_header(&self) -> bool {
        false
    }

    fn header(&self, _: Translated<'_>) -> Result<String, Error> {
        unreachable!("the driver asks for a header only if there is one")
    }
}

fn import_use(import: &ReachedImport) -> ImportUse<'_> {
    let user = import.user.as_ref().map(|(name, offset)| (name.as_str(), *offset));
    ImportUse { import: &import.import, arity: import.arity, user }
}
