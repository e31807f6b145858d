//! The tables against those of Arm's manuals, and bounds against runs.

use random::Rng;
use thumb_engine::aapcs::Words;
use thumb_engine::{Answer, Call, Cpu as Registers, Ending, Host, Machine, Memory};
use thumb_isa::{Inst, decode};

use super::timing::Core;
use super::*;
use crate::options::{Cpu, OptLevel, Options, ThumbOptions};

const fn timing(core: Core) -> Timing {
    Timing { core, wait_states: 0, multiply: 32 }
}

/// Rows of the tables "Instruction set summary" (Cortex-M0+ TRM 3.3, M0 TRM 3.3, M3 TRM 3.3.1, M4 TRM 3.3.1), with P = 3 and the
/// largest number of a range: instruction as half-words, cycles on M0, M0+, M3, M4 with the transfer of control, if there is one;
/// 0 where the core lacks the instruction.
const ROWS: [(&str, &[u16], [u64; 4]); 22] = [
    ("adds r0, r1, r2", &[0x1888], [1, 1, 1, 1]),
    ("muls r0, r1, r0", &[0x4348], [32, 32, 1, 1]),
    ("ldr r0, [r1]", &[0x6808], [2, 2, 2, 2]),
    ("strb r0, [r1]", &[0x7008], [2, 2, 2, 2]),
    ("push {r4, r5, lr}", &[0xb530], [4, 4, 4, 4]),
    ("pop {r4, r5}", &[0xbc30], [3, 3, 3, 3]),
    ("pop {r4, pc}", &[0xbd10], [6, 5, 6, 6]),
    ("ldm r0!, {r1, r2, r3}", &[0xc80e], [4, 4, 4, 4]),
    ("b .", &[0xe7fe], [3, 2, 4, 4]),
    ("beq .", &[0xd0fe], [3, 2, 4, 4]),
    ("bl .", &[0xf7ff, 0xfffe], [4, 3, 4, 4]),
    ("bx lr", &[0x4770], [3, 2, 4, 4]),
    ("blx r3", &[0x4798], [3, 2, 4, 4]),
    ("dmb sy", &[0xf3bf, 0x8f5f], [4, 3, 4, 4]),
    ("udiv r0, r1, r2", &[0xfbb1, 0xf0f2], [0, 0, 12, 12]),
    ("mla r0, r1, r2, r3", &[0xfb01, 0x3002], [0, 0, 2, 2]),
    ("umull r0, r1, r2, r3", &[0xfba2, 0x0103], [0, 0, 5, 1]),
    ("umlal r0, r1, r2, r3", &[0xfbe2, 0x0103], [0, 0, 7, 1]),
    ("ldrd r0, r1, [r2]", &[0xe9d2, 0x0100], [0, 0, 3, 3]),
    ("tbb [pc, r0]", &[0xe8df, 0xf000], [0, 0, 5, 5]),
    ("vdiv.f32 s0, s1, s2", &[0xee80, 0x0a81], [0, 0, 0, 14]),
    ("vfma.f32 s0, s1, s2", &[0xeea0, 0x0a81], [0, 0, 0, 3]),
];

#[test]
fn instructions_cost_what_the_manuals_say() {
    for (text, halves, expected) in ROWS {
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        let inst = decode(&bytes, None).unwrap_or_else(|| panic!("{text} is no instruction")).inst;
        for (core, expected) in [Core::M0, Core::M0Plus, Core::M3, Core::M4].into_iter().zip(expected) {
            if expected > 0 {
                let timing = timing(core);
                let transfer = if inst.flow() == thumb_isa::Flow::Next { 0 } else { timing.transfer(&inst) };
                assert_eq!(
                    timing.cycles(&inst).map(|own| own + transfer),
                    Some(expected),
                    "{text} on {core:?}"
                );
            }
        }
    }
}

/// Counts the cycles of what is executed.
struct Counter<'a> {
    timing: &'a Timing,
    code: BTreeMap<u32, (Inst, u32)>,
    last: Option<(Inst, u32)>,
    cycles: u64,
}

impl Host for Counter<'_> {
    fn step(&mut self, cpu: &Registers) {
        let at = cpu.pc();
        self.leave(at);
        let (inst, after) = self.code[&at];
        self.cycles += self.timing.cycles(&inst).unwrap_or_default();
        self.last = Some((inst, after));
    }

    fn call(&mut self, _: &mut Registers, _: &mut Memory, _: usize) -> Answer {
        Answer::Stop
    }
}

impl Counter<'_> {
    fn leave(&mut self, to: u32) {
        if let Some((inst, _)) = self.last.filter(|&(_, after)| after != to) {
            self.cycles += self.timing.transfer(&inst);
        }
    }
}

/// The cycles of a call; `None` if it doesn't return.
fn run(machine: &mut Machine, timing: &Timing, name: &str, args: [u32; 3]) -> Option<u64> {
    let code = thumb_engine::instructions(machine.image());
    let code = code.into_iter().map(|(at, inst, after)| (at, (inst, after))).collect();
    let mut counter = Counter { timing, code, last: None, cycles: 0 };
    let address = machine.image().address(name).expect("it is exported");
    let words = Words { core: [args[0], args[1], args[2], 0], ..Words::default() };
    machine.restore();
    let call = Call { address, words, base: None, canonical_nans: false, budget: 1_000_000 };
    let exit = machine.call(&call, &mut counter);
    counter.leave(u32::MAX);
    (exit.ending == Ending::Returned).then_some(counter.cycles)
}

/// A function in the text format that calls only later ones. Its loops have bounds, unless `n` is one.
fn body(rng: &mut Rng, depth: u32, number: usize, functions: usize, locals: &mut usize) -> String {
    let mut text = String::new();
    for _ in 0..1 + rng.below(3) {
        let local = rng.pick(&["$a", "$b", "$c"]);
        let constant = rng.below(60);
        text += &match rng.below(if depth == 0 { 4 } else { 8 }) {
            0 => format!("(local.set {local} (i32.mul (local.get $a) (local.get $b)))"),
            1 => format!(
                "(local.set {local} (i32.div_u (local.get $c) (i32.or (local.get $a) (i32.const 1))))"
            ),
            2 => format!("(i32.store (i32.and (local.get $b) (i32.const 252)) (local.get {local}))"),
            3 if number + 1 < functions => {
                let callee = number + 1 + rng.below(functions - number - 1);
                format!("(local.set {local} (call $f{callee} (local.get $b) (local.get $c) (local.get $a)))")
            }
            4 => format!(
                "(if (i32.lt_u (local.get {local}) (i32.const {constant})) (then {}) (else {}))",
                body(rng, depth - 1, number, functions, locals),
                body(rng, depth - 1, number, functions, locals)
            ),
            5 | 6 => {
                let counter = format!("$i{locals}");
                *locals += 1;
                let inner = body(rng, depth - 1, number, functions, locals);
                let start = match rng.below(3) {
                    0 => format!("(i32.and (local.get {local}) (i32.const 15))"),
                    1 => format!("(i32.shr_u (local.get {local}) (i32.const 20))"),
                    _ => format!("(i32.const {})", 1 + rng.below(12)),
                };
                let next = match rng.below(3) {
                    0 => format!("(i32.shr_u (local.get {counter}) (i32.const 1))"),
                    1 => format!(
                        "(i32.and (local.get {counter}) (i32.sub (local.get {counter}) (i32.const 1)))"
                    ),
                    _ => format!("(i32.sub (local.get {counter}) (i32.const 1))"),
                };
                format!(
                    "(local.set {counter} {start}) (block $out{counter} (loop $again{counter}
                    (br_if $out{counter} (i32.eqz (local.get {counter}))) {inner}
                    (local.set {counter} {next}) (br $again{counter})))"
                )
            }
            _ => format!("(local.set {local} (i32.rotl (local.get $c) (i32.const {constant})))"),
        };
    }
    text
}

fn random_module(rng: &mut Rng) -> Vec<u8> {
    let functions = 3;
    let mut text = "(module (memory 1)".to_owned();
    for number in 0..functions {
        let mut locals = 0;
        let body = body(rng, 3, number, functions, &mut locals);
        let names: String = (0..locals).map(|n| format!("(local $i{n} i32)")).collect();
        text += &format!(
            "(func $f{number} (export \"f{number}\") (param $a i32) (param $b i32) (param $c i32) (result i32) {names}
            {body} (i32.add (local.get $a) (i32.xor (local.get $b) (local.get $c))))"
        );
    }
    wat::parse_str(text + ")").expect("well-formed")
}

fn object(wasm: &[u8], cpu: Cpu, level: OptLevel) -> Vec<u8> {
    let options =
        Options { level, threads: 1, ..Options::new(ThumbOptions { cpu, ..ThumbOptions::default() }) };
    crate::compile(wasm, &options).expect("it compiles").bytes
}

/// No run takes more cycles than the bound, whatever the path.
#[test]
fn runs_take_no_more_cycles_than_the_bound() {
    let (mut bounded, mut functions, mut closest) = (0, 0, 0.0_f64);
    for seed in 0..24 {
        let rng = &mut Rng::new(seed);
        let wasm = random_module(rng);
        let (cpu, core) = rng.pick(&[(Cpu::M3, Core::M3), (Cpu::M0Plus, Core::M0Plus)]);
        let level = rng.pick(&[OptLevel::O0, OptLevel::O2, OptLevel::Oz]);
        let bytes = object(&wasm, cpu, level);
        let timing = timing(core);
        let found = cycles(&bytes, &timing).expect("an object");
        let mut machine = Machine::new(Image::load(&bytes).expect("an object"));
        for function in found.iter().filter(|function| function.name.starts_with('f')) {
            functions += 1;
            let Ok(worst) = function.worst else { continue };
            bounded += 1;
            for _ in 0..20 {
                let args = [(); 3].map(|()| rng.interesting() as u32 >> rng.below(32));
                let Some(taken) = run(&mut machine, &timing, &function.name, args) else { continue };
                assert!(
                    taken <= worst,
                    "seed {seed}, {}{args:?}: {taken} cycles, not {worst}",
                    function.name
                );
                closest = closest.max(taken as f64 / worst as f64);
            }
        }
    }
    assert!(2 * bounded > functions, "{bounded} of {functions} functions have a bound");
    assert!(closest > 0.9, "no run comes near its bound: {closest}");
}

#[test]
fn what_has_no_bound_says_why() {
    let text = r#"(module (import "env" "host" (func $host)) (memory 1)
        (func (export "endless") (param i32) (loop $l (br_if $l (i32.load (local.get 0)))))
        (func $down (export "recursive") (param i32) (result i32)
            (if (result i32) (i32.load (local.get 0))
                (then (i32.add (call $down (i32.add (local.get 0) (i32.const 4))) (i32.const 1)))
                (else (i32.const 0))))
        (func (export "caller") (result i32) (i32.add (call $down (i32.const 8)) (i32.const 1)))
        (func (export "hosted") (call $host) (call $host))
        (func (export "eight") (result i32) (local $n i32) (local $sum i32)
            (local.set $n (i32.const 8))
            (loop $l
                (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $n))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $l (local.get $n)))
            (local.get $sum)))"#;
    let wasm = wat::parse_str(text).expect("well-formed");
    let found = cycles(&object(&wasm, Cpu::M4, OptLevel::Oz), &timing(Core::M4)).expect("an object");
    let of = |name: &str| found.iter().find(|function| function.name == name).expect("it is there");
    assert!(matches!(of("endless").worst, Err(Reason::Loop(_))), "{:?}", of("endless"));
    assert!(of("recursive").worst.is_err(), "{:?}", of("recursive"));
    assert!(of("caller").worst.is_err(), "{:?}", of("caller"));
    assert_eq!(of("hosted").imports.iter().collect::<Vec<_>>(), ["host"]);
    assert!(of("hosted").worst.is_ok());
    let eight = of("eight");
    assert_eq!(eight.loops.iter().map(|inner| inner.rounds).collect::<Vec<_>>(), [Some(8)], "{eight:?}");
    assert!(eight.worst.as_ref().is_ok_and(|&worst| worst > 8 * eight.loops[0].cycles), "{eight:?}");
    let slow = cycles(&object(&wasm, Cpu::M4, OptLevel::Oz), &Timing { wait_states: 2, ..timing(Core::M4) });
    let slow = slow.expect("an object").into_iter().find(|function| function.name == "eight");
    assert!(slow.expect("it is there").worst > eight.worst);
}
