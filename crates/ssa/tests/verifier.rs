//! A violation of each invariant, which the verifier must report.

use ssa::{Block, EntityId, Module, Type, Value, ValueData, ValueDef, parse_module, verify};

const DECLARATIONS: &str = "\
memory @m size=0 align=8 min=65536 page_log2=16
func $callee (i64) -> (i32) {
b0(v0: i64):
  v1 = trunc.i32 v0
  return v1
}
";

fn message(text: &str) -> String {
    let module = parse_module(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    verify(&module).expect_err(text).to_string()
}

/// Checks that a function of type `(i32, i64, f32) -> (i32)` with this body is refused with this message.
fn refused(body: &str, reason: &str) {
    let text = format!("{DECLARATIONS}func $f (i32, i64, f32) -> (i32) {{\n{body}\n}}\n");
    let message = message(&text);
    assert!(message.contains(reason), "`{message}` doesn't say `{reason}`\n{text}");
}

/// As [`refused`], for one line of an otherwise right function.
fn line_refused(line: &str, reason: &str) {
    refused(&format!("b0(v0: i32, v1: i64, v2: f32):\n  {line}\n  return v0"), reason);
}

#[test]
fn wrong_types() {
    line_refused("v3 = add.i32 v0, v1", "v1 is i64, not i32");
    line_refused("v3 = add.f32 v2, v2", "add doesn't compute f32");
    line_refused("v3 = fadd.i32 v0, v0", "fadd doesn't compute i32");
    line_refused("v3 = sext.i64 v1", "sext doesn't make i64 from i64");
    line_refused("v3 = bitcast.i64 v2", "bitcast doesn't make i64 from f32");
    line_refused("v3 = icmp.eq.f32 v2, v2", "f32 isn't an integer type");
    line_refused("v3 = fcmp.oeq.i32 v0, v0", "i32 isn't a float type");
    line_refused("v3 = select.i32 v1, v0, v0", "v1 is i64, not i32");
    line_refused("v3 = select.i64 v0, v1, v0", "v0 is i32, not i64");
    line_refused("v3 = load.u8.f32 [v0]", "u8 doesn't load as f32");
    line_refused("v3 = load.u8.i32 [v1]", "v1 is i64, not i32");
    line_refused("v3 = load.i64.i32 [v0]", "i64 doesn't load as i32");
    line_refused("store.s8 v0, [v0]", "i32 isn't stored as s8");
    line_refused("store.f64 v0, [v0]", "i32 isn't stored as f64");
    line_refused("v3 = call $callee(v0)", "v0 is i32, not i64");
    line_refused("v3 = call $callee()", "0 operands where 1 are expected");
    line_refused("v3 = call_indirect (i64) -> (i32) v1(v1)", "v1 is i64, not i32");
    let head = "b0(v0: i32, v1: i64, v2: f32):";
    refused(&format!("{head}\n  return v1"), "v1 is i64, not i32");
    refused(&format!("{head}\n  return"), "0 operands where 1 are expected");
    refused("b0(v0: i32, v1: i64):\n  return v0", "the entry block's parameters aren't those");
    refused(
        &format!("{head}\n  jump b1(v1)\nb1(v3: i32):\n  return v3"),
        "arguments of b1: v1 is i64, not i32",
    );
    refused(&format!("{head}\n  jump b1\nb1(v3: i32):\n  return v3"), "arguments of b1: 0 operands");
    let other = "func $void () -> () {\nb0:\n  tail_call $callee()\n}\n";
    assert!(message(&format!("{DECLARATIONS}{other}")).contains("the callee's results"));
}

#[test]
fn wrong_shape() {
    let head = "b0(v0: i32, v1: i64, v2: f32):";
    refused(&format!("{head}\n  return v0\n  return v0"), "a terminator inside of a block");
    refused(&format!("{head}\n  v3 = add.i32 v0, v0"), "the block has no terminator");
    refused(head, "the block is empty");
    refused("", "it has no entry block");
    refused(&format!("{head}\n  jump b0(v0, v1, v2)"), "an edge leads to the entry block");
    refused(&format!("{head}\n  return v0\nb1:\n  return v0"), "b1: the block is unreachable");
    refused(
        &format!("{head}\n  branch v0, b1, b2\nb1:\n  jump b2\nb2:\n  return v0"),
        "the edge to b2 is critical",
    );
    let same = "branch v0, b1(v0), b1(v0)\nb1(v3: i32):\n  return v0";
    refused(&format!("{head}\n  {same}"), "the edge to b1 is critical");
    refused(&format!("{head}\n  switch.i32 v0, [2: b1, 1: b1], b1\nb1:\n  return v0"), "distinct and sorted");
    refused(&format!("{head}\n  switch.i32 v0, [1: b1, 1: b1], b1\nb1:\n  return v0"), "distinct and sorted");
    refused(
        &format!("{head}\n  switch.i32 v0, [4294967295: b1], b1\nb1:\n  return v0"),
        "isn't how a constant",
    );
    refused(
        &format!("  slot s0 size=4 align=32\n{head}\n  return v0"),
        "alignment 32 isn't a power of two up to",
    );
    let addressed = format!("  slot s0 size=4 align=4\n{head}\n  v3 = frame_addr s0\n  return v3");
    refused(&addressed, "no native stack");
    refused("b0(v0: i32, v1: i64, v2: f32) freq=inf:\n  return v0", "frequency inf");
    line_refused("v3 = const.i32 2\n  v4 = select.i32 v3, v0, v0", "the condition v3 isn't 0 or 1");
}

#[test]
fn definitions_must_dominate_uses() {
    line_refused("v3 = add.i32 v4, v0\n  v4 = add.i32 v0, v0", "v4 isn't defined on every path");
    line_refused("v3 = add.i32 v3, v0", "v3 isn't defined on every path");
    let diamond = "b0(v0: i32, v1: i64, v2: f32):
  branch v0, b1, b2
b1:
  v3 = add.i32 v0, v0
  jump b3
b2:
  jump b3
b3:
  return v3";
    refused(diamond, "b3: `return v3`: v3 isn't defined on every path to here");
    let parameter = "b0(v0: i32, v1: i64, v2: f32):
  branch v0, b1, b2
b1:
  jump b3(v0)
b2:
  return v3
b3(v3: i32):
  return v3";
    refused(parameter, "b2: `return v3`: v3 isn't defined");
}

#[test]
fn repeated_switch_targets_are_not_critical() {
    let text = "func $f (i32) -> () {\nb0(v0: i32):\n  switch.i32 v0, [1: b1, 2: b1, 3: b2], b1\nb1:\n  return\nb2:\n  return\n}";
    verify(&parse_module(text).expect("it parses")).expect("it verifies");
}

/// Checks that a right module is refused with this message after `damage`.
fn damaged(damage: impl FnOnce(&mut Module), reason: &str) {
    let mut module = parse_module(DECLARATIONS).expect("it parses");
    verify(&module).expect("it verifies");
    damage(&mut module);
    let message = verify(&module).expect_err(reason).to_string();
    assert!(message.contains(reason), "`{message}` doesn't say `{reason}`");
}

fn body(module: &mut Module) -> &mut ssa::Function {
    module.functions.values_mut().flatten().next().expect("there is a function")
}

#[test]
fn damaged_tables() {
    let entry = Block::new(0);
    damaged(|m| body(m).blocks[entry].params[0] = Value::new(1), "parameter v1 isn't defined as one");
    damaged(|m| body(m).blocks[entry].params[0] = Value::new(77), "parameter v77 isn't defined as one");
    damaged(|m| body(m).blocks[entry].insts[0] = ssa::Inst::new(9), "i9 doesn't exist");
    damaged(|m| body(m).blocks[entry].insts.insert(0, ssa::Inst::new(0)), "the instruction occurs twice");
    damaged(|m| body(m).values[Value::new(1)].ty = Type::F64, "its results are [F64], not [I32]");
    let moved = ValueData { ty: Type::I32, def: ValueDef::Param(entry, 0) };
    damaged(|m| body(m).values[Value::new(1)] = moved, "result v1 isn't defined as result 0");
    damaged(|m| body(m).sig = ssa::SigId::new(4), "its body has sig4");
    damaged(|m| body(m).name.push('x'), "its body is named `calleex`");
    damaged(|m| *m.functions.values_mut().next().expect("one") = None, "it is local but has no body");
    damaged(|m| m.start = Some(ssa::FuncId::new(0)), "the start function has (i64) -> (i32)");
    damaged(|m| m.start = Some(ssa::FuncId::new(3)), "f3 doesn't exist");
    let role = |m: &mut ssa::Module| m.host_arguments = Some(ssa::DataId::new(0));
    damaged(role, "is no variable of 16 bytes");
    damaged(|m| m.memory_size = Some(ssa::DataId::new(0)), "is no variable of 4 bytes");
    damaged(
        |m| {
            let object = m.data.values().next().expect("one").clone();
            m.data.push(ssa::DataObject { name: "n".into(), ..object });
        },
        "there are several linear memories",
    );
    let twice = "var @a size=4 align=3\n";
    assert!(message(twice).contains("alignment 3 isn't a power of two"));
    assert!(message("var @a size=1 align=1 = 0102").contains("2 initial bytes in 1"));
    let table = "table @t size=8 align=8 { 4: $f }\nfunc $f () -> () {\nb0:\n  return\n}\n";
    assert!(message(table).contains("extends past its 8 bytes"));
    assert!(message("var @a size=1 align=1\nexport \"x\" @a\nexport \"x\" @a").contains("two exports"));
}

#[test]
fn a_slot_without_an_address_needs_no_native_stack() {
    let body = "b0(v0: i32, v1: i64, v2: f32):\n  return v0";
    let text =
        format!("{DECLARATIONS}func $f (i32, i64, f32) -> (i32) {{\n  slot s0 size=4 align=4\n{body}\n}}\n");
    verify(&parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))).expect("valid");
}
