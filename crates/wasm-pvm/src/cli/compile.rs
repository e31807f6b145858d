//! `wasm-pvm compile`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use wasm_pvm::wasi::{self, Wasi};
use wasm_pvm::{
    Architecture, Choice, Constants, Details, FirstCall, Floats, Format, GpVersion, Import, ImportAction,
    ImportMap, Options, OptionsError, Profile, PvmOptions, PvmReport, Report, Stage, Target, ThumbOptions,
    ThumbReport, input,
};
use wasmparser::{Parser, Payload, TypeRef};

use super::args::{self, CompileArgs, ModuleArgs, PvmArgs, TargetArg, ThumbArgs};
use super::explained::Explained;
use super::{bar, files, json, profile, stack, verify};

/// Compiles a module; returns the exit code of this process.
pub fn compile(args: &CompileArgs) -> Result<u8> {
    provoke(&args.module);
    let mut options = options(&args.input, args.target, &args.module, &args.pvm, &args.thumb)?;
    options.checks = args.verify;
    let file = files::read(&args.input)?;
    let name = || files::display(&args.input);
    let input = input::to_wasm(&file).with_context(name)?;
    profile::train(&input, &mut options, &args.train).with_context(name)?;
    let after = args.emit_after.as_deref().map(Stage::After);
    let function = args.emit_function.as_deref().map(Stage::Function);
    if let Some(stage) = args.emit.or(after).or(function) {
        let text = bar::shown(|| wasm_pvm::emit(&input, &options, stage))
            .map_err(|error| Explained::new(error, &file, &options))
            .with_context(name)?;
        check_renames(&input, args).with_context(name)?;
        files::write(args.output.as_deref().unwrap_or(Path::new("-")), text.as_bytes())?;
        return Ok(0);
    }
    let path = output_path(args, &options.target);
    let map = map_path(args, &path, &mut options)?;
    if args.json && files::is_standard(&path) {
        bail!("the program and --json can't both go to standard output; write the program to a file with -o");
    }
    let output = bar::shown(|| wasm_pvm::compile(&input, &options))
        .map_err(|error| Explained::new(error, &file, &options))
        .with_context(name)?;
    check_renames(&input, args).with_context(name)?;
    warn_of_unused_lines(&input, &options)?;
    if args.verify {
        let code = verify::before_output(&args.input, &input, &options)?;
        if code != 0 {
            return Ok(code);
        }
    }
    if let Some(first) = output.report.thumb().and_then(|report| report.first_call.as_ref()) {
        warn_of_first_call(first);
    }
    files::write(&path, &output.bytes)?;
    if let Some((path, map)) = map.zip(output.report.pvm().and_then(|report| report.map.as_ref())) {
        files::write(&path, map.to_string().as_bytes())?;
    }
    log(&output.report);
    if args.json {
        files::print(json::document(report(&output.report)).as_bytes())?;
    }
    Ok(0)
}

/// The file for the map, if one is to be written; the options then make it.
fn map_path(args: &CompileArgs, output: &Path, options: &mut Options) -> Result<Option<PathBuf>> {
    if !args.map {
        return Ok(None);
    }
    let Target::Pvm(pvm) = &mut options.target else {
        bail!(OptionsError::new("--map is an option of pvm; objects have debug sections".to_owned()));
    };
    pvm.map = true;
    if files::is_standard(output) {
        bail!(OptionsError::new(
            "--map writes a file beside the output; write it to a file with -o".to_owned()
        ));
    }
    Ok(Some(files::with_map_extension(output)))
}

/// Panics in the given stage of the given function, for tests.
#[cfg(debug_assertions)]
pub fn provoke(args: &ModuleArgs) {
    if let Some((stage, function)) = args.panic_in.as_deref().and_then(|place| place.split_once(':')) {
        progress::provoke(stage, function);
    }
}

/// Does nothing: only builds with assertions panic on request.
#[cfg(not(debug_assertions))]
pub fn provoke(_: &ModuleArgs) {}

/// The options of compiling an input for a target.
pub fn options(
    input: &Path,
    target: TargetArg,
    module: &ModuleArgs,
    pvm: &PvmArgs,
    thumb: &ThumbArgs,
) -> Result<Options> {
    let target = match target {
        TargetArg::Pvm => {
            if let Some(option) = thumb.first() {
                bail!(OptionsError::new(format!("{option} is an option of Cortex-M, and the target is pvm")));
            }
            pvm_options(input, module, pvm)?.into()
        }
        TargetArg::Thumb(architecture) => {
            if let Some(option) = pvm.first() {
                bail!(OptionsError::new(format!(
                    "{option} is an option of pvm, and the target is {architecture}"
                )));
            }
            thumb_options(module, thumb, architecture)?.into()
        }
    };
    options_with(target, module, module.wasi.read(&package(input))?)
}

/// All options, with those of a target and of a WASI program.
pub fn options_with(target: Target, args: &ModuleArgs, wasi: Option<Wasi>) -> Result<Options> {
    let default = Options::new(target);
    let options = Options {
        level: args.level.unwrap_or(default.level),
        floats: if args.trap_floats { Some(Floats::Trap) } else { args.floats },
        shadow_stack: args.shadow_stack.unwrap_or(default.shadow_stack),
        imported_globals: args.globals.iter().cloned().collect(),
        adapters: args.adapter.iter().map(|path| files::read(path)).collect::<Result<_>>()?,
        wasi,
        profile: profile::counts(args)?,
        threads: args.threads.unwrap_or(default.threads),
        ..default
    };
    options.check()?;
    Ok(options)
}

/// The options of the PVM.
pub fn pvm_options(input: &Path, module: &ModuleArgs, pvm: &PvmArgs) -> Result<PvmOptions> {
    let default = PvmOptions::default();
    let host = profile::host(module)?;
    let gp = pvm.gp.unwrap_or(host.map_or(default.gp, Profile::gp));
    Ok(PvmOptions {
        gp,
        bounds: bounds(module, "pvm")?.unwrap_or_default(),
        memory_bytes: module.memory_bytes,
        memory_reserve: module.memory_reserve.unwrap_or(default.memory_reserve),
        stack_size: pvm.stack_size,
        growth_bytes: pvm.growth_bytes,
        imports: imports(&module.imports, gp)?,
        host_calls: pvm.host_calls,
        entries: pvm.entries.unwrap_or(default.entries),
        result: pvm.result.unwrap_or(default.result),
        format: pvm.format.unwrap_or(host.map_or(default.format, Profile::format)),
        profile: host,
        start_copy: pvm.start_copy.unwrap_or(default.start_copy),
        names: pvm.names.unwrap_or(default.names),
        metadata: pvm.metadata.unwrap_or(default.metadata),
        package: package(input),
        ..default
    })
}

fn thumb_options(module: &ModuleArgs, thumb: &ThumbArgs, architecture: Architecture) -> Result<ThumbOptions> {
    if let Some(host) = profile::host(module)? {
        let host = host.name();
        let message = format!("--profile {host} is an option of pvm, and the target is {architecture}");
        bail!(OptionsError::new(message));
    }
    let cpu = thumb.cpu.unwrap_or(architecture.default_cpu());
    if cpu.architecture() != architecture {
        let needed = cpu.architecture();
        bail!(OptionsError::new(format!("{cpu} is a core of {needed}, and the target is {architecture}")));
    }
    let default = ThumbOptions::new(cpu);
    Ok(ThumbOptions {
        memory: thumb.memory.unwrap_or(default.memory),
        bounds: bounds(module, &architecture.to_string())?,
        float_helpers: thumb.float_helpers.unwrap_or_default(),
        strict_align: thumb.strict_align,
        float_abi: thumb.float_abi.unwrap_or_default(),
        trap: thumb.trap.clone().unwrap_or(default.trap),
        memory_bytes: module.memory_bytes,
        memory_reserve: module.memory_reserve.unwrap_or(default.memory_reserve),
        initial_data: thumb.initial_data,
        trusts_alignment: thumb.aligned,
        constants: thumb.constants.unwrap_or(Constants::Auto),
        shadow_stack_size: thumb.shadow_stack_size,
        imports: imports(&module.imports, GpVersion::V08)?,
        import_prefix: thumb.import_prefix.clone().unwrap_or_default(),
        renames: renames(thumb)?,
        debug: thumb.debug.unwrap_or(default.debug),
        map: false,
        cpu,
    })
}

/// The kind of bounds check, if it is one of the target's.
fn bounds<T: Choice>(args: &ModuleArgs, target: &str) -> Result<Option<T>> {
    let Some(name) = &args.bounds else { return Ok(None) };
    if let Some(bounds) = T::named(name) {
        return Ok(Some(bounds));
    }
    let names: Vec<&str> = T::VALUES.iter().map(|value| value.name()).collect();
    let (last, others) = names.split_last().context("no bounds")?;
    bail!(OptionsError::new(format!("--bounds with target {target} is {} or {last}", others.join(", "))))
}

/// Refuses a rename on the command line that matches no name in the module. Rename files may serve several modules.
fn check_renames(input: &[u8], args: &CompileArgs) -> Result<()> {
    let renames = &args.thumb.rename;
    if renames.is_empty() {
        return Ok(());
    }
    let mut names = linkable_names(input)?;
    if args.module.wasi.wasi {
        names.extend(wasi::FIRMWARE_NAMES.map(str::to_owned));
    }
    match renames.iter().find(|(name, _)| !names.contains(name)) {
        Some((name, symbol)) => {
            bail!("--rename {name}={symbol}: the module has no import or export `{name}`")
        }
        None => Ok(()),
    }
}

/// Warns of lines of import maps that match no import of the module or its adapters.
pub fn warn_of_unused_lines(input: &[u8], options: &Options) -> Result<()> {
    let mut imports = Vec::new();
    for module in [input].into_iter().chain(options.adapters.iter().map(Vec::as_slice)) {
        for payload in Parser::new(0).parse_all(&input::to_wasm(module)?) {
            let Payload::ImportSection(section) = payload? else { continue };
            for import in section.into_imports() {
                let import = import?;
                imports.push(Import { module: import.module.to_owned(), field: import.name.to_owned() });
            }
        }
    }
    for name in options.imports().unmatched(&imports) {
        tracing::warn!(code = "W0113", "the import map has a line for `{name}`, which matches no import");
    }
    Ok(())
}

/// Warns that the firmware has to call a function before all others. Commands that run an object call it themselves.
fn warn_of_first_call(FirstCall { symbol, copied_bytes, starts }: &FirstCall) {
    let reason = match (copied_bytes, starts) {
        (0, _) => "runs the start function".to_owned(),
        (bytes, false) => format!("copies {bytes} bytes of initial data"),
        (bytes, true) => format!("copies {bytes} bytes of initial data and runs the start function"),
    };
    tracing::warn!(
        code = "W0111",
        "the firmware must call `{symbol}` before any other function of the module: it {reason}"
    );
}

/// Names that can be renamed: exports, imports with and without the module's name, and our own global symbols.
fn linkable_names(wasm: &[u8]) -> Result<BTreeSet<String>> {
    let own = ["__linear_memory", "__linear_memory_size", "__wasm_start"];
    let mut names = BTreeSet::from(own.map(str::to_owned));
    let mut memories = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    memories += u32::from(matches!(import.ty, TypeRef::Memory(_)));
                    names.extend([import.name.to_owned(), format!("{}.{}", import.module, import.name)]);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    names.insert(export?.name.to_owned());
                }
            }
            Payload::MemorySection(section) => memories += section.count(),
            _ => {}
        }
    }
    for n in 1..memories {
        names.extend([format!("__linear_memory_{n}"), format!("__linear_memory_{n}_size")]);
    }
    Ok(names)
}

/// The renames of all files, and then of the command line; later ones override earlier ones.
fn renames(args: &ThumbArgs) -> Result<BTreeMap<String, String>> {
    let mut renames = BTreeMap::new();
    for path in &args.rename_file {
        let name = || files::display(path);
        let text =
            String::from_utf8(files::read(path)?).ok().with_context(|| format!("{}: is not text", name()))?;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let rename =
                    args::parse_rename(line).map_err(|what| anyhow!("{}: line {number}: {what}", name()))?;
                renames.extend([rename]);
            }
        }
    }
    renames.extend(args.rename.iter().cloned());
    Ok(renames)
}

/// The maps of all files together; a later file overrides an earlier one.
fn imports(sources: &[String], gp: GpVersion) -> Result<ImportMap> {
    let mut map = ImportMap::default();
    for source in sources {
        let base = match source.strip_prefix("auto") {
            Some("") => Some(ImportMap::DEFAULT_AUTO_BASE),
            Some(rest) if rest.starts_with(':') => {
                let number = rest[1..].parse().ok().filter(|&n: &u32| i32::try_from(n).is_ok());
                Some(number.with_context(|| format!("--imports {source}: expected auto:NUMBER"))?)
            }
            _ => None,
        };
        if source == "trap" {
            map = map.with_rest(ImportAction::LoggedTrap);
            continue;
        }
        if let Some(base) = base {
            map = map.with_auto(base);
            continue;
        }
        let text = files::read(Path::new(source))?;
        let text = String::from_utf8(text).ok().with_context(|| format!("{source}: is not text"))?;
        map.extend(ImportMap::parse(&text, gp).with_context(|| source.clone())?);
    }
    Ok(map)
}

/// The program's name: that of the file, without folders and extensions.
pub fn package(input: &Path) -> String {
    let name = if files::is_standard(input) { None } else { input.file_name() };
    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn output_path(args: &CompileArgs, target: &Target) -> PathBuf {
    let extension = match target {
        Target::Pvm(options) => match options.format {
            Format::Jam => "jam",
            Format::Spi => "spi",
            Format::Raw => "pvm",
            Format::PolkaVm => "polkavm",
            Format::CoreVm => "corevm",
        },
        Target::Thumb(_) => "o",
    };
    match &args.output {
        Some(path) => path.clone(),
        None if files::is_standard(&args.input) => args.input.clone(),
        None => args.input.with_extension(extension),
    }
}

fn log(report: &Report) {
    match &report.details {
        Details::Pvm(program) => {
            tracing::info!(
                wasm = report.wasm_bytes,
                total = program.sizes.total,
                code = program.sizes.code,
                instructions = program.sizes.instructions,
                jump_table = program.sizes.jump_table,
                ro_data = program.sizes.ro_data,
                rw_data = program.sizes.rw_data,
                stack = program.sizes.stack,
                "compiled"
            );
            program.stacks.entries.iter().for_each(|entry| tracing::info!("{}", stack::entry(entry)));
        }
        Details::Thumb(object) => tracing::info!(
            wasm = report.wasm_bytes,
            total = object.total,
            text = object.sizes.text,
            rodata = object.sizes.rodata,
            data = object.sizes.data,
            bss = object.sizes.bss,
            debug = object.sizes.debug,
            "compiled"
        ),
    }
}

fn report(report: &Report) -> Value {
    let phases = report.phases.iter().map(|(phase, took)| (*phase, json!(took.as_secs_f64())));
    let mut value = match &report.details {
        Details::Pvm(report) => pvm_report(report),
        Details::Thumb(report) => thumb_report(report),
    };
    value["wasm_bytes"] = json!(report.wasm_bytes);
    value["seconds"] = json!(phases.collect::<BTreeMap<_, _>>());
    value
}

fn pvm_report(report: &PvmReport) -> Value {
    let imports = report.imports.iter().map(super::inspect::import_json);
    let entries = report.entries.iter().filter(|entry| entry.target.is_some());
    json!({
        "sizes": super::inspect::sizes_json(&report.sizes),
        "functions": report.functions.len(),
        "entries": entries.map(|entry| {
            json!({ "name": entry.name, "pc": report.entry_pc(&entry.name), "signature": entry.signature })
        }).collect::<Vec<_>>(),
        "imports": imports.collect::<Vec<_>>(),
        "stacks": stack::entries_json(&report.stacks.entries),
    })
}

fn thumb_report(report: &ThumbReport) -> Value {
    let sizes = &report.sizes;
    let functions = report.functions.iter();
    json!({
        "sizes": {
            "total": report.total,
            "text": sizes.text,
            "rodata": sizes.rodata,
            "data": sizes.data,
            "bss": sizes.bss,
            "debug": sizes.debug,
        },
        "functions": functions.map(|function| {
            json!({ "name": function.name, "symbol": function.symbol, "size": function.size })
        }).collect::<Vec<_>>(),
        "imports": report.imports,
        "first_call": report.first_call.as_ref().map(|first| &first.symbol),
    })
}
