//! Bounds of loops: known ones, and random loops against the number of rounds that the interpreter makes.

use ssa::interp::{Interpreter, Options, Stop};
use ssa::testing::Rng;
use ssa::{Block, EntityId, FuncId, Module, loop_bounds, parse_module};

/// A function `(i32) -> ()` whose loop calls `tick` in its header, block 1. Its body is `text`.
fn module(text: &str) -> Module {
    let text = format!("import $tick \"env\" \"tick\" () -> ()\nfunc $f (i32) -> () {{\n{text}}}\n");
    let module = parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{text}"));
    module
}

fn bound(module: &Module) -> Option<u32> {
    let func = module.functions.values().flatten().next().expect("it has a body");
    loop_bounds(func)[Block::new(1)]
}

/// Executions of the header; `None` if they are too many to count.
fn rounds(module: &Module, arg: u32) -> Option<u32> {
    let mut ticks = 0;
    let mut interpreter = Interpreter::new(module, Options { fuel: 20_000, ..Options::new(module) });
    let result = interpreter.call(FuncId::new(1), &[arg.into()], &mut |_, _, _| {
        ticks += 1;
        Ok(Vec::new())
    });
    match result {
        Ok(_) => Some(ticks),
        Err(Stop::OutOfFuel) => None,
        Err(error) => panic!("{error:?}\n{module}"),
    }
}

/// A loop over `v2`, which begins with `start` and whose next value is `v6`, tested by `test` into `v8`.
fn single(start: &str, step: &str, test: &str) -> String {
    format!(
        "b0(v0: i32):\n{start}  jump b1(v1)\nb1(v2: i32):\n  call $tick()\n{step}{test}  branch v8, b3, b2\n\
         b2:\n  jump b1(v6)\nb3:\n  return\n"
    )
}

#[test]
fn loops_have_their_bounds() {
    let constant = |value: i32| format!("  v1 = const.i32 {value}\n");
    let narrow = "  v9 = const.i32 255\n  v1 = and.i32 v0, v9\n";
    let add = |value: i32| format!("  v5 = const.i32 {value}\n  v6 = add.i32 v2, v5\n");
    let test = |value: &str, cond: &str, with: i32| {
        format!("  v7 = const.i32 {with}\n  v8 = icmp.{cond}.i32 {value}, v7\n")
    };
    let cases = [
        (single(&constant(0), &add(1), &test("v6", "eq", 10)), Some(10)),
        (single(&constant(0), &add(1), &test("v2", "eq", 10)), Some(11)),
        (single(&constant(0), &add(3), &test("v6", "ge_u", 10)), Some(4)),
        (single(&constant(-5), &add(1), &test("v6", "gt_s", 0)), Some(6)),
        // It jumps over the end.
        (single(&constant(0), &add(4), &test("v6", "eq", 10)), None),
        (single(narrow, &add(-1), &test("v2", "eq", 0)), Some(256)),
        // Zero becomes the largest value before the test.
        (single(narrow, &add(-1), &test("v6", "eq", 0)), None),
        (single(narrow, &add(1), &test("v6", "eq", 300)), None),
        (single("  v9 = const.i32 1\n  v1 = shr_u.i32 v0, v9\n", &shift(3), &test("v6", "eq", 0)), Some(11)),
        (single("  v1 = shr_u.i32 v0, v0\n", &shift(1), &test("v2", "eq", 0)), Some(33)),
        (single("  v1 = shr_u.i32 v0, v0\n", CLEARS, &test("v6", "eq", 0)), Some(32)),
    ];
    for (text, expected) in cases {
        assert_eq!(bound(&module(&text)), expected, "{text}");
    }
}

/// The next value without its lowest bit.
const CLEARS: &str = "  v5 = const.i32 -1\n  v4 = add.i32 v2, v5\n  v6 = and.i32 v2, v4\n";

fn shift(count: u32) -> String {
    format!("  v5 = const.i32 {count}\n  v6 = shr_u.i32 v2, v5\n")
}

/// A random loop: what it begins with, its step and its test are of all kinds, those with bounds and those without.
fn random_loop(rng: &mut Rng) -> String {
    let small = |rng: &mut Rng| rng.below(40) as i32 - 8;
    let start = match rng.below(3) {
        0 => format!("  v1 = const.i32 {}\n", small(rng)),
        1 => format!("  v10 = const.i32 {}\n  v1 = and.i32 v0, v10\n", small(rng) & 31),
        _ => format!("  v10 = const.i32 {}\n  v1 = shr_u.i32 v0, v10\n", 20 + rng.below(12)),
    };
    let limit = format!("  v11 = const.i32 {}\n  v12 = and.i32 v0, v11\n", (1 << rng.below(6)) - 1);
    let step = match rng.below(6) {
        0 => shift(1 + rng.below(4) as u32),
        1 => CLEARS.to_owned(),
        2 => "  v6 = add.i32 v2, v12\n".to_owned(),
        3 => format!("  v5 = const.i32 {}\n  v6 = sub.i32 v2, v5\n", rng.below(3)),
        4 => format!("  v5 = const.i32 {}\n  v6 = mul.i32 v2, v5\n", small(rng)),
        _ => format!("  v5 = const.i32 {}\n  v6 = add.i32 v2, v5\n", rng.below(4)),
    };
    let cond = rng.pick(&["eq", "ne", "lt_s", "le_s", "gt_s", "ge_s", "lt_u", "le_u", "gt_u", "ge_u"]);
    let tested = rng.pick(&["v2", "v6"]);
    let end = if rng.below(3) == 0 { 0 } else { small(rng) };
    let other = rng.pick(&["v7", "v7", "v12", "v0"]);
    let (left, right) = if rng.below(2) == 0 { (tested, other) } else { (other, tested) };
    let test = format!("  v7 = const.i32 {end}\n  v8 = icmp.{cond}.i32 {left}, {right}\n");
    single(&(start + &limit), &step, &test)
}

/// Of constants, small values, and values of any width.
fn arguments(rng: &mut Rng) -> Vec<u32> {
    let wide = (0..12).map(|_| (rng.bits() as u32) >> rng.below(32));
    [0, 1, 31, 32, 255, 256, u32::MAX].into_iter().chain(wide).collect()
}

#[test]
fn no_loop_makes_more_rounds_than_its_bound() {
    let (mut bounded, mut exact) = (0, 0);
    for seed in 0..1000 {
        let rng = &mut Rng::new(seed);
        let text = random_loop(rng);
        let module = module(&text);
        let Some(bound) = bound(&module) else { continue };
        bounded += 1;
        let most = arguments(rng).into_iter().map(|arg| {
            let rounds = rounds(&module, arg);
            assert!(
                rounds.map_or(bound > 1000, |rounds| rounds <= bound),
                "seed {seed}: {rounds:?} rounds for {arg}, not {bound}\n{text}"
            );
            rounds.unwrap_or(0)
        });
        exact += u32::from(most.max() == Some(bound));
    }
    assert!(bounded > 120 && exact > 100, "{bounded} have a bound, {exact} reach it");
}
