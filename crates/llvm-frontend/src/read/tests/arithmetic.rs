//! Integer operations of every width against LLVM's own constant folder.
//!
//! For each operation and width a function is generated that takes its operands as halves of 128-bit numbers.
//! The reader turns it into `ssa`, once as written and once after LLVM's optimiser, and the interpreter runs
//! it. The oracle is LLVM: a second module calls the same functions with constants and inlines and folds the
//! calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::module::Module as LlvmModule;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{CodeModel, InitializationConfig, RelocMode, Target, TargetMachine};
use random::Rng;

use crate::read::testing;

const WIDTHS: &[u32] = &[1, 2, 7, 8, 13, 16, 24, 31, 32, 33, 40, 48, 63, 64, 65, 80, 96, 100, 127, 128];
const LAYOUT: &str = r#"target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128""#;
const VECTORS: usize = 24;

/// Operand halves: three numbers of 128 bits.
type Operands = [u128; 3];

/// An operation: lines of IR that compute `%r` of type `{t}` from `%a`, `%b` and `%c` (a count below the
/// width).
struct Operation {
    name: &'static str,
    body: &'static str,
    /// Whether the operation exists for a width.
    exists: fn(u32) -> bool,
}

const fn op(name: &'static str, body: &'static str) -> Operation {
    Operation { name, body, exists: |_| true }
}

const SAFE_SIGNED_DIVISOR: &str = "%is.min = icmp eq {t} %a, {min}\n %is.neg = icmp eq {t} %b, -1\n \
     %both = and i1 %is.min, %is.neg\n %is.zero = icmp eq {t} %b, 0\n %bad = or i1 %both, %is.zero\n \
     %d = select i1 %bad, {t} 1, {t} %b\n";

fn operations() -> Vec<Operation> {
    let mut all = vec![
        op("add", "%r = add {t} %a, %b"),
        op("sub", "%r = sub {t} %a, %b"),
        op("mul", "%r = mul {t} %a, %b"),
        op("and", "%r = and {t} %a, %b"),
        op("or", "%r = or {t} %a, %b"),
        op("xor", "%r = xor {t} %a, %b"),
        op("not", "%r = xor {t} %a, -1"),
        op("shl", "%r = shl {t} %a, %c"),
        op("lshr", "%r = lshr {t} %a, %c"),
        op("ashr", "%r = ashr {t} %a, %c"),
        op("shl.const", "%r = shl {t} %a, {half}"),
        op("lshr.const", "%r = lshr {t} %a, {half}"),
        op("ashr.const", "%r = ashr {t} %a, {half}"),
        op("lshr.top", "%r = lshr {t} %a, {top}"),
        op("ashr.top", "%r = ashr {t} %a, {top}"),
        op("udiv", "%z = icmp eq {t} %b, 0\n %d = select i1 %z, {t} 1, {t} %b\n %r = udiv {t} %a, %d"),
        op("urem", "%z = icmp eq {t} %b, 0\n %d = select i1 %z, {t} 1, {t} %b\n %r = urem {t} %a, %d"),
        op("sdiv", "{divisor}%r = sdiv {t} %a, %d"),
        op("srem", "{divisor}%r = srem {t} %a, %d"),
        op("select", "%p = icmp ult {t} %b, %c\n %r = select i1 %p, {t} %a, {t} %b"),
        op("freeze", "%f = freeze {t} %a\n %r = sub {t} %f, %b"),
        op("sext.8", "%x = shl {t} %a, {spare8}\n %r = ashr {t} %x, {spare8}"),
        op("sext.16", "%x = shl {t} %a, {spare16}\n %r = ashr {t} %x, {spare16}"),
        op("mask", "%n = and {t} %a, {mask}\n %r = lshr {t} %n, %c"),
        op("memory", "store {t} %a, ptr @__linear_memory\n %r = load {t}, ptr @__linear_memory, align 1"),
    ];
    for (name, body) in [
        ("sext.in", "%n = trunc {t} %a to i1\n %r = sext i1 %n to {t}"),
        ("zext.in", "%n = icmp slt {t} %a, %b\n %r = zext i1 %n to {t}"),
        ("trunc.zext", "%n = trunc {t} %a to {n}\n %r = zext {n} %n to {t}"),
        ("trunc.sext", "%n = trunc {t} %a to {n}\n %r = sext {n} %n to {t}"),
        ("switch", SWITCH),
    ] {
        all.push(Operation { name, body, exists: |bits| bits > 1 });
    }
    for (name, body) in [
        ("sext.wide", "%w = sext {t} %a to i128\n %k = ashr i128 %w, 3\n %r = trunc i128 %k to {t}"),
        ("sext.64", "%n = trunc i128 %a.w to i64\n %w = sext i64 %n to i128\n %r = trunc i128 %w to {t}"),
        (
            "mul.64",
            "%n = trunc i128 %a.w to i64\n %w = sext i64 %n to i128\n %p = mul i128 %w, %w\n \
          %h = lshr i128 %p, 50\n %r = trunc i128 %h to {t}",
        ),
    ] {
        all.push(Operation { name, body, exists: |bits| bits < 128 });
    }
    all
}

const SWITCH: &str =
    "switch {t} %a, label %other [ {t} 0, label %zero {t} -1, label %ones {t} {min}, label %zero ]
zero: br label %end
ones: br label %end
other: br label %end
end: %r = phi {t} [ 1, %zero ], [ %b, %ones ], [ %c, %other ]";

const PHI: &str = "br label %loop
loop: %n = phi {t} [ %c, %entry ], [ %n.next, %loop ]
 %x = phi {t} [ %a, %entry ], [ %y, %loop ]
 %y = phi {t} [ %b, %entry ], [ %sum, %loop ]
 %sum = add {t} %x, %y
 %n.next = lshr {t} %n, 1
 %more = icmp ugt {t} %n, 1
 br i1 %more, label %loop, label %end
end: %r = phi {t} [ %x, %loop ]";

const PREDICATES: &[&str] = &["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge"];
/// Intrinsics of two operands.
const BINARY: &[&str] =
    &["smax", "smin", "umax", "umin", "sadd.sat", "uadd.sat", "ssub.sat", "usub.sat", "ucmp", "scmp"];
/// Saturating shifts, which LLVM doesn't fold, with their definition.
const SHIFTS: &[(&str, &str)] = &[
    (
        "sshl.sat",
        "%x = shl {t} %a, %c\n %y = ashr {t} %x, %c\n %p = icmp eq {t} %y, %a\n %n = icmp slt {t} %a, 0\n \
      %l = select i1 %n, {t} {min}, {t} {smax}\n %r = select i1 %p, {t} %x, {t} %l",
    ),
    (
        "ushl.sat",
        "%x = shl {t} %a, %c\n %y = lshr {t} %x, %c\n %p = icmp eq {t} %y, %a\n \
      %r = select i1 %p, {t} %x, {t} -1",
    ),
];
const OVERFLOW: &[&str] = &["sadd", "uadd", "ssub", "usub", "smul", "umul"];

/// A function for every operation that exists for a width.
fn cases(bits: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    let ty = format!("i{bits}");
    for operation in operations().iter().filter(|operation| (operation.exists)(bits)) {
        let body = operation.body.replace("{n}", &format!("i{}", bits.div_ceil(2)));
        cases.push((operation.name.to_owned(), body));
    }
    for predicate in PREDICATES {
        for (operand, right) in [("", "%b"), (".const", "{half}"), (".max", "{smax}")] {
            let name = format!("icmp.{predicate}{operand}");
            cases.push((
                name,
                format!("%p = icmp {predicate} {{t}} %a, {right}\n %r = select i1 %p, {{t}} 1, {{t}} 0"),
            ));
        }
    }
    // LLVM has no three-way comparison in one bit.
    for name in BINARY.iter().filter(|name| bits > 1 || !name.ends_with("cmp")) {
        let types = if name.ends_with("cmp") { format!("{ty}.{ty}") } else { ty.clone() };
        cases.push((name.to_string(), format!("%r = call {{t}} @llvm.{name}.{types}({{t}} %a, {{t}} %b)")));
    }
    for name in OVERFLOW {
        let call = format!("%s = call {{{{t}}, i1}} @llvm.{name}.with.overflow.{ty}({{t}} %a, {{t}} %b)");
        let tail = "%v = extractvalue {{t}, i1} %s, 0\n %o = extractvalue {{t}, i1} %s, 1\n \
                    %r = select i1 %o, {t} %b, {t} %v";
        cases.push((format!("{name}.overflow"), format!("{call}\n {tail}")));
        let flag = "%o = extractvalue {{t}, i1} %s, 1\n %r = zext i1 %o to {t}";
        if bits > 1 {
            cases.push((format!("{name}.flag"), format!("{call}\n {flag}")));
        }
    }
    funnel_cases(bits, &mut cases);
    bit_cases(bits, &mut cases);
    let mut cases: Vec<Case> = cases.iter().map(|(name, body)| Case::new(name, body, body, bits)).collect();
    for (name, definition) in SHIFTS.iter().filter(|_| (2..=64).contains(&bits)) {
        let call = format!("%r = call {{t}} @llvm.{name}.{ty}({{t}} %a, {{t}} %c)");
        cases.push(Case::new(name, &call, definition, bits));
    }
    cases.push(Case::new("phi", PHI, &unrolled_phi(), bits));
    cases
}

/// The result of [`PHI`], without a loop. A count below 128 is halved to 1 or 0 in less than 8 rounds.
fn unrolled_phi() -> String {
    let mut text = "%n0 = freeze {t} %c\n %x0 = freeze {t} %a\n %x1 = freeze {t} %b\n".to_owned();
    for i in 0..7 {
        let (next, after) = (i + 1, i + 2);
        writeln!(text, " %n{next} = lshr {{t}} %n{i}, 1\n %x{after} = add {{t}} %x{i}, %x{next}")
            .expect("strings grow");
        writeln!(text, " %more{i} = icmp ugt {{t}} %n{i}, 1").expect("strings grow");
    }
    writeln!(text, " %r7 = freeze {{t}} %x7").expect("strings grow");
    for i in (0..7).rev() {
        writeln!(text, " %r{i} = select i1 %more{i}, {{t}} %r{}, {{t}} %x{i}", i + 1).expect("strings grow");
    }
    text + " %r = freeze {t} %r0"
}

fn funnel_cases(bits: u32, cases: &mut Vec<(String, String)>) {
    for name in ["fshl", "fshr"] {
        for (kind, low, count) in [
            ("", "%b", "%c"),
            (".any", "%b", "%a"),
            (".const", "%b", "{half}"),
            (".rot", "%a", "%c"),
            (".rotc", "%a", "{half}"),
        ] {
            let call = format!("%r = call {{t}} @llvm.{name}.i{bits}({{t}} %a, {{t}} {low}, {{t}} {count})");
            cases.push((format!("{name}{kind}"), call));
        }
    }
}

fn bit_cases(bits: u32, cases: &mut Vec<(String, String)>) {
    let mut add = |name: &str, args: &str| {
        cases.push((name.into(), format!("%r = call {{t}} @llvm.{name}.i{bits}({{t}} %a{args})")));
    };
    add("ctpop", "");
    add("bitreverse", "");
    add("ctlz", ", i1 false");
    add("cttz", ", i1 false");
    if bits > 1 {
        add("abs", ", i1 false");
    }
    if bits.is_multiple_of(16) {
        add("bswap", "");
    }
}

/// A function to read, and one that LLVM evaluates.
struct Case {
    symbol: String,
    tested: String,
    oracle: String,
}

impl Case {
    fn new(name: &str, tested: &str, oracle: &str, bits: u32) -> Self {
        let symbol = format!("{name}.{bits}");
        let [tested, oracle] = [tested, oracle].map(|body| function(&symbol, body, bits));
        Self { symbol, tested, oracle }
    }
}

/// The definition of the function for one operation and width.
fn function(symbol: &str, body: &str, bits: u32) -> String {
    let ty = format!("i{bits}");
    let floor = if bits == 1 { 0 } else { bits - 1 };
    let power = |n: u32| if n == 0 { 1 } else { 1u128 << n };
    let max = u128::MAX >> (128 - bits);
    let body = body
        .replace("{divisor}", SAFE_SIGNED_DIVISOR)
        .replace("{min}", &signed(power(bits - 1), bits).to_string())
        .replace("{smax}", &signed(max >> 1, bits).to_string())
        .replace("{spare8}", &signed(u128::from(bits.saturating_sub(8)) & max, bits).to_string())
        .replace("{spare16}", &signed(u128::from(bits.saturating_sub(16)) & max, bits).to_string())
        .replace("{half}", &signed(u128::from(bits / 2) & max, bits).to_string())
        .replace("{top}", &signed(u128::from(floor) & max, bits).to_string())
        .replace("{mask}", &signed(max >> bits.div_ceil(2), bits).to_string())
        .replace("{t}", &ty);
    let mut text = String::new();
    let params = "i64 %a.0, i64 %a.1, i64 %b.0, i64 %b.1, i64 %c.0, i64 %c.1";
    writeln!(text, "define {{i64, i64}} @{symbol}({params}) {{\nentry:").expect("strings grow");
    for x in ["a", "b", "c"] {
        let line = format!(
            " %X.z0 = zext i64 %X.0 to i128\n %X.z1 = zext i64 %X.1 to i128\n %X.h = shl i128 %X.z1, 64\n \
             %X.w = or i128 %X.h, %X.z0\n {}\n",
            if bits == 128 {
                "%X.t = freeze i128 %X.w".into()
            } else {
                format!("%X.t = trunc i128 %X.w to {ty}")
            },
        );
        text += &line.replace('X', x);
    }
    // A count below the width.
    writeln!(text, " %a = freeze {ty} %a.t\n %b = freeze {ty} %b.t").expect("strings grow");
    writeln!(
        text,
        " %c = call {ty} @llvm.umin.{ty}({ty} %c.t, {ty} {})",
        signed(u128::from(floor) & max, bits)
    )
    .expect("strings grow");
    let extend =
        if bits == 128 { "%e = freeze i128 %r".into() } else { format!("%e = zext {ty} %r to i128") };
    writeln!(
        text,
        " {body}\n {extend}\n %e.0 = trunc i128 %e to i64\n %e.s = lshr i128 %e, 64\n %e.1 = trunc i128 %e.s to i64\n \
         %s.0 = insertvalue {{i64, i64}} undef, i64 %e.0, 0\n %s.1 = insertvalue {{i64, i64}} %s.0, i64 %e.1, 1\n \
         ret {{i64, i64}} %s.1\n}}"
    )
    .expect("strings grow");
    text
}

fn signed(value: u128, bits: u32) -> i128 {
    (value << (128 - bits)).cast_signed() >> (128 - bits)
}

fn wide(rng: &mut Rng) -> u128 {
    u128::from(rng.bits()) << 64 | u128::from(rng.bits())
}

/// Numbers near the limits of a width as often as any others.
fn operand(rng: &mut Rng, bits: u32) -> u128 {
    let top = 1u128 << (bits - 1);
    match rng.below(10) {
        0 => 0,
        1 => 1,
        2 => u128::MAX,
        3 => top,
        4 => top - 1,
        5 => rng.below(130) as u128,
        6 => 1u128 << rng.below(128),
        7 => u128::MAX << rng.below(128),
        8 => u128::from(rng.bits()),
        _ => wide(rng),
    }
}

fn vectors(bits: u32) -> Vec<Operands> {
    let mut rng = Rng::new(u64::from(bits));
    let count = |rng: &mut Rng| if rng.one_in(4) { wide(rng) } else { rng.below(bits as usize) as u128 };
    (0..VECTORS).map(|_| [operand(&mut rng, bits), operand(&mut rng, bits), count(&mut rng)]).collect()
}

fn host_machine() -> TargetMachine {
    Target::initialize_native(&InitializationConfig::default()).expect("LLVM knows its host");
    let triple = TargetMachine::get_default_triple();
    let target = Target::from_triple(&triple).expect("LLVM knows its host");
    let machine = target.create_target_machine(
        &triple,
        "",
        "",
        OptimizationLevel::Default,
        RelocMode::Default,
        CodeModel::Default,
    );
    machine.expect("LLVM knows its host")
}

fn run_passes(module: &LlvmModule<'_>, passes: &str) {
    module
        .run_passes(passes, &host_machine(), PassBuilderOptions::create())
        .unwrap_or_else(|e| panic!("{e}"));
}

const MEMORY: &str = "@__linear_memory = external global [0 x i8]\n";

/// LLVM's results, by symbol, one per vector.
fn expected(cases: &[Case], vectors: &[Operands]) -> BTreeMap<String, Vec<u128>> {
    // The oracle's memory is one cell that optimises away.
    let mut text = format!("{LAYOUT}\n");
    for case in cases {
        let private = case
            .oracle
            .replacen("entry:", "entry:\n %cell = alloca [16 x i8], align 16", 1)
            .replace("@__linear_memory", "%cell");
        text += &private.replacen("define", "define internal", 1).replacen(") {", ") alwaysinline {", 1);
    }
    for Case { symbol, .. } in cases {
        for (n, operands) in vectors.iter().enumerate() {
            let args: Vec<String> =
                halves(operands).iter().map(|half| format!("i64 {}", half.cast_signed())).collect();
            let call = format!("call {{i64, i64}} @{symbol}({})", args.join(", "));
            writeln!(text, "define {{i64, i64}} @v.{n}.{symbol}() {{ %r = {call}\n ret {{i64, i64}} %r }}")
                .expect("strings grow");
        }
    }
    let context = Context::create();
    let module = testing::parse(&context, &text);
    run_passes(
        &module,
        "always-inline,function(sroa,instcombine<no-verify-fixpoint>,sccp,simplifycfg,instcombine<no-verify-fixpoint>)",
    );
    folded(&module.print_to_string().to_string(), vectors.len())
}

/// The constants that functions return, from the text of a module.
fn folded(text: &str, count: usize) -> BTreeMap<String, Vec<u128>> {
    let mut results = BTreeMap::<String, Vec<u128>>::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("define { i64, i64 } @v.") {
            let symbol = rest.split("()").next().expect("split yields something");
            current = symbol
                .split_once('.')
                .map(|(n, symbol)| (n.parse::<usize>().expect("a number"), symbol.to_owned()));
        } else if let (Some(value), Some((n, symbol))) =
            (line.trim().strip_prefix("ret { i64, i64 } "), current.take())
        {
            let slot = results.entry(symbol.clone()).or_insert_with(|| vec![0; count]);
            slot[n] = constant(value).unwrap_or_else(|| panic!("{symbol}: LLVM did not fold `{value}`"));
        }
    }
    results
}

fn constant(text: &str) -> Option<u128> {
    if text == "zeroinitializer" {
        return Some(0);
    }
    let mut halves = text
        .trim_matches(['{', '}', ' '])
        .split(", ")
        .map(|half| half.strip_prefix("i64 ")?.parse::<i64>().ok());
    let (low, high) = (halves.next()??, halves.next()??);
    Some(u128::from(low.cast_unsigned()) | u128::from(high.cast_unsigned()) << 64)
}

fn halves(operands: &Operands) -> Vec<u64> {
    operands.iter().flat_map(|operand| [*operand as u64, (*operand >> 64) as u64]).collect()
}

/// Reads the functions, after `passes` if there are any, and compares every result.
fn check(bits: u32, passes: Option<&str>) {
    let cases = cases(bits);
    let vectors = vectors(bits);
    let expected = expected(&cases, &vectors);
    let bodies: String = cases.iter().map(|case| case.tested.as_str()).collect();
    let context = Context::create();
    let module = testing::parse(&context, &format!("{LAYOUT}\n{MEMORY}{bodies}"));
    if let Some(passes) = passes {
        run_passes(&module, passes);
    }
    let program = testing::read_parts(&[&module]).unwrap_or_else(|error| panic!("{error}"));
    let mut machine = testing::machine(&program);
    let mut wrong = Vec::new();
    for Case { symbol, .. } in &cases {
        let func = testing::function(&program, symbol);
        let expected = expected.get(symbol).unwrap_or_else(|| panic!("no expectation for {symbol}"));
        for (operands, expected) in vectors.iter().zip(expected) {
            let results = testing::call(&mut machine, &program.decls, func, &halves(operands));
            let value = results.map(|r| u128::from(r[0]) | u128::from(r[1]) << 64);
            if value != Ok(*expected) {
                wrong.push(format!("{symbol} of {operands:x?}: {value:x?}, LLVM says {expected:x}"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn operations_as_written_agree_with_llvm() {
    for &bits in WIDTHS {
        check(bits, None);
    }
}

#[test]
fn operations_after_optimisation_agree_with_llvm() {
    for &bits in WIDTHS {
        check(bits, Some("default<O2>"));
    }
}
