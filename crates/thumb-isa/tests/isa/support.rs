//! LLVM's assembler and disassembler as reference, and samples of every form.

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};

use thumb_isa::testing::Rng;
use thumb_isa::{Cond, Decoded, Form, Inst, Opcode, Width};

/// A core with all features in the table.
pub const FULL_CORE: &[&str] = &["-triple=thumbv7em-none-eabihf", "-mcpu=cortex-m7"];

/// An instruction in one of its forms, perhaps in its own IT block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sample {
    pub inst: Inst,
    pub form: Form,
    pub it: Option<Cond>,
}

impl Sample {
    /// The text, with the instructions that must come before and after it.
    pub fn lines(&self) -> Vec<String> {
        let it = self.it.map(|cond| format!("it {cond}"));
        let block = self.block().map(|cond| format!("nop{cond}"));
        it.into_iter().chain([self.inst.asm(self.form, self.it).to_string()]).chain(block).collect()
    }

    /// The bytes of the same instructions.
    pub fn pieces(&self) -> Vec<Vec<u8>> {
        let it = self.it.map(|cond| vec![(cond as u8) << 4 | 8, 0xbf]);
        let block = self.block().map(|_| vec![0x00, 0xbf]);
        it.into_iter().chain([self.bytes()]).chain(block).collect()
    }

    /// The conditions of the instructions after it that belong to its IT block.
    fn block(&self) -> impl Iterator<Item = Cond> {
        let block = match self.inst {
            Inst::It { cond, mask, .. } => Some(mask.conds(cond)),
            _ => None,
        };
        block.into_iter().flatten()
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.inst.encode(self.form, self.it, &mut out);
        out
    }

    /// Whether an assembler chooses this form for the text: no form that is preferred to it has the same text. LLVM
    /// also exchanges the operands of a `mul` if that makes it short.
    pub fn is_preferred(&self) -> bool {
        let text = |form| self.inst.asm(form, self.it).to_string();
        let mut forms =
            [Width::Narrow, Width::Wide].into_iter().filter_map(|width| self.inst.form(width, self.it));
        let is_first = forms.find(|&form| text(form) == text(self.form)) == Some(self.form);
        let is_wide_mul = self.inst.op() == Opcode::Mul && self.form.width() == Width::Wide;
        is_first && !(is_wide_mul && self.inst.narrowed(false, self.it).is_some())
    }
}

impl From<Decoded> for Sample {
    fn from(Decoded { inst, form, it }: Decoded) -> Sample {
        Sample { inst, form, it }
    }
}

/// Up to `per_form` different instructions of every form; every second one in an IT block, where allowed.
pub fn samples(per_form: usize, seed: u64) -> Vec<Sample> {
    let mut rng = Rng::new(seed);
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for form in Opcode::ALL.iter().flat_map(|op| op.forms()) {
        for i in 0..per_form {
            let it = (i % 2 == 1).then(|| thumb_isa::testing::cond(&mut rng));
            let sample = Inst::arbitrary(form, it, &mut rng).map(|inst| Sample { inst, form, it });
            found.extend(sample.filter(|sample| seen.insert(*sample)));
        }
    }
    found
}

/// Assembles lines with LLVM: the bytes of each, or `None` for an error.
pub fn assemble(core: &[&str], lines: &[String]) -> Vec<Option<Vec<u8>>> {
    let input = format!(".syntax unified\n{}\n", lines.join("\n"));
    let (_, errors) = llvm_mc(core, &["-show-encoding"], &input);
    let failed: HashSet<usize> = errors.lines().filter_map(error_line).map(|line| line - 2).collect();
    let good: Vec<&str> = (0..lines.len()).filter(|i| !failed.contains(i)).map(|i| &*lines[i]).collect();
    let (output, errors) =
        llvm_mc(core, &["-show-encoding"], &format!(".syntax unified\n{}\n", good.join("\n")));
    assert!(!errors.contains("error:"), "lines without errors assemble: {errors}");
    let mut encodings = output.lines().filter_map(encoding_comment);
    let result: Vec<_> = (0..lines.len())
        .map(|i| (!failed.contains(&i)).then(|| encodings.next().expect("one encoding per line")))
        .collect();
    assert_eq!(encodings.next(), None);
    result
}

/// Disassembles pieces of code with LLVM, one instruction each. Panics if it doesn't print one line per piece.
pub fn disassemble(core: &[&str], pieces: &[Vec<u8>]) -> Vec<String> {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|b| format!("{b:#04x}")).collect::<Vec<_>>().join(" ");
    let input: Vec<String> = pieces.iter().map(hex).collect();
    let (output, errors) = llvm_mc(core, &["-disassemble"], &(input.join("\n") + "\n"));
    let code = output.lines().filter(|line| line.starts_with('\t') && !line.starts_with("\t."));
    let lines: Vec<String> = code.map(normalized).collect();
    let complaints: Vec<&str> = errors.lines().filter(|line| line.contains("invalid")).take(10).collect();
    assert_eq!(lines.len(), pieces.len(), "one line per instruction; {complaints:#?}");
    lines
}

/// The line with single blanks and without comment.
fn normalized(line: &str) -> String {
    let code = line.split('@').next().unwrap_or_default();
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The bytes in `@ encoding: [0x01,0x02]`.
fn encoding_comment(line: &str) -> Option<Vec<u8>> {
    let (_, list) = line.split_once("@ encoding: [")?;
    let bytes = list.trim_end().trim_end_matches(']').split(',');
    Some(bytes.map(|b| u8::from_str_radix(b.trim_start_matches("0x"), 16).expect("a byte")).collect())
}

/// The line number of an error message, from 1.
fn error_line(message: &str) -> Option<usize> {
    let rest = message.strip_prefix("<stdin>:")?;
    let (line, rest) = rest.split_once(':')?;
    rest.contains("error:").then(|| line.parse().expect("a line number"))
}

fn llvm_mc(core: &[&str], options: &[&str], input: &str) -> (String, String) {
    let mut command = Command::new("llvm-mc-22");
    command.args(core).args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("llvm-mc-22 runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("llvm-mc-22 ends");
    writer.join().expect("no panic").expect("llvm-mc-22 reads its input");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr))
}
