//! Programs in PolkaVM's own container as any host of the `polkavm` crate runs them: parsed by the crate, entered by name,
//! with host functions by symbol. Nothing of our own engine or readers is between.

use anyhow::{Context, Result, anyhow};
use polkavm::{
    BackendKind, Config, Engine, Instance, Linker, Module, ModuleConfig, ProgramBlob, ProgramCounter,
};

/// An engine: the recompiler, or the interpreter.
pub fn engine(backend: BackendKind) -> Result<Engine> {
    let mut config = Config::new();
    config.set_allow_experimental(true);
    config.set_worker_count(0);
    config.set_backend(Some(backend));
    Engine::new(&config).map_err(|error| anyhow!("{error}"))
}

/// All engines.
pub fn engines() -> Result<Vec<(BackendKind, Engine)>> {
    let kinds = [BackendKind::Interpreter, BackendKind::Compiler];
    kinds.into_iter().map(|kind| Ok((kind, engine(kind)?))).collect()
}

/// A program of any host: its module, and an instance whose host functions keep `T`.
pub struct Program<T: 'static> {
    /// The module.
    pub module: Module,
    /// The instance.
    pub instance: Instance<T, String>,
}

impl<T: 'static> Program<T> {
    /// Parses and instantiates a file with pages of this size. Every import must be defined by `linker`.
    pub fn new(engine: &Engine, file: &[u8], page_size: u32, linker: &Linker<T, String>) -> Result<Self> {
        let blob = ProgramBlob::parse(file.to_vec().into())?;
        let mut config = ModuleConfig::new();
        config.set_page_size(page_size);
        config.set_strict(true);
        let module = Module::from_blob(engine, &config, blob).map_err(|error| anyhow!("{error}"))?;
        let pre = linker.instantiate_pre(&module).map_err(|error| anyhow!("{error}"))?;
        let instance = pre.instantiate().map_err(|error| anyhow!("{error}"))?;
        Ok(Self { module, instance })
    }

    /// The position of an export.
    pub fn export(&self, name: &str) -> Result<ProgramCounter> {
        let export = self.module.exports().find(|export| export.symbol().as_bytes() == name.as_bytes());
        Ok(export.with_context(|| format!("no export `{name}`"))?.program_counter())
    }

    /// Puts bytes on the heap, after all of the program's memory; their machine address.
    pub fn put(&mut self, bytes: &[u8]) -> Result<u32> {
        let end = |instance: &mut Instance<T, String>, more| match instance.sbrk(more) {
            Ok(Some(end)) => Ok(end),
            _ => Err(anyhow!("no heap")),
        };
        let start = end(&mut self.instance, 0)?;
        end(&mut self.instance, bytes.len() as u32)?;
        self.instance.write_memory(start, bytes).map_err(|error| anyhow!("{error}"))?;
        Ok(start)
    }

    /// Calls an export `(pointer, length) -> pointer | length << 32` with bytes; wasm address a is at `a + base`.
    pub fn call_with_bytes(&mut self, state: &mut T, name: &str, bytes: &[u8], base: u32) -> Result<Vec<u8>> {
        let at = self.put(bytes)?.wrapping_sub(base);
        let pc = self.export(name)?;
        let result =
            self.instance.call_typed_and_get_result::<u64, (u32, u32)>(state, pc, (at, bytes.len() as u32));
        let packed = result.map_err(|error| anyhow!("{error:?}"))?;
        let address = (packed as u32).wrapping_add(base);
        self.instance.read_memory(address, (packed >> 32) as u32).map_err(|error| anyhow!("{error}"))
    }
}
