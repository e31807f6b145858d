//! Objects of another compiler on emulated boards and on the engine: results, variables, and how calls end.

use std::path::Path;

use board::{Board, Core, TOOLS, Undefined, run_tool};
use random::Rng;
use thumb_engine::aapcs::{Type, Words};
use thumb_engine::{Answer, Cpu, Ending, Fault, Function, Host, Image, Machine, Memory};

const PROGRAM: &str = r##"
extern long long ask(int, long long, int, int, int);
int counter = 7;
static const unsigned char text[13] = "hello, world";
static unsigned table[64];
unsigned words[4] = {1, 2, 3, 4};
unsigned hash(unsigned seed, unsigned rounds) {
    for (unsigned i = 0; i < (rounds & 63) + 1; i++) {
        seed = (seed ^ text[i % 13]) * 16777619u;
        table[i & 63] += seed >> (i & 31) | seed << (-i & 31);
        counter += (int)table[(i * 7) & 63] >> 3;
    }
    return seed + (unsigned)counter;
}
int choose(int n, int a) {
    switch (n & 15) {
    case 0: return a * 3; case 1: return a / 7; case 2: return a - n; case 3: return a ^ 0x5a5a;
    case 4: return (short)a; case 5: return a << 3; case 6: return a >> 2; case 7: return -a;
    case 8: return (signed char)a; case 9: return a % 10; case 10: return ~a; case 11: return a & 0xff00;
    default: return a + n;
    }
}
unsigned long long wide(unsigned long long a, unsigned long long b) {
    return (a * b + (a >> 5)) ^ (b << 9) ^ (unsigned long long)((long long)a >> 33);
}
static int (*const calls[2])(int, int) = {choose, (int (*)(int, int))hash};
int through(int n, int a) { return calls[n & 1](a, n); }
long long asked(int a, int b) { return ask(a, (long long)b << 20, a ^ b, a - b, 5) + 1; }
void stop(int a, int b) { __asm__ volatile("udf #77"); }
static volatile int sink;
int deep(int n, int b) { volatile char frame[64]; frame[0] = n; int r = deep(n + 1, b); sink = frame[0]; return r + 1; }
int stray(volatile int *p, int b) { return *p; }
__attribute__((naked)) void spoil(int a, int b) { __asm__(" movs r0, #1\n mov r6, r0\n bx lr"); }
"##;

fn compile(core: Core, folder: &Path) -> Vec<u8> {
    let (source, object) = (folder.join("program.c"), folder.join("program.o"));
    std::fs::write(&source, PROGRAM).unwrap();
    let mut args = vec![core.triple(), "-O2", "-ffreestanding", "-fno-unwind-tables", "-fno-exceptions"];
    args.extend(["-fno-optimize-sibling-calls", "-ffunction-sections", "-c"]);
    args.extend(core.flags());
    args.extend([source.to_str().unwrap(), "-o", object.to_str().unwrap()]);
    run_tool("clang-22", &args).unwrap();
    std::fs::read(object).unwrap()
}

/// Answers `ask`, and functions of the C compiler's library, which the engine leaves to its host.
struct Answers<'a>(&'a [String]);

/// The answer to `ask`, which depends on all arguments.
fn answer(words: &Words) -> [u32; 2] {
    let [a, _, low, high] = words.core;
    let [c, d, e] = words.stack[..] else { panic!("three words are on the stack") };
    [a ^ low.rotate_left(3) ^ c, high.wrapping_add(d).wrapping_mul(e)]
}

impl Host for Answers<'_> {
    fn call(&mut self, cpu: &mut Cpu, memory: &mut Memory, function: usize) -> Answer {
        assert_eq!(self.0[function], "ask");
        let word = |n: u32| {
            let bytes = memory.read(cpu.r(13) + 4 * n, 4).unwrap();
            u32::from_le_bytes(bytes.try_into().unwrap())
        };
        let words = Words {
            core: [0, 1, 2, 3].map(|n| cpu.r(n)),
            stack: (0..3).map(word).collect(),
            ..Words::default()
        };
        let [low, high] = answer(&words);
        cpu.set_r(0, low);
        cpu.set_r(1, high);
        Answer::Return
    }
}

fn agree(core: Core) {
    if !needs::tools(&TOOLS) {
        return;
    }
    let object = compile(core, tempfile::tempdir().unwrap().path());
    let mut board = Board::start(core).unwrap();
    let library = board.symbols_starting("__aeabi_");
    let image = board::Image::load(&mut board, &object, &mut |name| match name {
        "ask" => Some(Undefined::Import(1)),
        _ => library.get(name).map(|&at| Undefined::Address(at)),
    });
    let Ok(image) = image else {
        needs::skip("a function of the C compiler's library is missing");
        return;
    };
    let program = Image::load(&object).unwrap();
    let undefined = program.undefined().to_vec();
    let mut machine = Machine::new(program);
    let mut rng = Rng::new(7);
    let pair = [Type::I32; 2];
    let functions: [(&str, &[Type], &[Type]); 5] = [
        ("hash", &pair, &[Type::I32]),
        ("choose", &pair, &[Type::I32]),
        ("through", &pair, &[Type::I32]),
        ("wide", &[Type::I64; 2], &[Type::I64]),
        ("asked", &pair, &[Type::I64]),
    ];
    for (name, params, results) in functions {
        let address = machine.image().address(name).unwrap();
        let function = Function { address, params: params.to_vec(), results: results.to_vec() };
        for _ in 0..12 {
            let args: Vec<u64> = params.iter().map(|_| rng.interesting() as u64).collect();
            let outcome = machine.invoke(&function, &args, None, 100_000, &mut Answers(&undefined));
            assert_eq!(outcome.ending, Ending::Returned, "{core:?} {name} {args:x?} at {:#x}", outcome.at);
            let words = Words::arguments(false, params, &args);
            let call = board::Call::new(image.address(name).unwrap(), words);
            let exit = board.call(&call, &mut |board, import| {
                let stack = board.read_words(import.sp, 3)?;
                let core = answer(&Words { stack, ..import.words.clone() });
                Ok(board::Answer { core, ..board::Answer::default() })
            });
            let exit = exit.unwrap();
            assert_eq!(exit.ending, board::Ending::Returned, "{core:?} {name} {args:x?}");
            assert_eq!(exit.words.values(false, results), outcome.results, "{core:?} {name} {args:x?}");
        }
    }
    for (name, bytes) in [("counter", 4), ("words", 16)] {
        let here = machine.memory.read(machine.image().address(name).unwrap(), bytes).unwrap();
        assert_eq!(board.read(image.address(name).unwrap(), bytes).unwrap(), here, "{core:?} {name}");
    }
    ends_agree(core, &mut board, &image, &mut machine, &undefined);
}

/// Calls that don't return.
fn ends_agree(
    core: Core,
    board: &mut Board,
    image: &board::Image,
    machine: &mut Machine,
    undefined: &[String],
) {
    let mut end = |name: &str, offset: Option<u32>| {
        let at = |address: Option<u32>| offset.map_or(3, |offset| address.unwrap() + offset);
        let args = [u64::from(at(machine.image().address("words"))), 0];
        let address = machine.image().address(name).unwrap();
        let function = Function { address, params: vec![Type::I32; 2], results: Vec::new() };
        let here = machine.invoke(&function, &args, None, 10_000_000, &mut Answers(undefined)).ending;
        let args = [u64::from(at(image.address("words"))), 0];
        let words = Words::arguments(false, &[Type::I32; 2], &args);
        let call = board::Call { ticks: 500, ..board::Call::new(image.address(name).unwrap(), words) };
        let exit = board.call(&call, &mut |_, _| Ok(board::Answer::default())).unwrap();
        (exit.ending, here)
    };
    assert_eq!(end("stop", None), (board::Ending::Trapped(77), Ending::Trapped(77)), "{core:?}");
    assert_eq!(end("deep", None), (board::Ending::Exhausted, Ending::Exhausted), "{core:?}");
    assert_eq!(end("spoil", None), (board::Ending::Corrupted(6), Ending::Corrupted(6)), "{core:?}");
    let (there, here) = end("stray", Some(1));
    assert_eq!((there, here), (board::Ending::Returned, Ending::Returned), "{core:?}");
    let (there, here) = end("stray", Some(0x8000_0000));
    assert!(matches!(there, board::Ending::Faulted(_)), "{core:?} {there:?}");
    assert!(matches!(here, Ending::Faulted(Fault::Unmapped { .. })), "{core:?} {here:?}");
}

/// Cores for which clang makes instructions of the table only.
#[test]
fn objects_of_clang_behave_as_on_boards() {
    agree(Core::M3);
    agree(Core::M4);
}

/// Bytes of every kind end a run, and never the process.
#[test]
fn arbitrary_code_does_not_panic() {
    let mut rng = Rng::new(3);
    let core = thumb_engine::Core {
        features: thumb_isa::Features::FP5_DOUBLE,
        is_unaligned: true,
        passes_floats: true,
    };
    for _ in 0..3000 {
        let len = 2 + rng.below(60);
        let wide = rng.below(3) as u8;
        let code: Vec<u8> = (0..len)
            .map(|n| rng.bits() as u8 | if n % 2 == 1 { 0xe0 * u8::from(wide == 0) } else { 0 })
            .collect();
        let mut machine = Machine::new(Image::of_code(core, 0x800, code.clone()));
        let function = Function { address: 0x801, params: Vec::new(), results: Vec::new() };
        let outcome = machine.invoke(&function, &[], None, 500, &mut Answers(&[]));
        assert!(outcome.instructions <= 500);
        // Files of such bytes are errors.
        assert!(Image::load(&code).is_err());
    }
}
