//! `pvm-isa` as a WebAssembly module: the part of the npm package `pvm-isa` that is not JavaScript.
//!
//! A call takes a program file in the module's memory and leaves a text there. The caller asks [`input`] for room, writes the
//! file there, and calls one of [`decode`], [`disassemble`] and [`gas`]. They return 1, or 0 if the file is no program.
//! Then the text is at [`output`], with [`output_length`] bytes. It is JSON, assembly, or the error.
//!
//! A version of the Gray Paper is 7 or 8; 0 is the one that the file names, or else 0.8.

#![allow(unsafe_code, reason = "exported symbols have to be marked as unsafe; there is no other unsafe code")]

mod json;
mod program;

use std::cell::RefCell;

use program::Program;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Room for a file of so many bytes.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.resize(length, 0);
        input.as_mut_ptr()
    })
}

/// The text of the last call.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

/// Its number of bytes.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    OUTPUT.with_borrow(String::len)
}

/// The program as JSON: entries, imports, functions, instructions, blocks and the jump table.
#[unsafe(no_mangle)]
pub extern "C" fn decode(gp: u32) -> u32 {
    answer(gp, |program| program.decoded())
}

/// The program as assembly, with the bytes of instructions unless `with_bytes` is 0.
#[unsafe(no_mangle)]
pub extern "C" fn disassemble(gp: u32, with_bytes: u32) -> u32 {
    answer(gp, |program| program.assembly(with_bytes != 0))
}

/// The gas of functions and blocks as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn gas(gp: u32) -> u32 {
    answer(gp, |program| program.gas())
}

/// Reads the input, and leaves the answer or the error as output.
fn answer(gp: u32, text: impl FnOnce(&Program) -> String) -> u32 {
    let program = INPUT.with_borrow(|input| Program::parse(input, gp));
    let (is_fine, text) = match &program {
        Ok(program) => (1, text(program)),
        Err(error) => (0, error.clone()),
    };
    OUTPUT.set(text);
    is_fine
}

#[cfg(test)]
mod tests {
    use super::*;
    use pvm_isa::{GpVersion, ProgramBlob, Reg, asm};
    use serde_json::Value;

    fn blob() -> Vec<u8> {
        let gp = GpVersion::V08;
        let mut blob = ProgramBlob { jump_table: vec![0], ..ProgramBlob::default() };
        blob.push(gp, &asm::add_64(Reg::S0, Reg::T1, Reg::T2));
        blob.push(gp, &asm::branch_ne_imm(Reg::T1, 0, -3));
        blob.push(gp, &asm::trap());
        blob.to_bytes()
    }

    fn answer_of(bytes: &[u8], call: impl FnOnce() -> u32) -> (u32, String) {
        input(bytes.len());
        INPUT.with_borrow_mut(|input| input.copy_from_slice(bytes));
        let is_fine = call();
        let text = OUTPUT.with_borrow(String::clone);
        assert_eq!(text.len(), output_length());
        (is_fine, text)
    }

    #[test]
    fn a_blob_is_decoded() {
        let (is_fine, text) = answer_of(&blob(), || decode(8));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((is_fine, &value["form"], &value["gp"]), (1, &"raw".into(), &"0.8".into()));
        let mnemonics: Vec<&str> = value["instructions"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|inst| inst["mnemonic"].as_str())
            .collect();
        assert_eq!(mnemonics, ["add_64", "branch_ne_imm", "trap"]);
        assert_eq!(value["instructions"][1]["target"], 0);
        assert_eq!(value["jumpTable"], serde_json::json!([0]));
        assert_eq!(value["blocks"][0]["pc"], 0);
    }

    #[test]
    fn other_bytes_are_an_error() {
        for bytes in [&b""[..], b"\0asm\x01\0\0\0", &[0xff; 40]] {
            let (is_fine, text) = answer_of(bytes, || disassemble(0, 1));
            assert!(is_fine == 0 && !text.is_empty(), "{bytes:?}: {text}");
        }
        let (is_fine, text) = answer_of(&blob(), || gas(9));
        assert!(is_fine == 0 && text.contains('9'), "{text}");
    }
}
