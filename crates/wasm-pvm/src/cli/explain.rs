//! `wasm-pvm explain`: the page about a code.

use anyhow::{Result, bail};
use wasm_pvm::{OptionsError, codes};

use super::files;
use super::report_args::ExplainCodeArgs;

/// Prints the page of a code, or all codes with their titles.
pub fn explain(args: &ExplainCodeArgs) -> Result<()> {
    let Some(code) = &args.code else {
        let list: String = codes::pages().map(|page| format!("{}  {}\n", page.code, page.title)).collect();
        return files::print(list.as_bytes());
    };
    let Some(page) = codes::page(code) else {
        let message = format!("there is no code `{code}`; `wasm-pvm explain` lists all");
        bail!(OptionsError::new(message));
    };
    files::print(format!("{}: {}\n\n{}\n", page.code, page.title, page.text).as_bytes())
}
