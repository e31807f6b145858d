//! Bodies of helpers as compilers' libraries have them.
//!
//! Each file in `known` is the form of one body, with what it is and where it comes from. To add one, print it with
//! `cargo xtask helper MODULE NAME`, read it, say its operation and domain, add its name below, and see the tests of
//! this directory pass.
//!
//! What is asked of a body:
//! - on its domain it equals its operation, and it traps where the operation traps: `apart`, its ranges
//!   have no byte in common; `distinct`, they do not begin at the same address; `short`, the length is below
//!   2^31; `nonzero`, the divisor is not zero; `all`;
//! - outside of its ranges it touches nothing but bytes of aligned words that hold bytes of them, and scratch below
//!   the stack pointer;
//! - `memcmp` reads no byte after the first that differs.

use std::sync::LazyLock;

use super::form::form;
use super::{Division, Domain, Libcall, Operation, Shape, is_stack_pointer};
use crate::module_info::ModuleInfo;

/// Words that bodies read beyond a range must not reach beyond memory: pages have this size.
const PAGE_LOG2: u32 = 16;

/// A known body.
pub struct Known {
    /// Name of its file.
    pub name: &'static str,
    /// The operation it is.
    pub operation: Operation,
    /// Where it does the same as the operation.
    pub domain: Domain,
    /// Its form.
    pub form: &'static str,
}

impl Known {
    /// The helper it is.
    pub fn libcall(&self) -> Libcall {
        Libcall { operation: self.operation, domain: self.domain }
    }

    fn shape(&self) -> Shape {
        match self.operation {
            Operation::Multi3 | Operation::Divide(_) => Shape::Wide,
            _ => Shape::Memory,
        }
    }
}

macro_rules! bodies {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("known/", $name, ".wat")))),*] };
}

/// File names and texts.
const FILES: &[(&str, &str)] = &bodies! {
    "multi3-kernels-O2"
    "udivti3-kernels-O2"
    "udivti3-kernels-Os"
};

/// All known bodies.
pub static BODIES: LazyLock<Vec<Known>> =
    LazyLock::new(|| FILES.iter().map(|(name, text)| read(name, text)).collect());

/// The longest form.
static LONGEST: LazyLock<usize> =
    LazyLock::new(|| BODIES.iter().map(|body| body.form.len()).max().unwrap_or(0));

/// Comments say which operation it is, on which domain, and where it is from; the form follows.
fn read(name: &'static str, text: &'static str) -> Known {
    let form = &text[text.find("(module").unwrap_or(text.len())..];
    let field = |field: &str| text.lines().find_map(|line| line.strip_prefix(";; ")?.strip_prefix(field));
    let operation = field("operation: ").and_then(operation);
    let operation = operation.unwrap_or_else(|| panic!("{name} names no operation"));
    let domain = field("domain: ").and_then(domain).unwrap_or_else(|| panic!("{name} names no domain"));
    Known { name, operation, domain, form }
}

fn domain(words: &str) -> Option<Domain> {
    let mut domain = Domain::ALL;
    for word in words.split(' ') {
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
    (info.memories.first()?.page_log2 == PAGE_LOG2).then_some(())?;
    let form = form(info, wasm, function, *LONGEST)?;
    if form.global.is_some_and(|global| !is_stack_pointer(info, global)) {
        return None;
    }
    BODIES.iter().find(|body| body.shape() == shape && body.form == form.text)
}
