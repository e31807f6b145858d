//! JSON as text, as far as programs need it.

use std::fmt::Write;

/// An object whose fields are added one by one.
pub struct Object(String);

impl Object {
    /// One without fields.
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// With a field that is JSON already.
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }

    /// With a text.
    pub fn with_text(self, name: &str, text: &str) -> Self {
        self.with(name, string(text))
    }

    /// The whole object.
    pub fn end(self) -> String {
        self.0 + "}"
    }
}

/// A list of values that are JSON already.
pub fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

/// A text with its marks, and escapes where JSON needs them.
pub fn string(text: &str) -> String {
    let mut json = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            '\0'..=' ' if letter != ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(letter));
            }
            _ => json.push(letter),
        }
    }
    json + "\""
}

#[cfg(test)]
mod tests {
    use super::{Object, list, string};
    use serde_json::{Value, json};

    #[test]
    fn other_readers_agree() {
        for text in ["", "plain", "a \"quoted\" \\ text", "lines\n\tand \u{1}\u{7f}é𝄞"] {
            let read: Value = serde_json::from_str(&string(text)).expect("JSON");
            assert_eq!(read, text);
        }
        let object = Object::new()
            .with("n", 1)
            .with_text("t", "x\"")
            .with("l", list(["2".to_owned()].into_iter()))
            .end();
        assert_eq!(
            serde_json::from_str::<Value>(&object).expect("JSON"),
            json!({ "n": 1, "t": "x\"", "l": [2] })
        );
    }
}
