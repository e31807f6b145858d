//! The text format of one function of a module: what a report of a bug needs of it.

use llvm_frontend::ModuleInfo;

use crate::error::Error;
use crate::options::OptionsError;

/// The text of the function with this name or index.
pub fn function(wasm: &[u8], wanted: &str) -> Result<String, Error> {
    let info = ModuleInfo::parse(wasm)?;
    let count = info.functions.len() as u32;
    let by_name = (0..count).find(|&index| info.function_name(index) == wanted);
    let index = by_name.or_else(|| wanted.parse().ok().filter(|index| *index < count));
    let Some(index) = index else {
        let message = format!("there is no function `{wanted}`: give its name or its index below {count}");
        return Err(OptionsError::new(message).into());
    };
    let text = wasmprinter::print_bytes(wasm).expect("a module that was validated can be printed");
    Ok(cut(&text, index))
}

/// Cuts a function out of the text of a module, where each field begins with two spaces and a parenthesis.
fn cut(text: &str, index: u32) -> String {
    let is_field = |line: &str| line.starts_with("  (");
    let mark = format!("(;{index};)");
    let is_wanted = |line: &str| {
        let is_function =
            line.starts_with("  (func ") || line.starts_with("  (import ") && line.contains("(func ");
        is_function && line.contains(&mark)
    };
    let mut lines = text.lines().skip_while(|line| !is_wanted(line));
    let first = lines.next().expect("the printer numbers functions");
    let rest = lines.take_while(|line| !is_field(line) && *line != ")");
    std::iter::once(first).chain(rest).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::function;

    const MODULE: &str = r#"(module (import "env" "f" (func)) (memory 1)
        (func $first (result i32) i32.const 1) (func (export "second") (call 0)) (export "m" (memory 0)))"#;

    #[test]
    fn functions_are_found_by_name_and_index() {
        let wasm = wat::parse_str(MODULE).expect("a module");
        let first = function(&wasm, "first").expect("it is there");
        assert!(first.starts_with("  (func $first (;1;)") && first.contains("i32.const 1"), "{first}");
        assert!(!first.contains("call"), "{first}");
        assert_eq!(function(&wasm, "1").expect("it is there"), first);
        let second = function(&wasm, "second").expect("it is there");
        assert!(second.contains("call 0") && !second.contains("export \"m\""), "{second}");
        assert!(function(&wasm, "0").expect("it is there").contains("\"env\" \"f\""));
        let error = function(&wasm, "third").expect_err("it isn't there").to_string();
        assert_eq!(error, "there is no function `third`: give its name or its index below 3");
    }
}
