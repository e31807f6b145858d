//! Inputs that a fuzzer begins with: the modules of the fixtures, files that the compiler makes of them, and tapes for
//! every generator.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use random::Rng;
use wasm_pvm::{
    Cpu, Format, GpVersion, ImportMap, MemoryMode, MetadataContents, Names, OptLevel, Options, PvmOptions,
    ThumbOptions,
};

use super::HEAD;
use super::differential::{CONTENTS, ON_BOARDS, ON_PVM};

/// Bytes of a module, at most: a fuzzer needs small inputs.
const MOST_BYTES: u64 = 12 << 10;
/// Bytes of tapes.
const TAPES: [usize; 4] = [40, 200, 700, 2000];

/// All files below a folder, in order of their names.
fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// The small modules of the fixtures.
pub fn modules() -> Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures")), &mut paths)?;
    let mut modules = Vec::new();
    for path in paths {
        let bytes = std::fs::metadata(&path)?.len();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("wasm") if bytes <= MOST_BYTES => modules.push(std::fs::read(&path)?),
            Some("wat") if bytes <= MOST_BYTES => modules.push(wat::parse_file(&path)?),
            _ => {}
        }
    }
    Ok(modules)
}

/// Programs in all forms, as the compiler makes them.
pub fn programs() -> Result<Vec<Vec<u8>>> {
    let wasm = sample()?;
    let mut programs = Vec::new();
    for format in [Format::Jam, Format::Spi, Format::Raw, Format::PolkaVm, Format::CoreVm] {
        let says_format = !matches!(format, Format::Spi | Format::Raw);
        for gp in GpVersion::ALL.into_iter().filter(|gp| says_format || *gp != GpVersion::Next) {
            let names =
                if matches!(format, Format::PolkaVm | Format::CoreVm) { Names::Lines } else { Names::Keep };
            let target = PvmOptions {
                gp,
                format,
                names,
                metadata: MetadataContents::Exports,
                imports: ImportMap::default().with_auto(100),
                ..PvmOptions::default()
            };
            programs.push(wasm_pvm::compile(&wasm, &Options { threads: 1, ..Options::new(target) })?.bytes);
        }
    }
    Ok(programs)
}

/// Objects for three cores.
pub fn objects() -> Result<Vec<Vec<u8>>> {
    let wasm = sample()?;
    let compile = |(cpu, level)| {
        let target = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(cpu) };
        Ok(wasm_pvm::compile(&wasm, &Options { level, threads: 1, ..Options::new(target) })?.bytes)
    };
    [(Cpu::M3, OptLevel::O2), (Cpu::M0Plus, OptLevel::Oz), (Cpu::M7DP, OptLevel::O0)]
        .map(compile)
        .into_iter()
        .collect()
}

/// A module with one of everything.
fn sample() -> Result<Vec<u8>> {
    const TEXT: &str = r#"(module
        (import "env" "host" (func $host (param i32 i64) (result i32)))
        (type $t (func (param i32) (result i32)))
        (memory (export "memory") 1 4) (table (export "table") 3 10 funcref) (global $g (export "g") (mut i32) (i32.const 7))
        (data (i32.const 8) "some bytes") (data $p "passive") (elem (i32.const 0) $a $b)
        (func $a (type $t) (i32.add (local.get 0) (call $host (local.get 0) (i64.const -1))))
        (func $b (type $t) (i32.div_s (local.get 0) (i32.load offset=4 (local.get 0))))
        (func (export "main") (param i32 i32) (result i64)
          (memory.init $p (i32.const 0) (i32.const 0) (i32.const 3))
          (global.set $g (call_indirect (type $t) (local.get 0) (i32.rem_u (local.get 1) (i32.const 3))))
          (i64.mul (i64.extend_i32_u (global.get $g)) (i64.load (local.get 1))))
        (func (export "f") (param i32) (result i32)
          (block (block (block (br_table 0 1 2 1 0 (local.get 0))) (return (i32.const 5))) (return (i32.const 9)))
          (memory.grow (i32.const 1))))"#;
    Ok(wat::parse_str(TEXT)?)
}

/// An input of a kind, with a random head.
fn input(kind: usize, rest: &[u8], random: &mut Rng) -> Vec<u8> {
    let head = [vec![kind as u8], random.bytes(HEAD - 1)].concat();
    [&head, rest].concat()
}

/// Tapes of several lengths for each of so many kinds.
fn tapes(kinds: usize) -> Vec<Vec<u8>> {
    let mut random = Rng::new(kinds as u64);
    let all = (0..kinds).flat_map(|kind| TAPES.map(|len| (kind, len)));
    all.map(|(kind, len)| {
        let tape = random.bytes(len);
        input(kind, &tape, &mut random)
    })
    .collect()
}

pub fn compile() -> Result<Vec<Vec<u8>>> {
    let mut random = Rng::new(1);
    let mut seeds = vec![Vec::new()];
    for module in modules()? {
        seeds.push([vec![0; HEAD], module.clone()].concat());
        seeds.push(input(0, &module, &mut random));
    }
    seeds.extend(tapes(4).into_iter().filter(|seed| seed[0] > 0));
    Ok(seeds)
}

#[expect(clippy::unnecessary_wraps, reason = "seeds of other targets can fail")]
pub fn diff_pvm() -> Result<Vec<Vec<u8>>> {
    Ok(tapes(CONTENTS.len() + ON_PVM.len()))
}

#[expect(clippy::unnecessary_wraps, reason = "seeds of other targets can fail")]
pub fn diff_thumb() -> Result<Vec<Vec<u8>>> {
    Ok(tapes(CONTENTS.len() + ON_BOARDS.len()))
}

#[expect(clippy::unnecessary_wraps, reason = "seeds of other targets can fail")]
pub fn regalloc() -> Result<Vec<Vec<u8>>> {
    Ok(tapes(3))
}

pub fn isa() -> Result<Vec<Vec<u8>>> {
    let mut random = Rng::new(2);
    let mut seeds = tapes(5);
    seeds.extend(programs()?.iter().map(|file| input(0, file, &mut random)));
    for object in objects()? {
        seeds.push(input(1, &object, &mut random));
        seeds.push(input(2, &object, &mut random));
    }
    Ok(seeds)
}

#[expect(clippy::unnecessary_wraps, reason = "seeds of other targets can fail")]
pub fn llvm() -> Result<Vec<Vec<u8>>> {
    Ok(tapes(CONTENTS.len() + 2))
}

#[expect(clippy::unnecessary_wraps, reason = "seeds of other targets can fail")]
pub fn float() -> Result<Vec<Vec<u8>>> {
    let mut random = Rng::new(3);
    Ok(TAPES.map(|len| random.bytes(len)).to_vec())
}
