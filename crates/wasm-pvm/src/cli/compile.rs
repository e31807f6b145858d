//! `wasm-pvm compile`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use wasm_pvm::{Format, ImportMap, Options, Report};

use super::args::CompileArgs;
use super::files;

pub fn compile(args: &CompileArgs) -> Result<()> {
    let options = options(args)?;
    let input = files::read(&args.input)?;
    let name = || files::display(&args.input);
    if let Some(stage) = args.emit {
        let text = wasm_pvm::emit(&input, &options, stage.into()).with_context(name)?;
        return files::write(args.output.as_deref().unwrap_or(Path::new("-")), text.as_bytes());
    }
    let path = output_path(args, options.format);
    if args.json && files::is_standard(&path) {
        bail!("the program and --json can't both go to standard output");
    }
    let output = wasm_pvm::compile(&input, &options).with_context(name)?;
    files::write(&path, &output.bytes)?;
    log(&output.report);
    if args.json {
        let text = serde_json::to_string_pretty(&report(&output.report))?;
        files::print(format!("{text}\n").as_bytes())?;
    }
    Ok(())
}

fn options(args: &CompileArgs) -> Result<Options> {
    let floats = if args.trap_floats { wasm_pvm::Floats::Trap } else { args.floats.into() };
    Ok(Options {
        target: args.target.into(),
        gp: args.gp,
        level: args.level.into(),
        floats,
        bounds: args.bounds.into(),
        shadow_stack: args.shadow_stack.into(),
        stack_size: args.stack_size,
        imports: imports(args)?,
        adapters: args.adapter.iter().map(|path| files::read(path)).collect::<Result<_>>()?,
        entries: args.entries.into(),
        result: args.result.into(),
        format: args.format.into(),
        names: args.names.into(),
        package: package(&args.input),
        threads: args.threads,
        ..Options::default()
    })
}

/// The maps of all files together; a later file overrides an earlier one.
fn imports(args: &CompileArgs) -> Result<ImportMap> {
    let mut map = ImportMap::default();
    for source in &args.imports {
        let base = match source.strip_prefix("auto") {
            Some("") => Some(ImportMap::DEFAULT_AUTO_BASE),
            Some(rest) if rest.starts_with(':') => {
                let number = rest[1..].parse().ok().filter(|&n: &u32| i32::try_from(n).is_ok());
                Some(number.with_context(|| format!("--imports {source}: expected auto:NUMBER"))?)
            }
            _ => None,
        };
        if let Some(base) = base {
            map = map.with_auto(base);
            continue;
        }
        let text = files::read(Path::new(source))?;
        let text = String::from_utf8(text).ok().with_context(|| format!("{source}: is not text"))?;
        map.extend(ImportMap::parse(&text, args.gp).with_context(|| source.clone())?);
    }
    Ok(map)
}

/// The program's name: that of the file, without folders and extensions.
fn package(input: &Path) -> String {
    let name = if files::is_standard(input) { None } else { input.file_name() };
    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn output_path(args: &CompileArgs, format: Format) -> PathBuf {
    let extension = match format {
        Format::Jam => "jam",
        Format::Spi => "spi",
        Format::Raw => "pvm",
    };
    match &args.output {
        Some(path) => path.clone(),
        None if files::is_standard(&args.input) => args.input.clone(),
        None => args.input.with_extension(extension),
    }
}

fn log(report: &Report) {
    let sizes = &report.sizes;
    tracing::info!(
        wasm = report.wasm_bytes,
        total = sizes.total,
        code = sizes.code,
        instructions = sizes.instructions,
        jump_table = sizes.jump_table,
        ro_data = sizes.ro_data,
        rw_data = sizes.rw_data,
        "compiled"
    );
}

fn report(report: &Report) -> Value {
    let phases = report.phases.iter().map(|(phase, took)| (*phase, json!(took.as_secs_f64())));
    let imports = report.imports.iter().map(super::inspect::import_json);
    let entries = report.entries.iter().filter(|entry| entry.target.is_some());
    json!({
        "wasm_bytes": report.wasm_bytes,
        "sizes": super::inspect::sizes_json(&report.sizes),
        "seconds": phases.collect::<std::collections::BTreeMap<_, _>>(),
        "functions": report.functions.len(),
        "entries": entries.map(|entry| {
            json!({ "name": entry.name, "pc": report.entry_pc(&entry.name), "signature": entry.signature })
        }).collect::<Vec<_>>(),
        "imports": imports.collect::<Vec<_>>(),
    })
}
