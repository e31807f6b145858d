//! Counting executed instructions on an emulated board.
//!
//! Our object and LLVM's are both loaded and get the same calls. Arguments are small numbers, arbitrary numbers, and
//! pointers into a page of arbitrary numbers; imports return 0. A plugin of the emulator counts instructions outside
//! the board's driver. A call counts if both versions return the same results, or both trap. Linear memory and the
//! page are restored before each call.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use board::{Answer, Board, Call, Core, Ending, Exit, Image, Type, Undefined, Words};
use llvm_frontend::{FuncType, ValueType};

/// Number of calls of each function.
const CALLS: u32 = 10;
/// Size in bytes of the page that pointer arguments point into.
const PAGE: u32 = 4096;
/// Time limit of a kernel in hundredths of a second.
const TICKS: u32 = 3000;
/// Time limit of a call with arbitrary arguments, which may loop forever, in hundredths of a second.
const SHORT_TICKS: u32 = 20;
/// Address range of the board's small memory, where code is loaded.
const LOADED: [u32; 2] = [0x2000_0000, 0x2040_0000];

/// A board that counts executed instructions.
pub struct Counter {
    board: Board,
    file: std::path::PathBuf,
}

/// Executed instructions, over the calls in which both versions agree.
#[derive(Clone, Copy, Default, Debug)]
pub struct Executed {
    /// Instructions of our code.
    pub ours: u64,
    /// Instructions of LLVM's code.
    pub theirs: u64,
    /// Number of calls that agree.
    pub calls: u32,
    /// Number of calls with different results.
    pub different: u32,
}

/// The two versions of a module.
pub struct Pair {
    images: [Image; 2],
    page: u32,
}

impl Pair {
    fn restore(&self, board: &mut Board) -> Result<()> {
        self.images.iter().try_for_each(|image| image.restore(board))
    }
}

impl Counter {
    /// Builds the plugin in `folder` and starts a board with it.
    pub fn start(core: Core, folder: &Path) -> Result<Self> {
        let (source, plugin, file) =
            (folder.join("counter.c"), folder.join("counter.so"), folder.join("count"));
        std::fs::write(&source, include_str!("counter.c"))?;
        std::fs::write(&file, [0; 8])?;
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O2"]).arg(&source).arg("-o").arg(&plugin).status();
        ensure!(
            built.context("the C compiler `cc` can't be started")?.success(),
            "the C compiler failed on the emulator's plugin"
        );
        let [from, to] = LOADED;
        let plugin = format!("{},count={},from={from},to={to}", plugin.display(), file.display());
        let board = Board::start_with(core, &["-plugin".to_owned(), plugin])?;
        Ok(Self { board, file })
    }

    /// Loads our object and LLVM's.
    pub fn load(&mut self, ours: &[u8], theirs: &[u8]) -> Result<Pair> {
        self.board.clear();
        let ours = Image::load(&mut self.board, ours, &mut |_| Some(Undefined::Import(0)))?;
        let library = self.board.symbols_starting("__");
        let find = &mut |name: &str| {
            if name == "__linear_memory" {
                return ours.address(name).map(Undefined::Data);
            }
            match library.get(name) {
                Some(&address) => Some(Undefined::Address(address)),
                None if name.starts_with("f.") => Some(Undefined::Import(0)),
                None => None,
            }
        };
        let theirs = Image::load(&mut self.board, theirs, find)?;
        let page = self.board.allocate(PAGE.into(), 16, false)?;
        Ok(Pair { images: [ours, theirs], page })
    }

    /// Loads an object that calls nothing outside of it.
    pub fn image(&mut self, object: &[u8]) -> Result<Image> {
        self.board.clear();
        Image::load(&mut self.board, object, &mut |_| None)
    }

    /// Makes a call; returns how it ended and the number of executed instructions.
    pub fn run(&mut self, call: &Call) -> Result<(Exit, u64)> {
        let before = self.count()?;
        let exit = self.board.call(call, &mut |_, _| Ok(Answer::default()))?;
        Ok((exit, self.count()? - before))
    }

    fn count(&self) -> Result<u64> {
        let bytes = std::fs::read(&self.file)?;
        Ok(u64::from_le_bytes(bytes[..8].try_into()?))
    }

    /// Calls a function; returns how it ended and the number of executed instructions.
    fn call(&mut self, pair: &Pair, address: u32, words: &Words) -> Result<(Exit, u64)> {
        pair.restore(&mut self.board)?;
        let mut random = Random(7);
        let page: Vec<u32> = (0..PAGE / 4).map(|_| random.small()).collect();
        self.board.write_words(pair.page, &page)?;
        self.run(&Call { ticks: SHORT_TICKS, ..Call::new(address, words.clone()) })
    }

    /// Calls a function in both versions, with [`CALLS`] lists of arguments.
    pub fn compare(&mut self, pair: &Pair, symbols: [&str; 2], ty: &FuncType) -> Result<Executed> {
        let addresses = [0, 1].map(|n| pair.images[n].address(symbols[n]));
        let [Some(ours), Some(theirs)] = addresses else { bail!("{} is not in both objects", symbols[0]) };
        let mut executed = Executed::default();
        if ty.results.len() > 1 || ty.params.iter().chain(&ty.results).any(|ty| word_type(*ty).is_none()) {
            return Ok(executed);
        }
        let types: Vec<Type> = ty.params.iter().filter_map(|ty| word_type(*ty)).collect();
        let results: Vec<Type> = ty.results.iter().filter_map(|ty| word_type(*ty)).collect();
        let mut random = Random(1);
        for _ in 0..CALLS {
            let args: Vec<u64> = types.iter().map(|_| random.argument(pair.page)).collect();
            let words = Words::arguments(false, &types, &args);
            let ours = self.call(pair, ours, &words)?;
            let theirs = self.call(pair, theirs, &words)?;
            executed.add(&ours, &theirs, &results);
        }
        Ok(executed)
    }

    /// Runs a kernel in both versions: `main(address, length)`, with the arguments at the end of linear memory.
    pub fn kernel(
        &mut self,
        pair: &Pair,
        symbols: [&str; 2],
        args: &[u8],
        memory_bytes: u32,
    ) -> Result<Executed> {
        let memory = pair.images[0].address("__linear_memory").context("no linear memory")?;
        let at = memory_bytes - (args.len() as u32).next_multiple_of(16) - 16;
        let mut exits = Vec::new();
        for (version, symbol) in symbols.into_iter().enumerate() {
            let address = pair.images[version].address(symbol).with_context(|| symbol.to_owned())?;
            pair.restore(&mut self.board)?;
            self.board.write(memory + at, args)?;
            let words = Words::arguments(false, &[Type::I32; 2], &[at.into(), args.len() as u64]);
            exits.push(self.run(&Call { ticks: TICKS, ..Call::new(address, words) })?);
        }
        let mut executed = Executed::default();
        executed.add(&exits[0], &exits[1], &[Type::I64]);
        Ok(executed)
    }
}

impl Executed {
    fn add(&mut self, ours: &(Exit, u64), theirs: &(Exit, u64), results: &[Type]) {
        let values = |exit: &Exit| exit.words.values(false, results);
        let is_same = match (ours.0.ending, theirs.0.ending) {
            (Ending::Returned, Ending::Returned) => values(&ours.0) == values(&theirs.0),
            (Ending::Trapped(_), Ending::Trapped(_)) => true,
            (Ending::Returned, _) | (_, Ending::Returned) => false,
            // Both access invalid addresses or exceed the time limit.
            _ => return,
        };
        if is_same {
            self.ours += ours.1;
            self.theirs += theirs.1;
            self.calls += 1;
        } else {
            self.different += 1;
        }
    }
}

const fn word_type(ty: ValueType) -> Option<Type> {
    match ty {
        ValueType::I32 => Some(Type::I32),
        ValueType::I64 => Some(Type::I64),
        _ => None,
    }
}

/// A linear congruential generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as u32
    }

    /// A mostly small number, as is typical of data structures.
    fn small(&mut self) -> u32 {
        match self.next() % 4 {
            0 => self.next(),
            _ => self.next() % 8,
        }
    }

    fn argument(&mut self, page: u32) -> u64 {
        match self.next() % 4 {
            0 => u64::from(self.next() % 16),
            1 => self.next().into(),
            _ => (page + 64 * (self.next() % 32)).into(),
        }
    }
}
