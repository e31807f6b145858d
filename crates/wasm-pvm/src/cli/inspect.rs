//! `wasm-pvm disasm`, `info` and `gas`.

use anyhow::{Context, Result, bail};
use pvm_isa::disasm::Disassembly;
use pvm_isa::metadata::{
    DataExport, DataExportKind, Extension, FunctionName, Import, ImportKind, Metadata, ResultConvention,
};
use pvm_isa::{Container, GpVersion, ProgramBlob, gas as gas_model};
use serde_json::{Value, json};
use wasm_pvm::insight::code_stack;
use wasm_pvm::run::ValueType;
use wasm_pvm::{OptionsError, Sizes};

use super::args::{DisasmArgs, GasArgs, InfoArgs, ProgramArgs};
use super::run::program::read_map_of;
use super::{files, floats, json, object, stack};

/// A program file with its metadata.
struct Program {
    form: &'static str,
    bytes: usize,
    metadata: Metadata,
    extension: Extension,
    container: Container,
    gp: GpVersion,
}

impl Program {
    fn read(args: &ProgramArgs) -> Result<Self> {
        Self::parse(files::read(&args.program)?, args)
    }

    fn parse(bytes: Vec<u8>, args: &ProgramArgs) -> Result<Self> {
        let name = || files::display(&args.program);
        if object::is_elf(&bytes) {
            bail!("{}: is an object; use `info` or `disasm` for it", name());
        }
        let total = bytes.len();
        let bytes = wasm_pvm::input::unpacked(&bytes).with_context(name)?;
        if bytes.starts_with(&wasm_pvm::input::WASM_MAGIC) {
            bail!("{}: is WebAssembly; compile it first", name());
        }
        let container = Container::parse_for(args.gp, &bytes)
            .with_context(|| format!("{}: not a PVM program", name()))?;
        let metadata = Metadata::parse(container.metadata());
        let gp = args.gp.or(container.gp()).unwrap_or(GpVersion::V08);
        let form = container.form();
        Ok(Self { form, bytes: total, metadata, extension: container.extension(), container, gp })
    }

    fn blob(&self) -> &ProgramBlob {
        self.container.blob()
    }

    fn functions(&self) -> Vec<FunctionName> {
        self.container.functions(self.gp)
    }

    fn float_functions(&self) -> Vec<floats::FloatFunction> {
        floats::functions(self.blob(), self.gp, &self.functions())
    }

    fn sizes(&self) -> Sizes {
        Sizes::of_container(&self.container, self.gp, self.bytes)
    }
}

pub fn disasm(args: &DisasmArgs) -> Result<()> {
    let bytes = files::read(&args.program.program)?;
    if object::is_elf(&bytes) {
        let name = check_options_of_object(&args.program)?;
        return files::print(object::disasm(&bytes, &name)?.as_bytes());
    }
    let program = Program::parse(bytes, &args.program)?;
    let functions = program.functions();
    let text = Disassembly {
        program: program.blob(),
        gp: program.gp,
        functions: &functions,
        with_bytes: !args.no_bytes,
    };
    files::print(text.to_string().as_bytes())
}

/// The name of an object, after a check that only options of objects are given.
fn check_options_of_object(args: &ProgramArgs) -> Result<String> {
    let name = files::display(&args.program);
    if args.gp.is_some() {
        bail!(OptionsError::new(format!("--gp is an option of PVM programs, and {name} is an object")));
    }
    Ok(name)
}

pub fn info(args: &InfoArgs) -> Result<()> {
    let bytes = files::read(&args.program.program)?;
    if object::is_elf(&bytes) {
        let name = check_options_of_object(&args.program)?;
        if args.map.is_some() {
            bail!(OptionsError::new(format!("--map is an option of PVM programs, and {name} is an object")));
        }
        return files::print(object::info(&bytes, &name, args)?.as_bytes());
    }
    if args.cycles.cycles.is_some() {
        let name = files::display(&args.program.program);
        bail!(OptionsError::new(format!(
            "--cycles is an option of objects, and {name} is none; `gas` has the costs of PVM programs"
        )));
    }
    let program = Program::parse(bytes, &args.program)?;
    let code = || Ok(program.blob().code.clone());
    let map = read_map_of(&args.program.program, args.map.as_deref(), code)?;
    let text = if args.json {
        let mut value = info_json(&program);
        let (from, stacks) = match map {
            Some(map) => ("map", stack::entries_json(&map.stacks)),
            None => ("code", stack::code_json(&code_stack::stacks(&program.container, program.gp))),
        };
        value["stacks"] = json!(stacks);
        value["stacks_from"] = json!(from);
        json::document(value)
    } else {
        let lines: Vec<String> = match map {
            Some(map) => map.stacks.iter().map(stack::entry).collect(),
            None => {
                let stacks = code_stack::stacks(&program.container, program.gp);
                stacks.iter().map(|(name, stack)| stack::of_code(name, stack)).collect()
            }
        };
        lines.iter().fold(info_text(&program), |text, line| text + line + "\n")
    };
    files::print(text.as_bytes())
}

fn info_json(program: &Program) -> Value {
    let extension = &program.extension;
    let exports = extension.exports.iter();
    let package = program.metadata.package.as_ref().map(|package| package.name.clone()).unwrap_or_default();
    json!({
        "form": program.form,
        "gp": program.gp.to_string(),
        "name": package,
        "producer": extension.producer,
        "result": result_word(extension.result),
        "sizes": sizes_json(&program.sizes()),
        "linear_memory": extension.linear_memory,
        "entries": exports.map(|export| {
            json!({ "name": export.name, "pc": export.pc, "signature": export.signature })
        }).collect::<Vec<_>>(),
        "entry_convention": if extension.raw_entries { "raw" } else { "auto" },
        "exports": extension.data.iter().flatten().map(data_json).collect::<Vec<_>>(),
        "imports": extension.imports.iter().map(import_json).collect::<Vec<_>>(),
        "float_functions": floats::json(&program.float_functions()),
    })
}

fn info_text(program: &Program) -> String {
    let extension = &program.extension;
    let sizes = program.sizes();
    let mut text = format!("form: {}\ngp: {}\n", program.form, program.gp);
    if let Some(package) = program.metadata.package.as_ref().filter(|package| !package.name.is_empty()) {
        text += &format!("name: {}\n", package.name);
    }
    if program.metadata.extension.is_some() {
        text += &format!("producer: {}\n", extension.producer);
        if program.container.polkavm().is_none() {
            text += &format!("result in r8: {}\n", result_word(extension.result));
        }
    }
    let total = [("total", sizes.total)].into_iter();
    for (what, bytes) in total.chain(sizes.parts()).chain([("stack", sizes.stack)]) {
        if bytes == 0 && program.container.polkavm().is_none() && ["symbols", "names"].contains(&what) {
            continue;
        }
        text += &format!("{:<18}{bytes:>10} bytes\n", format!("{what}:"));
    }
    let counts = [
        ("heap pages", sizes.heap_pages),
        ("jump entries", sizes.jump_table_entries),
        ("instructions", sizes.instructions),
    ];
    for (what, count) in counts {
        text += &format!("{:<18}{count:>10}\n", format!("{what}:"));
    }
    if let Some(base) = extension.linear_memory {
        text += &format!("linear memory:     {base:#010x} + wasm address\n");
    }
    for export in &extension.exports {
        text += &format!("entry {} at {}: {}\n", export.name, export.pc, export.signature);
    }
    for export in extension.data.iter().flatten() {
        text += &data_text(export);
    }
    if let Some(polkavm) = program.container.polkavm() {
        text += &format!("instruction set:   {:?}\n", polkavm.isa);
    }
    for import in &extension.imports {
        let (action, number) = import_action(import);
        let number = number.map_or_else(String::new, |number| format!(" {number}"));
        let dot = if import.module.is_empty() { "" } else { "." };
        text += &format!("import {}{dot}{}: {action}{number}\n", import.module, import.name);
    }
    text + &floats::text(&program.float_functions())
}

/// An exported memory, table or global as a line.
fn data_text(DataExport { name, kind, address }: &DataExport) -> String {
    match kind {
        DataExportKind::Memory { bytes } => {
            format!("memory {name}: {address:#010x} + wasm address, {bytes} bytes at the start\n")
        }
        DataExportKind::Table { elements, .. } => {
            format!("table {name} at {address:#010x}: {elements} elements of 8 bytes at the start\n")
        }
        DataExportKind::Global { ty, mutable } => {
            let mutable = if *mutable { "mutable " } else { "" };
            format!("global {name} at {address:#010x}: {mutable}{}\n", type_name(*ty))
        }
    }
}

fn data_json(DataExport { name, kind, address }: &DataExport) -> Value {
    match kind {
        DataExportKind::Memory { bytes } => {
            json!({ "kind": "memory", "name": name, "address": address, "bytes": bytes })
        }
        DataExportKind::Table { functions, elements } => {
            let ty = if *functions { "funcref" } else { "externref" };
            json!({ "kind": "table", "name": name, "address": address, "elements": elements, "type": ty })
        }
        DataExportKind::Global { ty, mutable } => {
            json!({ "kind": "global", "name": name, "address": address, "type": type_name(*ty), "mutable": mutable })
        }
    }
}

fn type_name(letter: char) -> &'static str {
    // A reference to an exception is no value for the outside.
    let unknown = if letter == 'x' { "exnref" } else { "unknown" };
    ValueType::of_letter(letter).map_or(unknown, ValueType::name)
}

const fn result_word(convention: ResultConvention) -> &'static str {
    match convention {
        ResultConvention::Length => "length",
        ResultConvention::End => "end",
    }
}

const fn import_action(import: &Import) -> (&'static str, Option<u32>) {
    match import.kind {
        ImportKind::Trap => ("trap", None),
        ImportKind::Nop => ("nop", None),
        ImportKind::Ecalli(number) => ("ecalli", Some(number)),
        ImportKind::BuiltIn => ("built in", None),
    }
}

/// An import with its action.
pub fn import_json(import: &Import) -> Value {
    let (action, number) = import_action(import);
    let mut object = json!({ "module": import.module, "name": import.name, "action": action });
    if let Some(number) = number {
        object["number"] = json!(number);
    }
    object
}

/// Sizes as an object.
pub fn sizes_json(sizes: &Sizes) -> Value {
    let mut object = json!({
        "total": sizes.total,
        "metadata": sizes.metadata,
        "code": sizes.code,
        "mask": sizes.mask,
        "jump_table": sizes.jump_table,
        "jump_table_entries": sizes.jump_table_entries,
        "ro_data": sizes.ro_data,
        "rw_data": sizes.rw_data,
        "heap_pages": sizes.heap_pages,
        "stack": sizes.stack,
        "instructions": sizes.instructions,
    });
    for (name, bytes) in [("symbols", sizes.symbols), ("names", sizes.names)] {
        if bytes > 0 {
            object[name] = json!(bytes);
        }
    }
    object
}

/// The blocks of one function.
struct FunctionCosts {
    pc: u32,
    name: String,
    blocks: Vec<(u32, u32)>,
}

impl FunctionCosts {
    fn total(&self) -> u64 {
        self.blocks.iter().map(|&(_, gas)| u64::from(gas)).sum()
    }
}

pub fn gas(args: &GasArgs) -> Result<()> {
    let program = Program::read(&args.program)?;
    let costs = function_costs(program.blob(), program.gp, &program.functions());
    let text =
        if args.json { json::document(gas_json(&program, &costs)) } else { gas_text(&costs, args.blocks) };
    files::print(text.as_bytes())
}

fn function_costs(blob: &ProgramBlob, gp: GpVersion, functions: &[FunctionName]) -> Vec<FunctionCosts> {
    let mut costs: Vec<FunctionCosts> = Vec::new();
    let mut names = functions.iter().peekable();
    for (pc, gas) in gas_model::program_costs(gp, blob) {
        let mut started =
            costs.is_empty().then(|| FunctionCosts { pc, name: String::new(), blocks: Vec::new() });
        while let Some(function) = names.next_if(|function| function.pc <= pc) {
            started =
                Some(FunctionCosts { pc: function.pc, name: function.name.clone(), blocks: Vec::new() });
        }
        costs.extend(started);
        let current = costs.last_mut().expect("the first block starts one");
        current.blocks.push((pc, gas));
    }
    costs
}

fn gas_text(costs: &[FunctionCosts], with_blocks: bool) -> String {
    let mut text = String::from("      at  blocks         gas  function\n");
    for function in costs {
        text += &format!(
            "{:>8}{:>8}{:>12}  {}\n",
            function.pc,
            function.blocks.len(),
            function.total(),
            function.name
        );
        for (pc, gas) in function.blocks.iter().filter(|_| with_blocks) {
            text += &format!("{:>16}{gas:>12}\n", format!("@{pc}"));
        }
    }
    let blocks: usize = costs.iter().map(|function| function.blocks.len()).sum();
    let total: u64 = costs.iter().map(FunctionCosts::total).sum();
    text + &format!("   total{blocks:>8}{total:>12}\n")
}

fn gas_json(program: &Program, costs: &[FunctionCosts]) -> Value {
    let functions = costs.iter().map(|function| {
        let blocks = function.blocks.iter().map(|(pc, gas)| json!({ "pc": pc, "gas": gas }));
        json!({
            "name": function.name,
            "pc": function.pc,
            "gas": function.total(),
            "blocks": blocks.collect::<Vec<_>>(),
        })
    });
    json!({
        "gp": program.gp.to_string(),
        "total": costs.iter().map(FunctionCosts::total).sum::<u64>(),
        "functions": functions.collect::<Vec<_>>(),
    })
}
