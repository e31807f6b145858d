//! Programs of several toolchains on emulated boards: WASI commands with the five functions that firmware defines, and
//! services, which firmware calls.

use anyhow::{Context as _, Result, bail, ensure};
use board::{Answer, Board, Call, Ending, Image, ImportCall, Type, Undefined, Words};
use wasm_pvm::{MemoryMode, Options, ThumbOptions, wasi};

use crate::interface::interface;
use crate::programs::{Case, Program};
use crate::thumb::trap;

/// Bytes by which linear memory may grow.
const GROWTH: u64 = 0x20_0000;
/// Hundredths of a second for one program.
const TICKS: u32 = 6000;
/// The wasm address of the input of a service. Toolchains leave the first 1024 bytes of memory free.
const INPUT: u32 = 256;
/// Maximum number of bytes of the input of a service.
const MOST_INPUT: u32 = 512;
/// Functions that programs import from firmware. Those of WASI come first, in the order of [`wasi::FIRMWARE_NAMES`].
const IMPORTS: [&str; 6] = ["wasi_read", "wasi_write", "wasi_exit", "wasi_now", "wasi_random", "abort"];

/// Compiles a program with the arguments, environment and files of a case, for linear memory at a symbol.
///
/// # Errors
/// If it is refused.
pub fn compile(program: &Program, case: &Case, thumb: ThumbOptions, options: &Options) -> Result<Vec<u8>> {
    let min = interface(&program.wasm)?.memory_bytes[0].context("the program has no memory")?;
    let memory_bytes = Some(u32::try_from(min + GROWTH)?);
    let thumb = ThumbOptions { memory: MemoryMode::Symbol, memory_bytes, ..thumb };
    let wasi = program.is_command.then(|| case.wasi.clone());
    Ok(wasm_pvm::compile(&program.wasm, &Options { wasi, target: thumb.into(), ..options.clone() })?.bytes)
}

/// Runs a case on a board, and checks that it ends as in the engine that recorded it.
///
/// # Errors
/// If it ends in another way, or the board fails.
pub fn check(board: &mut Board, object: &[u8], program: &Program, case: &Case) -> Result<()> {
    board.clear();
    let library = board.symbols_starting("__aeabi_");
    let image = Image::load(board, object, &mut |symbol| {
        let number = IMPORTS.iter().position(|&name| name == symbol);
        let import = number.map(|number| Undefined::Import(number as u32));
        import.or_else(|| library.get(symbol).map(|&address| Undefined::Address(address)))
    })?;
    let memory = image.address("__linear_memory").context("no linear memory")?;
    let mut firmware = Firmware { memory, input: &case.stdin, output: Vec::new(), exit: None, time: 0 };
    firmware.call(board, &image, "__wasm_start", &[])?;
    if program.is_command {
        firmware.call(board, &image, wasi::FIRMWARE_ENTRY, &[])?;
    } else {
        firmware.serve(board, &image)?;
    }
    let exit = firmware.exit.unwrap_or(0);
    ensure!(exit == case.exit, "the exit code is {exit} instead of {}", case.exit);
    ensure!(
        firmware.output == case.stdout,
        "the output is\n{}\ninstead of\n{}",
        String::from_utf8_lossy(&firmware.output),
        String::from_utf8_lossy(&case.stdout)
    );
    Ok(())
}

/// The functions that firmware defines, and their state.
struct Firmware<'a> {
    /// Address of linear memory.
    memory: u32,
    /// The rest of standard input.
    input: &'a [u8],
    /// Standard output so far, or the result of a service.
    output: Vec<u8>,
    /// The code that the program has left with.
    exit: Option<u32>,
    /// Milliseconds.
    time: u64,
}

impl Firmware<'_> {
    fn call(&mut self, board: &mut Board, image: &Image, symbol: &str, args: &[u64]) -> Result<Vec<u64>> {
        let address = image.address(symbol).with_context(|| format!("no symbol {symbol}"))?;
        let words = Words::arguments(false, &[Type::I32; 2][..args.len()], args);
        let call = Call { ticks: TICKS, ..Call::new(address, words) };
        let exit = board.call(&call, &mut |board, import| self.answer(board, import))?;
        match exit.ending {
            Ending::Returned if self.exit.is_none() => Ok(exit.words.values(false, &[Type::I64])),
            // The test's `wasi_exit` returns, which traps.
            Ending::Trapped(0) if self.exit.is_some() => Ok(Vec::new()),
            Ending::Trapped(number) => bail!("{symbol} ends in the trap {:?}", trap(number)?),
            other => bail!("{symbol} ends in {other:x?}"),
        }
    }

    /// Calls `refine` with the input in memory; its result is address and length.
    fn serve(&mut self, board: &mut Board, image: &Image) -> Result<()> {
        let len = self.input.len() as u32;
        ensure!(len <= MOST_INPUT, "the input has {len} bytes");
        let is_free = board.read(self.memory + INPUT, len)?.iter().all(|&byte| byte == 0);
        ensure!(is_free, "the memory for the input is in use");
        let mut bytes = self.input.to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        board.write(self.memory + INPUT, &bytes)?;
        let result = self.call(board, image, "refine", &[INPUT.into(), len.into()])?[0];
        self.output = board.read(self.memory + result as u32, (result >> 32) as u32)?;
        Ok(())
    }

    fn answer(&mut self, board: &mut Board, import: &ImportCall) -> Result<Answer> {
        let [first, second, third, _] = import.words.core;
        let name = IMPORTS[import.number as usize];
        ensure!(self.exit.is_none(), "{name} is called after the end");
        let result = match name {
            "wasi_read" => {
                let (now, later) = self.input.split_at(self.input.len().min(second as usize));
                board.write(self.memory + first, now)?;
                self.input = later;
                now.len() as u64
            }
            "wasi_write" => {
                let bytes = board.read(self.memory + second, third)?;
                match first {
                    1 => self.output.extend(bytes),
                    2 => {}
                    stream => bail!("a write to the stream {stream}"),
                }
                0
            }
            "wasi_exit" => {
                self.exit = Some(first);
                0
            }
            "wasi_now" => {
                self.time += 1;
                self.time * 1_000_000
            }
            "wasi_random" => self.time.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            other => bail!("the program calls {other}"),
        };
        Ok(Answer { core: [result as u32, (result >> 32) as u32], floats: [0; 2] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_wasi_have_their_names() {
        assert_eq!(IMPORTS[..5], wasi::FIRMWARE_NAMES[1..]);
    }
}
