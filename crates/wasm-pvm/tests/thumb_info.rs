//! `wasm-pvm info` of Cortex-M objects. Stack use is judged by LLVM's disassembly and by `llvm-readelf`, sizes and
//! symbols by `llvm-size` and `llvm-nm`.

mod support;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};
use support::{Folder, text};
use wasm_pvm::object::Summary;

/// Functions of every shape.
const SHAPES: &str = include_str!("support/shapes.wat");

/// The output of a tool, if it is installed.
fn run(tool: &str, args: &[&str]) -> Option<String> {
    if !needs::tools(&[tool]) {
        return None;
    }
    let output = Command::new(tool).args(args).output().expect("the tool starts");
    assert!(output.status.success(), "{tool}: {}", text(&output.stderr));
    // A warning would mean that the tool expects another object.
    assert_eq!(text(&output.stderr), "", "{tool}");
    Some(text(&output.stdout))
}

fn info(folder: &Folder, name: &str, wat: &str, args: &[&str]) -> Value {
    folder.write(&format!("{name}.wat"), wat);
    let source = format!("{name}.wat");
    folder.succeed(&[&["compile", &source, "-o", "shapes.o"], args].concat());
    serde_json::from_str(&folder.succeed(&["info", "shapes.o", "--json"])).expect("JSON")
}

fn export<'a>(info: &'a Value, name: &str) -> &'a Value {
    let exports = info["exports"].as_array().expect("a list");
    exports.iter().find(|export| export["name"] == name).unwrap_or_else(|| panic!("{name}: {info}"))
}

/// Bytes of stack that a disassembled function takes: the largest sum of its prologue's pushes and subtractions.
fn stack_of_disassembly(lines: &[&str]) -> u32 {
    let mut taken = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let (op, operands) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>().join(" "));
        let registers = |per: u32| {
            let list = operands.split(['{', '}']).nth(1).unwrap_or_default();
            let pieces = list.split(", ").map(|piece| match piece.split_once('-') {
                Some((first, last)) => {
                    let number = |reg: &str| reg[1..].parse::<u32>().expect("a register");
                    number(last) - number(first) + 1
                }
                None => 1,
            });
            per * pieces.sum::<u32>()
        };
        match op {
            "push" | "push.w" => taken += registers(4),
            "vpush" => taken += registers(if operands.contains('d') { 8 } else { 4 }),
            "sub" | "sub.w" | "subw" if operands.starts_with("sp, ") => {
                let bytes = operands.split('#').nth(1).and_then(|bytes| {
                    let bytes = bytes.split_whitespace().next()?;
                    bytes
                        .strip_prefix("0x")
                        .map_or(bytes.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
                });
                taken += bytes.expect("a constant");
            }
            "str" if operands.contains("[sp, #-0x4]!") || operands.contains("[sp, #-4]!") => taken += 4,
            _ => {}
        }
    }
    taken
}

/// Bytes of stack per function, from the disassembly.
fn disassembled(folder: &Folder) -> Option<BTreeMap<String, u32>> {
    let path = folder.path("shapes.o");
    let listing = run("llvm-objdump-22", &["-d", "--no-show-raw-insn", "--no-leading-addr", path.to_str()?])?;
    let mut functions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut current = String::new();
    for line in listing.lines() {
        if let Some(name) = line.strip_prefix('<').and_then(|line| line.strip_suffix(">:")) {
            name.clone_into(&mut current);
        } else if !current.is_empty() {
            functions.entry(current.clone()).or_default().push(line);
        }
    }
    Some(functions.into_iter().map(|(name, lines)| (name, stack_of_disassembly(&lines))).collect())
}

#[test]
fn stack_use_is_that_of_the_code() {
    let folder = Folder::new("thumb-info-stack");
    for target in [
        &["--target", "thumbv7m", "-Oz"][..],
        &["--target", "thumbv7m", "-O0", "--memory", "symbol"],
        &["--target", "thumbv7em", "--cpu", "m7dp", "-O2"],
    ] {
        let info = info(&folder, "shapes", SHAPES, target);
        let Some(judged) = disassembled(&folder) else { return };
        let functions = info["functions"].as_array().expect("a list");
        let reported = functions.iter().map(|function| {
            let name = function["name"].as_str().expect("a name").to_owned();
            (name, function["stack"].as_u64().expect("known") as u32)
        });
        let reported: BTreeMap<String, u32> = reported.collect();
        assert_eq!(reported, judged, "{target:?}");
        assert!(reported.values().any(|&bytes| bytes >= 16), "{reported:?}");
    }
}

#[test]
fn other_tools_read_stack_sizes() {
    let folder = Folder::new("thumb-info-readelf");
    let info = info(&folder, "shapes", SHAPES, &["--target", "thumbv7m"]);
    let path = folder.path("shapes.o");
    let Some(listing) = run("llvm-readelf-22", &["--stack-sizes", path.to_str().expect("a path")]) else {
        return;
    };
    for function in info["functions"].as_array().expect("a list") {
        let (name, bytes) = (function["name"].as_str().expect("a name"), function["stack"].to_string());
        let line = format!("{bytes:>13}     {name}");
        assert!(listing.lines().any(|found| found == line), "{line:?} is not in {listing}");
    }
}

#[test]
fn depths_name_what_they_do_not_count() {
    let folder = Folder::new("thumb-info-depth");
    // Without inlining, so that the calls are those of the source.
    let info = info(&folder, "shapes", SHAPES, &["--target", "thumbv7m", "-O0"]);
    let own: BTreeMap<&str, u64> = info["functions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|function| {
            (function["name"].as_str().expect("a name"), function["stack"].as_u64().expect("known"))
        })
        .collect();
    let leaf = export(&info, "leaf");
    assert_eq!((&leaf["stack"], &leaf["bound"]), (&json!(own["leaf"]), &json!("at most")));
    let calls = export(&info, "calls");
    assert_eq!(calls["stack"], own["calls"] + own["large"]);
    assert_eq!(calls["not_counted"], json!(["far", "notify"]));
    assert_eq!(calls["path"][1], json!({ "function": "large", "stack": own["large"] }));
    // Calls through the table may reach all functions of the type, and the deepest counts.
    let table = export(&info, "table");
    assert_eq!(table["stack"], own["table"] + own["large"].max(own["small"]));
    assert_eq!(table["indirect"], json!(["table"]));
    assert!(own["other"] == 0 || table["path"][1]["function"] == "large");
    let even = export(&info, "even");
    assert_eq!(even["recursive"], json!([["odd", "even"]]));
    assert_eq!((&even["stack"], &even["bound"]), (&json!(own["odd"] + own["even"]), &json!("at least")));
    assert_eq!(export(&info, "tail")["stack"], own["tail"]);
    let printed = folder.succeed(&["info", "shapes.o"]);
    for part in [
        "memory: native",
        "core: cortex-m3",
        "recursive: odd, even, counted once",
        "calls through a table in table",
        "undefined notify",
        "not counted: far, notify",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn sizes_and_symbols_are_those_of_other_tools() {
    let folder = Folder::new("thumb-info-sizes");
    let wat = r#"(module (memory 1) (data (i32.const 16) "data") (table funcref (elem $f))
      (func $f (export "f") (param f32 f32) (result f32)
        (f32.store (i32.const 16) (local.get 0)) (f32.add (local.get 0) (local.get 1)))
      (func (export "g") (param i32) (call_indirect (local.get 0))))"#;
    let info =
        info(&folder, "sizes", wat, &["--target", "thumbv7m", "--memory", "symbol", "--floats", "soft"]);
    assert_eq!(info["undefined"], json!([]));
    assert_eq!(info["helpers"], json!(["__aeabi_fadd"]));
    let path = folder.path("shapes.o");
    let path = path.to_str().expect("a path");
    let (Some(sizes), Some(names)) =
        (run("llvm-size-22", &["-A", path]), run("llvm-nm-22", &["--print-size", "--radix=d", path]))
    else {
        return;
    };
    for section in info["sections"].as_array().expect("a list") {
        let name = section["name"].as_str().expect("a name");
        let line = sizes.lines().find(|line| line.starts_with(&format!("{name} "))).expect("it is listed");
        assert_eq!(line.split_whitespace().nth(1), Some(&*section["size"].to_string()), "{name}");
    }
    for symbol in info["symbols"].as_array().expect("a list") {
        let name = symbol["name"].as_str().expect("a name");
        let line = names.lines().find(|line| line.ends_with(&format!(" {name}"))).expect("it is listed");
        let size: u64 = line.split_whitespace().nth(1).expect("a size").parse().expect("a number");
        assert_eq!(symbol["size"], size, "{line}");
    }
}

#[test]
fn what_is_not_loaded_links_silently() {
    let folder = Folder::new("thumb-info-link");
    let info = info(&folder, "shapes", SHAPES, &["--target", "thumbv7m"]);
    folder.write(
        "layout.ld",
        "SECTIONS { . = 0x1000; .text : { *(.text*) *(.rodata*) } .data : { *(.data*) } .bss : { *(.bss*) } \
         /DISCARD/ : { *(.note*) } }",
    );
    let code = info["sizes"]["text"].as_u64().expect("a number")
        + info["sizes"]["rodata"].as_u64().expect("a number");
    for linker in ["ld.lld-22", "arm-none-eabi-ld"] {
        if !needs::tools(&[linker]) {
            continue;
        }
        for gc in ["--gc-sections", "--no-gc-sections"] {
            let elf = folder.path("linked.elf");
            let object = folder.path("shapes.o");
            let layout = folder.path("layout.ld");
            let output = Command::new(linker)
                .args([
                    "--fatal-warnings",
                    gc,
                    "-e",
                    "leaf",
                    "--defsym=notify=0x9001",
                    "--defsym=far=0x9001",
                    "-T",
                ])
                .args([&layout, &object])
                .arg("-o")
                .arg(&elf)
                .output();
            let output = output.expect("the linker starts");
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{linker}: {}",
                text(&output.stderr)
            );
            let Some(sizes) = run("llvm-size-22", &["-A", elf.to_str().expect("a path")]) else { continue };
            let size = |section: &str| -> u64 {
                let line = sizes.lines().find(|line| line.split_whitespace().next() == Some(section));
                line.and_then(|line| line.split_whitespace().nth(1))
                    .map_or(0, |size| size.parse().expect("a number"))
            };
            if gc == "--no-gc-sections" {
                let padding = 4 * info["sections"].as_array().expect("a list").len() as u64;
                assert!((code..=code + padding).contains(&size(".text")), "{linker}: {sizes}");
            } else {
                assert!(size(".text") < 32, "{linker}: {sizes}");
            }
            assert_eq!(size(".wasm_pvm") + size(".wasm_pvm.references"), 0, "{linker}: {sizes}");
        }
    }
}

#[test]
fn cycles_are_told_on_request() {
    let folder = Folder::new("thumb-info-cycles");
    let wat = r#"(module (memory 1)
        (func (export "eight") (result i32) (local $n i32) (local $sum i32)
            (local.set $n (i32.const 8))
            (loop $l
                (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $n))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $l (local.get $n)))
            (local.get $sum))
        (func (export "find") (param i32) (loop $l (br_if $l (i32.load (local.get 0))))))"#;
    folder.write("sum.wat", wat);
    folder.succeed(&["compile", "sum.wat", "--target", "thumbv7em", "-Oz", "-o", "sum.o"]);
    let text = folder.succeed(&["info", "sum.o", "--cycles"]);
    for part in ["cycles on Cortex-M4 with 0 wait", "cycles of eight: at most ", ": at most 8 rounds, "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("cycles of find: unbounded, because the loop at 0x"), "{text}");
    let worst = |args: &[&str]| {
        let text = folder.succeed(&[&["info", "sum.o", "--json", "--cycles"], args].concat());
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let functions = json["cycles"]["functions"].as_array().expect("a list").clone();
        let eight = functions.into_iter().find(|function| function["name"] == "eight").expect("it is there");
        eight["worst"].as_u64().expect("it has a bound")
    };
    assert!(worst(&["m3"]) > 8 && worst(&["--wait-states", "5"]) > worst(&[]));
    let message = folder.fail(&["info", "sum.o", "--cycles", "m7"], b"", 1);
    assert!(message.contains("no table of cycles for the core \"m7\""), "{message}");
    folder.succeed(&["compile", "sum.wat", "-o", "sum.jam"]);
    let message = folder.fail(&["info", "sum.jam", "--cycles"], b"", 2);
    assert!(message.contains("--cycles is an option of objects"), "{message}");
}

#[test]
fn other_files_are_one_line_errors() {
    let folder = Folder::new("thumb-info-errors");
    folder.write("shapes.wat", SHAPES);
    folder.succeed(&["compile", "shapes.wat", "--target", "thumbv7m"]);
    let object = std::fs::read(folder.path("shapes.o")).expect("written");
    for (command, part) in [("gas", "disasm"), ("run", "its module runs with --target")] {
        let message = folder.fail(&[command, "shapes.o"], b"", 1);
        assert!(message.contains(part), "{command}: {message}");
    }
    for command in ["info", "disasm"] {
        folder.fail(&[command, "shapes.o", "--gp", "0.8"], b"", 2);
    }
    let assembly = folder.succeed(&["compile", "shapes.wat", "--target", "thumbv7m", "--emit", "asm"]);
    assert_eq!(folder.succeed(&["disasm", "shapes.o"]), assembly);
    folder.write("cut.o", &object[..object.len() / 2]);
    folder.fail(&["info", "cut.o"], b"", 1);
    folder.fail(&["disasm", "cut.o"], b"", 1);
    for len in 0..object.len() {
        assert!(Summary::read(&object[..len]).is_err(), "{len} bytes");
    }
    // The values read from a broken file don't matter, but reading has to terminate.
    for at in 0..object.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut broken = object.clone();
            broken[at] = value;
            let _ = Summary::read(&broken);
        }
    }
    let mut other = object;
    other[18] = 62;
    folder.write("other.o", &other);
    let message = folder.fail(&["info", "other.o"], b"", 1);
    assert!(message.contains("no relocatable object for ARM"), "{message}");
}

#[test]
fn flash_and_ram_are_told_with_what_memory_takes_of_them() {
    let folder = Folder::new("thumb-info-memory");
    let wat = r#"(module (memory (export "memory") 16) (data (i32.const 1024) "0123456789abcdefghij")
      (global (export "g") (mut i32) (i32.const 5))
      (func (export "f") (result i32) (i32.load (i32.const 1024))))"#;
    let target = ["--target", "thumbv7m", "--memory", "symbol"];
    for (initial, flash, first) in
        [("copy", 32, json!("__wasm_start")), ("image", 1 << 20, json!(null)), ("none", 0, json!(null))]
    {
        let info = info(&folder, "memory", wat, &[&target[..], &["--initial-data", initial]].concat());
        let sizes = &info["sizes"];
        let sum = |names: &[&str]| names.iter().filter_map(|name| sizes[name].as_u64()).sum::<u64>();
        let expected = json!({ "total": sum(&["text", "rodata", "data"]), "linear_memory": flash });
        assert_eq!(info["flash"], expected, "{initial}");
        assert_eq!(
            info["ram"],
            json!({ "total": (1 << 20) + 4, "linear_memory": 1 << 20, "provided": null }),
            "{initial}"
        );
        assert_eq!(info["first_call"], first, "{initial}");
        let printed = folder.succeed(&["info", "shapes.o"]);
        assert!(printed.contains(&format!("{flash} of them for linear memory")), "{printed}");
        assert_eq!(
            printed.contains("__wasm_start must be called before any other function"),
            initial == "copy"
        );
    }
    let target = ["--target", "thumbv7m", "--memory", "register"];
    for (options, bytes) in
        [(&[][..], 1 << 20), (&["--bounds", "mask", "--memory-bytes", "64K"], (64 << 10) + 8)]
    {
        let info = info(&folder, "memory", wat, &[&target[..], options].concat());
        assert_eq!(info["ram"], json!({ "total": 4, "linear_memory": 0, "provided": bytes }));
        let printed = folder.succeed(&["info", "shapes.o"]);
        assert!(printed.contains(&format!("{bytes} bytes for linear memory, which the embedder provides")));
    }
}
