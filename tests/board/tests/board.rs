//! Tests of the board: C code compiled by clang runs on it, and the board must report its results and faults.

use std::path::Path;

use board::{Answer, Board, Call, Core, Ending, Image, TOOLS, Type, Undefined, Words, run_tool};

const PROGRAM: &str = r##"
extern long long ask(int, long long, float, double, int);
int counter = 7;
int add(int a, int b) { counter += 1; return a + b + counter; }
void stop(void) { __builtin_trap(); }
static volatile int sink;
int deep(int n) { volatile char frame[64]; frame[0] = n; int r = deep(n + 1); sink = frame[0]; return r + 1; }
void loop(void) { for (;;) sink++; }
long long through(int a, long long b, float c, double d, int e) { return ask(a, b, c, d, e) + 1; }
int stray(volatile int *p) { return *p; }
int words[2];
__attribute__((naked)) void spoil(void) { __asm__(" movs r6, #1\n bx lr"); }
int narrow(float a, double b, float c, double d) { return a == 1 && b == 2 && c == 3 && d == 4; }
"##;

fn with_program(core: Core, test: impl FnOnce(&mut Board, &Image)) {
    if !needs::tools(&TOOLS) {
        return;
    }
    let object = compile(core, tempfile::tempdir().unwrap().path());
    let mut board = Board::start(core).unwrap();
    let library: Vec<(String, u32)> = ["__aeabi_dcmpeq", "__aeabi_fcmpeq", "__aeabi_f2d"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), board.symbol(name)?)))
        .collect();
    let image = Image::load(&mut board, &object, &mut |name| match name {
        "ask" => Some(Undefined::Import(5)),
        _ => library.iter().find(|(known, _)| known == name).map(|(_, at)| Undefined::Address(*at)),
    })
    .unwrap();
    test(&mut board, &image);
}

fn compile(core: Core, folder: &Path) -> Vec<u8> {
    let (source, object) = (folder.join("program.c"), folder.join("program.o"));
    std::fs::write(&source, PROGRAM).unwrap();
    let mut args = vec![
        core.triple(),
        "-O1",
        "-ffreestanding",
        "-fno-unwind-tables",
        "-fno-exceptions",
        "-fno-optimize-sibling-calls",
        "-c",
    ];
    args.extend(core.flags());
    args.extend([source.to_str().unwrap(), "-o", object.to_str().unwrap()]);
    run_tool("clang-22", &args).unwrap();
    std::fs::read(object).unwrap()
}

fn call(board: &mut Board, image: &Image, name: &str, words: Words) -> board::Exit {
    let call = Call { ticks: 20, ..Call::new(image.address(name).unwrap(), words) };
    board.call(&call, &mut |_, _| panic!("{name} calls no import")).unwrap()
}

fn everything(core: Core) {
    with_program(core, |board, image| {
        let has_floats = core.has_floats();
        let two = Words { core: [3, 4, 0, 0], ..Words::default() };
        for n in 0..3 {
            let exit = call(board, image, "add", two.clone());
            assert_eq!((exit.ending, exit.words.core[0]), (Ending::Returned, 15 + n));
        }
        image.restore(board).unwrap();
        assert_eq!(call(board, image, "add", two).words.core[0], 15);
        assert!(matches!(call(board, image, "stop", Words::default()).ending, Ending::Trapped(0xfe)));
        assert_eq!(call(board, image, "deep", Words::default()).ending, Ending::Exhausted);
        assert!(matches!(call(board, image, "loop", Words::default()).ending, Ending::TimedOut(_)));
        let hole = if core == Core::M55DP { 0x0f00_0000 } else { 0xb000_0000 };
        let at_hole = Words { core: [hole, 0, 0, 0], ..Words::default() };
        assert!(matches!(call(board, image, "stray", at_hole).ending, Ending::Faulted(_)));
        let is_strict = matches!(core, Core::M0 | Core::M23);
        let unaligned = Words { core: [image.address("words").unwrap() + 1, 0, 0, 0], ..Words::default() };
        let ending = call(board, image, "stray", unaligned).ending;
        assert_eq!(matches!(ending, Ending::Faulted(_)), is_strict, "{ending:?}");
        assert_eq!(call(board, image, "spoil", Words::default()).ending, Ending::Corrupted(6));
        let types = [Type::I32, Type::I64, Type::F32, Type::F64, Type::I32];
        let values = [1, 0x2_0000_0003, u64::from(1.5f32.to_bits()), 2.5f64.to_bits(), 6];
        let words = Words::arguments(has_floats, &types, &values);
        let through = Call::new(image.address("through").unwrap(), words);
        let exit = board.call(&through, &mut |board, import| {
            let stack = board.read_words(import.sp, Words::stack_words(has_floats, &types))?;
            let words = Words { stack, ..import.words.clone() };
            assert_eq!((import.number, import.sp % 8), (5, 0));
            assert_eq!(words.values(has_floats, &types), values);
            Ok(Answer { core: [0xffff_ffff, 7], ..Answer::default() })
        });
        let exit = exit.unwrap();
        assert_eq!((exit.ending, exit.words.core[0], exit.words.core[1]), (Ending::Returned, 0, 8));
        let types = [Type::F32, Type::F64, Type::F32, Type::F64];
        let values = [1f32.to_bits().into(), 2f64.to_bits(), 3f32.to_bits().into(), 4f64.to_bits()];
        let words = Words::arguments(has_floats, &types, &values);
        let exit = call(board, image, "narrow", words);
        assert_eq!((exit.ending, exit.words.core[0]), (Ending::Returned, 1));
    });
}

#[test]
fn m0() {
    everything(Core::M0);
}

#[test]
fn m23() {
    everything(Core::M23);
}

#[test]
fn m3() {
    everything(Core::M3);
}

#[test]
fn m4f() {
    everything(Core::M4F);
}

#[test]
fn m7dp() {
    everything(Core::M7DP);
}

#[test]
fn m33() {
    everything(Core::M33);
}

#[test]
fn m55dp() {
    everything(Core::M55DP);
}
