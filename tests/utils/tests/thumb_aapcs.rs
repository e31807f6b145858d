//! Functions made from wasm and functions made from C by clang call each other on emulated boards: pairs, stack
//! arguments, floats by either convention, several results as structures, the alignment of the stack.

use std::path::Path;

use board::{Board, Call, Ending, Image, Undefined, Words, run_tool};
use testkit::thumb::{Setup, board_core};
use wasm_pvm::{Cpu, Floats, MemoryMode, OptLevel, Options, ThumbOptions};

#[test]
fn without_float_registers() {
    conform(Cpu::M3, Floats::Soft);
}

#[test]
fn with_single_precision() {
    conform(Cpu::M4F, Floats::Soft);
    conform(Cpu::M33F, Floats::Soft);
}

#[test]
fn with_double_precision() {
    conform(Cpu::M7DP, Floats::Hard);
}

fn conform(cpu: Cpu, floats: Floats) {
    if !Setup::new(cpu, OptLevel::O2, floats).is_available() {
        return;
    }
    let core = board_core(cpu);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/aapcs");
    let wasm = std::fs::read(fixtures.join("callee.wat")).unwrap();
    let folder = std::env::temp_dir().join(format!("aapcs-{cpu}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut board = Board::start(core).unwrap();
    for (level, c_level) in [(OptLevel::O0, "-O2"), (OptLevel::O2, "-O0"), (OptLevel::Oz, "-O2")] {
        let thumb = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(cpu) };
        let options = Options { level, floats: Some(floats), threads: 1, ..Options::new(thumb) };
        std::fs::write(path("callee.o"), wasm_pvm::compile(&wasm, &options).unwrap().bytes).unwrap();
        let source = fixtures.join("caller.c").to_string_lossy().into_owned();
        let mut args = vec![core.triple(), c_level, "-ffreestanding", "-ffp-contract=off", "-c"];
        args.extend(core.flags());
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
    std::fs::remove_dir_all(&folder).unwrap();
}
