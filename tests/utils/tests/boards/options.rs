//! Effects of options, on emulated boards: bounds, growth, traps, linear memory in a register, the start function,
//! static data and devices of native memory.

use board::{Answer, Board, Call, Ending, Image, Undefined, Words};
use object::{Object as _, ObjectSection as _};
use random::Rng;
use testkit::thumb::{Setup, board_core};
use wasm_pvm::{
    Cpu, Floats, GpVersion, ImportMap, InitialData, MemoryMode, OptLevel, Options, ShadowStack, Stage,
    ThumbBounds, ThumbOptions, Trap,
};

const CPUS: [Cpu; 2] = [Cpu::M3, Cpu::M33];
const LEVELS: [OptLevel; 3] = [OptLevel::O0, OptLevel::O2, OptLevel::Oz];
const PAGE: u32 = 65536;

/// A program on a board.
pub struct Program<'a> {
    pub board: &'a mut Board,
    image: Image,
    /// The value of r11.
    base: u32,
}

/// The end of a call that does not return: the trap number.
const UNREACHABLE: Ending = Ending::Trapped(0);
const MEMORY: Ending = Ending::Trapped(3);
const TABLE: Ending = Ending::Trapped(4);
const SIGNATURE: Ending = Ending::Trapped(5);

impl<'a> Program<'a> {
    pub fn load(board: &'a mut Board, object: &[u8], undefined: Undefined) -> Self {
        let image = Image::load(board, object, &mut |_| Some(undefined)).unwrap();
        Self { board, image, base: 0xbbbb_000b }
    }

    pub fn address(&self, symbol: &str) -> u32 {
        self.image.address(symbol).unwrap_or_else(|| panic!("no symbol {symbol}"))
    }

    /// Does the firmware's part before the first call.
    pub fn start(&mut self) {
        if self.image.address("__wasm_start").is_some() {
            assert!(self.call("__wasm_start", &[]).is_ok());
        }
    }

    /// Calls a function of words; its import fills four bytes at the address it gets with 1, 2, 3, 4.
    pub fn call(&mut self, name: &str, args: &[u32]) -> Result<u32, Ending> {
        let mut words = Words::default();
        words.core[..args.len()].copy_from_slice(args);
        let call = Call { base: self.base, ..Call::new(self.address(name), words) };
        let exit = self.board.call(&call, &mut |board, import| {
            board.write(import.words.core[0], &[1, 2, 3, 4])?;
            Ok(Answer::default())
        });
        let exit = exit.unwrap();
        if exit.ending == Ending::Returned { Ok(exit.words.core[0]) } else { Err(exit.ending) }
    }
}

/// The options for a core and a level.
pub fn options(cpu: Cpu, level: OptLevel, thumb: ThumbOptions) -> Options {
    Options { level, floats: Some(Floats::Reject), threads: 1, ..Options::new(ThumbOptions { cpu, ..thumb }) }
}

/// Compiles a text for every core and level and gives each program, with its initial data, to `check`.
fn each(text: &str, thumb: &ThumbOptions, mut check: impl FnMut(Program<'_>)) {
    each_with(text, &|cpu, level| options(cpu, level, thumb.clone()), &mut |board, object| {
        let mut program = Program::load(board, object, Undefined::Import(0));
        if thumb.memory == MemoryMode::Symbol {
            program.start();
        }
        check(program);
    });
}

fn each_with(
    text: &str,
    options: &dyn Fn(Cpu, OptLevel) -> Options,
    check: &mut dyn FnMut(&mut Board, &[u8]),
) {
    let wasm = wat::parse_str(text).unwrap();
    for cpu in CPUS {
        if !Setup::new(cpu, OptLevel::O2, Floats::Reject).is_available() {
            return;
        }
        let mut board = Board::start(board_core(cpu)).unwrap();
        for level in LEVELS {
            println!("{cpu} -{level:?}");
            board.clear();
            check(&mut board, &wasm_pvm::compile(&wasm, &options(cpu, level)).unwrap().bytes);
        }
    }
}

pub fn thumb(memory: MemoryMode, bounds: ThumbBounds) -> ThumbOptions {
    ThumbOptions { memory, bounds: Some(bounds), ..ThumbOptions::default() }
}

const ACCESSES: &str = r#"(module
  (memory 1)
  (data (i32.const 8) "\11\22\33\44\55\66\77\88")
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load_at_8") (param i32) (result i32) (i32.load offset=8 (local.get 0)))
  (func (export "load_byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load_high") (param i32) (result i32)
    (i32.wrap_i64 (i64.shr_u (i64.load (local.get 0)) (i64.const 32))))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "store_wide") (param i32) (i64.store (local.get 0) (i64.const -1)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2))))"#;

#[test]
fn checked_accesses_trap_outside() {
    each(ACCESSES, &thumb(MemoryMode::Symbol, ThumbBounds::Check), |mut program| {
        assert_eq!(program.call("load", &[8]), Ok(0x4433_2211));
        assert_eq!(program.call("load", &[PAGE - 4]), Ok(0));
        assert_eq!(program.call("load", &[PAGE - 3]), Err(MEMORY));
        assert_eq!(program.call("load_at_8", &[PAGE - 12]), Ok(0));
        assert_eq!(program.call("load_at_8", &[PAGE - 11]), Err(MEMORY));
        assert_eq!(program.call("load_at_8", &[u32::MAX - 7]), Err(MEMORY));
        assert_eq!(program.call("store_wide", &[PAGE - 7]), Err(MEMORY));
        assert_eq!(program.call("load", &[PAGE - 4]), Ok(0));
        assert!(program.call("copy", &[PAGE - 8, 8, 8]).is_ok());
        assert_eq!(program.call("load_high", &[PAGE - 8]), Ok(0x8877_6655));
        assert_eq!(program.call("copy", &[PAGE - 8, 8, 9]), Err(MEMORY));
        assert_eq!(program.call("fill", &[PAGE, 1, 1]), Err(MEMORY));
    });
}

#[test]
fn masked_accesses_wrap_around() {
    each(ACCESSES, &thumb(MemoryMode::Symbol, ThumbBounds::Mask), |mut program| {
        assert_eq!(program.call("load", &[PAGE + 8]), Ok(0x4433_2211));
        assert_eq!(program.call("load_at_8", &[0u32.wrapping_sub(PAGE)]), Ok(0x4433_2211));
        assert_eq!(program.call("load_at_8", &[4 * PAGE]), Ok(0x4433_2211));
        assert!(program.call("store", &[u32::MAX - 3, 0x0a0b_0c0d]).is_ok());
        assert_eq!(program.call("load", &[PAGE - 4]), Ok(0x0a0b_0c0d));
        // There is room for up to seven bytes after the memory.
        assert!(program.call("store_wide", &[PAGE - 1]).is_ok());
        assert_eq!(program.call("load_byte", &[PAGE - 1]), Ok(0xff));
        assert_eq!(program.call("load_byte", &[0]), Ok(0));
        assert!(program.call("copy", &[16, 8, 8]).is_ok());
        assert_eq!(program.call("load", &[20]), Ok(0x8877_6655));
        assert_eq!(program.call("copy", &[PAGE - 4, 8, 8]), Err(MEMORY));
        assert_eq!(program.call("copy", &[PAGE, 8, 1]), Err(MEMORY));
        assert_eq!(program.call("fill", &[8, 0, u32::MAX]), Err(MEMORY));
    });
}

#[test]
fn unchecked_accesses_go_where_they_go() {
    for bounds in [ThumbBounds::None, ThumbBounds::Mpu] {
        each(ACCESSES, &thumb(MemoryMode::Symbol, bounds), |mut program| {
            let memory = program.address("__linear_memory");
            assert!(bounds == ThumbBounds::None || memory.is_multiple_of(PAGE), "a region is aligned");
            let other = program.board.allocate(64, 8, true).unwrap();
            program.board.write_words(other, &[0x600d_600d, 1]).unwrap();
            assert_eq!(program.call("load", &[8]), Ok(0x4433_2211));
            assert_eq!(program.call("load", &[other - memory]), Ok(0x600d_600d));
            assert!(program.call("store", &[other - memory + 4, 77]).is_ok());
            assert!(program.call("copy", &[16, other - memory, 8]).is_ok());
            assert_eq!(program.call("load_high", &[16]), Ok(77));
        });
    }
}

/// Lets code access the board's own memory and a region, and nothing else but the system's registers.
fn protect(board: &mut Board, cpu: Cpu, region: [u32; 2]) {
    const CONTROL: u32 = 0xe000_ed94;
    const NUMBER: u32 = 0xe000_ed98;
    const BASE: u32 = 0xe000_ed9c;
    const SIZE: u32 = 0xe000_eda0;
    const MEMORY_ATTRIBUTES: u32 = 0xe000_edc0;
    let mut set = |register, word| board.fill(register, 4, word).unwrap();
    let [code, small] = if cpu == Cpu::M33 { [0x1000_0000, 0x3800_0000] } else { [0, 0x2000_0000] };
    for (n, [at, bytes]) in (0..).zip([[code, 0x40_0000], [small, 0x40_0000], region]) {
        set(NUMBER, n);
        if cpu == Cpu::M33 {
            // Readable, writable and executable; limit and attributes 0; enabled.
            set(BASE, at | 1 << 1);
            set(SIZE, (at + bytes - 32) | 1);
        } else {
            // Full access; normal memory; the logarithm of the size, less one; enabled.
            set(BASE, at);
            set(SIZE, 3 << 24 | 3 << 16 | (bytes.trailing_zeros() - 1) << 1 | 1);
        }
    }
    if cpu == Cpu::M33 {
        set(MEMORY_ATTRIBUTES, 0xff);
    }
    set(CONTROL, 1);
}

#[test]
fn a_region_of_the_protection_unit_bounds_memory() {
    let thumb = thumb(MemoryMode::Symbol, ThumbBounds::Mpu);
    for (pages, region_bytes) in [(1, [PAGE, PAGE]), (3, [4 * PAGE, 3 * PAGE])] {
        let text = ACCESSES.replace("(memory 1)", &format!("(memory {pages})"));
        each_with(&text, &|cpu, level| options(cpu, level, thumb.clone()), &mut |board, object| {
            let cpu = if board.core() == board_core(Cpu::M33) { Cpu::M33 } else { Cpu::M3 };
            let bytes = region_bytes[usize::from(cpu == Cpu::M33)];
            let mut program = Program::load(board, object, Undefined::Import(0));
            program.start();
            let at = program.address("__linear_memory");
            assert!(cpu == Cpu::M33 || at.is_multiple_of(bytes), "a region at {at:#x}");
            protect(program.board, cpu, [at, bytes]);
            assert_eq!(program.call("load", &[8]), Ok(0x4433_2211));
            assert_eq!(program.call("load", &[bytes - 4]), Ok(0));
            assert!(program.call("store", &[bytes - 4, 7]).is_ok());
            assert_eq!(program.call("load_at_8", &[bytes - 12]), Ok(7));
            for (name, args) in [
                ("load", &[bytes][..]),
                ("load", &[bytes - 3]),
                ("load", &[u32::MAX - 3]),
                ("load_at_8", &[bytes - 8]),
                ("store", &[bytes, 1]),
                ("store_wide", &[bytes - 4]),
                ("copy", &[bytes - 8, 8, 9]),
                ("fill", &[bytes, 1, 1]),
            ] {
                let exit = program.call(name, args);
                assert!(matches!(exit, Err(Ending::Faulted(_))), "{name} {args:x?}: {exit:x?}");
            }
            program.board.fill(0xe000_ed94, 4, 0).unwrap();
        });
    }
}

#[test]
fn memory_is_where_a_register_points() {
    for bounds in [ThumbBounds::Check, ThumbBounds::Mask, ThumbBounds::None] {
        each(ACCESSES, &thumb(MemoryMode::Register, bounds), |mut program| {
            for _ in 0..2 {
                program.base = program.board.allocate((PAGE + 8).into(), 16, true).unwrap();
                let base = program.base;
                program.board.fill(base, PAGE + 8, 0).unwrap();
                program.board.write_words(base + 8, &[5, 6]).unwrap();
                assert_eq!(program.call("load", &[8]), Ok(5));
                assert_eq!(program.call("load_high", &[8]), Ok(6));
                assert!(program.call("store", &[PAGE - 4, 9]).is_ok());
                assert!(program.call("copy", &[100, 8, 4]).is_ok());
                assert_eq!(program.board.read_words(base + PAGE - 4, 2).unwrap(), [9, 0]);
                assert_eq!(program.board.read_words(base + 100, 2).unwrap(), [5, 0]);
                let outside = match bounds {
                    ThumbBounds::Check => Err(MEMORY),
                    ThumbBounds::Mask => Ok(5),
                    _ => Ok(0),
                };
                program.board.write_words(base + PAGE, &[0]).unwrap();
                let address = if bounds == ThumbBounds::None { PAGE } else { PAGE + 8 };
                assert_eq!(program.call("load", &[address]), outside);
            }
        });
    }
}

const GROWTH: &str = r#"(module
  (memory 1)
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;

#[test]
fn memory_grows_as_far_as_bytes_are_reserved() {
    let reserved =
        ThumbOptions { memory_bytes: Some(3 * PAGE), ..thumb(MemoryMode::Symbol, ThumbBounds::Check) };
    each(GROWTH, &reserved, |mut program| {
        assert_eq!(program.call("load", &[PAGE]), Err(MEMORY));
        assert_eq!(program.call("grow", &[3]), Ok(u32::MAX));
        assert_eq!(program.call("grow", &[1]), Ok(1));
        assert_eq!(program.call("load", &[2 * PAGE - 4]), Ok(0));
        assert_eq!(program.call("load", &[2 * PAGE - 3]), Err(MEMORY));
        assert_eq!(program.call("grow", &[1]), Ok(2));
        assert_eq!(program.call("grow", &[1]), Ok(u32::MAX));
        assert_eq!(program.call("grow", &[0]), Ok(3));
        assert_eq!(program.call("size", &[]), Ok(3));
        assert_eq!(program.call("load", &[3 * PAGE - 4]), Ok(0));
        assert_eq!(program.call("load", &[3 * PAGE - 3]), Err(MEMORY));
    });
    each(GROWTH, &thumb(MemoryMode::Symbol, ThumbBounds::Check), |mut program| {
        assert_eq!(program.call("grow", &[1]), Ok(u32::MAX));
        assert_eq!(program.call("grow", &[0]), Ok(1));
        assert_eq!(program.call("load", &[PAGE]), Err(MEMORY));
    });
    each(GROWTH, &ThumbOptions::default(), |mut program| {
        assert_eq!(program.call("grow", &[1]), Ok(u32::MAX));
        assert_eq!(program.call("size", &[]), Ok(1));
    });
}

const TRAPS: &str = r#"(module
  (memory 1)
  (type $i (func (param i32) (result i32)))
  (type $w (func (param i64) (result i64)))
  (table 4 4 funcref)
  (elem (i32.const 0) func $twice $wide)
  (elem (i32.const 3) func $twice)
  (func $twice (type $i) (i32.shl (local.get 0) (i32.const 1)))
  (func $wide (type $w) (i64.add (local.get 0) (i64.const 1)))
  (func (export "indirect") (param i32 i32) (result i32) (call_indirect (type $i) (local.get 1) (local.get 0)))
  (func (export "stop") (unreachable))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;

/// Calls that trap, with the numbers.
const TRAPPING: [(&str, &[u32], u32); 8] = [
    ("stop", &[], 0),
    ("divide", &[0x8000_0000, u32::MAX], 1),
    ("divide", &[1, 0], 2),
    ("load", &[PAGE - 3], 3),
    ("indirect", &[4, 1], 4),
    ("indirect", &[u32::MAX, 1], 4),
    ("indirect", &[2, 1], 5),
    ("indirect", &[1, 1], 5),
];

#[test]
fn indirect_calls_are_checked_in_every_mode() {
    let modes = [
        ThumbOptions::default(),
        thumb(MemoryMode::Symbol, ThumbBounds::None),
        thumb(MemoryMode::Symbol, ThumbBounds::Mask),
        thumb(MemoryMode::Register, ThumbBounds::Check),
    ];
    for mode in modes {
        each(TRAPS, &mode, |mut program| {
            assert_eq!(program.call("indirect", &[0, 21]), Ok(42));
            assert_eq!(program.call("indirect", &[3, 4]), Ok(8));
            for outside in [4, 5, 0x8000_0000, u32::MAX] {
                assert_eq!(program.call("indirect", &[outside, 1]), Err(TABLE));
            }
            assert_eq!(program.call("indirect", &[2, 1]), Err(SIGNATURE), "null");
            assert_eq!(program.call("indirect", &[1, 1]), Err(SIGNATURE), "another type");
            assert_eq!(program.call("stop", &[]), Err(UNREACHABLE));
        });
    }
}

/// The offset of the only operator of [`TRAPS`] that can trap so.
fn trapping_operator(wasm: &[u8], number: u32) -> u32 {
    use wasmparser::{Operator, Parser, Payload};
    let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    let operators = bodies.flat_map(|body| {
        body.get_operators_reader().unwrap().into_iter_with_offsets().map(Result::unwrap).collect::<Vec<_>>()
    });
    let traps = |operator: &Operator<'_>| match number {
        0 => matches!(operator, Operator::Unreachable),
        1 | 2 => matches!(operator, Operator::I32DivS),
        3 => matches!(operator, Operator::I32Load { .. }),
        _ => matches!(operator, Operator::CallIndirect { .. }),
    };
    let offsets: Vec<u32> =
        operators.filter(|(operator, _)| traps(operator)).map(|(_, offset)| offset as u32).collect();
    assert_eq!(offsets.len(), 1);
    offsets[0]
}

/// The handler writes its arguments to memory and ends with a trap number that no module has.
#[test]
fn the_trap_handler_is_called_with_the_number_and_the_offset() {
    let wasm = wat::parse_str(TRAPS).unwrap();
    const ENDED: u8 = 0xaa;
    let handled = ThumbOptions {
        trap: Trap::Handler("on_trap".to_owned()),
        ..thumb(MemoryMode::Symbol, ThumbBounds::Check)
    };
    each_with(TRAPS, &|cpu, level| options(cpu, level, handled.clone()), &mut |board, object| {
        let number = board.allocate(8, 4, false).unwrap();
        let handler = board.allocate(12, 4, false).unwrap();
        // ldr r2, =number; str r0, [r2]; str r1, [r2, #4]; udf #0xaa; the literal
        let code = [0x6010_4a01, 0xde00_6051 | u32::from(ENDED) << 16, number];
        board.write_words(handler, &code).unwrap();
        let mut program = Program::load(board, object, Undefined::Address(handler | 1));
        assert_eq!(program.image.undefined(), ["on_trap"]);
        assert_eq!(program.call("divide", &[42, 6]), Ok(7));
        for (name, args, expected) in TRAPPING {
            program.board.write_words(number, &[u32::MAX; 2]).unwrap();
            assert_eq!(program.call(name, args), Err(Ending::Trapped(ENDED)));
            let expected = [expected, trapping_operator(&wasm, expected)];
            assert_eq!(program.board.read_words(number, 2).unwrap(), expected, "{name} {args:?}");
        }
    });
}

const START: &str = r#"(module
  (memory 1)
  (global $started (mut i32) (i32.const 1))
  (func $start (global.set $started (i32.add (global.get $started) (i32.const 6))))
  (start $start)
  (func (export "started") (result i32) (global.get $started)))"#;

#[test]
fn the_start_function_is_called_by_the_firmware() {
    let modes = [
        ThumbOptions::default(),
        thumb(MemoryMode::Symbol, ThumbBounds::Check),
        thumb(MemoryMode::Register, ThumbBounds::Check),
    ];
    for mode in modes {
        each_with(START, &|cpu, level| options(cpu, level, mode.clone()), &mut |board, object| {
            let mut program = Program::load(board, object, Undefined::Import(0));
            assert_eq!(program.call("started", &[]), Ok(1));
            assert!(program.call("__wasm_start", &[]).is_ok());
            assert_eq!(program.call("started", &[]), Ok(7));
        });
    }
}

/// A memory with segments.
struct Layout {
    /// Bytes of memory.
    size: u32,
    /// Offsets and bytes of active segments in order.
    segments: Vec<(u32, Vec<u8>)>,
}

impl Layout {
    /// Any size; data near both ends, near or over other data, with zeros in it, and far from it.
    fn random(random: &mut Rng) -> Self {
        let mut below = |limit: u32| (random.bits() % u64::from(limit)) as u32;
        let size = [1 + below(40), 64 + below(200), 4096 + below(5000), 100_000][below(4) as usize];
        let mut segments = Vec::new();
        let mut last = 0;
        for _ in 0..below(7) {
            let len = [below(6), below(40), below(300)][below(3) as usize].min(size);
            let start = match below(4) {
                0 => size - len,
                1 => last + below(20),
                _ => below(size - len + 1),
            };
            let start = start.min(size - len);
            let bytes: Vec<u8> = (0..len).map(|_| if below(3) == 0 { below(256) as u8 } else { 0 }).collect();
            last = start + len;
            segments.push((start, bytes));
        }
        Self { size, segments }
    }

    fn text(&self) -> String {
        let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let active = self.segments.iter();
        let active: String =
            active.map(|(at, bytes)| format!("(data (i32.const {at}) \"{}\")\n", escaped(bytes))).collect();
        format!(
            "(module (memory (export \"memory\") {} (pagesize 1))
              (data $passive \"passive\") {active}
              (func (export \"load\") (param i32) (result i32) (i32.load8_u (local.get 0)))
              (func (export \"init\") (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 1))))",
            self.size
        )
    }

    /// The initial contents of memory.
    fn bytes(&self) -> Vec<u8> {
        let mut memory = vec![0; self.size as usize];
        for (at, bytes) in &self.segments {
            memory[*at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        memory
    }
}

/// `THUMB_INITIAL_SEEDS` is the number of memories.
#[test]
fn memory_begins_as_the_segments_say() {
    const AROUND: u32 = 32;
    if !Setup::new(Cpu::M3, OptLevel::O2, Floats::Reject).is_available() {
        return;
    }
    let seeds = std::env::var("THUMB_INITIAL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(15);
    let mut board = Board::start(board_core(Cpu::M3)).unwrap();
    for seed in 0..seeds {
        let layout = Layout::random(&mut Rng::new(seed));
        let (size, expected) = (layout.size, layout.bytes());
        let wasm = wat::parse_str(layout.text()).unwrap();
        let object = |memory, initial_data| {
            let thumb =
                ThumbOptions { initial_data: Some(initial_data), ..thumb(memory, ThumbBounds::Check) };
            wasm_pvm::compile(&wasm, &options(Cpu::M3, OptLevel::Oz, thumb)).unwrap().bytes
        };
        for initial in [InitialData::Copy, InitialData::Image, InitialData::None] {
            board.clear();
            let object = object(MemoryMode::Symbol, initial);
            let mut program = Program::load(&mut board, &object, Undefined::Import(0));
            program.start();
            let at = program.address("__linear_memory");
            let found = program.board.read(at, size).unwrap();
            let expected =
                if initial == InitialData::None { vec![0; size as usize] } else { expected.clone() };
            assert!(found == expected, "seed {seed} {initial:?}: {found:x?} is not {expected:x?}");
        }
        board.clear();
        let object = object(MemoryMode::Register, InitialData::Copy);
        let mut program = Program::load(&mut board, &object, Undefined::Import(0));
        let around = program.board.allocate((size + 2 * AROUND).into(), 16, true).unwrap();
        program.board.fill(around, (size + 2 * AROUND).next_multiple_of(4), 0xeeee_eeee).unwrap();
        program.board.write(around + AROUND, &vec![0; size as usize]).unwrap();
        program.base = around + AROUND;
        program.start();
        let found = program.board.read(around, size + 2 * AROUND).unwrap();
        let edge = vec![0xee; AROUND as usize];
        assert!(
            found == [edge.clone(), expected, edge].concat(),
            "seed {seed}, where a register points: {found:x?}"
        );
    }
}

/// Data far apart is stored without the zeros between, and data close together with them.
#[test]
fn initial_data_takes_no_more_flash_than_it_has_bytes() {
    let text = r#"(module (memory (export "memory") 16)
      (data (i32.const 1024) "0123456789abcdefghij") (data (i32.const 900000) "x") (data (i32.const 900009) "y")
      (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;
    let sizes = |initial_data| {
        let thumb = ThumbOptions {
            initial_data: Some(initial_data),
            ..thumb(MemoryMode::Symbol, ThumbBounds::Check)
        };
        let output =
            wasm_pvm::compile(&wat::parse_str(text).unwrap(), &options(Cpu::M3, OptLevel::Oz, thumb));
        output.unwrap().report.thumb().unwrap().sizes
    };
    let (copy, image) = (sizes(InitialData::Copy), sizes(InitialData::Image));
    // Two heads, five words, three words, and the end.
    assert_eq!((copy.rodata, copy.data, copy.bss), (8 + 20 + 8 + 12 + 4, 0, 16 * u64::from(PAGE)));
    assert_eq!((image.rodata, image.data, image.bss), (0, 16 * u64::from(PAGE), 0));
    assert!(copy.text < image.text + 60, "{} and {}", copy.text, image.text);
}

/// Segments that overlap, segments far above the stack pointer, wide values, data that is never written.
const STATICS: &str = r#"(module
  (import "env" "fill" (func $fill (param i32)))
  (memory 2)
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (data $.rodata (i32.const 65536) "\01\02\03\04\05\06\07\08")
  (data $.data (i32.const 65552) "AAAAAAAA")
  (data $.data.later (i32.const 65556) "BB")
  (data $.data.last (i32.const 65557) "C")
  (data $.data.wide (i32.const 65568) "\ef\cd\ab\89\67\45\23\01")
  (data $.data.high (i32.const 130000) "high")
  (func (export "constant") (param i32) (result i32)
    (i32.load8_u offset=65536 (i32.and (local.get 0) (i32.const 7))))
  (func (export "overlap") (result i32) (i32.load (i32.const 65556)))
  (func (export "before") (result i32) (i32.load (i32.const 65552)))
  (func (export "high") (result i32) (i32.load (i32.const 130000)))
  (func (export "set_high") (param i32) (i32.store (i32.const 130000) (local.get 0)))
  (func (export "wide") (result i32) (local i64)
    (i64.store (i32.const 65568) (local.tee 0 (i64.add (i64.load (i32.const 65568)) (i64.const 0x100000000))))
    (i32.wrap_i64 (i64.shr_u (i64.load (i32.const 65568)) (i64.const 32))))
  (func (export "zeros") (param i32) (result i32)
    (i64.store (i32.const 65600) (i64.extend_i32_s (local.get 0))) (i32.load (i32.const 65604)))
  (func $sum (export "frames") (param i32) (result i32) (local i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (global.set $__stack_pointer (local.tee 1 (i32.sub (global.get $__stack_pointer) (i32.const 16))))
    (call $fill (local.get 1))
    (i32.store offset=4 (local.get 1) (call $sum (i32.sub (local.get 0) (i32.const 1))))
    (local.set 0 (i32.add (i32.load (local.get 1)) (i32.load offset=4 (local.get 1))))
    (global.set $__stack_pointer (i32.add (local.get 1) (i32.const 16)))
    (local.get 0)))"#;

fn check_statics(mut program: Program<'_>) {
    assert_eq!(program.call("constant", &[0]), Ok(1));
    assert_eq!(program.call("constant", &[7]), Ok(8));
    assert_eq!(program.call("overlap", &[]), Ok(u32::from_le_bytes(*b"BCAA")));
    assert_eq!(program.call("before", &[]), Ok(u32::from_le_bytes(*b"AAAA")));
    assert_eq!(program.call("high", &[]), Ok(u32::from_le_bytes(*b"high")));
    assert!(program.call("set_high", &[5]).is_ok());
    assert_eq!(program.call("high", &[]), Ok(5));
    assert_eq!(program.call("wide", &[]), Ok(0x0123_4568));
    assert_eq!(program.call("wide", &[]), Ok(0x0123_4569));
    assert_eq!(program.call("zeros", &[u32::MAX]), Ok(u32::MAX));
    assert_eq!(program.call("overlap", &[]), Ok(u32::from_le_bytes(*b"BCAA")));
    assert_eq!(program.call("constant", &[4]), Ok(5));
    for depth in [0, 1, 60] {
        assert_eq!(program.call("frames", &[depth]), Ok(depth.wrapping_mul(0x0403_0201)));
    }
}

#[test]
fn static_data_of_native_memory_is_what_the_segments_say() {
    for stack in [ShadowStack::Auto, ShadowStack::Strict] {
        let with_stack = |cpu, level| {
            let size = (stack == ShadowStack::Strict).then_some(1024);
            let thumb = ThumbOptions { shadow_stack_size: size, ..ThumbOptions::default() };
            Options { shadow_stack: stack, ..options(cpu, level, thumb) }
        };
        each_with(STATICS, &with_stack, &mut |board, object| {
            let elf = object::File::parse(object).unwrap();
            let size = |prefix: &str| -> u64 {
                let named = |name: object::Result<&str>| name.is_ok_and(|name| name.starts_with(prefix));
                elf.sections().filter(|section| named(section.name())).map(|section| section.size()).sum()
            };
            assert_eq!(size(".rodata"), 16, "data that is only read, also of two overlapping segments");
            let stack_bytes = if stack == ShadowStack::Strict { 1024 } else { 0 };
            assert!((stack_bytes..PAGE.into()).contains(&size(".bss")), "{}", size(".bss"));
            check_statics(Program::load(board, object, Undefined::Import(0)));
        });
    }
}

/// Registers of the interrupt controller: enabling one interrupt after the other enables both, and a register may
/// change between two reads.
const DEVICE: &str = r#"(module
  (memory 1)
  (func (export "enable") (result i32)
    (i32.store (i32.const 0xe000e100) (i32.const 0x10000000))
    (i32.store (i32.const 0xe000e100) (i32.const 0x20000000))
    (i32.and (i32.load (i32.const 0xe000e100)) (i32.const 0x30000000)))
  (func (export "disable") (result i32) (local i32)
    (local.set 0 (i32.load offset=0xe000e100 (i32.const 0)))
    (i32.store offset=0xe000e180 (i32.const 0) (i32.const 0x10000000))
    (i32.store offset=0xe000e180 (i32.const 0) (i32.const 0x20000000))
    (i32.and (i32.xor (local.get 0) (i32.load offset=0xe000e100 (i32.const 0))) (i32.const 0x30000000)))
  (func (export "priority") (result i32)
    (i32.store8 (i32.const 0xe000e41c) (i32.const 0x20))
    (i32.store8 (i32.const 0xe000e41d) (i32.const 0x40))
    (drop (i32.load (i32.const 0xe000e41c)))
    (i32.load16_u (i32.const 0xe000e41c))))"#;

#[test]
fn accesses_to_devices_are_all_made() {
    each(DEVICE, &ThumbOptions::default(), |mut program| {
        for _ in 0..2 {
            assert_eq!(program.call("enable", &[]), Ok(0x3000_0000));
            assert_eq!(program.call("disable", &[]), Ok(0x3000_0000));
        }
        assert_eq!(program.call("priority", &[]), Ok(0x4020));
    });
    let wasm = wat::parse_str(DEVICE).unwrap();
    for level in LEVELS {
        let options = options(Cpu::M3, level, ThumbOptions::default());
        let ssa = wasm_pvm::emit(&wasm, &options, Stage::Ssa).unwrap();
        let accesses = ssa.lines().filter(|line| line.contains(" volatile")).count();
        assert_eq!(accesses, 11, "-{level:?}: each once, and none wider:\n{ssa}");
    }
}

#[test]
fn imports_trap_or_do_nothing_without_symbols() {
    const TEXT: &str = r#"(module
      (import "a" "gone" (func $gone (param i32 i64 f32 f64 i32 i32 i32 i64) (result i64)))
      (import "b" "gone" (func $other (param i32) (result i32)))
      (import "env" "quiet" (func $quiet (param i32) (result i32 i64)))
      (import "env" "base" (global $base i32)) (import "env" "wide" (global $wide (mut i64)))
      (import "env" "table" (table $table 3 funcref))
      (memory 1) (elem declare func $gone)
      (elem (i32.const 1) $other)
      (func (export "gone") (param i32) (result i32)
        (if (local.get 0) (then (return (i32.wrap_i64 (call $gone (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)
          (i32.const 5) (i32.const 6) (i32.const 7) (i64.const 8))))))
        (i32.const 9))
      (func (export "indirect") (param i32) (result i32)
        (call_indirect $table (param i32) (result i32) (i32.const 4) (local.get 0)))
      (func (export "quiet") (param i32) (result i32)
        (drop (call $quiet (local.get 0))))
      (func (export "globals") (result i32)
        (i32.add (global.get $base) (i32.wrap_i64 (global.get $wide)))))"#;
    let map = "quiet = nop\n* = trap";
    let imports = ImportMap::parse(map, GpVersion::V08).unwrap();
    let thumb = ThumbOptions { imports, ..thumb(MemoryMode::Symbol, ThumbBounds::Check) };
    each_with(TEXT, &|cpu, level| options(cpu, level, thumb.clone()), &mut |board, object| {
        let image = Image::load(board, object, &mut |symbol| panic!("{symbol} is undefined")).unwrap();
        let mut program = Program { board, image, base: 0 };
        program.start();
        assert_eq!(program.call("gone", &[0]), Ok(9));
        assert_eq!(program.call("gone", &[1]), Err(Ending::Trapped(8)));
        assert_eq!(program.call("indirect", &[1]), Err(Ending::Trapped(8)));
        assert_eq!(program.call("indirect", &[0]), Err(SIGNATURE));
        assert_eq!(program.call("indirect", &[3]), Err(TABLE));
        assert_eq!(program.call("quiet", &[5]), Ok(0));
        assert_eq!(program.call("globals", &[]), Ok(0));
    });
}
