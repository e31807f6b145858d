//! Runs compiled objects on an emulated board.
//!
//! Many calls of functions from many objects make one image, because starting the emulator costs most. The driver on
//! the board calls each function with its argument words, answers imports from a recorded list, catches traps, checks
//! callee-saved registers and the stack pointer, and prints results, a hash of linear memory and the arguments imports
//! were called with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use target_thumb::Cpu;

/// What the board does without an end in this time is wrong.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One call.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Symbol of the function.
    pub symbol: String,
    /// Index of the object it is in.
    pub object: usize,
    /// r0 to r3.
    pub core: [u32; 4],
    /// Whether r0 is to be a pointer to memory for results.
    pub has_struct: bool,
    /// s0 to s15.
    pub floats: [u32; 16],
    /// Words on the stack.
    pub stack: Vec<u32>,
    /// Symbol or address, and size, of the linear memory.
    pub memory: Option<(String, u32)>,
    /// What linear memory contains before the call, if the object doesn't have it.
    pub image: Option<Vec<u8>>,
    /// Whether r11 is to be the address of linear memory.
    pub has_base: bool,
    /// For each call of an import, in order: r0, r1, s0, s1, and the words behind the pointer in r0.
    pub answers: Vec<[u32; 20]>,
}

/// An import: which words of its arguments are logged.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Its symbol.
    pub symbol: String,
    /// Bits of r0 to r3, s0 to s15 and stack words that are arguments.
    pub masks: [u32; 3],
    /// Words it writes behind the pointer in r0.
    pub struct_words: u32,
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// 0: returned; 0x100 + n: trap n; 2: a callee-saved register changed; 3: too many imports called.
    pub status: u32,
    /// r0 to r3, s0, s1.
    pub results: [u32; 6],
    /// Of linear memory.
    pub hash: u32,
    /// What was written behind the pointer for results.
    pub struct_words: [u32; 16],
    /// Import calls: index in the list of imports, then its argument words.
    pub log: Vec<u32>,
}

/// Whether the tools are there; prints what is missing.
pub fn is_available() -> bool {
    let missing: Vec<&str> = ["qemu-system-arm", "clang-22", "ld.lld-22"]
        .into_iter()
        .filter(|tool| {
            Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        })
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: {} not found", missing.join(", "));
    }
    missing.is_empty()
}

/// The hash the board computes.
pub fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |value, &byte| (value ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

const fn board(cpu: Cpu) -> &'static str {
    match cpu {
        Cpu::M3 => "mps2-an385",
        Cpu::M4 | Cpu::M4F => "mps2-an386",
        Cpu::M7 | Cpu::M7DP => "mps2-an500",
        Cpu::M33 | Cpu::M33F => "mps2-an505",
    }
}

/// Addresses of code, data, the copy of the data, and the top of the stack.
const fn addresses(cpu: Cpu) -> [u32; 4] {
    match cpu {
        Cpu::M33 | Cpu::M33F => [0x1000_0000, 0x3800_0000, 0x8000_0000, 0x3838_0000],
        Cpu::M7 | Cpu::M7DP => [0, 0x2000_0000, 0x6000_0000, 0x2038_0000],
        _ => [0, 0x2000_0000, 0x2100_0000, 0x2038_0000],
    }
}

/// A directory for an image, removed when dropped unless the test fails here or `THUMB_DIFFERENTIAL_KEEP` is set.
struct Work(PathBuf);

impl Work {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("thumb-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Self(dir)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !std::thread::panicking() && std::env::var_os("THUMB_DIFFERENTIAL_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn run_tool(tool: &str, args: &[&str]) {
    let output = Command::new(tool).args(args).output().expect("the tool starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} fails: {errors}");
}

/// The run-time library of the C compiler for these boards, for float arithmetic.
pub fn libgcc() -> Option<String> {
    let args = ["-mcpu=cortex-m3", "-mthumb", "-print-libgcc-file-name"];
    let output = Command::new("arm-none-eabi-gcc").args(args).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn clang(cpu: Cpu, source: &Path, object: &Path) {
    let mut args = vec![
        "--target=thumbv7em-none-eabi",
        "-mcpu=cortex-m4",
        "-O1",
        "-ffreestanding",
        "-fno-unwind-tables",
        "-c",
    ];
    if cpu.has_single() {
        args.extend(["-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]);
        if source.extension().is_some_and(|extension| extension == "s") {
            args.push("-Wa,-defsym,FLOATS=1");
        }
    }
    if cpu == Cpu::M3 {
        args[0] = "--target=thumbv7m-none-eabi";
        args[1] = "-mcpu=cortex-m3";
    }
    args.extend([source.to_str().expect("a path"), "-o", object.to_str().expect("a path")]);
    run_tool("clang-22", &args);
}

/// Links the objects with the driver, runs the calls and returns their outcomes.
pub fn run(name: &str, cpu: Cpu, objects: &[Vec<u8>], imports: &[Import], calls: &[Call]) -> Vec<Outcome> {
    let work = Work::new(name);
    let table = work.write("table.s", table(calls, imports));
    let driver = work.write("driver.c", include_str!("driver.c"));
    let start = work.write("start.s", include_str!("start.s"));
    let sources = [table, driver, start];
    let mut linked: Vec<PathBuf> = Vec::new();
    for source in &sources {
        let object = source.with_extension("o");
        clang(cpu, source, &object);
        linked.push(object);
    }
    for (n, bytes) in objects.iter().enumerate() {
        linked.push(work.write(&format!("m{n}.o"), bytes));
    }
    let script = work.write("link.ld", script(cpu, objects.len()));
    let image = work.0.join("image.elf");
    let mut args =
        vec!["-T", script.to_str().expect("a path"), "-o", image.to_str().expect("a path"), "-z", "muldefs"];
    args.extend(linked.iter().map(|path| path.to_str().expect("a path")));
    let libgcc = if cpu.has_single() { None } else { libgcc() };
    args.extend(libgcc.as_deref());
    run_tool("ld.lld-22", &args);
    let outcomes = emulate(cpu, &image);
    assert_eq!(outcomes.len(), calls.len(), "{name}: an outcome for each call; see {}", work.0.display());
    outcomes
}

fn emulate(cpu: Cpu, image: &Path) -> Vec<Outcome> {
    let output = image.with_extension("out");
    let file = std::fs::File::create(&output).expect("a temporary file");
    let mut child = Command::new("qemu-system-arm")
        .args(["-M", board(cpu), "-nographic", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(image)
        .stdout(Stdio::null())
        .stderr(file)
        .stdin(Stdio::null())
        .spawn()
        .expect("the emulator starts");
    let start = Instant::now();
    while child.try_wait().expect("the emulator can be asked").is_none() {
        if start.elapsed() > TIMEOUT {
            child.kill().expect("the emulator can be stopped");
            panic!("the board does not come to an end; see {}", output.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = std::fs::read_to_string(&output).expect("the emulator's output");
    let outcomes = text.lines().map_while(parse).collect();
    assert!(!text.contains("qemu"), "the emulator stops: {text}; see {}", output.display());
    outcomes
}

fn parse(line: &str) -> Option<Outcome> {
    let words: Result<Vec<u32>, _> =
        line.split_whitespace().map(|word| u32::from_str_radix(word, 16)).collect();
    let words = words.ok()?;
    Some(Outcome {
        status: *words.first()?,
        results: words.get(1..7)?.try_into().expect("six words"),
        hash: *words.get(7)?,
        struct_words: words.get(8..24)?.try_into().expect("16 words"),
        log: words[24..].to_vec(),
    })
}

fn script(cpu: Cpu, objects: usize) -> String {
    let [code, data, backup, stack] = addresses(cpu);
    // The memory below is for programs that own address 0; on boards with it elsewhere it is lost.
    let low = code + 0x4000;
    let mut text = format!(
        "ENTRY(reset)\nbackup = {backup:#x};\nstack_top = {stack:#x};\nSECTIONS {{\n  . = {code:#x};\n  \
         .text : {{ *(.vectors) . = {low:#x}; *(.text*) *(.rodata*) }}\n  . = {data:#x};\n  .data : {{ *start.o(.data .bss) *driver.o(.data* .bss* COMMON) *table.o(.data .bss)\n    \
         . = ALIGN(16); all_data = .;\n",
    );
    for n in 0..objects {
        let _ = writeln!(text, "    . = ALIGN(16); data_{n} = .; *m{n}.o(.data* .bss*) data_end_{n} = .;");
    }
    text.push_str("    all_data_end = .;\n    spare_memory = .; . += 0x4000;\n  }\n  /DISCARD/ : { *(.note*) *(.comment) *(.ARM.exidx*) *(.ARM.extab*) }\n}\n");
    text
}

/// The table of calls and the import stubs as assembly.
fn table(calls: &[Call], imports: &[Import]) -> String {
    let mut text = String::from(
        "    .syntax unified\n    .thumb\n    .section .rodata\n    .balign 4\n    .global calls\ncalls:\n",
    );
    for (n, call) in calls.iter().enumerate() {
        let (memory, bytes) = call.memory.clone().unwrap_or(("0".into(), 0));
        let object = call.object;
        let _ = writeln!(
            text,
            "    .word {}, words_{n}, {}, data_{object}, data_end_{object}, {memory}, {bytes}, answers_{n}, {}, {}, {}",
            call.symbol,
            call.stack.len(),
            call.answers.len(),
            if call.image.is_some() { format!("image_{n}") } else { "0".to_owned() },
            if call.has_base { memory.as_str() } else { "0xbbbb000b" }
        );
    }
    text.push_str("    .global calls_end\ncalls_end:\n");
    let list = |words: &mut dyn Iterator<Item = u32>| -> String {
        words.map(|word| format!("    .word {word:#x}\n")).collect()
    };
    for (n, call) in calls.iter().enumerate() {
        let mut words = list(&mut call.core.iter().chain(&call.floats).chain(&call.stack).copied());
        if call.has_struct {
            words = words.replacen(&format!("{:#x}", call.core[0]), "struct_results", 1);
        }
        let answers = list(&mut call.answers.iter().flatten().copied());
        let _ = write!(text, "words_{n}:\n{words}answers_{n}:\n{answers}");
        if let Some(image) = &call.image {
            let bytes: Vec<String> = image.iter().map(u8::to_string).collect();
            let _ = writeln!(text, "image_{n}:\n    .byte {}\n    .balign 4", bytes.join(","));
        }
    }
    text.push_str("    .text\n");
    for (n, import) in imports.iter().enumerate() {
        stub(&mut text, n, import);
    }
    text
}

/// An import: hands its arguments to the driver and returns what that answers.
fn stub(text: &mut String, n: usize, import: &Import) {
    let [core, floats, stack] = import.masks;
    let _ = write!(
        text,
        "    .thumb_func\n    .global {symbol}\n{symbol}:\n    push {{r0-r3, r4-r10, lr}}\n\
         .ifdef FLOATS\n    vpush {{s0-s15}}\n.else\n    sub sp, #64\n.endif\n\
         \x20   mov r1, sp\n    ldr r2, ={core:#x}\n    ldr r3, ={floats:#x}\n    ldr r4, ={stack:#x}\n    \
         ldr r5, ={words:#x}\n    push {{r4, r5}}\n    ldr r0, ={n:#x}\n    bl answer\n    add sp, #8\n    add sp, #64\n    mov r12, r0\n    \
         add sp, #16\n    pop {{r4-r10, lr}}\n\
         .ifdef FLOATS\n    add r0, r12, #8\n    vldmia r0, {{s0-s1}}\n.endif\n    \
         ldm r12, {{r0, r1}}\n    bx lr\n    .ltorg\n",
        symbol = import.symbol,
        words = import.struct_words
    );
}
