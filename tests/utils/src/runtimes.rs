//! Polkadot runtimes: reading them, and calling their entry points in the reference engine.
//!
//! A runtime imports its memory and its host functions from `env`. The few that pure entry points need (allocator,
//! logging) are implemented; any other one stops the call with an error that names it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wasmi::{Caller, Engine, Extern, ExternType, Linker, Memory, Module, Store, Val};

/// Prefix of a zstd-compressed Substrate runtime.
pub const COMPRESSED: [u8; 8] = [0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, 0x05];

/// The corpus's place, if it is there: beside the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/runtimes")
}

/// Runtime files of a folder with their names, sorted; empty if there is no such folder.
pub fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some((name, _)) = name.split_once(".compact").or_else(|| name.split_once(".wasm")) {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

/// The wasm of a runtime file, compressed or not.
pub fn decompress(bytes: &[u8]) -> Result<Vec<u8>> {
    match bytes.strip_prefix(&COMPRESSED) {
        Some(zstd) => zstd::stream::decode_all(zstd).context("the runtime's compression"),
        None => Ok(bytes.to_vec()),
    }
}

/// Calls a runtime entry point `(ptr, len) -> ptr | len << 32` with `args` in the reference engine.
pub fn call_reference(wasm: &[u8], entry: &str, args: &[u8]) -> Result<Vec<u8>> {
    let engine = Engine::default();
    let module = Module::new(&engine, wasm).context("the reference engine refuses the runtime")?;
    let mut store = Store::new(&engine, Host::default());
    let mut linker = <Linker<Host>>::new(&engine);
    for import in module.imports() {
        match import.ty() {
            ExternType::Memory(ty) => {
                let memory = Memory::new(&mut store, *ty)?;
                store.data_mut().memory = Some(memory);
                linker.define(import.module(), import.name(), memory)?;
            }
            ExternType::Func(ty) => {
                let name = import.name().to_owned();
                linker.func_new(
                    import.module(),
                    import.name(),
                    ty.clone(),
                    move |caller, args, results| answer(&name, caller, args, results),
                )?;
            }
            other => anyhow::bail!("a runtime that imports {other:?}"),
        }
    }
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let heap_base = instance.get_global(&store, "__heap_base").context("no __heap_base")?;
    let Val::I32(heap_base) = heap_base.get(&store) else { anyhow::bail!("__heap_base isn't an i32") };
    store.data_mut().heap_top = (heap_base as u32).next_multiple_of(8);
    if let Some(memory) = instance.get_memory(&store, "memory") {
        store.data_mut().memory = Some(memory);
    }
    let memory = store.data().memory.context("no memory")?;
    let at = allocate(&mut store, memory, args.len() as u32)?;
    memory.write(&mut store, at as usize, args)?;
    let entry = instance.get_typed_func::<(i32, i32), i64>(&store, entry)?;
    let packed = entry.call(&mut store, (at as i32, args.len() as i32))? as u64;
    let mut result = vec![0; (packed >> 32) as usize];
    memory.read(&store, packed as u32 as usize, &mut result)?;
    Ok(result)
}

#[derive(Default)]
struct Host {
    memory: Option<Memory>,
    heap_top: u32,
}

/// A bump allocator above `__heap_base`.
fn allocate(mut store: impl wasmi::AsContextMut<Data = Host>, memory: Memory, len: u32) -> Result<u32> {
    let mut context = store.as_context_mut();
    let at = context.data().heap_top;
    let end = (at + len.max(8)).next_multiple_of(8);
    context.data_mut().heap_top = end;
    let missing = u64::from(end).saturating_sub(memory.data_size(&context) as u64).div_ceil(1 << 16);
    memory.grow(&mut context, missing).ok().context("the runtime's memory is full")?;
    ensure!(end as usize <= memory.data_size(&context), "the allocator is out of memory");
    Ok(at)
}

fn answer(
    name: &str,
    mut caller: Caller<'_, Host>,
    args: &[Val],
    results: &mut [Val],
) -> Result<(), wasmi::Error> {
    let fail = |what: String| Err(wasmi::Error::new(what));
    match (name, args) {
        ("ext_allocator_malloc_version_1", [Val::I32(len)]) => {
            let exported = caller.get_export("memory").and_then(Extern::into_memory);
            let Some(memory) = exported.or(caller.data().memory) else { return fail("no memory".to_owned()) };
            match allocate(&mut caller, memory, *len as u32) {
                Ok(at) => results[0] = Val::I32(at as i32),
                Err(error) => return fail(error.to_string()),
            }
        }
        ("ext_logging_max_level_version_1", _) => results[0] = Val::I32(0),
        ("ext_allocator_free_version_1" | "ext_logging_log_version_1", _) => {}
        (name, _) if name.starts_with("ext_misc_print_") => {}
        _ => return fail(format!("the entry point calls {name}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_engine_knows_the_version_of_each_runtime() {
        let files = files(&folder()).unwrap();
        if files.is_empty() {
            needs::skip("no runtimes in ../shared/corpus/runtimes");
        }
        for (name, path) in files {
            let wasm = decompress(&std::fs::read(path).unwrap()).unwrap();
            let version = call_reference(&wasm, "Core_version", &[]).unwrap();
            let spec_name_len = usize::from(version[0] >> 2);
            let spec_name = String::from_utf8_lossy(&version[1..=spec_name_len]).into_owned();
            assert!(name.starts_with(&spec_name), "{name} calls itself {spec_name}");
            let metadata = call_reference(&wasm, "Metadata_metadata", &[]).unwrap();
            assert!(metadata.windows(4).take(16).any(|magic| magic == b"meta"), "{name}: no metadata magic");
        }
    }
}
