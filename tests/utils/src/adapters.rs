//! Random modules that import from each other: linked as adapters, and instantiated one by one in the reference engine.
//!
//! Modules are made in the order of their instantiation; the last one is the main module. Each may import functions,
//! globals, tables and the memory of those before it, uses imported globals in constant expressions, writes segments,
//! and may have a start function. Everything derives from one seed.

mod generate;

use anyhow::{Context as _, Result, bail, ensure};
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};
use wasmi::{Config, Engine, Extern, Func, Instance, Linker, Module, Store, Val, ValType};

use crate::executor::{Call, CallExit, Executable, Executor as _};
use crate::oracle::{import_result, value, word};
use crate::program::Pvm;
pub use generate::{Program, program};
use random::Rng;

/// Calls made on each program.
const CALLS: usize = 10;

/// Calls of the host's function: its argument.
type HostCalls = Vec<u64>;

/// Checks the program of a seed on the PVM; the seed chooses the options as well.
///
/// # Errors
/// A disagreement with the reference engine.
pub fn check(seed: u64) -> Result<()> {
    agreed(seed).map(|_| ())
}

/// The same; returns the number of calls that agreed.
///
/// # Errors
/// A disagreement with the reference engine.
pub fn agreed(seed: u64) -> Result<usize> {
    agreed_with(seed, Rng::new(seed))
}

/// As [`agreed`] for a random program; the seed chooses the options.
///
/// # Errors
/// A disagreement with the reference engine.
pub fn agreed_with(seed: u64, random: Rng) -> Result<usize> {
    let program = program(random);
    let mut random = Rng::new(!seed);
    let level = [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::Oz][random.below(4)];
    let bounds = if random.one_in(2) { PvmBounds::Guard } else { PvmBounds::Strict };
    let gp = if random.one_in(3) { GpVersion::V072 } else { GpVersion::V08 };
    let options = Options {
        level,
        threads: 1,
        adapters: program.adapters(),
        ..Options::new(PvmOptions { gp, bounds, ..PvmOptions::default() })
    };
    compare(&program, &mut random, options).with_context(|| {
        let texts: Vec<String> =
            program.modules.iter().enumerate().map(|(n, text)| format!(";; module {n}\n{text}")).collect();
        let options: Vec<String> = program.order.iter().map(ToString::to_string).collect();
        format!(
            "seed {seed} -{level:?} {bounds:?} {gp}, adapters {}:\n{}",
            options.join(", "),
            texts.join("\n")
        )
    })
}

fn compare(program: &Program, random: &mut Rng, options: Options) -> Result<usize> {
    let modules: Vec<Vec<u8>> =
        program.modules.iter().map(|text| Ok(wat::parse_str(text)?)).collect::<Result<_>>()?;
    let Some(mut reference) = Linked::new(&modules)? else { return Ok(0) };
    let main = modules.last().context("a main module")?;
    let mut compiled = Pvm { options }.load(main).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let mut made = HostCalls::new();
    let exit = compiled.start(&mut |import, args| host(&mut made, import, args))?;
    ensure!(exit == CallExit::Returned(Vec::new()), "the start function: {exit:?}");
    ensure!(made == std::mem::take(reference.store.data_mut()), "calls of the host at the start: {made:x?}");
    compare_state(&mut *compiled, &reference).context("at the start")?;
    for agreed in 0..CALLS {
        let function = &program.functions[random.below(program.functions.len())];
        let args: Vec<u64> = function.1.iter().map(|&wide| random_argument(random, wide)).collect();
        let expected = reference.call(&function.0, &args)?;
        made.clear();
        let call = Call { name: &function.0, args: &args, is_endless: false };
        let exit = compiled.call(call, &mut |import, args| host(&mut made, import, args))?;
        let context = || format!("{} {args:x?}, expected {expected:x?}", function.0);
        match (&exit, &expected) {
            (CallExit::Returned(words), Some(expected)) if words == expected => {}
            (CallExit::Trapped(_), None) => return Ok(agreed + 1),
            _ => bail!("{}: {exit:x?}", context()),
        }
        let calls = std::mem::take(reference.store.data_mut());
        ensure!(made == calls, "{}: calls of the host: {made:x?} instead of {calls:x?}", context());
        compare_state(&mut *compiled, &reference).with_context(context)?;
    }
    Ok(CALLS)
}

fn random_argument(random: &mut Rng, wide: bool) -> u64 {
    let word = random.interesting() as u64;
    if wide { word } else { i64::from(word as i32) as u64 }
}

fn host(made: &mut HostCalls, import: u32, args: &[u64]) -> u64 {
    made.push(args[0]);
    import_result(import, args)
}

fn compare_state(compiled: &mut dyn Executable, reference: &Linked) -> Result<()> {
    for export in reference.main.exports(&reference.store) {
        let name = export.name().to_owned();
        match export.into_extern() {
            Extern::Memory(memory) => {
                let expected = memory.data(&reference.store);
                let actual = compiled.memory(expected.len() as u32)?;
                if let Some(at) = actual.iter().zip(expected).position(|(a, b)| a != b) {
                    bail!("memory differs at {at}: {:#x} instead of {:#x}", actual[at], expected[at]);
                }
            }
            Extern::Global(global) => {
                let (bytes, expected) = match global.get(&reference.store) {
                    Val::I32(value) => (4, u64::from(value as u32)),
                    Val::I64(value) => (8, value as u64),
                    _ => continue,
                };
                let actual = compiled.global_word(&name, bytes)?;
                ensure!(
                    actual.is_none_or(|actual| actual == expected),
                    "global {name} is {actual:x?} instead of {expected:#x}"
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// Modules that an independent engine has instantiated one after the other.
struct Linked {
    store: Store<HostCalls>,
    main: Instance,
}

impl Linked {
    /// `None` if one traps.
    fn new(modules: &[Vec<u8>]) -> Result<Option<Self>> {
        let engine = Engine::new(&Config::default());
        let mut store = Store::new(&engine, HostCalls::new());
        let mut linker = <Linker<HostCalls>>::new(&engine);
        let function = Func::wrap(&mut store, |mut caller: wasmi::Caller<'_, HostCalls>, word: i64| {
            caller.data_mut().push(word as u64);
            import_result(0, &[word as u64]) as i64
        });
        linker.define("env", "host", function)?;
        let mut last = None;
        for wasm in modules {
            let module = Module::new(&engine, wasm).context("the reference engine refuses a module")?;
            let instance = match linker.instantiate_and_start(&mut store, &module) {
                Ok(instance) => instance,
                Err(error) if matches!(error.kind(), wasmi::errors::ErrorKind::Linker(_)) => {
                    return Err(error).context("the reference engine can't link a module");
                }
                Err(_) => return Ok(None),
            };
            let exports: Vec<(String, Extern)> = instance
                .exports(&store)
                .map(|export| (export.name().to_owned(), export.into_extern()))
                .collect();
            if exports.iter().all(|(name, _)| linker.get(&store, "env", name).is_none()) {
                for (name, export) in exports {
                    linker.define("env", &name, export)?;
                }
            }
            last = Some(instance);
        }
        Ok(last.map(|main| Self { store, main }))
    }

    /// The results of an export of the main module; `None` if it traps.
    fn call(&mut self, name: &str, args: &[u64]) -> Result<Option<Vec<u64>>> {
        let function = self.main.get_func(&self.store, name).context("no such export")?;
        let ty = function.ty(&self.store);
        let args: Vec<Val> = args.iter().zip(ty.params()).map(|(&arg, &ty)| value(arg, ty)).collect();
        let mut results: Vec<Val> = ty.results().iter().map(|&ty: &ValType| value(0, ty)).collect();
        match function.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(Some(results.iter().map(word).collect())),
            Err(error) if error.as_trap_code().is_some() => Ok(None),
            Err(error) => Err(error).context("the reference engine failed"),
        }
    }
}
