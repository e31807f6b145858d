//! Bodies in LLVM IR. They go through the same passes and the same reader as translated code.
//!
//! Of the helpers in [`HELPERS`] every program may use each; those it doesn't use are removed. A memory that can grow
//! has a function of its own, in the way of the machine ([`Growth`]).
//!
//! The texts refer to three entities of the program: the function that traps (`__wasm_trap`), and a memory and its size,
//! by the symbols of [`GrowingMemory`].

use ssa::Type::{self, I32, I64};

/// `void (ptr, ptr, i32)`: copies between areas that do not overlap.
pub const MEMCPY: &str = "__wasm_memcpy";
/// `void (ptr, ptr, i32)`: copies between areas that may overlap.
pub const MEMMOVE: &str = "__wasm_memmove";
/// `void (ptr, i32 byte, i32)`: fills with the low byte of the second operand.
pub const MEMSET: &str = "__wasm_memset";
/// `i32 (ptr, ptr, i32)`: the difference of the first two bytes that differ.
pub const MEMCMP: &str = "__wasm_memcmp";
/// `{i64, i64} (i64 lo, i64 hi, i64 lo, i64 hi)`: the unsigned quotient of 128-bit numbers.
pub const UDIVTI3: &str = "__wasm_udivti3";
/// See [`UDIVTI3`]; the unsigned remainder.
pub const UMODTI3: &str = "__wasm_umodti3";
/// See [`UDIVTI3`]; the signed quotient.
pub const DIVTI3: &str = "__wasm_divti3";
/// See [`UDIVTI3`]; the signed remainder.
pub const MODTI3: &str = "__wasm_modti3";

/// A function of the runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Helper {
    /// Its symbol.
    pub symbol: &'static str,
    /// Parameters; pointers are `i32`.
    pub params: &'static [Type],
    /// Results.
    pub results: &'static [Type],
    /// Its text, after those of the helpers before it in the list.
    text: &'static str,
    /// Its texts in other styles than [`Style::Fast`], if there are any: [`Style::Aligned`], [`Style::Small`].
    others: Option<[&'static str; 2]>,
}

/// What the helpers that access memory are made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Speed, on machines that access words at any address.
    Fast,
    /// Speed, on machines that access words at multiples of 4 only.
    Aligned,
    /// Few instructions, on any machine: byte by byte.
    Small,
}

const fn helper(
    symbol: &'static str,
    params: &'static [Type],
    results: &'static [Type],
    text: &'static str,
) -> Helper {
    Helper { symbol, params, results, text, others: None }
}

/// A helper that accesses an area of memory.
const fn memory_helper(
    symbol: &'static str,
    results: &'static [Type],
    [text, aligned, small]: [&'static str; 3],
) -> Helper {
    Helper { symbol, params: &[I32; 3], results, text, others: Some([aligned, small]) }
}

/// The helpers of all programs.
pub const HELPERS: [Helper; 8] = [
    memory_helper(
        MEMCPY,
        &[],
        [include_str!("memcpy.ll"), include_str!("aligned/memcpy.ll"), include_str!("small/memcpy.ll")],
    ),
    memory_helper(
        MEMMOVE,
        &[],
        [include_str!("memmove.ll"), include_str!("aligned/memmove.ll"), include_str!("small/memmove.ll")],
    ),
    memory_helper(
        MEMSET,
        &[],
        [include_str!("memset.ll"), include_str!("aligned/memset.ll"), include_str!("small/memset.ll")],
    ),
    memory_helper(
        MEMCMP,
        &[I32],
        [include_str!("memcmp.ll"), include_str!("aligned/memcmp.ll"), include_str!("aligned/memcmp.ll")],
    ),
    helper(UDIVTI3, &[I64; 4], &[I64; 2], concat!(include_str!("divide.ll"), include_str!("udivti3.ll"))),
    helper(UMODTI3, &[I64; 4], &[I64; 2], include_str!("umodti3.ll")),
    helper(DIVTI3, &[I64; 4], &[I64; 2], include_str!("divti3.ll")),
    helper(MODTI3, &[I64; 4], &[I64; 2], include_str!("modti3.ll")),
];

/// The text of all helpers. `granule` is the granularity in bytes of accessible memory, a power of two.
pub fn helpers(granule: u32, style: Style) -> String {
    let text_of = |helper: &Helper| match (style, helper.others) {
        (Style::Fast, _) | (_, None) => helper.text,
        (Style::Aligned, Some([aligned, _])) => aligned,
        (Style::Small, Some([_, small])) => small,
    };
    let text: String = HELPERS.iter().map(text_of).collect();
    text.replace("COMPARED_PAGE_MASK", &(granule - 1).to_string())
        .replace("COMPARED_PAGE", &granule.to_string())
}

/// A way of growing memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Growth {
    /// The function `i32 (i32)` that the target implements for it, if it needs one.
    pub intrinsic: Option<&'static str>,
    text: &'static str,
}

impl Growth {
    /// By the instruction `sbrk` of the PVM.
    pub const SBRK: Self = Self { intrinsic: Some("__pvm_sbrk"), text: include_str!("grow_sbrk.ll") };
    /// By the host call `grow_heap` of the PVM.
    pub const GROW_HEAP: Self =
        Self { intrinsic: Some("__pvm_grow_heap"), text: include_str!("grow_heap.ll") };
    /// Within memory that is reserved and zero.
    pub const RESERVED: Self = Self { intrinsic: None, text: include_str!("grow_reserved.ll") };

    /// The text of the functions that grow these memories.
    pub fn functions(&self, memories: &[GrowingMemory]) -> String {
        let declared = self.intrinsic.filter(|_| !memories.is_empty());
        let declaration = declared.map(|symbol| format!("\ndeclare i32 @{symbol}(i32)\n"));
        let functions = memories.iter().map(|memory| {
            self.text
                .replace("MEMORY_GROW", &memory.grow)
                .replace("MEMORY_BYTES", &memory.bytes)
                .replace("LINEAR_MEMORY", &memory.memory)
                .replace("MAX_PAGES", &memory.max_pages.cast_signed().to_string())
                .replace("PAGE_LOG2", &memory.page_log2.to_string())
        });
        declaration.into_iter().chain(functions).collect()
    }
}

/// A memory that can grow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrowingMemory {
    /// Symbol of the function that grows it, `i32 (i32 pages)`: the old size in pages or -1.
    pub grow: String,
    /// Symbol of the memory.
    pub memory: String,
    /// Symbol of the variable with its size in bytes.
    pub bytes: String,
    /// Largest size in pages.
    pub max_pages: u32,
    /// log2 of the page size.
    pub page_log2: u32,
}
