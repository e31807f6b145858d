//! Encoding and decoding against each other, and decoding of arbitrary bytes.

use std::collections::BTreeSet;

use crate::support::{Sample, samples};
use thumb_isa::decode::{Instructions, width};
use thumb_isa::testing::Rng;
use thumb_isa::{Cond, Form, Inst, ItMask, ItState, Opcode, Reg, Width, decode};

#[test]
fn every_form_has_samples() {
    let found: BTreeSet<(Form, bool)> = samples(20, 1).iter().map(|s| (s.form, s.it.is_some())).collect();
    for form in Opcode::ALL.iter().flat_map(|op| op.forms()) {
        assert!(found.contains(&(form, false)), "{form:?} has no sample");
        let is_expected = form.op().allowed_in_it() && !is_movs(form);
        assert_eq!(found.contains(&(form, true)), is_expected, "{form:?} in an IT block");
    }
}

/// The only short form that always sets flags and so isn't allowed in an IT block.
fn is_movs(form: Form) -> bool {
    form == Inst::mov_reg(Opcode::MovReg, true, Reg::r(0), Reg::r(1))
        .form(Width::Narrow, None)
        .expect("has it")
}

#[test]
fn samples_decode_to_themselves() {
    for sample in samples(200, 2) {
        let bytes = sample.bytes();
        assert_eq!(bytes.len() as u32, sample.form.width().bytes());
        assert_eq!(width(u16::from_le_bytes([bytes[0], bytes[1]])), sample.form.width());
        let decoded = decode(&bytes, sample.it).map(Sample::from);
        assert_eq!(decoded.map(|d| (d.inst, d.it)), Some((sample.inst, sample.it)), "{sample:?}");
        assert_eq!(decoded.map(|d| d.bytes()), Some(bytes), "{sample:?}");
    }
}

#[test]
fn whole_code_decodes_with_its_it_blocks() {
    let mut rng = Rng::new(3);
    let all = samples(40, 3);
    for _ in 0..50 {
        let mut code = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..20 {
            let sample = rng.pick(&all);
            if sample.inst.op() != Opcode::It {
                sample.pieces().concat().into_iter().for_each(|byte| code.push(byte));
                expected.push((sample.inst, sample.it));
            }
        }
        let decoded =
            Instructions::new(&code).map(|(_, decoded)| decoded.expect("all bytes are instructions"));
        let found: Vec<_> = decoded.filter(|d| d.inst.op() != Opcode::It).map(|d| (d.inst, d.it)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn any_bytes_decode_without_panic_and_encode_back() {
    let mut rng = Rng::new(4);
    for _ in 0..3000 {
        let len = rng.below(40);
        let code: Vec<u8> =
            (0..len).map(|_| rng.bits() as u8 | if rng.below(3) == 0 { 0xe0 } else { 0 }).collect();
        thumb_isa::testing::exercise(&code);
    }
}

#[test]
fn bytes_that_end_early_are_no_instruction() {
    assert_eq!(decode(&[], None), None);
    assert_eq!(decode(&[0x00], None), None);
    assert!(decode(&[0x00, 0xbf], None).is_some());
    assert_eq!(decode(&[0xaf, 0xf3, 0x00], None), None);
    assert!(decode(&[0xaf, 0xf3, 0x00, 0x80], None).is_some());
}

#[test]
fn samples_have_known_bytes() {
    let r = Reg::r;
    let cases = [
        (Inst::alu_imm(Opcode::AddImm, true, r(0), r(0), 1), Width::Narrow, "01 30", "adds r0, #1"),
        (Inst::alu_imm(Opcode::AddImm, false, Reg::SP, Reg::SP, 8), Width::Narrow, "02 b0", "add sp, #8"),
        (
            Inst::alu_imm(Opcode::AndImm, false, r(3), r(9), 0xff00ff),
            Width::Wide,
            "09 f0 ff 13",
            "and r3, r9, #16711935",
        ),
        (Inst::mov_half(Opcode::Movt, r(12), 0x1234), Width::Wide, "c1 f2 34 2c", "movt r12, #4660"),
        (Inst::mem(Opcode::Ldr, r(1), Reg::SP, 1020), Width::Narrow, "ff 99", "ldr r1, [sp, #1020]"),
        (Inst::branch(Opcode::Bl, -4), Width::Wide, "ff f7 fe ff", "bl #-4"),
        (Inst::branch(Opcode::B, -4), Width::Wide, "ff f7 fe bf", "b.w #-4"),
        (Inst::branch_cond(Opcode::Bcond, Cond::Ne, -4), Width::Narrow, "fe d1", "bne #-4"),
        (Inst::branch_reg(Opcode::Bx, Reg::LR), Width::Narrow, "70 47", "bx lr"),
    ];
    for (inst, width, bytes, text) in cases {
        let form = inst.form(width, None).unwrap_or_else(|| panic!("{inst} has the form"));
        let sample = Sample { inst, form, it: None };
        let hex: Vec<String> = sample.bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex.join(" "), bytes, "{inst}");
        assert_eq!(sample.lines(), [text]);
    }
}

#[test]
fn it_masks_name_the_conditions() {
    for first in Cond::ALL {
        for len in 0..=3 {
            for pattern in 0..1u8 << len {
                let following: Vec<bool> = (0..len).map(|i| pattern >> i & 1 == 1).collect();
                let mask = ItMask::new(first, &following);
                let conds: Vec<Cond> = mask.conds(first).collect();
                let expected = following.iter().map(|&same| if same { first } else { first.invert() });
                assert_eq!(conds, [first].into_iter().chain(expected).collect::<Vec<_>>());
                assert_eq!(ItMask::from_bits(mask.bits()), Some(mask));
                let mut state = ItState::begin(first, mask);
                for (i, &cond) in conds.iter().enumerate() {
                    assert_eq!((state.cond(), state.is_last()), (Some(cond), i + 1 == conds.len()));
                    state.advance();
                }
                assert_eq!(state.cond(), None);
            }
        }
    }
}
