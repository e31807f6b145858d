//! The interpreter against results from the WebAssembly specification and results computed by hand.

use ssa::interp::{Interpreter, Layout, Options, Stop};
use ssa::{DataId, EntityId, FuncId, Module, TrapCode, parse_module, verify};

fn module(text: &str) -> Module {
    let module = parse_module(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    verify(&module).unwrap_or_else(|error| panic!("{error}\n{text}"));
    module
}

/// Runs the first function without a host.
fn run_with(module: &Module, options: Options, args: &[u64]) -> Result<Vec<u64>, Stop> {
    let mut interpreter = Interpreter::new(module, options);
    interpreter.call(FuncId::new(0), args, &mut |_, func, _| panic!("{func} is called"))
}

fn run(text: &str, args: &[u64]) -> Result<Vec<u64>, Stop> {
    let module = module(text);
    run_with(&module, Options::new(&module), args)
}

/// One operator: `line` computes from parameters v0, v1 of these types a result of that type.
fn compute(params: &str, result: &str, line: &str, args: &[u64]) -> u64 {
    let count = params.split(',').count();
    let named: Vec<String> = params.split(", ").enumerate().map(|(n, ty)| format!("v{n}: {ty}")).collect();
    let text = format!(
        "func $f ({params}) -> ({result}) {{\nb0({}):\n  v{count} = {line}\n  return v{count}\n}}",
        named.join(", ")
    );
    run(&text, args).unwrap_or_else(|stop| panic!("{stop:?}\n{text}"))[0]
}

fn i32_binary(op: &str, a: i32, b: i32) -> i32 {
    compute("i32, i32", "i32", &format!("{op}.i32 v0, v1"), &[a as u32 as u64, b as u32 as u64]) as i32
}

fn i64_binary(op: &str, a: i64, b: i64) -> i64 {
    compute("i64, i64", "i64", &format!("{op}.i64 v0, v1"), &[a as u64, b as u64]) as i64
}

fn i32_unary(op: &str, a: i32) -> i32 {
    compute("i32", "i32", &format!("{op}.i32 v0"), &[a as u32 as u64]) as i32
}

fn f64_unary(op: &str, a: f64) -> f64 {
    f64::from_bits(compute("f64", "f64", &format!("{op}.f64 v0"), &[a.to_bits()]))
}

fn f32_binary(op: &str, a: f32, b: f32) -> f32 {
    let args = [a.to_bits().into(), b.to_bits().into()];
    f32::from_bits(compute("f32, f32", "f32", &format!("{op}.f32 v0, v1"), &args) as u32)
}

#[test]
fn integers() {
    assert_eq!(i32_binary("add", i32::MAX, 1), i32::MIN);
    assert_eq!(i32_binary("sub", i32::MIN, 1), i32::MAX);
    assert_eq!(i32_binary("mul", 0x1234_5678, 0x7654_3210), 0x0b88d780_u32 as i32);
    assert_eq!(i32_binary("mulh_s", -1, 1), -1);
    assert_eq!(i32_binary("mulh_u", -1, -1), -2);
    assert_eq!(i64_binary("mulh_s", i64::MIN, i64::MIN), 1 << 62);
    assert_eq!(i64_binary("mulh_u", -1, 2), 1);
    assert_eq!((i32_binary("div_s", -7, 2), i32_binary("rem_s", -7, 2)), (-3, -1));
    assert_eq!((i32_binary("div_u", -1, 2), i32_binary("rem_u", -1, 10)), (i32::MAX, 5));
    assert_eq!(i32_binary("shr_s", i32::MIN, 31), -1);
    assert_eq!(i32_binary("shr_u", i32::MIN, 31), 1);
    assert_eq!(i32_binary("shl", 3, 31), i32::MIN);
    assert_eq!(i64_binary("shl", 1, 33), 1 << 33);
    assert_eq!(i32_binary("rotl", 0x8000_0001_u32 as i32, 33), 3);
    assert_eq!(i32_binary("rotr", 3, 1), 0x8000_0001_u32 as i32);
    assert_eq!((i32_binary("min_s", -1, 1), i32_binary("min_u", -1, 1)), (-1, 1));
    assert_eq!((i32_binary("max_s", -1, 1), i32_binary("max_u", -1, 1)), (1, -1));
    assert_eq!(
        (i32_unary("clz", 0), i32_unary("clz", 1), i32_unary("ctz", 0), i32_unary("ctz", 8)),
        (32, 31, 32, 3)
    );
    assert_eq!(i32_unary("popcnt", 0x8000_0103_u32 as i32), 4);
    assert_eq!(i32_unary("bswap", 0x0102_0304), 0x0403_0201);
    assert_eq!(i32_unary("bitrev", 1), i32::MIN);
    assert_eq!((i32_unary("sext8", 0x180), i32_unary("sext16", 0x1_7fff)), (-128, 0x7fff));
    assert_eq!(compute("i32", "i64", "sext.i64 v0", &[0xffff_fffe]), u64::MAX - 1);
    assert_eq!(compute("i32", "i64", "zext.i64 v0", &[0xffff_fffe]), 0xffff_fffe);
    assert_eq!(compute("i64", "i32", "trunc.i32 v0", &[0x1_8000_0000]), 0x8000_0000);
}

#[test]
fn comparisons() {
    let holds =
        |cond: &str, a: u64, b: u64| compute("i32, i32", "i32", &format!("icmp.{cond}.i32 v0, v1"), &[a, b]);
    let minus_one = 0xffff_ffff;
    let found = ["lt_s", "le_s", "gt_s", "ge_s", "lt_u", "le_u", "gt_u", "ge_u", "eq", "ne"];
    assert_eq!(found.map(|cond| holds(cond, minus_one, 1)), [1, 1, 0, 0, 0, 0, 1, 1, 0, 1]);
    assert_eq!(found.map(|cond| holds(cond, 1, 1)), [0, 1, 0, 1, 0, 1, 0, 1, 1, 0]);
    let holds = |cond: &str, a: f64, b: f64| {
        compute("f64, f64", "i32", &format!("fcmp.{cond}.f64 v0, v1"), &[a.to_bits(), b.to_bits()])
    };
    let ordered = ["oeq", "one", "olt", "ole", "ogt", "oge", "ord"];
    let unordered = ["ueq", "une", "ult", "ule", "ugt", "uge", "uno"];
    assert_eq!(ordered.map(|cond| holds(cond, 1.0, 2.0)), [0, 1, 1, 1, 0, 0, 1]);
    assert_eq!(unordered.map(|cond| holds(cond, 1.0, 2.0)), [0, 1, 1, 1, 0, 0, 0]);
    assert_eq!(ordered.map(|cond| holds(cond, 0.0, -0.0)), [1, 0, 0, 1, 0, 1, 1]);
    assert_eq!(ordered.map(|cond| holds(cond, f64::NAN, 1.0)), [0; 7]);
    assert_eq!(unordered.map(|cond| holds(cond, 1.0, f64::NAN)), [1; 7]);
}

#[test]
fn floats() {
    assert_eq!(f64_unary("fnearest", 2.5), 2.0);
    assert_eq!(f64_unary("fnearest", -3.5), -4.0);
    assert_eq!(f64_unary("fceil", -0.5).to_bits(), (-0.0f64).to_bits());
    assert_eq!((f64_unary("ffloor", -0.5), f64_unary("ftrunc", -1.5)), (-1.0, -1.0));
    assert_eq!(f64_unary("fsqrt", 9.0), 3.0);
    assert_eq!(f64_unary("fsqrt", -1.0).to_bits(), 0x7ff8_0000_0000_0000);
    assert_eq!(f64_unary("fneg", 0.0).to_bits(), 1 << 63);
    assert_eq!(f64_unary("fabs", f64::NEG_INFINITY), f64::INFINITY);
    // Sign operations keep NaN payloads.
    assert_eq!(compute("f32", "f32", "fneg.f32 v0", &[0x7fa0_0001]), 0xffa0_0001);
    assert_eq!(f32_binary("fmin", 0.0, -0.0).to_bits(), 1 << 31);
    assert_eq!(f32_binary("fmin", -0.0, 0.0).to_bits(), 1 << 31);
    assert_eq!(f32_binary("fmax", 0.0, -0.0).to_bits(), 0);
    assert_eq!(f32_binary("fmax", -0.0, 0.0).to_bits(), 0);
    assert_eq!((f32_binary("fmin", 1.0, 2.0), f32_binary("fmax", 1.0, 2.0)), (1.0, 2.0));
    assert_eq!((f32_binary("fmin", 2.0, 1.0), f32_binary("fmax", 2.0, 1.0)), (1.0, 2.0));
    assert_eq!(f32_binary("fmin", 1.0, f32::NAN).to_bits(), 0x7fc0_0000);
    assert_eq!(f32_binary("fmax", f32::NAN, 1.0).to_bits(), 0x7fc0_0000);
    assert_eq!(f32_binary("fcopysign", 1.0, -2.0), -1.0);
    assert_eq!(f32_binary("fdiv", 1.0, 0.0), f32::INFINITY);
    assert_eq!((f32_binary("fadd", 1.5, 2.0), f32_binary("fsub", 1.5, 2.0)), (3.5, -0.5));
    assert_eq!(f32_binary("fmul", 1e38, 10.0), f32::INFINITY);
}

#[test]
fn conversions() {
    let to_int = |op: &str, ty: &str, x: f64| compute("f64", ty, &format!("{op}.{ty} v0"), &[x.to_bits()]);
    assert_eq!(to_int("ftos", "i32", -1.9), 0xffff_ffff);
    assert_eq!(to_int("ftou", "i32", 4294967295.9), 0xffff_ffff);
    assert_eq!(to_int("ftou", "i64", 18446744073709549568.0), 18446744073709549568);
    assert_eq!(to_int("ftos_sat", "i32", 1e10), 0x7fff_ffff);
    assert_eq!(to_int("ftos_sat", "i64", -1e30), 1 << 63);
    assert_eq!(to_int("ftou_sat", "i32", -5.0), 0);
    assert_eq!(to_int("ftou_sat", "i64", f64::NAN), 0);
    let to_float = |line: &str, ty: &str, x: u64| f64::from_bits(compute(ty, "f64", line, &[x]));
    assert_eq!(to_float("stof.f64 v0", "i32", 0xffff_ffff), -1.0);
    assert_eq!(to_float("utof.f64 v0", "i32", 0xffff_ffff), 4294967295.0);
    assert_eq!(to_float("utof.f64 v0", "i64", u64::MAX), 18446744073709551616.0);
    // Rounds once: through a double it would be 2^24.
    let direct = compute("i64", "f32", "stof.f32 v0", &[0x0100_0001_0000_0001]);
    assert_eq!(f32::from_bits(direct as u32), 2f32.powi(56) + 2f32.powi(33));
    assert_eq!(compute("f64", "f32", "fdemote.f32 v0", &[f64::NAN.to_bits() | 1]), 0x7fc0_0000);
    assert_eq!(to_float("fpromote.f64 v0", "f32", 0.5f32.to_bits().into()), 0.5);
    assert_eq!(compute("f32", "i32", "bitcast.i32 v0", &[0x7fa0_0001]), 0x7fa0_0001);
}

#[test]
fn unspecified_results_can_be_refused() {
    let lines = ["div_s.i32 v0, v1", "rem_u.i32 v0, v1", "shl.i32 v1, v2", "ftos.i32 v3"];
    for line in lines {
        let text = format!(
            "func $f (i32) -> (i32) {{\nb0(v0: i32):\n  v1 = const.i32 0\n  v2 = const.i32 32\n  \
             v3 = const.f32 0x7fc00000\n  v4 = {line}\n  return v4\n}}"
        );
        let module = module(&text);
        let options = Options::new(&module);
        run_with(&module, options.clone(), &[7]).expect("it has some result");
        let strict = run_with(&module, Options { reject_unspecified: true, ..options }, &[7]);
        assert!(matches!(strict, Err(Stop::Unspecified(_))), "{line}: {strict:?}");
    }
    let text = "func $f (i32) -> (i32) {\nb0(v0: i32):\n  v1 = select.i32 v0, v0, v0\n  return v1\n}";
    assert!(matches!(run(text, &[2]), Err(Stop::Unspecified(_))));
}

#[test]
fn memory() {
    let text = "\
memory @m size=0 align=4096 min=65536 page_log2=16 { 2: 80ff0102030405, 4: 7f }
var @g size=8 align=8 = 01
table @t size=16 align=8 { 8: $f }
func $f (i32) -> (i32, i64, i64, i64, i32) {
b0(v0: i32):
  v1 = load.s8.i32 [@m + v0 + 1]
  v2 = load.s16.i64 [@m + v0 + 1]
  v3 = load.u32.i64 [@m + 2]
  v4 = load.i64.i64 [@g]
  v5 = data_addr @m + 65535
  store.u8 v1, [v5]
  v6 = load.u8.i32 [@m + v0 + 65534]
  return v1, v2, v3, v4, v6
}
";
    // 4: 7f overwrites 01 of the first segment.
    let expected = vec![0xffff_ff80, (-128i64) as u64, 0x027f_ff80, 1, 0x80];
    assert_eq!(run(text, &[1]), Ok(expected));
    assert_eq!(run(text, &[65535]), Err(Stop::Trap(TrapCode::MemoryOutOfBounds)));
    let module = module(text);
    let interpreter = Interpreter::new(&module, Options::new(&module));
    assert_eq!(interpreter.linear_memory().len(), 65536);
    let table = Layout::packed(&module).data[DataId::new(2)];
    // The code address of f0 is 4, its signature is sig0.
    assert_eq!(interpreter.memory.read(table + 8, 8), Some(1 << 32 | 4));
    assert_eq!(interpreter.memory.read(table, 8), Some(0));
}

#[test]
fn addresses_are_the_targets_choice() {
    let text = "memory @m size=0 align=8 min=16 page_log2=0\nfunc $f () -> (i32, i32) {\nb0:\n  \
                v0 = data_addr @m + 4\n  v1 = load.u8.i32 [65536]\n  return v0, v1\n}";
    let module = module(text);
    let mut options = Options::new(&module);
    options.layout.data[DataId::new(0)] = 65536 - 8;
    assert_eq!(run_with(&module, options, &[]), Ok(vec![65532, 0]));
    let mut wrapped = Options::new(&module);
    wrapped.layout.data[DataId::new(0)] = 1000;
    assert_eq!(run_with(&module, wrapped, &[]), Err(Stop::Trap(TrapCode::MemoryOutOfBounds)));
}

#[test]
fn frames_are_aligned_disjoint_and_released() {
    let text = "\
memory @m size=0 align=8 min=4096 page_log2=0 native_stack=4090
func $f (i32) -> (i32, i32) {
  slot s0 size=5 align=8
  slot s1 size=1 align=1
  slot s2 size=4 align=16
b0(v0: i32):
  v1 = frame_addr s0
  v2 = frame_addr s1
  v3 = frame_addr s2
  v4 = or.i32 v1, v3
  v5 = const.i32 7
  v6 = and.i32 v4, v5
  v7 = sub.i32 v2, v3
  v8 = call $g(v0)
  v9 = sub.i32 v3, v8
  v10 = const.i32 15
  v11 = and.i32 v8, v10
  v12 = or.i32 v6, v11
  return v12, v9
}
func $g (i32) -> (i32) {
  slot s0 size=4 align=4
b0(v0: i32):
  v1 = const.i32 0
  v2 = icmp.eq.i32 v0, v1
  v3 = frame_addr s0
  branch v2, b1, b2
b1:
  v4 = const.i32 -16
  v5 = and.i32 v3, v4
  return v5
b2:
  v6 = const.i32 1
  v7 = sub.i32 v0, v6
  tail_call $g(v7)
}
";
    let module = module(text);
    let results = run(text, &[0]).expect("it returns");
    assert_eq!((results[0], results[1]), (0, 16));
    // Tail calls release their frame: a thousand of them need no more room.
    let options = Options { max_depth: 2, ..Options::new(&module) };
    assert_eq!(run_with(&module, options, &[1000]), Ok(results));
}

const CALLS: &str = "\
table @t size=16 align=8 { 8: $double }
func $f (i32) -> (i32, i32) {
b0(v0: i32):
  v1 = load.u32.i32 [@t + 8]
  v2 = call_indirect (i32) -> (i32) v1(v0)
  v3, v4 = call $swap(v0, v2)
  v5 = call $ask(v3)
  return v5, v4
}
func $double (i32) -> (i32) {
b0(v0: i32):
  v1 = add.i32 v0, v0
  return v1
}
func $swap (i32, i32) -> (i32, i32) {
b0(v0: i32, v1: i32):
  return v1, v0
}
import $ask \"env\" \"ask\" (i32) -> (i32)
";

#[test]
fn calls() {
    let module = module(CALLS);
    let mut interpreter = Interpreter::new(&module, Options::new(&module));
    let mut asked = Vec::new();
    let results = interpreter.call(FuncId::new(0), &[21], &mut |_, func, args| {
        asked.push((func, args.to_vec()));
        Ok(vec![7])
    });
    assert_eq!(results, Ok(vec![7, 21]));
    assert_eq!(asked, [(FuncId::new(3), vec![42])]);
    assert_eq!(interpreter.fuel(), 1_000_000 - 5 - 2 - 1);
    let refused = interpreter.call(FuncId::new(0), &[21], &mut |_, _, _| Err(Stop::Trap(TrapCode::Import)));
    assert_eq!(refused, Err(Stop::Trap(TrapCode::Import)));
    let wrong = CALLS.replace("call_indirect (i32) -> (i32) v1(v0)", "call_indirect (i32) -> (i32) v0(v0)");
    assert!(matches!(run(&wrong, &[1]), Err(Stop::Unspecified(_))));
}

#[test]
fn control_flow() {
    let text = "\
func $f (i64) -> (i64) {
b0(v0: i64):
  switch.i64 v0, [-1: b1, 3: b2], b3
b1:
  trap divide_by_zero
b2:
  v1 = const.i64 1
  jump b4(v0, v1)
b3:
  return v0
b4(v2: i64, v3: i64):
  v4 = icmp.gt_s.i64 v3, v2
  branch v4, b5, b6
b5:
  return v3
b6:
  v5 = add.i64 v3, v3
  jump b4(v5, v2)
}
";
    assert_eq!(run(text, &[u64::MAX]), Err(Stop::Trap(TrapCode::DivideByZero)));
    assert_eq!(run(text, &[9]), Ok(vec![9]));
    // (3, 1), (2, 3): arguments are read before any parameter is written.
    assert_eq!(run(text, &[3]), Ok(vec![3]));
}

#[test]
fn endless_programs_end() {
    let forever = "func $f () -> () {\nb0:\n  jump b1\nb1:\n  jump b1\n}";
    assert_eq!(run(forever, &[]), Err(Stop::OutOfFuel));
    let recursive = "func $f () -> () {\nb0:\n  call $f()\n  return\n}";
    assert_eq!(run(recursive, &[]), Err(Stop::StackOverflow));
    let hungry = "memory @m size=0 align=8 min=65536 page_log2=16 native_stack=100\n\
                  func $f () -> () {\n  slot s0 size=60 align=4\nb0:\n  call $f()\n  return\n}";
    assert_eq!(run(hungry, &[]), Err(Stop::StackOverflow));
}
