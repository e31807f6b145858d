//! Random initial memory: modules whose segments have all sizes and distances that a compiler could treat differently,
//! judged before and after their entries run.
//!
//! The expected memory is computed here from the segments alone, and `wasmi` must agree. The program is then
//! compiled twice. Entered raw, its memory is read as soon as the module is instantiated. As a service, its entry
//! increments one byte and returns all of memory; a second call must find the state that the first left.
//!
//! Everything derives from one seed, options included, so the seed reproduces a failure.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::metadata::ResultConvention;
use pvm_isa::{Container, GpVersion};
use wasm_pvm::{OptLevel, Options, PvmBounds, PvmOptions, ShadowStack};

use crate::executor::{CallExit, Executable};
use crate::oracle::Reference;
use crate::program::Program;
use random::Rng;

/// Fuel for a start function.
const FUEL: u64 = 100_000;
/// Gas of one run; initial memory of some megabytes may be copied.
const GAS: i64 = 1 << 32;
/// Bytes of the entry's stack frame.
const FRAME: u32 = 16;

/// Lengths of segments.
const LENGTHS: [u32; 24] =
    [0, 1, 1, 2, 3, 4, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 40, 63, 100, 256, 700, 3000];
/// Distances from the end of a segment to the start of the next.
const DISTANCES: [i64; 32] = [
    0, 0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 36, 40, 63, 64, 65, 127, 128, 129, 255, 256, 257,
    300, 5000, 16_383, 16_384, 20_000,
];
/// Starts of the first segment, before a random shift.
const STARTS: [u32; 8] = [0, 0, 4096, 16_370, 40_000, 65_500, 131_072, 1 << 20];

/// The place of the C stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stack {
    /// None.
    None,
    /// Below all segments, ends here.
    First(u32),
    /// Above all segments, ends here.
    Last(u32),
    /// Segments may be anywhere, in the stack as well.
    Mixed(u32),
}

impl Stack {
    const fn top(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::First(top) | Self::Last(top) | Self::Mixed(top) => Some(top),
        }
    }
}

/// A module with its expected memory.
struct Case {
    text: String,
    /// Memory after instantiation.
    image: Vec<u8>,
    /// The other memories after instantiation, in order.
    others: Vec<Vec<u8>>,
    /// The address of the byte that the entry increments.
    counter: Option<u32>,
    stack: Stack,
}

/// A random number below `n`.
fn below(random: &mut Rng, n: u32) -> u32 {
    (random.bits() >> 8) as u32 % n.max(1)
}

/// Compiles the module of a seed and compares its memory.
///
/// # Errors
/// The first difference, with the seed and the options.
pub fn check(seed: u64) -> Result<()> {
    check_with(seed, Rng::new(seed))
}

/// Compiles a random module with the options of a seed and compares its memory.
///
/// # Errors
/// The first difference, with the seed and the options.
pub fn check_with(seed: u64, random: Rng) -> Result<()> {
    let case = Case::new(random);
    let mut options = options(seed, case.stack);
    if options.shadow_stack == ShadowStack::Native && !case.allows(&options)? {
        options.shadow_stack = ShadowStack::Auto;
    }
    let context = || {
        let pvm = options.pvm().expect("options for the PVM");
        let (level, gp) = (options.level, pvm.gp);
        format!(
            "seed {seed} -{level:?} {gp} {:?} stack {:?} {:?}",
            pvm.bounds, options.shadow_stack, case.stack
        )
    };
    case.check(&options).with_context(context)
}

/// The options of a seed.
fn options(seed: u64, stack: Stack) -> Options {
    let mut random = Rng::new(!seed);
    let gp = random.pick(&[GpVersion::V08, GpVersion::V08, GpVersion::V072]);
    // Base 0 needs a fused stack, which needs guard pages, and small code.
    let bounds = random.pick(&[PvmBounds::Guard, PvmBounds::Guard, PvmBounds::Strict]);
    let level =
        random.pick(&[OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::Os, OptLevel::Oz, OptLevel::Oz]);
    let mode = random.pick(&[ShadowStack::Auto, ShadowStack::Native, ShadowStack::Strict]);
    // `native` promises that no other code uses the stack's place, which is false if segments are there.
    let shadow_stack = match stack {
        Stack::None | Stack::Mixed(_) if mode == ShadowStack::Native => ShadowStack::Auto,
        _ => mode,
    };
    let target = PvmOptions { gp, bounds, ..PvmOptions::default() };
    Options { level, shadow_stack, threads: 1, ..Options::new(target) }
}

/// The first difference.
fn compare(actual: &[u8], expected: &[u8], from: u32) -> Result<()> {
    ensure!(actual.len() == expected.len(), "{} bytes instead of {}", actual.len(), expected.len());
    match actual.iter().zip(expected).position(|(a, b)| a != b) {
        Some(at) => {
            bail!("byte {} is {:#x} instead of {:#x}", from as usize + at, actual[at], expected[at])
        }
        None => Ok(()),
    }
}

impl Case {
    fn new(mut random: Rng) -> Self {
        let random = &mut random;
        let custom = below(random, 3) == 0;
        let size = match below(random, 8) {
            0 => 1 + below(random, 200),
            1 => 16_000 + below(random, 2000),
            2..=4 => (2 << 20) + below(random, 70_000),
            5 => (1 << 20) + below(random, 3000),
            _ => 65_536 + below(random, 300_000),
        };
        let size = if custom { size } else { size.next_multiple_of(65_536) };
        let stack = stack(random, size);
        let mut segments = segments(random, size, stack);
        for _ in 0..below(random, 4) {
            let swapped = [0; 2].map(|_| below(random, segments.len() as u32) as usize);
            segments.swap(swapped[0], swapped[1]);
        }
        let mut image = vec![0; size as usize];
        for (at, bytes) in &segments {
            image[*at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        let places: Vec<u32> = segments.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|s| s.0).collect();
        let safe = |at: &u32| stack.top().is_none_or(|top| *at >= top || *at + FRAME < top);
        let stack = match stack {
            Stack::Mixed(top) if places.iter().all(|&at| at >= top) => Stack::First(top),
            stack => stack,
        };
        let counter = Some(random.pick(&places)).filter(safe);
        let mut text = head(custom, size, stack, &segments);
        let others = others(random, &mut text);
        if below(random, 2) == 0 {
            let target = random.pick(&places).min(size - 3);
            start(&mut text, &mut image, target);
        }
        functions(&mut text, size, stack, counter, if below(random, 2) == 0 { 600 } else { 3 });
        Self { text, image, others, counter, stack }
    }

    /// Whether the stack can be the machine's.
    fn allows(&self, options: &Options) -> Result<bool> {
        match wasm_pvm::compile(&wat::parse_str(&self.text)?, options) {
            Err(error) if error.to_string().contains("the shadow stack does not fit") => Ok(false),
            result => Ok(result.map(|_| true)?),
        }
    }

    fn check(&self, options: &Options) -> Result<()> {
        let wasm = wat::parse_str(&self.text).context("the generator's text")?;
        let reference = Reference::new(&wasm, FUEL)?.context("the reference engine traps")?;
        let memory = reference.memory("memory").context("no memory")?;
        compare(memory, &self.image, 0).context("the generator against the reference engine")?;
        for (n, expected) in (1..).zip(&self.others) {
            let memory = reference.memory(&format!("memory{n}")).context("no memory")?;
            compare(memory, expected, 0).with_context(|| format!("the generator, memory {n}"))?;
        }
        self.check_raw(&wasm, options).context("raw")?;
        self.check_service(&wasm, options).context("service")
    }

    /// All of memory after instantiation.
    fn check_raw(&self, wasm: &[u8], options: &Options) -> Result<()> {
        // Exact bounds let entries with conversions alone move the stack.
        let is_strict = options.pvm().is_some_and(|target| target.bounds == PvmBounds::Strict);
        let moves = !is_strict || options.shadow_stack != ShadowStack::Native;
        let shadow_stack = if moves { options.shadow_stack } else { ShadowStack::Auto };
        let mut program = Program::compile(wasm, &Options { shadow_stack, ..options.clone() })?;
        let started = program.start(&mut |_, _| 0)?;
        ensure!(started == CallExit::Returned(Vec::new()), "the start: {started:?}");
        let from = match options.shadow_stack {
            ShadowStack::Strict => 0,
            ShadowStack::Auto | ShadowStack::Native => returned_from(self.stack),
        };
        let memory = program.memory(self.image.len() as u32)?;
        compare(&memory[from as usize..], &self.image[from as usize..], from)?;
        for (n, expected) in (1..).zip(&self.others) {
            let memory = program.exported_memory(&format!("memory{n}"), expected.len() as u32)?;
            compare(&memory, expected, 0).with_context(|| format!("memory {n}"))?;
        }
        Ok(())
    }

    /// The results of two calls of the entry.
    fn check_service(&self, wasm: &[u8], options: &Options) -> Result<()> {
        let output = wasm_pvm::compile(wasm, options)?;
        let Container::Jam { program, .. } = Container::parse_jam(&output.bytes)? else {
            bail!("no standard program")
        };
        let gp = options.pvm().expect("options for the PVM").gp;
        let mut machine = Machine::new(&program, gp, Engine::for_version(gp)[0])?;
        let mut expected = self.image.clone();
        for call in 1..3 {
            if let Some(at) = self.counter {
                expected[at as usize] = expected[at as usize].wrapping_add(1);
            }
            machine.enter_with_args(0, &[])?;
            machine.set_gas(GAS);
            let exit = machine.run()?;
            ensure!(exit == Exit::Halt, "call {call}: {exit:?}");
            let from = returned_from(self.stack);
            let mut actual = machine.result(ResultConvention::Length);
            if let Stack::Last(top) | Stack::Mixed(top) = self.stack {
                let frame = top.saturating_sub(FRAME) as usize..top as usize;
                ensure!(actual.len() == expected.len(), "{} bytes", actual.len());
                actual[frame.clone()].copy_from_slice(&expected[frame]);
            }
            compare(&actual, &expected[from as usize..], from).with_context(|| format!("call {call}"))?;
        }
        Ok(())
    }
}

/// The first byte that the entry returns. A stack below all segments need not be in memory.
const fn returned_from(stack: Stack) -> u32 {
    match stack {
        Stack::First(top) => top,
        Stack::None | Stack::Last(_) | Stack::Mixed(_) => 0,
    }
}

fn stack(random: &mut Rng, size: u32) -> Stack {
    let top = match below(random, 6) {
        0 => below(random, size) / 16 * 16,
        1 => below(random, size),
        _ if size > 1 << 20 => 1 << 20,
        _ => size / 2 / 16 * 16,
    };
    match below(random, 8) {
        _ if top < FRAME || size - top < 64 => Stack::None,
        0..=3 => Stack::First(top),
        4 if top > 16_384 => Stack::Last(top),
        5 => Stack::Mixed(top),
        _ => Stack::None,
    }
}

/// Segments in the order of the module; at least one has bytes.
fn segments(random: &mut Rng, size: u32, stack: Stack) -> Vec<(u32, Vec<u8>)> {
    let (low, high) = match stack {
        Stack::None | Stack::Mixed(_) => (0, size),
        Stack::First(top) => (top, size),
        Stack::Last(top) => (0, top - 8192),
    };
    let count = random.pick(&[1, 2, 3, 5, 10, 40, 150]);
    let mut at = i64::from(low + random.pick(&STARTS) + below(random, 70));
    let mut segments = vec![(low, vec![1 + below(random, 255) as u8])];
    if below(random, 4) != 0 {
        segments[0].0 = low + below(random, high - low);
    }
    for _ in 0..count {
        let len = random.pick(&LENGTHS).min(high - low);
        match below(random, 24) {
            0 => at = i64::from(low + below(random, high - low)),
            1 => at = i64::from(high - len),
            2 => at -= i64::from(random.pick(&[1u32, 3, 8, 40, 300])),
            3 => at = at / 4096 * 4096 + 4096 - i64::from(len),
            _ => {}
        }
        let place = at.clamp(i64::from(low), i64::from(high - len)) as u32;
        segments.push((place, contents(random, len)));
        at = i64::from(place + len) + random.pick(&DISTANCES);
    }
    segments
}

fn contents(random: &mut Rng, len: u32) -> Vec<u8> {
    let kind = below(random, 10);
    let period = 1 + below(random, 90);
    let offset = random.bits() as u8;
    let zeros = below(random, len + 1);
    let gap = zeros..zeros.saturating_add(random.pick(&[3, 31, 40, 255, 257, 900]));
    let byte = |at: u32| match kind {
        0 => 0,
        1 => 0xff,
        2 => u8::from(at == zeros),
        3 if gap.contains(&at) => 0,
        4 => random.bits() as u8 & 1,
        8 => (at % period) as u8 ^ offset,
        _ => random.bits() as u8,
    };
    (0..len).map(byte).collect()
}

/// The module up to its functions.
fn head(custom: bool, size: u32, stack: Stack, segments: &[(u32, Vec<u8>)]) -> String {
    let mut text = "(module\n".to_owned();
    let _ = match custom {
        true => writeln!(text, "(memory (export \"memory\") {size} (pagesize 1))"),
        false => writeln!(text, "(memory (export \"memory\") {})", size / 65_536),
    };
    if let Some(top) = stack.top() {
        let _ = writeln!(text, "(global $__stack_pointer (mut i32) (i32.const {top}))");
    }
    text.push_str("(global $calls (mut i64) (i64.const 0x1122334455667788))\n");
    text.push_str(
        "(table 3 funcref) (elem (i32.const 1) $read) (type $read (func (param i32) (result i32)))\n",
    );
    for (at, bytes) in segments {
        let _ = writeln!(text, "(data (i32.const {at}) \"{}\")", quoted(bytes));
    }
    text
}

/// Appends up to three further memories with some data, in a third of all cases; returns their contents.
fn others(random: &mut Rng, text: &mut String) -> Vec<Vec<u8>> {
    let count = if below(random, 3) == 0 { 1 + below(random, 3) } else { 0 };
    let mut memories = Vec::new();
    for n in 1..=count {
        let size = random.pick(&[1, 40, 3000, 65_536, 65_537, 200_000]) + below(random, 50);
        let (ty, zero) = random.pick(&[("", "i32"), ("", "i32"), ("i64", "i64")]);
        let _ = writeln!(text, "(memory (export \"memory{n}\") {ty} {size} (pagesize 1))");
        let mut image = vec![0; size as usize];
        for _ in 0..below(random, 6) {
            let len = random.pick(&LENGTHS).min(size);
            let at = below(random, size - len + 1);
            let bytes = contents(random, len);
            image[at as usize..][..bytes.len()].copy_from_slice(&bytes);
            let _ = writeln!(text, "(data (memory {n}) ({zero}.const {at}) \"{}\")", quoted(&bytes));
        }
        memories.push(image);
    }
    memories
}

/// Bytes as the contents of a string literal.
fn quoted(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

/// A start function that writes a passive segment to `target` if memory holds the declared bytes there.
fn start(text: &mut String, image: &mut [u8], target: u32) {
    let at = target as usize;
    let expected = u32::from(image[at]) + 1;
    let _ = writeln!(
        text,
        "(data $late \"xyz\")
         (start $start)
         (func $start
           (i32.store8 (i32.const {target}) (i32.add (i32.load8_u (i32.const {target})) (i32.const 1)))
           (if (i32.ne (i32.load8_u (i32.const {target})) (i32.const {})) (then unreachable))
           (memory.init $late (i32.const {target}) (i32.const 0) (i32.const 3))
           (data.drop $late))",
        expected & 0xff
    );
    image[at..at + 3].copy_from_slice(b"xyz");
}

/// Functions: the entry, one that reads memory, one with a stack frame, and one with many accesses.
fn functions(text: &mut String, size: u32, stack: Stack, counter: Option<u32>, accesses: u32) {
    text.push_str(
        "(func $read (export \"read\") (param i32) (result i32) (i32.load8_u (local.get 0)))
         (func $poke (export \"poke\") (param i32 i32)\n",
    );
    for n in 0..accesses {
        let _ = writeln!(text, "(i32.store8 offset={} (local.get 0) (local.get 1))", 3 * n);
    }
    text.push_str(")\n");
    if stack.top().is_some() {
        let _ = writeln!(
            text,
            "(func $frame (param i32) (result i32) (local i32)
               (global.set $__stack_pointer
                 (local.tee 1 (i32.sub (global.get $__stack_pointer) (i32.const {FRAME}))))
               (i32.store offset=8 (local.get 1) (local.get 0))
               (call $poke (i32.add (local.get 1) (i32.const 4)) (i32.const 5))
               (local.set 0 (i32.load offset=8 (local.get 1)))
               (global.set $__stack_pointer (i32.add (local.get 1) (i32.const {FRAME})))
               (local.get 0))"
        );
    }
    let from = returned_from(stack);
    let packed = (u64::from(size - from) << 32) | u64::from(from);
    text.push_str("(func (export \"main\") (param i32 i32) (result i64)\n");
    text.push_str("(global.set $calls (i64.add (global.get $calls) (i64.const 1)))\n");
    text.push_str("(if (i32.eq (local.get 1) (i32.const 77)) (then (call $poke (local.get 0) (local.get 1))");
    let frame = if stack.top().is_some() { "$frame" } else { "$read" };
    let _ = writeln!(text, " (drop (call_indirect (type $read) (local.get 0) (i32.const 1)))");
    let _ = writeln!(text, " (drop (call {frame} (local.get 1)))))");
    if let Some(at) = counter {
        let _ = writeln!(
            text,
            "(i32.store8 (i32.const {at}) (i32.add (i32.load8_u (i32.const {at})) (i32.const 1)))"
        );
    }
    let _ = writeln!(text, "(i64.const {packed})))");
}
