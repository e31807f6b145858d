//! Bodies of helpers in the libraries of compilers, known by their fingerprints.
//!
//! Each line of `known.txt` has a name, the operation, the domain, and the length in bytes and SHA-256 of the body's
//! form, then its source. To add one, print it with `cargo xtask helper MODULE NAME`, read it, and complete the printed
//! line with its operation and domain. The generator of `testkit` compares all known bodies of the kernels and of the
//! runtimes with the reference engine.
//!
//! The requirements of a body:
//! - on its domain it equals its operation, and it traps where the operation traps: `apart`, its ranges
//!   have no byte in common; `distinct`, they do not begin at the same address; `short`, the length is below
//!   2^31; `nonzero`, the divisor is not zero; `all`;
//! - outside of its ranges it touches nothing but bytes of aligned words that hold bytes of them, and scratch below
//!   the stack pointer;
//! - `memcmp` reads no byte after the first that differs.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::form::form;
use super::{Division, Domain, Libcall, Operation, Shape, is_stack_pointer};
use crate::module_info::ModuleInfo;

/// Words that bodies read beyond a range must not reach beyond memory: pages have this size.
const PAGE_LOG2: u32 = 16;

/// A known body.
pub struct Known {
    /// Its name in the table.
    pub name: &'static str,
    /// The operation it is.
    pub operation: Operation,
    /// The domain on which it equals the operation.
    pub domain: Domain,
    /// Length of its form in bytes.
    pub length: usize,
    /// SHA-256 of its form, in hexadecimal digits.
    pub digest: &'static str,
}

impl Known {
    /// The helper it is.
    pub fn libcall(&self) -> Libcall {
        Libcall { operation: self.operation, domain: self.domain }
    }

    /// The signature it has.
    fn shape(&self) -> Shape {
        match self.operation {
            Operation::Multi3 | Operation::Divide(_) => Shape::Wide,
            _ => Shape::Memory,
        }
    }
}

/// All known bodies.
pub static BODIES: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let line = |text| line(text).unwrap_or_else(|| panic!("known.txt: malformed line: {text}"));
    include_str!("known.txt").lines().map(line).collect()
});

/// The longest form.
static LONGEST: LazyLock<usize> = LazyLock::new(|| BODIES.iter().map(|body| body.length).max().unwrap_or(0));

fn line(text: &'static str) -> Option<Known> {
    let mut words = text.split_whitespace();
    let name = words.next()?;
    let (operation, domain) = (operation(words.next()?)?, domain(words.next()?)?);
    let (length, digest) = (words.next()?.parse().ok()?, words.next()?);
    Some(Known { name, operation, domain, length, digest })
}

/// SHA-256 of a form, in hexadecimal digits.
pub fn digest(form: &str) -> String {
    Sha256::digest(form).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn domain(words: &str) -> Option<Domain> {
    let mut domain = Domain::ALL;
    for word in words.split('+') {
        match word {
            "all" => {}
            "apart" => domain.apart = true,
            "distinct" => domain.distinct = true,
            "short" => domain.short = true,
            "nonzero" => domain.nonzero = true,
            _ => return None,
        }
    }
    Some(domain)
}

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "memcpy" => Operation::Memcpy,
        "memmove" => Operation::Memmove,
        "memset" => Operation::Memset,
        "memcmp" => Operation::Memcmp,
        "multi3" => Operation::Multi3,
        "udivti3" => Operation::Divide(Division::UnsignedQuotient),
        "umodti3" => Operation::Divide(Division::UnsignedRemainder),
        "divti3" => Operation::Divide(Division::SignedQuotient),
        "modti3" => Operation::Divide(Division::SignedRemainder),
        _ => return None,
    })
}

/// The known body that a function has.
pub fn find(info: &ModuleInfo, wasm: &[u8], function: u32, shape: Shape) -> Option<&'static Known> {
    (info.main_memory()?.page_log2 == PAGE_LOG2).then_some(())?;
    let form = form(info, wasm, function, *LONGEST)?;
    if form.global.is_some_and(|global| !is_stack_pointer(info, global)) {
        return None;
    }
    let mut bodies =
        BODIES.iter().filter(|body| body.shape() == shape && body.length == form.text.len()).peekable();
    bodies.peek()?;
    let digest = digest(&form.text);
    bodies.find(|body| body.digest == digest)
}
