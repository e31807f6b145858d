//! Values on the command line of `run`: calls of exports, answers to host calls, ranges of linear memory.

use std::ffi::OsString;

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use wasm_pvm::run::{GivenAnswer, HostCallId};

/// The option with a name and arguments.
const INVOKE: &str = "invoke";
/// The option with bytes for memory.
const POKE: &str = "poke";

/// One call of an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invocation {
    /// The export's name.
    pub name: String,
    /// The text of each argument.
    pub args: Vec<String>,
}

/// All calls of exports, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Invocations(pub Vec<Invocation>);

impl Args for Invocations {
    fn augment_args(command: Command) -> Command {
        let invoke = Arg::new(INVOKE).long(INVOKE).value_names(["NAME", "ARGUMENT"]).num_args(1..);
        let help = "Call an exported function and print its results; see the manual for the values. May be repeated: \
                    the calls are made in order, and the program keeps its state";
        command.arg(invoke.allow_negative_numbers(true).action(ArgAction::Append).help(help))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Invocations {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let calls = matches.get_occurrences::<String>(INVOKE).into_iter().flatten();
        let calls = calls.map(|words| {
            let mut words = words.map(|word| word.trim().to_owned());
            let name = words.next().unwrap_or_default();
            Invocation { name, args: words.collect() }
        });
        Ok(Self(calls.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Puts a space before the arguments of `--invoke` that are negative values and look like options to the parser, such as
/// `-inf` and `-0x10`.
pub fn with_marked_values(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_invoke = false;
    let mut marked = Vec::new();
    for word in words {
        let text = word.to_str().unwrap_or_default();
        if text.starts_with("--") {
            is_invoke = text == "--invoke" || text.starts_with("--invoke=");
        }
        let is_value = text.strip_prefix('-').is_some_and(is_magnitude);
        marked.push(if is_invoke && is_value { format!(" {text}").into() } else { word });
    }
    marked
}

/// Whether a minus may come before the text in a value.
fn is_magnitude(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || ["inf", "infinity", "nan"].contains(&lower.as_str())
        || lower.starts_with("nan:0x")
}

/// Bytes for linear memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Poke {
    /// The wasm address.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Number of calls that are made before.
    pub calls_before: usize,
}

impl Poke {
    /// `ADDRESS=HEX`, before the first call.
    fn parse(text: &str) -> Result<Self, String> {
        let (address, bytes) = text.split_once('=').ok_or("expected ADDRESS=HEX")?;
        let bytes = parse_bytes(bytes).ok_or("expected an even number of hexadecimal digits")?;
        Ok(Self { address: number(address)?, bytes, calls_before: 0 })
    }
}

/// All writes to linear memory, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pokes(pub Vec<Poke>);

impl Args for Pokes {
    fn augment_args(command: Command) -> Command {
        let poke = Arg::new(POKE).long(POKE).value_name("ADDRESS=HEX").value_parser(Poke::parse);
        let help = "Write bytes to linear memory, after the calls before it on the command line and before those after \
                    it. May be repeated";
        command.arg(poke.action(ArgAction::Append).help(help))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Pokes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let calls = first_indices(matches);
        let pokes = matches.get_many::<Poke>(POKE).into_iter().flatten();
        let indices = matches.indices_of(POKE).into_iter().flatten();
        let ordered = pokes.zip(indices).map(|(poke, index)| {
            let calls_before = calls.iter().filter(|call| **call < index).count();
            Poke { calls_before, ..poke.clone() }
        });
        Ok(Self(ordered.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The position of each call among the values on the command line.
fn first_indices(matches: &ArgMatches) -> Vec<usize> {
    let mut indices = matches.indices_of(INVOKE).into_iter().flatten();
    let calls = matches.get_occurrences::<String>(INVOKE).into_iter().flatten();
    let mut first = |words: usize| {
        let index = indices.next();
        indices.by_ref().take(words - 1).for_each(drop);
        index
    };
    calls.filter_map(|words| first(words.count())).collect()
}

/// A range of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dump {
    /// The wasm address.
    pub address: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Dump {
    /// `ADDRESS:LENGTH`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, len) = text.split_once(':').ok_or("expected ADDRESS:LENGTH")?;
        Ok(Self { address: number(address)?, len: number(len)? })
    }
}

fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x");
    let number = digits.map_or_else(|| text.parse().ok(), |digits| u32::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| format!("`{text}` is not a number of 32 bits, decimal or with 0x"))
}

/// `CALL=VALUE[,VALUE]`.
pub fn parse_answer(text: &str) -> Result<GivenAnswer, String> {
    let (call, values) = text.rsplit_once('=').ok_or("expected CALL=VALUE or CALL=VALUE,VALUE")?;
    let call = match number(call) {
        Ok(number) => HostCallId::Number(number),
        Err(_) if call.is_empty() => return Err("expected a number or a name before `=`".to_owned()),
        Err(_) => HostCallId::Name(call.to_owned()),
    };
    let word = |text: &str| {
        let value = parse_integer(text, 64);
        value.ok_or_else(|| format!("`{text}` is not an integer of 64 bits"))
    };
    Ok(match values.split_once(',') {
        Some((r7, r8)) => GivenAnswer { call, r7: word(r7)?, r8: Some(word(r8)?) },
        None => GivenAnswer { call, r7: word(values)?, r8: None },
    })
}

/// A signed or unsigned integer of `bits` bits, decimal or with `0x`.
pub fn parse_integer(text: &str, bits: u32) -> Option<u64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    let most = if negative { 1 << (bits - 1) } else { u64::MAX >> (64 - bits) };
    let value = if negative { magnitude.wrapping_neg() } else { magnitude };
    (magnitude <= most).then_some(value)
}

/// Bytes as hexadecimal digits, with or without `0x`.
pub fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let value = |digit: u8| (digit as char).to_digit(16);
    let byte = |pair: &[u8]| Some((value(pair[0])? << 4 | value(*pair.get(1)?)?) as u8);
    digits.chunks(2).map(byte).collect()
}

/// Argument bytes given as hexadecimal digits or as `@FILE`.
pub fn argument_bytes(text: &str) -> Result<Vec<u8>> {
    if let Some(path) = text.strip_prefix('@') {
        return super::files::read(std::path::Path::new(path));
    }
    parse_bytes(text).context("--args: expected an even number of hexadecimal digits, or @FILE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_bytes_are_hexadecimal() {
        assert_eq!(argument_bytes("").ok(), Some(vec![]));
        assert_eq!(argument_bytes("0x00fF").ok(), Some(vec![0, 255]));
        assert_eq!(argument_bytes("1e").ok(), Some(vec![30]));
        for wrong in ["1", "zz", "+1", "0x1"] {
            assert!(argument_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn writes_are_between_calls() {
        let command = Pokes::augment_args(Invocations::augment_args(Command::new("run")));
        let line =
            "run --poke 1=01 --invoke f 1 2 --poke 2=02 --invoke g --invoke h 3 --poke 3=03 --poke 4=04";
        let matches = command.get_matches_from(line.split(' '));
        let pokes = Pokes::from_arg_matches(&matches).expect("it is valid").0;
        let places: Vec<_> = pokes.iter().map(|poke| (poke.address, poke.calls_before)).collect();
        assert_eq!(places, [(1, 0), (2, 1), (3, 3), (4, 3)]);
    }

    #[test]
    fn negative_values_are_no_options() {
        let mark = |text: &str| {
            let words = text.split(' ').map(OsString::from);
            let marked = with_marked_values(words);
            marked
                .iter()
                .map(|word| word.to_str().expect("text").replace(' ', "_"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(mark("run f -O2 -v"), "run f -O2 -v");
        assert_eq!(mark("run --invoke f -inf -0x1 -1 -nan -v"), "run --invoke f _-inf _-0x1 _-1 _-nan -v");
        assert_eq!(mark("run --invoke f --imports -inf"), "run --invoke f --imports -inf");
        assert_eq!(mark("run --invoke f -- -1"), "run --invoke f -- -1");
    }

    #[test]
    fn ranges_and_answers() {
        assert_eq!(Dump::parse("0x10:4"), Ok(Dump { address: 16, len: 4 }));
        assert_eq!(Poke::parse("8=00ff"), Ok(Poke { address: 8, bytes: vec![0, 255], calls_before: 0 }));
        assert!(["8", "8=f", "-1=00", "x=00"].iter().all(|text| Poke::parse(text).is_err()));
        assert!(["8", ":", "8:", "8:4294967296"].iter().all(|text| Dump::parse(text).is_err()));
        let answer = |text| parse_answer(text).map(|answer| (answer.call, answer.r7, answer.r8));
        assert_eq!(answer("7=-1"), Ok((HostCallId::Number(7), u64::MAX, None)));
        assert_eq!(answer("env.f=1,0x2"), Ok((HostCallId::Name("env.f".into()), 1, Some(2))));
        assert!(["7", "=1", "f=", "f=x", "f=1,"].iter().all(|text| parse_answer(text).is_err()));
    }
}
