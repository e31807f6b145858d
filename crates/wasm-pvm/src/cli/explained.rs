//! Errors of compilations with excerpts of the module.

use std::fmt;

use wasm_pvm::excerpt::Excerpt;
use wasm_pvm::{Error, Options, input};

/// Maximum number of excerpts.
const EXCERPTS: usize = 4;

/// An error with the places that it is about. Its text is that of the error.
#[derive(Debug)]
pub struct Explained {
    /// The error.
    pub error: Error,
    /// The places.
    pub excerpts: Vec<Excerpt>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

impl Explained {
    /// Finds the places of an error in the module of a file that was compiled with these options.
    pub fn new(error: Error, file: &[u8], options: &Options) -> Self {
        let places = error.places();
        let excerpts = match places.is_empty() {
            true => Vec::new(),
            false => excerpts(&places, file, options),
        };
        Self { error, excerpts }
    }
}

fn excerpts(places: &[(Option<&str>, usize)], file: &[u8], options: &Options) -> Vec<Excerpt> {
    let Ok(own) = input::to_wasm(file) else { return Vec::new() };
    // Offsets are those of the module with all that is linked in.
    let linked = wasm_pvm::linked_module(&own, options);
    let wasm = linked.as_deref().unwrap_or(&own);
    // A text has no operators of other modules.
    let text = str::from_utf8(file).ok().filter(|_| wasm == &*own);
    let places = places.iter().take(EXCERPTS);
    places.filter_map(|(function, offset)| Excerpt::new(wasm, *function, *offset, text)).collect()
}
