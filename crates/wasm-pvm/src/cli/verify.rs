//! `wasm-pvm verify`, and the check of `compile --verify`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_pvm::insight::demangled;
use wasm_pvm::verify::{Checked, Class, Difference, FunctionReport, Settings, Verification, text_of_value};
use wasm_pvm::{Options, input};

use super::verify_args::VerifyArgs;
use super::{compile, files, json, messages};

/// Bytes of a fill that are printed.
const SHOWN: usize = 32;

/// Checks a module; returns the exit code of this process: 1 if a function differs.
pub fn verify(args: &VerifyArgs) -> Result<u8> {
    let name = || files::display(&args.input);
    compile::provoke(&args.module);
    let options = compile::options(&args.input, args.target, &args.module, &args.pvm, &args.thumb)?;
    let options = Options { checks: true, ..options };
    let file = files::read(&args.input)?;
    let input = input::to_wasm(&file).with_context(name)?;
    let against = args.against.as_deref().map(files::read).transpose()?;
    let settings = Settings {
        against,
        inputs: args.inputs,
        seed: args.seed,
        function: args.function.clone(),
        fuel: args.fuel,
    };
    let verification = wasm_pvm::verify::verify(&input, &options, &settings).with_context(name)?;
    let text = match args.json {
        true => json::document(as_json(&verification, &settings)),
        false => table(&verification),
    };
    files::print(text.as_bytes())?;
    let reduced = args.reduced.clone().unwrap_or_else(|| reduced_path(&args.input));
    conclude(&verification, &settings, &args.input, &reduced)
}

/// Checks a module before its program is written; returns the exit code of this process: 1 if a function differs.
pub fn before_output(file: &Path, input: &[u8], options: &Options) -> Result<u8> {
    let settings = Settings::default();
    let name = || format!("{}: --verify", files::display(file));
    let verification = wasm_pvm::verify::verify(input, options, &settings).with_context(name)?;
    tracing::info!("{}", summary(&verification));
    conclude(&verification, &settings, file, &reduced_path(file))
}

/// Reports all differences on standard error and writes the reduced module. The exit code: 1 if there are any.
fn conclude(verification: &Verification, settings: &Settings, file: &Path, reduced: &Path) -> Result<u8> {
    let differences: Vec<_> = verification.differences().collect();
    if differences.is_empty() {
        return Ok(0);
    }
    for (function, difference) in &differences {
        messages::note(&difference_text(function, difference, settings));
    }
    if let Some(module) = &verification.reduced {
        files::write(reduced, module)?;
        messages::note(&format!("a smaller module with the first difference: {}\n", reduced.display()));
    }
    let count = differences.len();
    let differ = if count == 1 { "function differs" } else { "functions differ" };
    let text = format!("{}: {count} {differ} from the reference engine", files::display(file));
    messages::error(messages::DIFFERENCE, &text, "");
    Ok(1)
}

fn reduced_path(input: &Path) -> PathBuf {
    if files::is_standard(input) { "reduced.wasm".into() } else { input.with_extension("reduced.wasm") }
}

fn table(verification: &Verification) -> String {
    let mut text = "     calls     blocks       %  function\n".to_owned();
    for function in &verification.functions {
        let name = format!("{} {}", function.index, demangled(&function.name));
        match &function.outcome {
            Err(reason) => {
                text += &format!("{:>10}{:>11}{:>8}  {name}: not called, {reason}\n", "-", "-", "-")
            }
            Ok(checked) => {
                let blocks = format!("{}/{}", checked.reached, checked.blocks);
                let calls = calls(checked);
                let classes = classes(checked);
                text += &format!("{calls:>10}{blocks:>11}{:>8}  {name}: {classes}\n", percent(checked));
            }
        }
    }
    format!("{text}{}\n", summary(verification))
}

fn calls(checked: &Checked) -> u32 {
    checked.calls.values().sum::<u32>() + u32::from(checked.difference.is_some())
}

fn percent(checked: &Checked) -> String {
    match checked.blocks {
        0 => "-".to_owned(),
        blocks => format!("{:.1}", 100.0 * checked.reached as f64 / blocks as f64),
    }
}

fn classes(checked: &Checked) -> String {
    let counted = Class::ALL.iter().filter_map(|(class, word)| Some((word, checked.calls.get(class)?)));
    let mut parts: Vec<String> = counted.map(|(word, count)| format!("{word} {count}")).collect();
    parts.extend(checked.difference.as_ref().map(|_| "DIFFERENT".to_owned()));
    parts.join(", ")
}

/// All functions together, in one line.
fn summary(verification: &Verification) -> String {
    let mut sum = Checked::default();
    let mut made = 0;
    let (mut checked, mut skipped) = (0, 0);
    for function in &verification.functions {
        let Ok(outcome) = &function.outcome else {
            skipped += 1;
            continue;
        };
        checked += 1;
        made += calls(outcome);
        sum.blocks += outcome.blocks;
        sum.reached += outcome.reached;
        outcome.calls.iter().for_each(|(class, count)| *sum.calls.entry(*class).or_default() += count);
    }
    let differences = verification.differences().count();
    format!(
        "{checked} functions in {made} calls ({}), {skipped} not called, {} % of {} blocks reached, {differences} different",
        classes(&sum),
        percent(&sum),
        sum.blocks,
    )
}

fn difference_text(function: &FunctionReport, difference: &Difference, settings: &Settings) -> String {
    let Difference { call, before, input, expected, actual } = difference;
    let args: Vec<String> = input.args.iter().map(text_of_value).collect();
    let mut text = format!(
        "{} (function {}), call {call}, {before} calls before it on the instance\n  arguments: {}\n",
        demangled(&function.name),
        function.index,
        if args.is_empty() { "none".to_owned() } else { args.join(", ") },
    );
    for (name, value) in &input.globals {
        text += &format!("  before: {name} = {}\n", text_of_value(value));
    }
    for (address, bytes) in &input.fills {
        let digits: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        let more = if bytes.len() > SHOWN { format!("... ({} bytes)", bytes.len()) } else { String::new() };
        text += &format!("  before: {address:#x}: {digits}{more}\n");
    }
    text += &format!("  reference: {expected}\n  program:   {actual}\n");
    text + &format!(
        "  again: --function {} --seed {} --inputs {}\n",
        function.index,
        settings.seed,
        (*call).max(1)
    )
}

fn as_json(verification: &Verification, settings: &Settings) -> Value {
    let functions = verification.functions.iter().map(|function| {
        let mut object = json!({
            "index": function.index,
            "name": function.name,
            "exported": function.is_exported,
        });
        match &function.outcome {
            Err(reason) => object["skipped"] = json!(reason),
            Ok(checked) => {
                for (class, word) in Class::ALL {
                    object["calls"][word] = json!(checked.calls.get(&class).copied().unwrap_or(0));
                }
                object["blocks"] = json!(checked.blocks);
                object["reached"] = json!(checked.reached);
                object["difference"] = checked.difference.as_ref().map_or(Value::Null, difference_json);
            }
        }
        object
    });
    json!({
        "seed": settings.seed,
        "inputs": settings.inputs,
        "differences": verification.differences().count(),
        "functions": functions.collect::<Vec<_>>(),
    })
}

fn difference_json(difference: &Difference) -> Value {
    let value = |value: &wasm_pvm::run::Value| json!({ "type": value.ty.name(), "value": value.to_string(), "bits": format!("{:#x}", value.bits) });
    let globals =
        difference.input.globals.iter().map(|(name, set)| json!({ "name": name, "value": value(set) }));
    let fills = difference.input.fills.iter().map(|(address, bytes)| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "address": address, "bytes": digits })
    });
    json!({
        "call": difference.call,
        "before": difference.before,
        "arguments": difference.input.args.iter().map(value).collect::<Vec<_>>(),
        "globals": globals.collect::<Vec<_>>(),
        "memory": fills.collect::<Vec<_>>(),
        "reference": difference.expected,
        "program": difference.actual,
    })
}
