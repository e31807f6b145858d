//! `wasm-pvm explain`: the page about a code.

use anyhow::{Result, bail};
use serde_json::json;
use wasm_pvm::{OptionsError, codes};

use super::report_args::ExplainCodeArgs;
use super::{files, json};

/// Prints the page of a code, or all codes with their titles.
pub fn explain(args: &ExplainCodeArgs) -> Result<()> {
    let Some(code) = &args.code else {
        return files::print(list(args.json).as_bytes());
    };
    let Some(page) = codes::page(code) else {
        let message = format!("there is no code `{code}`; `wasm-pvm explain` lists all");
        bail!(OptionsError::new(message));
    };
    let text = if args.json {
        json::document(json!({ "code": page.code, "title": page.title, "text": page.text }))
    } else {
        format!("{}: {}\n\n{}\n", page.code, page.title, page.text)
    };
    files::print(text.as_bytes())
}

fn list(as_json: bool) -> String {
    if as_json {
        let codes = codes::pages().map(|page| json!({ "code": page.code, "title": page.title }));
        return json::document(json!({ "codes": codes.collect::<Vec<_>>() }));
    }
    codes::pages().map(|page| format!("{}  {}\n", page.code, page.title)).collect()
}
