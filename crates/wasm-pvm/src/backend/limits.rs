//! Limits of containers and hosts, and what hosts need a program to have. They are checked before a file is written.
//!
//! The limits of contracts are those of `limits.rs` of the pallet `revive`, which computes the memory of a program as the
//! engine's own estimate does: the file, the zeros of areas that it doesn't store, and the stack, in whole pages. The
//! interpreter's tables are counted apart.

use pvm_isa::metadata::FunctionName;
use pvm_isa::polkavm::{MAX_IMPORTS, PolkaVmProgram};
use pvm_isa::spi::page_align;
use pvm_isa::{Container, GpVersion, ProgramBlob};
use target_pvm::{Entry, Program};

use crate::error::LimitError;
use crate::options::{CONTRACT_BLOCK, Profile};
use crate::report::Sizes;

/// Maximum bytes of service code (W_C of the Gray Paper).
const SERVICE: usize = 4_000_000;
/// Maximum bytes of an authorizer (W_A of the Gray Paper).
const AUTHORIZER: usize = 64_000;
/// Names of entries that make a program an authorizer.
const AUTHORIZERS: [&str; 2] = ["is_authorized", "is_authorized_ext"];

/// Maximum bytes of code of PolkaVM.
const POLKAVM_CODE: usize = 32 << 20;
/// Maximum entries of a jump table of PolkaVM.
const POLKAVM_TABLE: usize = 16 << 20;

/// Maximum bytes of a contract's file.
const CONTRACT: usize = 1 << 20;
/// Maximum bytes of memory that a contract has all the time.
const CONTRACT_MEMORY: usize = CONTRACT + (512 << 10);
/// Bytes of compiled blocks that the interpreter keeps of a contract.
const CONTRACT_CACHE: usize = 1 << 20;
/// Maximum bytes of the interpreter's tables for a contract.
const CONTRACT_TABLES: usize = CONTRACT_CACHE + (2 << 20);
/// Bytes of the interpreter for each instruction or block, and for each byte of code.
const CACHE_ENTRY: usize = 24;
const TABLE_ENTRY: usize = 4;

/// Number of functions that a message names as the largest.
const LARGEST: usize = 3;

/// Checks that a container can hold a program.
pub fn check_container(container: &Container) -> Result<(), LimitError> {
    let Some(polkavm) = container.polkavm() else { return Ok(()) };
    let limited = |what: &str, measured, limit| {
        exceeded(format!("{what} in PolkaVM's container"), measured, limit, || {
            "no part can be left out".to_owned()
        })
    };
    limited("host functions", polkavm.imports.len(), MAX_IMPORTS)?;
    limited("bytes of code", polkavm.blob.code.len(), POLKAVM_CODE)?;
    limited("entries of the jump table", polkavm.blob.jump_table.len(), POLKAVM_TABLE)
}

/// Checks what the hosts of a profile demand.
pub fn check_profile(
    profile: Profile,
    program: &Program,
    container: &Container,
    gp: GpVersion,
    sizes: &Sizes,
) -> Result<(), LimitError> {
    let entries = &program.entries;
    match (profile, container.polkavm()) {
        (Profile::Jam, _) => check_service(program, sizes),
        (Profile::Revive, Some(contract)) => check_contract(program, contract, gp, sizes),
        (Profile::CoreVm, _) => check_main(entries),
        (Profile::Substrate, _) => check_runtime(entries),
        (Profile::Revive, None) => unreachable!("the options demand the container"),
    }
}

fn exceeded(
    what: String,
    measured: usize,
    limit: usize,
    parts: impl FnOnce() -> String,
) -> Result<(), LimitError> {
    if measured <= limit {
        return Ok(());
    }
    Err(LimitError::Exceeded { what, measured, limit, parts: parts() })
}

fn check_service(program: &Program, sizes: &Sizes) -> Result<(), LimitError> {
    let named = |names: &[&str]| program.entries.iter().any(|entry| names.contains(&entry.name.as_str()));
    let services = target_pvm::entries::SERVICE_NAMES.concat();
    if !named(&services) {
        let names = services.join(", ");
        return Err(missing(format!(
            "the module exports no entry of a service or authorizer: one of {names}"
        )));
    }
    let (what, limit) = match named(&AUTHORIZERS) {
        true => ("an authorizer (W_A)", AUTHORIZER),
        false => ("a service (W_C)", SERVICE),
    };
    exceeded(format!("bytes of {what} with metadata"), sizes.total, limit, || parts(program, sizes))
}

fn check_contract(
    program: &Program,
    contract: &PolkaVmProgram,
    gp: GpVersion,
    sizes: &Sizes,
) -> Result<(), LimitError> {
    for name in ["deploy", "call"] {
        match entry(&program.entries, name) {
            None => {
                return Err(missing(format!(
                    "a contract exports `deploy` and `call`, and this module no `{name}`"
                )));
            }
            Some(found) if !found.signature.starts_with('>') => {
                return Err(missing(format!(
                    "`{name}` is called without arguments, and has the signature {}",
                    found.signature
                )));
            }
            Some(_) => {}
        }
    }
    exceeded("bytes of a contract".to_owned(), sizes.total, CONTRACT, || parts(program, sizes))?;
    let block = largest_block(&contract.blob, gp);
    let what = format!("instructions of a block of a contract, in {}", place(&program.functions, block.pc));
    exceeded(what, block.instructions, CONTRACT_BLOCK, || {
        format!("bytes {} to {} of the code", block.pc, block.end)
    })?;
    let stored = sizes.total;
    let zeros = |size: u32, stored: usize| page_align(size) as usize - stored;
    let ro = zeros(contract.ro_size, contract.ro_data.len());
    let rw = zeros(contract.rw_size, contract.rw_data.len());
    let stack = page_align(contract.stack_size) as usize;
    exceeded("bytes of memory of a contract".to_owned(), stored + ro + rw + stack, CONTRACT_MEMORY, || {
        format!(
            "file {stored}, addresses below linear memory {ro}, variables and linear memory {rw}, stack {stack}; see \
             --growth-bytes, --stack-size and the linker's -z stack-size"
        )
    })?;
    let cache = (sizes.instructions + block.count) * CACHE_ENTRY;
    let table = (sizes.code + 1) * TABLE_ENTRY;
    exceeded(
        "bytes of the interpreter's tables for a contract".to_owned(),
        cache.min(CONTRACT_CACHE) + table,
        CONTRACT_TABLES,
        || format!("{TABLE_ENTRY} for each byte of code, {}", parts(program, sizes)),
    )
}

fn check_main(entries: &[Entry]) -> Result<(), LimitError> {
    match entry(entries, "main").or(entry(entries, "_pvm_start")) {
        None => Err(missing(
            "a program for CoreVM exports `main` or `_pvm_start`, and this module neither".to_owned(),
        )),
        Some(main) if main.name == "main" && !main.signature.starts_with('>') => Err(missing(format!(
            "CoreVM calls `main` without arguments, and it has the signature {}",
            main.signature
        ))),
        Some(_) => Ok(()),
    }
}

fn check_runtime(entries: &[Entry]) -> Result<(), LimitError> {
    if entries.iter().any(|entry| entry.signature == "ii>I") {
        return Ok(());
    }
    Err(missing("a runtime exports functions (i32, i32) -> i64, and this module none".to_owned()))
}

fn missing(what: String) -> LimitError {
    LimitError::Missing(what)
}

fn entry<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.target.is_some() && entry.name == name)
}

/// The parts of a file by size, and the largest functions.
fn parts(program: &Program, sizes: &Sizes) -> String {
    let mut parts = sizes.parts();
    parts.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    let parts = parts.iter().filter(|&&(_, bytes)| bytes > 0).map(|(name, bytes)| format!("{name} {bytes}"));
    let functions = &program.functions;
    let ends = functions.iter().skip(1).map(|next| next.pc).chain([sizes.code as u32]);
    let mut by_size: Vec<(u32, &str)> = functions
        .iter()
        .zip(ends)
        .map(|(function, end)| (end - function.pc, function.name.as_str()))
        .collect();
    by_size.sort_by_key(|&(bytes, _)| std::cmp::Reverse(bytes));
    let largest = by_size.iter().take(LARGEST).map(|(bytes, name)| format!("{name} {bytes}"));
    format!(
        "{}; largest functions: {}",
        parts.collect::<Vec<_>>().join(", "),
        largest.collect::<Vec<_>>().join(", ")
    )
}

/// The function that a position is in.
fn place(functions: &[FunctionName], pc: u32) -> String {
    let function = functions.iter().rfind(|function| function.pc <= pc);
    function.map_or_else(
        || format!("the code at {pc}"),
        |function| format!("function `{}` at {pc}", function.name),
    )
}

/// The largest block of a program, and the number of blocks.
struct Block {
    pc: u32,
    end: u32,
    instructions: usize,
    count: usize,
}

fn largest_block(blob: &ProgramBlob, gp: GpVersion) -> Block {
    let mut largest = Block { pc: 0, end: 0, instructions: 0, count: 0 };
    let (mut start, mut instructions) = (0, 0);
    for (pc, decoded) in blob.instructions(gp) {
        instructions += 1;
        if !decoded.inst.op().is_terminator() {
            continue;
        }
        let count = largest.count + 1;
        let end = pc + decoded.len;
        if instructions > largest.instructions {
            largest = Block { pc: start, end, instructions, count };
        }
        largest.count = count;
        (start, instructions) = (end, 0);
    }
    largest
}
