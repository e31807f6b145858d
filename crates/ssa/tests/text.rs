//! The text form on hand-written modules: one with every instruction, and malformed ones with the expected messages.

use ssa::{BinaryOp, Cond, FCond, InstData, MemType, Module, TrapCode, Type, UnaryOp, parse_module, verify};

/// Parses, verifies and checks that printing gives back the same text.
fn round_trip(text: &str) -> Module {
    let module = parse_module(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    verify(&module).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(module.to_string(), text);
    assert_eq!(parse_module(&module.to_string()), Ok(module.clone()));
    module
}

#[test]
fn every_declaration_round_trips() {
    let module = round_trip(
        r#"sig () -> ()
sig (i32, i64, f32, f64) -> (i64, f64)
sig (i32) -> (i32)
sig (i32, i32) -> (i32)
memory @mem size=0 align=4096 min=65536 max=131072 page_log2=16 native_stack=32768 grows { 16: 00ff10, 4: empty }
var @"odd name" size=4 align=4 = 2a000000
table @table size=24 align=8 { 8: $start, 16: $"core::fmt" }
var @limits size=16 align=4
var @bytes size=4 align=4
fixed_memory @more size=65536 align=16 = 0001
const @data size=16 align=1 = 0102 { 4: @data+12, 8: @table-4, 12: @data }
import $log "env" "log \u{22}\u{5c}\u{a}ü" () -> ()
intrinsic $sbrk "__pvm_sbrk" (i32) -> (i32)
func $start () -> () {
b0:
  return
}
func $"core::fmt" (i32, i64, f32, f64) -> (i64, f64) optsize {
  slot s0 size=12 align=4
  slot s1 size=0 align=16
b0(v0: i32, v1: i64, v2: f32, v3: f64):
  return v1, v3
}
export "memory" @mem
export "" $start
start $start
host_arguments @limits
memory_size @bytes
"#,
    );
    let (_, memory) = module.memories().next().expect("it has one");
    assert_eq!(memory.max_bytes, Some(131072));
    assert_eq!(memory.segments.iter().map(|s| s.bytes.len()).collect::<Vec<_>>(), [3, 0]);
    assert!(memory.grows);
    let import = module.decls.values().next().expect("there are functions");
    assert_eq!(
        import.kind,
        ssa::FuncKind::Import(ssa::Import { module: "env".into(), field: "log \"\\\nü".into() })
    );
}

#[test]
fn signatures_of_one_form_are_told_apart() {
    let module = round_trip(
        "sig (i32) -> (i32)\nsig () -> ()\nsig (i32) -> (i32)\nsig (i32) -> (i32)\n\
         func $first (i32) -> (i32) {\nb0(v0: i32):\n  v1 = call_indirect (i32) -> (i32) #1 v0(v0)\n  return v1\n}\n\
         func $last (i32) -> (i32) #2 {\nb0(v0: i32):\n  tail_call_indirect (i32) -> (i32) v0(v0)\n}\n",
    );
    let sigs: Vec<usize> = module.decls.values().map(|decl| ssa::EntityId::index(decl.sig)).collect();
    assert_eq!(sigs, [0, 3]);
    let last = module.functions.values().flatten().last().expect("there are two");
    assert_eq!(ssa::parse_function(&module, &ssa::print_function(&module, last)), Ok(last.clone()));
}

const EVERY_INSTRUCTION: &str = "\
sig (i32, i64, f32, f64) -> (i32)
sig () -> (i32, i64)
memory @m size=0 align=8 min=65536 page_log2=16 native_stack=1024
func $f (i32, i64, f32, f64) -> (i32) {
  slot s0 size=8 align=8
b0(v0: i32, v1: i64, v2: f32, v3: f64):
  v4 = const.i32 -2147483648
  v5 = const.i64 9223372036854775807
  v6 = const.f32 0xffc00001
  v7 = const.f64 0xbff0000000000000
  v8 = data_addr @m
  v9 = data_addr @m + 12
  v10 = data_addr @m - 2147483648
  v11 = frame_addr s0
  v12 = func_ref $f
  v13 = select.f32 v0, v2, v6
  v14 = load.s16.i64 [@m + v0 - 4] volatile align=2
  v15 = load.f64.f64 [-8]
  v16 = load.u8.i32 [v0]
  v17 = load.i64.i64 [@m] align=8
  v18 = load.f32.f32 [v0 + 2147483647] volatile
  store.u16 v0, [@m + v0]
  store.f64 v15, [16] volatile
  v19, v20 = call $g()
  v21 = call_indirect (i32, i64, f32, f64) -> (i32) v19(v0, v1, v2, v3)
  v22 = icmp.eq.i64 v1, v20
  branch v22, b1, b2
b1 freq=0.25:
  switch.i64 v1, [-9223372036854775808: b3, 5: b4], b5
b2 freq=0.75:
  jump b6(v21, v1)
b3:
  trap unreachable
b4:
  tail_call $f(v0, v1, v2, v3)
b5:
  tail_call_indirect (i32, i64, f32, f64) -> (i32) v0(v0, v1, v2, v3)
b6(v23: i32, v24: i64) freq=1000000:
  v25 = trunc.i32 v24
  v26 = xor.i32 v25, v23
  v27 = fcmp.ult.f64 v3, v7
  return v26
}
func $g () -> (i32, i64) {
b0:
  v0 = const.i32 0
  v1 = const.i64 0
  return v0, v1
}
";

#[test]
fn every_instruction_round_trips() {
    let module = round_trip(EVERY_INSTRUCTION);
    let func = module.functions.values().flatten().next().expect("it has a body");
    let kinds: std::collections::BTreeSet<String> = func
        .insts
        .values()
        .map(|data| format!("{data:?}").split(' ').next().unwrap_or_default().to_owned())
        .collect();
    let all = [
        "Const",
        "DataAddr",
        "FrameAddr",
        "FuncRef",
        "Unary",
        "Binary",
        "Icmp",
        "Fcmp",
        "Select",
        "Load",
        "Store",
        "Call",
        "CallIndirect",
        "Jump",
        "Branch",
        "Switch",
        "Return",
        "TailCall",
        "TailCallIndirect",
        "Trap",
    ];
    assert_eq!(kinds, all.map(str::to_owned).into());
}

/// One line of a function for every operator with every type it accepts.
#[test]
fn every_operator_round_trips() {
    let value = |ty: Type| format!("v{}", Type::ALL.iter().position(|&t| t == ty).expect("it is a type"));
    let mut lines = Vec::new();
    for &ty in Type::ALL {
        let v = value(ty);
        for &op in UnaryOp::ALL {
            let accepted = Type::ALL.iter().filter(|&&operand| op.accepts(ty, operand));
            lines.extend(accepted.map(|&operand| format!("{op}.{ty} {}", value(operand))));
        }
        let ops = BinaryOp::ALL.iter().filter(|op| op.is_float() == ty.is_float());
        lines.extend(ops.map(|op| format!("{op}.{ty} {v}, {v}")));
        if ty.is_int() {
            lines.extend(Cond::ALL.iter().map(|cond| format!("icmp.{cond}.{ty} {v}, {v}")));
        } else {
            lines.extend(FCond::ALL.iter().map(|cond| format!("fcmp.{cond}.{ty} {v}, {v}")));
        }
        let loads = MemType::ALL.iter().filter(|mem| mem.fits(ty));
        lines.extend(loads.map(|mem| format!("load.{mem}.{ty} [v0]")));
    }
    assert!(lines.len() > 120, "only {} lines", lines.len());
    let mut text = "sig (i32, i64, f32, f64) -> ()\nfunc $f (i32, i64, f32, f64) -> () {\n".to_owned();
    text += "b0(v0: i32, v1: i64, v2: f32, v3: f64):\n";
    for (n, line) in lines.iter().enumerate() {
        text += &format!("  v{} = {line}\n", n + 4);
    }
    for &ty in Type::ALL {
        for mem in MemType::ALL.iter().filter(|mem| mem.fits(ty) && mem.is_store()) {
            text += &format!("  store.{mem} {}, [v0]\n", value(ty));
        }
    }
    text += "  return\n}\n";
    round_trip(&text);
    for code in TrapCode::ALL {
        let module = round_trip(&format!("sig () -> ()\nfunc $f () -> () {{\nb0:\n  trap {code}\n}}\n"));
        let func = module.functions.values().flatten().next().expect("it has a body");
        assert_eq!(func.insts.values().next(), Some(&InstData::Trap { code: *code }));
    }
}

#[test]
fn gaps_comments_and_missing_signatures_are_fine() {
    let text = "
; a comment
func $f (i32) -> (i32) { ; another
b0(v10: i32):

  v30 = add.i32 v10, v10
  jump b7(v30)
b7(v20: i32): ; freq is 1
  return v20
}
";
    let expected = "sig (i32) -> (i32)
func $f (i32) -> (i32) {
b0(v0: i32):
  v2 = add.i32 v0, v0
  jump b1(v2)
b1(v1: i32):
  return v1
}
";
    assert_eq!(parse_module(text).expect("it parses").to_string(), expected);
}

#[test]
fn parse_errors_name_the_line_and_the_reason() {
    let in_body = |line: &str| format!("func $f (i32) -> () {{\nb0(v0: i32):\n  {line}\n}}\n");
    let cases = [
        (in_body("v1 = nop.i32 v0"), 3, "unknown instruction `nop.i32`"),
        (in_body("v1 = add.i32 v0"), 3, "expected `,`, found end of line"),
        (in_body("v1 = add.i32 v0, v9"), 3, "v9 is not defined"),
        (in_body("add.i32 v0, v0"), 3, "this has 1 results, not 0"),
        (in_body("v0 = const.i32 1"), 3, "v0 is defined twice"),
        (in_body("v1 = const.i32 2147483648"), 3, "constant out of range"),
        (in_body("v1 = const.f32 1.5"), 3, "expected the bits of a float"),
        (in_body("call $g()"), 3, "unknown function `$g`"),
        (in_body("jump b3"), 3, "b3 is not defined"),
        (in_body("v1 = load.u8.i32 [@m]"), 3, "unknown data object `@m`"),
        (in_body("v1 = load.u8.i32 [v0] align=3"), 3, "the alignment must be a power of two"),
        (in_body("v1 = frame_addr s0"), 3, "unknown frame slot s0"),
        (in_body("return v0 v0"), 3, "expected end of line, found `v0`"),
        (in_body("trap because"), 3, "expected a trap code"),
        ("func $f () -> () {\n".to_owned(), 1, "unclosed `{`"),
        ("func $f () -> () {\n  return\n}\n".to_owned(), 2, "instruction outside of a block"),
        ("sig (i33) -> ()".to_owned(), 1, "expected a type, found `i33`"),
        ("\nfoo".to_owned(), 2, "expected a declaration, found `foo`"),
        ("import $f \"a".to_owned(), 1, "unterminated string"),
        ("var @g size=4 align=4 = 123".to_owned(), 1, "expected hexadecimal bytes"),
        ("var @g size=4 align=4\nvar @g size=4 align=4".to_owned(), 2, "a data object of this name exists"),
    ];
    for (text, line, message) in cases {
        let error = parse_module(&text).expect_err(&text);
        assert_eq!(error.line, line, "{error}\n{text}");
        assert!(error.message.starts_with(message), "{error}\n{text}");
    }
}
