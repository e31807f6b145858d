//! A dynamic loader for one side module, on the reference engine.
//!
//! It works as a loader for a browser does: it instantiates the module with a table of addresses whose entries are
//! empty, then writes them from the instance's exports, relocates the data and runs the constructors. The compiler
//! decides all of this before it compiles, so both must come to the same results. The bases are the documented ones.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use wasmi::{
    Engine, Extern, ExternType, Func, Global, Instance, Linker, Memory, MemoryType, Module, Mutability, Ref,
    RefType, Store, Table, TableType, Val,
};

use crate::executor::{Call, CallExit, Executable};
use crate::oracle::{import_result, value, word};

/// The documented place of a side module: the top of its stack, which is the start of its data.
const MEMORY_BASE: i32 = 65536;
/// The documented start of its table entries.
const TABLE_BASE: i32 = 1;
/// Entries of the loader's table; the module has fewer.
const TABLE_ENTRIES: u32 = 100;
/// Pages of the loader's memory; the module needs fewer.
const PAGES: u32 = 3;

/// A module in C with relocated data, constructors, and symbols that it exports, imports, or may lack.
const SOURCE: &str = include_str!("loader/side.c");

/// Tools that [`compiled`] needs.
pub const TOOLS: [&str; 2] = ["clang-22", "wasm-ld-22"];

/// Functions of [`SOURCE`], with their number of parameters.
pub const FUNCTIONS: [(&str, usize); 8] = [
    ("twice", 1),
    ("apply", 2),
    ("compare", 1),
    ("is_missing", 1),
    ("stack", 1),
    ("next", 1),
    ("leave", 1),
    ("leave_by_pointer", 1),
];

/// The side module of [`SOURCE`] at a level of its compiler.
///
/// # Errors
/// If a tool fails.
pub fn compiled(level: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("side.c"), SOURCE)?;
    let mut clang = Command::new("clang-22");
    clang.args(["--target=wasm32", "-fPIC", "-fvisibility=default", "-nostdlib", level, "-c"]);
    ensure!(clang.arg(path("side.c")).arg("-o").arg(path("side.o")).status()?.success(), "clang");
    let mut link = Command::new("wasm-ld-22");
    link.args(["--experimental-pic", "-shared", "--unresolved-symbols=import-dynamic"]);
    ensure!(link.arg(path("side.o")).arg("-o").arg(path("side.wasm")).status()?.success(), "wasm-ld");
    Ok(std::fs::read(path("side.wasm"))?)
}

/// A loaded module.
pub struct Loaded {
    store: Store<()>,
    instance: Instance,
}

impl Loaded {
    /// Loads a module; symbols in `weak` do not exist.
    ///
    /// # Errors
    /// If the engine refuses it.
    pub fn new(wasm: &[u8], weak: &[&str]) -> Result<Self> {
        let engine = Engine::default();
        let module = Module::new(&engine, wasm)?;
        let mut store = Store::new(&engine, ());
        let imports = Imports::new(&mut store, &module)?;
        let mut linker = Linker::new(&engine);
        for (import, item) in module.imports().zip(&imports.items) {
            linker.define(import.module(), import.name(), *item)?;
        }
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut loaded = Self { store, instance };
        loaded.write_addresses(&imports, weak)?;
        for name in ["__wasm_apply_data_relocs", "__wasm_call_ctors"] {
            if let Some(function) = loaded.instance.get_func(&loaded.store, name) {
                function.call(&mut loaded.store, &[], &mut [])?;
            }
        }
        Ok(loaded)
    }

    /// Writes the addresses of symbols into the globals for them. A function gets a new entry of the table.
    fn write_addresses(&mut self, imports: &Imports, weak: &[&str]) -> Result<()> {
        let store = &mut self.store;
        let mut next = u64::from(TABLE_ENTRIES);
        for (is_function, name, global) in &imports.addresses {
            let exported = self.instance.get_export(&*store, name);
            let address = match exported {
                Some(Extern::Global(offset)) if !is_function => {
                    let Val::I32(offset) = offset.get(&*store) else { bail!("{name} is no address") };
                    MEMORY_BASE + offset
                }
                _ if weak.contains(&name.as_str()) => 0,
                exported if *is_function => {
                    let own = exported.and_then(Extern::into_func);
                    let function = own.or(imports.functions.get(name).copied());
                    let function = function.with_context(|| format!("no function {name}"))?;
                    imports.table.grow(&mut *store, 1, Ref::Func(function.into()))?;
                    next += 1;
                    next as i32 - 1
                }
                _ => bail!("no symbol {name}"),
            };
            global.set(&mut *store, Val::I32(address))?;
        }
        Ok(())
    }

    /// The result of a function of words, as a sign-extended word.
    ///
    /// # Errors
    /// If it traps.
    pub fn call(&mut self, name: &str, args: &[i32]) -> Result<u64> {
        let function = self.instance.get_func(&self.store, name).with_context(|| format!("no {name}"))?;
        let args: Vec<Val> = args.iter().map(|&arg| Val::I32(arg)).collect();
        let mut results = [Val::I32(0)];
        function.call(&mut self.store, &args, &mut results)?;
        let [Val::I32(result)] = results else { bail!("{name} returns no word") };
        Ok(i64::from(result) as u64)
    }
}

/// Calls all functions of [`SOURCE`] on a started program and on the reference engine.
///
/// # Errors
/// A disagreement.
pub fn compare(program: &mut dyn Executable, reference: &mut Loaded) -> Result<()> {
    for args in [[0, 5], [1, -7], [3, 0x7000_0001], [-2, 1]] {
        for (name, params) in FUNCTIONS {
            let expected = reference.call(name, &args[2 - params..])?;
            let words: Vec<u64> = args[2 - params..].iter().map(|&arg| i64::from(arg) as u64).collect();
            let call = Call { name, args: &words, is_endless: false };
            let exit = program.call(call, &mut |import, args| import_result(import, args))?;
            ensure!(
                exit == CallExit::Returned(vec![expected]),
                "{name} {words:x?}: {exit:x?}, not {expected:#x}"
            );
        }
    }
    Ok(())
}

/// The items that a loader provides.
struct Imports {
    /// In the order of the module's imports.
    items: Vec<Extern>,
    functions: BTreeMap<String, Func>,
    /// Globals for addresses of symbols: whether it is a function, and its name.
    addresses: Vec<(bool, String, Global)>,
    table: Table,
}

impl Imports {
    fn new(store: &mut Store<()>, module: &Module) -> Result<Self> {
        let table = TableType::new(RefType::Func, TABLE_ENTRIES, None);
        let table = Table::new(&mut *store, table, Ref::default_for_ty(RefType::Func))?;
        let mut imports =
            Self { items: Vec::new(), functions: BTreeMap::new(), addresses: Vec::new(), table };
        for import in module.imports() {
            let name = import.name();
            let item = match import.ty() {
                ExternType::Memory(_) => Memory::new(&mut *store, MemoryType::new(PAGES, None))?.into(),
                ExternType::Table(_) => table.into(),
                ExternType::Global(ty) => {
                    let global = Global::new(&mut *store, Val::I32(initial(name)), ty.mutability());
                    if import.module().starts_with("GOT.") && ty.mutability() == Mutability::Var {
                        imports.addresses.push((import.module() == "GOT.func", name.to_owned(), global));
                    }
                    global.into()
                }
                ExternType::Func(ty) => {
                    let index = imports.functions.len() as u32;
                    let function = Func::new(&mut *store, ty.clone(), move |_, args, results| {
                        let words: Vec<u64> = args.iter().map(word).collect();
                        for result in results {
                            *result = value(import_result(index, &words), result.ty());
                        }
                        Ok(())
                    });
                    imports.functions.insert(name.to_owned(), function);
                    function.into()
                }
            };
            imports.items.push(item);
        }
        Ok(imports)
    }
}

/// The value of a global before the instance exists.
fn initial(name: &str) -> i32 {
    match name {
        "__memory_base" | "__stack_pointer" => MEMORY_BASE,
        "__table_base" => TABLE_BASE,
        _ => 0,
    }
}
