//! A running board, controlled by requests and answers over a pipe.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use object::{Object as _, ObjectSymbol as _};
use tempfile::TempDir;

use crate::driver::{self, DRIVER_BYTES, STACK_BYTES};
use crate::{Core, MemoryMap, Words};

/// Sizes of the small memory (with the stack) and of the large memory in bytes.
const SMALL_BYTES: u32 = 0x40_0000;
const LARGE_BYTES: u32 = 0x100_0000;
/// Sizes of a request and of an answer in words.
const REQUEST: usize = 64;
const ANSWER: usize = 32;
/// Maximum number of argument words on the stack.
const STACK_WORDS: usize = 38;

const READ: u32 = 1;
const WRITE: u32 = 2;
const FILL: u32 = 3;
const CALL: u32 = 4;
const RESUME: u32 = 5;
const EXIT: u32 = 6;
const ENDED: u32 = 1;

/// Why a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It returned.
    Returned,
    /// An undefined instruction with this operand.
    Trapped(u8),
    /// The stack overflowed.
    Exhausted,
    /// Another fault: address of the instruction, fault status, address of the data.
    Faulted([u32; 3]),
    /// It exceeded its time limit; the program counter at that time.
    TimedOut(u32),
    /// It returned, but a callee-saved register has changed: the number of a core register, or 16 plus the number of a
    /// float register.
    Corrupted(u32),
}

/// The result of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exit {
    /// How it ended.
    pub ending: Ending,
    /// r0 to r3 and s0 to s15 afterwards.
    pub words: Words,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its address.
    pub address: u32,
    /// Its arguments.
    pub words: Words,
    /// Initial value of r11, which the function must preserve.
    pub base: u32,
    /// Whether float operations return canonical NaNs.
    pub canonical_nans: bool,
    /// Time limit in hundredths of a second, on the board's clock.
    pub ticks: u32,
}

impl Call {
    /// A call of the function at an address.
    pub fn new(address: u32, words: Words) -> Self {
        Self { address, words, base: 0xbbbb_000b, canonical_nans: false, ticks: 2000 }
    }
}

/// A program's call of an import.
#[derive(Clone, Debug)]
pub struct ImportCall {
    /// The import's number.
    pub number: u32,
    /// r0 to r3 and s0 to s15.
    pub words: Words,
    /// The stack pointer.
    pub sp: u32,
}

/// The results of an import.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// r0 and r1.
    pub core: [u32; 2],
    /// s0 and s1.
    pub floats: [u32; 2],
}

/// An emulated board with its driver running.
pub struct Board {
    core: Core,
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    symbols: BTreeMap<String, u32>,
    /// Files of the emulated program; removed with the board.
    _folder: TempDir,
    /// Next free addresses of the small and the large memory.
    free: [u32; 2],
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.request(&[EXIT]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Board {
    /// Starts a board.
    ///
    /// # Errors
    /// If a tool is missing or fails.
    pub fn start(core: Core) -> Result<Self> {
        Self::start_with(core, &[])
    }

    /// Starts a board with additional options for the emulator.
    ///
    /// # Errors
    /// If a tool is missing or fails.
    pub fn start_with(core: Core, options: &[String]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = driver::build(core, folder.path())?;
        let symbols = symbols(&std::fs::read(&image)?)?;
        let mut child = Command::new("qemu-system-arm")
            .args(["-M", core.machine(), "-display", "none", "-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(&image)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("qemu-system-arm can't be started")?;
        let to = child.stdin.take().context("a pipe")?;
        let from = child.stdout.take().context("a pipe")?;
        let mut board = Self { core, child, to, from, symbols, _folder: folder, free: [0; 2] };
        board.clear();
        Ok(board)
    }

    /// The core.
    pub const fn core(&self) -> Core {
        self.core
    }

    /// The address of a function or object of the driver and its libraries.
    pub fn symbol(&self, name: &str) -> Option<u32> {
        self.symbols.get(name).copied()
    }

    /// The symbols of the driver and its libraries with this prefix, with their addresses.
    pub fn symbols_starting(&self, prefix: &str) -> BTreeMap<String, u32> {
        let from = self.symbols.range(prefix.to_owned()..);
        from.take_while(|(name, _)| name.starts_with(prefix)).map(|(name, &at)| (name.clone(), at)).collect()
    }

    /// Frees all memory that was allocated for images and data.
    pub const fn clear(&mut self) {
        let MemoryMap { stack, large, .. } = self.core.memory_map();
        self.free = [stack + STACK_BYTES + DRIVER_BYTES, large];
    }

    /// Start and end of the memory for programs with fixed addresses.
    pub const fn low_memory(&self) -> [u32; 2] {
        let code = self.core.memory_map().code;
        [code, code + self.core.code_bytes()]
    }

    /// Allocates memory in the small or the large memory.
    ///
    /// # Errors
    /// If it is full.
    pub fn allocate(&mut self, bytes: u64, align: u64, is_large: bool) -> Result<u32> {
        let MemoryMap { stack, large, .. } = self.core.memory_map();
        let ends = [stack + SMALL_BYTES, large + LARGE_BYTES];
        let which = usize::from(is_large);
        let at = u64::from(self.free[which]).next_multiple_of(align);
        let end = at + bytes;
        ensure!(end <= u64::from(ends[which]), "the board has no free memory for {bytes} bytes");
        self.free[which] = end as u32;
        Ok(at as u32)
    }

    /// Reads bytes of memory.
    pub fn read(&mut self, address: u32, bytes: u32) -> Result<Vec<u8>> {
        let mut buffer = vec![0; bytes as usize];
        if bytes > 0 {
            self.request(&[READ, address, bytes])?;
            self.from.read_exact(&mut buffer).context("the board does not answer")?;
        }
        Ok(buffer)
    }

    /// Reads words of memory.
    pub fn read_words(&mut self, address: u32, words: usize) -> Result<Vec<u32>> {
        let bytes = self.read(address, 4 * words as u32)?;
        Ok(bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four"))).collect())
    }

    /// Writes memory.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        if !bytes.is_empty() {
            self.request(&[WRITE, address, bytes.len() as u32])?;
            self.to.write_all(bytes).context("the board does not listen")?;
        }
        Ok(())
    }

    /// Writes words.
    pub fn write_words(&mut self, address: u32, words: &[u32]) -> Result<()> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(address, &bytes)
    }

    /// Fills memory with a word.
    pub fn fill(&mut self, address: u32, bytes: u32, word: u32) -> Result<()> {
        self.request(&[FILL, address, bytes, word])
    }

    /// Calls a function. `host` implements its calls of imports.
    ///
    /// # Errors
    /// If the board stops, or `host` fails.
    pub fn call(
        &mut self,
        call: &Call,
        host: &mut dyn FnMut(&mut Self, &ImportCall) -> Result<Answer>,
    ) -> Result<Exit> {
        ensure!(
            call.words.stack.len() <= STACK_WORDS,
            "the call has more than {STACK_WORDS} argument words on the stack"
        );
        let fpscr = self.core.initial_fpscr() | if call.canonical_nans { 1 << 25 } else { 0 };
        let mut request =
            vec![CALL, call.address, call.base, fpscr, call.ticks, call.words.stack.len() as u32];
        request.extend(call.words.core);
        request.extend(call.words.floats);
        request.extend(&call.words.stack);
        self.request(&request)?;
        loop {
            let answer = self.answer()?;
            let words = Words {
                core: answer[2..6].try_into().expect("four words"),
                floats: answer[6..22].try_into().expect("16 words"),
                stack: Vec::new(),
            };
            if answer[0] == ENDED {
                return Ok(Exit { ending: ending(&answer)?, words });
            }
            let import = ImportCall { number: answer[1], words, sp: answer[22] };
            let Answer { core, floats } = host(self, &import)?;
            let mut request = vec![RESUME, 0, 0, 0, 0, 0, core[0], core[1], 0xc0ff_ee02, 0xc0ff_ee03];
            request.extend(floats);
            request.resize(26, 0xc0ff_ee10);
            self.request(&request)?;
        }
    }

    pub(crate) fn import_entry(&self) -> u32 {
        self.symbols["import_entry"]
    }

    fn request(&mut self, words: &[u32]) -> Result<()> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(4 * REQUEST, 0);
        self.to.write_all(&bytes).context("the board does not listen")
    }

    fn answer(&mut self) -> Result<[u32; ANSWER]> {
        let mut bytes = [0; 4 * ANSWER];
        self.from.read_exact(&mut bytes).context("the board does not answer")?;
        let mut words = [0; ANSWER];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        }
        Ok(words)
    }
}

fn ending(answer: &[u32; ANSWER]) -> Result<Ending> {
    let detail = &answer[23..];
    Ok(match answer[1] {
        0 => Ending::Returned,
        1 => Ending::Trapped(detail[0] as u8),
        2 => Ending::Exhausted,
        3 => Ending::Faulted([detail[1], detail[2], detail[3]]),
        4 => Ending::TimedOut(detail[1]),
        5 => Ending::Corrupted(detail[0]),
        other => bail!("the board reports the unknown ending {other}"),
    })
}

fn symbols(elf: &[u8]) -> Result<BTreeMap<String, u32>> {
    let elf = object::File::parse(elf)?;
    let named = elf.symbols().filter(|symbol| symbol.is_definition());
    Ok(named.filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address() as u32))).collect())
}
