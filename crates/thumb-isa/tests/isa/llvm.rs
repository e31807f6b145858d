//! Every form of every instruction against LLVM: its assembler must give our bytes for our text, its disassembler our
//! text for our bytes.

use crate::support::{FULL_CORE, Sample, assemble, disassemble, samples};
use thumb_isa::{Features, Opcode, Width, decode};

const PER_FORM: usize = 60;

#[test]
fn assembler_agrees() {
    if !needs::tools(&["llvm-mc-22"]) {
        return;
    }
    let samples: Vec<Sample> = samples(PER_FORM, 1).into_iter().filter(Sample::is_preferred).collect();
    let lines: Vec<String> = samples.iter().flat_map(Sample::lines).collect();
    let mut encodings = assemble(FULL_CORE, &lines).into_iter();
    let mut wrong = Vec::new();
    for sample in &samples {
        let ours: Vec<_> = sample.pieces().into_iter().map(Some).collect();
        let theirs: Vec<_> = encodings.by_ref().take(ours.len()).collect();
        if ours != theirs {
            wrong.push(format!("{}: ours {ours:02x?}, LLVM's {theirs:02x?}", sample.lines().join("; ")));
        }
    }
    report(&wrong, samples.len());
}

#[test]
fn disassembler_agrees() {
    if !needs::tools(&["llvm-mc-22"]) {
        return;
    }
    let samples = samples(PER_FORM, 2);
    let pieces: Vec<Vec<u8>> = samples.iter().flat_map(Sample::pieces).collect();
    let mut texts = disassemble(FULL_CORE, &pieces).into_iter();
    let mut wrong = Vec::new();
    for sample in &samples {
        let ours = sample.lines();
        let theirs: Vec<String> = texts.by_ref().take(ours.len()).collect();
        if ours != theirs {
            wrong.push(format!(
                "{:02x?}: ours `{}`, LLVM's `{}`",
                sample.bytes(),
                ours.join("; "),
                theirs.join("; ")
            ));
        }
    }
    report(&wrong, samples.len());
}

#[test]
fn all_half_words_disassemble_alike() {
    if !needs::tools(&["llvm-mc-22"]) {
        return;
    }
    let halves = (0..=u16::MAX).map(u16::to_le_bytes);
    let decoded: Vec<_> = halves.filter_map(|half| decode(&half, None)).collect();
    let pieces: Vec<Vec<u8>> = decoded.iter().flat_map(|d| Sample::from(*d).pieces()).collect();
    let mut texts = disassemble(FULL_CORE, &pieces).into_iter();
    let mut wrong = Vec::new();
    for decoded in &decoded {
        let ours = Sample::from(*decoded).lines();
        let theirs: Vec<String> = texts.by_ref().take(ours.len()).collect();
        let is_named_trap = matches!(theirs[0].as_str(), "trap" | "__brkdiv0") && ours[0].starts_with("udf ");
        if ours != theirs && !is_named_trap {
            wrong.push(format!("ours `{}`, LLVM's `{}`", ours.join("; "), theirs.join("; ")));
        }
    }
    report(&wrong, decoded.len());
}

/// For a text without `.w` LLVM chooses an exactly equivalent 16-bit form if there is one. Unlike [`Inst::narrowed`]
/// it never replaces the mnemonic.
#[test]
fn short_forms_are_found_where_llvm_finds_them() {
    if !needs::tools(&["llvm-mc-22"]) {
        return;
    }
    let is_wide = |s: &Sample| s.form.width() == Width::Wide && s.inst.op() != Opcode::Udf;
    let samples: Vec<Sample> = samples(PER_FORM, 3).into_iter().filter(is_wide).collect();
    let unsuffixed = |s: &Sample| s.lines().iter().map(|line| line.replace(".w", "")).collect::<Vec<_>>();
    let lines: Vec<String> = samples.iter().flat_map(unsuffixed).collect();
    let mut encodings = assemble(FULL_CORE, &lines).into_iter();
    let mut wrong = Vec::new();
    for sample in &samples {
        let theirs =
            encodings.by_ref().take(sample.lines().len()).last().flatten().expect("the text is good");
        let ours = sample.inst.narrowed(false, sample.it);
        let is_renamed = ours.is_some_and(|inst| renames(sample.inst.op(), inst.op()));
        if (theirs.len() == 2) != (ours.is_some() && !is_renamed) {
            wrong.push(format!("{}: ours {ours:?}, LLVM's {theirs:02x?}", unsuffixed(sample).join("; ")));
        }
    }
    report(&wrong, samples.len());
}

/// Whether a change of opcode changes the text in more than the sign of a constant.
fn renames(from: Opcode, to: Opcode) -> bool {
    let is_sum = |op| matches!(op, Opcode::AddImm | Opcode::SubImm);
    from.mnemonic() != to.mnemonic() && !(is_sum(from) && is_sum(to))
}

/// A core has exactly the forms whose feature it has.
#[test]
fn features_are_those_of_the_cores() {
    if !needs::tools(&["llvm-mc-22"]) {
        return;
    }
    let cores: [(&[&str], Features); 8] = [
        (&["-triple=thumbv6m-none-eabi", "-mcpu=cortex-m0"], Features::V6),
        (&["-triple=thumbv8m.base-none-eabi", "-mcpu=cortex-m23"], Features::V8_BASE),
        (&["-triple=thumbv7m-none-eabi", "-mcpu=cortex-m3"], Features::BASE),
        (&["-triple=thumbv7em-none-eabi"], Features::DSP),
        (&["-triple=thumbv7em-none-eabihf", "-mcpu=cortex-m4"], Features::FP4_SINGLE),
        (&["-triple=thumbv8m.main-none-eabihf", "-mcpu=cortex-m33"], Features::FP5_SINGLE),
        (&["-triple=thumbv8.1m.main-none-eabihf", "-mcpu=cortex-m55", "-mattr=-mve"], Features::FP5_DOUBLE),
        (FULL_CORE, Features::FP5_DOUBLE),
    ];
    let is_alone = |s: &Sample| s.it.is_none() && s.inst.op() != Opcode::It && s.is_preferred();
    let samples: Vec<Sample> = samples(12, 4).into_iter().filter(is_alone).collect();
    let lines: Vec<String> = samples.iter().flat_map(Sample::lines).collect();
    let mut wrong = Vec::new();
    for (core, features) in cores {
        for (sample, encoding) in samples.iter().zip(assemble(core, &lines)) {
            let feature = sample.form.feature();
            let has_form = encoding.as_ref().is_some_and(|bytes| *bytes == sample.bytes());
            // LLVM accepts some long conditional branches on v8-M without the main extension, which has none.
            let is_lenient = sample.inst.op() == Opcode::Bcond && features == Features::V8_BASE
                // Of the registers that `mrs` and `msr` name, those cores lack the ones that mask by priority.
                || [Features::V6, Features::V8_BASE].contains(&features)
                    && ["basepri", "faultmask"].iter().any(|name| sample.inst.to_string().contains(name));
            if has_form != features.contains(feature) && !is_lenient {
                wrong.push(format!("{core:?} {}: {feature:?}, LLVM's {encoding:02x?}", sample.inst));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn report(wrong: &[String], of: usize) {
    assert!(of > 10_000, "only {of} samples");
    let shown = wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {of} differ:\n{shown}", wrong.len());
}
