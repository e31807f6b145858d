//! The JSON of the commands: a document each, which says the version of its fields.

use serde_json::{Value, json};

/// The version of all JSON that the tool prints, messages included. It changes where a field goes or gets another meaning; a
/// new field doesn't change it.
pub const SCHEMA: u32 = 1;

/// The text of a document.
pub fn document(mut value: Value) -> String {
    value["schema"] = json!(SCHEMA);
    format!("{value:#}\n")
}
