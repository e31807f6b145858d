//! Functions made from wasm and functions made from C by clang call each other on emulated boards: pairs, stack
//! arguments, floats by either convention, several results as structures, the alignment of the stack. Random signatures
//! are declared for C by the header that the compiler prints.

use std::fmt::Write as _;
use std::path::Path;

use board::{Board, Call, Core, Ending, Image, Undefined, Words, run_tool};
use random::Rng;
use testkit::thumb::{Setup, board_core};
use wasm_pvm::{Cpu, FloatAbi, Floats, MemoryMode, OptLevel, Options, Stage, ThumbOptions};

#[test]
fn without_float_registers() {
    conform(Cpu::M3, Floats::Soft, FloatAbi::Hard);
    conform(Cpu::M0Plus, Floats::Soft, FloatAbi::Hard);
    conform(Cpu::M23, Floats::Soft, FloatAbi::Hard);
}

#[test]
fn with_single_precision() {
    conform(Cpu::M4F, Floats::Soft, FloatAbi::Hard);
    conform(Cpu::M33F, Floats::Soft, FloatAbi::Hard);
    conform(Cpu::M4F, Floats::Soft, FloatAbi::Softfp);
}

#[test]
fn with_double_precision() {
    conform(Cpu::M7DP, Floats::Hard, FloatAbi::Hard);
    conform(Cpu::M55DP, Floats::Hard, FloatAbi::Hard);
    conform(Cpu::M7DP, Floats::Hard, FloatAbi::Softfp);
}

/// clang's options for a core and a float ABI.
fn flags(core: Core, abi: FloatAbi) -> Vec<&'static str> {
    let softfp = |flag: &&'static str| match (*flag, abi) {
        ("-mfloat-abi=hard", FloatAbi::Softfp) => "-mfloat-abi=softfp",
        (flag, _) => flag,
    };
    core.flags().iter().map(softfp).collect()
}

fn conform(cpu: Cpu, floats: Floats, float_abi: FloatAbi) {
    if !Setup::new(cpu, OptLevel::O2, floats).is_available() {
        return;
    }
    let core = board_core(cpu);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/aapcs");
    let wasm = std::fs::read(fixtures.join("callee.wat")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let mut board = Board::start(core).unwrap();
    for (level, c_level) in [(OptLevel::O0, "-O2"), (OptLevel::O2, "-O0"), (OptLevel::Oz, "-O2")] {
        let thumb = ThumbOptions { memory: MemoryMode::Symbol, float_abi, ..ThumbOptions::new(cpu) };
        let options = Options { level, floats: Some(floats), threads: 1, ..Options::new(thumb) };
        std::fs::write(path("callee.o"), wasm_pvm::compile(&wasm, &options).unwrap().bytes).unwrap();
        let source = fixtures.join("caller.c").to_string_lossy().into_owned();
        let mut args = vec![core.triple(), c_level, "-ffreestanding", "-ffp-contract=off", "-c"];
        args.extend(flags(core, float_abi));
        let (caller, callee, both) = (path("caller.o"), path("callee.o"), path("both.o"));
        args.extend([&*source, "-o", &caller]);
        run_tool("clang-22", &args).unwrap();
        run_tool("ld.lld-22", &["-r", "-o", &both, &caller, &callee]).unwrap();
        let object = std::fs::read(&both).unwrap();
        board.clear();
        let library = board.symbols_starting("__aeabi_");
        let image = Image::load(&mut board, &object, &mut |symbol| {
            library.get(symbol).map(|&address| Undefined::Address(address))
        });
        let image = image.unwrap_or_else(|error| panic!("{cpu} -{level:?}: {error:#}"));
        let call = Call::new(image.address("run").unwrap(), Words::default());
        let exit = board.call(&call, &mut |_, _| panic!("everything is in the object")).unwrap();
        assert_eq!(exit.ending, Ending::Returned, "{cpu} -{level:?}");
        assert_eq!(exit.words.core[0], 0, "{cpu} -{level:?}: the check in this line of caller.c fails");
    }
}

/// `AAPCS_SEEDS` is how many sets of signatures each core gets, `AAPCS_FIRST` the first seed.
#[test]
fn random_signatures() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("AAPCS_FIRST").unwrap_or(1);
    let seeds = first..first + number("AAPCS_SEEDS").unwrap_or(2);
    for cpu in [Cpu::M3, Cpu::M4F, Cpu::M7DP, Cpu::M33F] {
        let floats = if cpu == Cpu::M7DP { Floats::Hard } else { Floats::Soft };
        if !Setup::new(cpu, OptLevel::O2, floats).is_available() {
            continue;
        }
        let mut board = Board::start(board_core(cpu)).unwrap();
        for seed in seeds.clone() {
            let level = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz][(seed % 4) as usize];
            // Every second set passes floats in core registers.
            let softfp = cpu.has_single() && seed % 2 == 1;
            let abi = if softfp { FloatAbi::Softfp } else { FloatAbi::Hard };
            run_signatures(&mut board, (cpu, floats, abi), level, seed);
        }
    }
}

fn run_signatures(
    board: &mut Board,
    (cpu, floats, float_abi): (Cpu, Floats, FloatAbi),
    level: OptLevel,
    seed: u64,
) {
    let mut random = Rng::new(seed);
    let signatures: Vec<Signature> = (0..8).map(|_| Signature::random(&mut random)).collect();
    let core = board_core(cpu);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let thumb = ThumbOptions { memory: MemoryMode::Symbol, float_abi, ..ThumbOptions::new(cpu) };
    let options = Options { level, floats: Some(floats), threads: 1, ..Options::new(thumb) };
    let wasm = wat::parse_str(wasm_side(&signatures)).unwrap();
    std::fs::write(path("module.o"), wasm_pvm::compile(&wasm, &options).unwrap().bytes).unwrap();
    let header = wasm_pvm::emit(&wasm, &options, Stage::Header).unwrap();
    let text = format!("{header}{}", c_side(&signatures, &mut random));
    std::fs::write(path("caller.c"), text).unwrap();
    let (source, caller, both) = (path("caller.c"), path("caller.o"), path("both.o"));
    let c_level = ["-O0", "-O2", "-Os"][(seed / 4 % 3) as usize];
    let mut args = vec![
        core.triple(),
        c_level,
        "-ffreestanding",
        "-ffunction-sections",
        "-w",
        "-c",
        &*source,
        "-o",
        &caller,
    ];
    args.extend(flags(core, float_abi));
    run_tool("clang-22", &args).unwrap();
    run_tool("ld.lld-22", &["-r", "-o", &both, &caller, &path("module.o")]).unwrap();
    board.clear();
    let library = board.symbols_starting("__aeabi_");
    let image = Image::load(board, &std::fs::read(&both).unwrap(), &mut |symbol| {
        library.get(symbol).map(|&address| Undefined::Address(address))
    });
    let image = image.unwrap_or_else(|error| panic!("{cpu} seed {seed}: {error:#}"));
    let call = Call::new(image.address("run").unwrap(), Words::default());
    let exit = board.call(&call, &mut |_, _| panic!("everything is in the object")).unwrap();
    assert_eq!(exit.ending, Ending::Returned, "{cpu} -{level:?} seed {seed}");
    assert_eq!(exit.words.core[0], 0, "{cpu} -{level:?} seed {seed}: this check in caller.c fails");
}

const TYPES: [&str; 4] = ["i32", "i64", "f32", "f64"];

/// Types of parameters and results, as indices of [`TYPES`].
struct Signature {
    params: Vec<usize>,
    results: Vec<usize>,
}

impl Signature {
    /// Few or many parameters, mixed or mostly of one type.
    fn random(random: &mut Rng) -> Self {
        let mut below = |end: u64| ((random.bits() >> 11) % end) as usize;
        let (favourite, most) = (below(4), [4, 10, 24][below(3)]);
        let params = (0..below(most)).map(|_| if below(2) == 0 { favourite } else { below(4) }).collect();
        let results = (0..[0, 1, 1, 1 + below(4)][below(4)]).map(|_| below(4)).collect();
        Self { params, results }
    }

    fn list(keyword: &str, types: &[usize]) -> String {
        let names: Vec<&str> = types.iter().map(|&ty| TYPES[ty]).collect();
        if names.is_empty() { String::new() } else { format!("({keyword} {})", names.join(" ")) }
    }

    fn text(&self) -> String {
        format!("{} {}", Self::list("param", &self.params), Self::list("result", &self.results))
    }
}

/// Bits of a wasm value of type `ty` as an i64.
fn bits(ty: usize, value: &str) -> String {
    match ty {
        0 => format!("(i64.extend_i32_u {value})"),
        1 => value.to_owned(),
        2 => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        _ => format!("(i64.reinterpret_f64 {value})"),
    }
}

/// For each signature: an export that mixes its parameters into its results, one that tail-calls the import of C, one
/// that calls it and uses its parameters afterwards, and one that does all by the table.
fn wasm_side(signatures: &[Signature]) -> String {
    let mut text = String::from("(module\n");
    for (n, sig) in signatures.iter().enumerate() {
        writeln!(text, "(type $t{n} (func {0})) (import \"env\" \"c{n}\" (func $c{n} {0}))", sig.text())
            .unwrap();
    }
    let entries: String = (0..signatures.len()).map(|n| format!(" $f{n} $c{n}")).collect();
    writeln!(text, "(table (export \"table\") funcref (elem{entries}))").unwrap();
    writeln!(text, "(global $rest (export \"rest\") (mut i64) (i64.const 0))").unwrap();
    for (n, sig) in signatures.iter().enumerate() {
        let mut hash = String::from("(i64.const 7)");
        for (at, &ty) in sig.params.iter().enumerate() {
            hash = format!(
                "(i64.add (i64.mul {hash} (i64.const 31)) {})",
                bits(ty, &format!("(local.get {at})"))
            );
        }
        let value = |n: usize| format!("(i64.rotl (local.get $h) (i64.const {n}))");
        let results: String =
            sig.results.iter().enumerate().map(|(n, &ty)| from_bits(ty, &value(n))).collect();
        let args: String = (0..sig.params.len()).map(|at| format!(" (local.get {at})")).collect();
        let ty = sig.text();
        writeln!(text, "(func $f{n} (export \"f{n}\") {ty} (local $h i64) (local.set $h {hash}) {results})")
            .unwrap();
        writeln!(text, "(func (export \"t{n}\") {ty} (return_call $c{n}{args}))").unwrap();
        writeln!(
            text,
            "(func (export \"g{n}\") {ty} (call $c{n}{args}) (global.set $rest {hash}))
             (func (export \"i{n}\") {ty} (return_call_indirect (type $t{n}){args} (i32.const {})))
             (func (export \"j{n}\") {ty} (call_indirect (type $t{n}){args} (i32.const {})))",
            2 * n,
            2 * n + 1,
        )
        .unwrap();
    }
    text + ")"
}

/// A value of type `ty` of the bits in an i64; floats are no NaNs.
fn from_bits(ty: usize, value: &str) -> String {
    let single = format!("(i32.and (i32.wrap_i64 {value}) (i32.const 0x3fffffff))");
    match ty {
        0 => format!("(i32.wrap_i64 {value})"),
        1 => value.to_owned(),
        2 => format!("(f32.reinterpret_i32 {single})"),
        _ => format!("(f64.reinterpret_i64 (i64.and {value} (i64.const 0x3fffffffffffffff)))"),
    }
}

const C_HELPERS: &str = "
static uint64_t b0(int32_t v) { return (uint32_t)v; }
static uint64_t b1(int64_t v) { return v; }
static uint64_t b2(float v) { union { float f; uint32_t n; } u = {v}; return u.n; }
static uint64_t b3(double v) { union { double f; uint64_t n; } u = {v}; return u.n; }
static int32_t v0(uint64_t b) { return (int32_t)b; }
static int64_t v1(uint64_t b) { return b; }
static float v2(uint64_t b) { union { uint32_t n; float f; } u = {(uint32_t)b & 0x3fffffff}; return u.f; }
static double v3(uint64_t b) { union { uint64_t n; double f; } u = {b & 0x3fffffffffffffff}; return u.f; }
#define turn(h, n) ((n) ? h << (n) | h >> (64 - (n) & 63) : h)
static volatile int misaligned;
__attribute__((naked)) static uint32_t stack_pointer(void) { __asm__(\"mov r0, sp\\n\\tbx lr\"); }
";

/// The imports, and `run`, which calls the exports and gives 0 or the number of the first check that fails.
fn c_side(signatures: &[Signature], random: &mut Rng) -> String {
    let mut text = String::from(C_HELPERS);
    let mut run = String::from("int run(void) { int failed = 0;\n");
    for (n, sig) in signatures.iter().enumerate() {
        text += &c_import(n, sig);
        let args: Vec<String> =
            sig.params.iter().map(|ty| format!("v{ty}({:#x}ull)", random.bits())).collect();
        let hash = c_hash(sig, |at| args[at].clone());
        writeln!(text, "__attribute__((noinline)) static int run{n}(void) {{ uint64_t h = {hash};").unwrap();
        for (check, export) in (5 * n + 1..).zip(["f", "t", "g", "i", "j"]) {
            text += &c_check(&format!("{export}{n}"), n, sig, &args, check);
        }
        writeln!(text, "return 0; }}").unwrap();
        writeln!(run, "failed = run{n}(); if (failed) return failed;").unwrap();
    }
    format!("{text}{run}return misaligned ? -1 : 0; }}\n")
}

/// As the exports of wasm mix parameters.
fn c_hash(sig: &Signature, param: impl Fn(usize) -> String) -> String {
    let params = sig.params.iter().enumerate();
    params.fold("7ull".to_owned(), |hash, (at, ty)| format!("({hash} * 31 + b{ty}({}))", param(at)))
}

/// A result at its place, of the mixed parameters.
fn c_value(at: usize, ty: usize) -> String {
    format!("v{ty}(turn(h, {at}))")
}

fn c_import(n: usize, sig: &Signature) -> String {
    const NAMES: [&str; 4] = ["int32_t", "int64_t", "float", "double"];
    let hidden = (sig.results.len() > 1).then(|| format!("struct c{n}_results *r"));
    let params = sig.params.iter().enumerate().map(|(at, &ty)| format!("{} p{at}", NAMES[ty]));
    let params: Vec<String> = hidden.into_iter().chain(params).collect();
    let list = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    let members = sig.results.iter().enumerate();
    let (result, give) = match sig.results[..] {
        [ty] => (NAMES[ty], format!("return {};", c_value(0, ty))),
        _ => ("void", members.map(|(at, &ty)| format!("r->r{at} = {};", c_value(at, ty))).collect()),
    };
    let hash = c_hash(sig, |at| format!("p{at}"));
    format!(
        "static uint64_t seen{n};
         {result} c{n}({list}) {{
             if (stack_pointer() % 8) misaligned = 1;
             uint64_t h = {hash}; seen{n} = h; {give} }}\n"
    )
}

/// Calls an export and compares its results, the arguments of the import, and the global.
fn c_check(export: &str, n: usize, sig: &Signature, args: &[String], check: usize) -> String {
    let several = sig.results.len() > 1;
    let args: Vec<String> = several.then(|| "&r".to_owned()).into_iter().chain(args.to_vec()).collect();
    let call = format!("{export}({})", args.join(", "));
    let equal = |at: usize, ty: usize, found: &str| format!("b{ty}({found}) == b{ty}({})", c_value(at, ty));
    let mut is_right = match sig.results[..] {
        [ty] => equal(0, ty, &call),
        _ => format!("({call}, 1)"),
    };
    for (at, &ty) in sig.results.iter().enumerate().filter(|_| several) {
        is_right += &format!(" && {}", equal(at, ty, &format!("r.r{at}")));
    }
    let results = if several { format!("struct {export}_results r;") } else { String::new() };
    let is_seen = match &export[..1] {
        "t" | "j" => format!("seen{n} == h"),
        "g" => format!("seen{n} == h && rest == h"),
        _ => "1".to_owned(),
    };
    format!(
        "{{ {results} seen{n} = rest = 0; int is = {is_right}; if (!(is && {is_seen})) return {check}; }}\n"
    )
}
