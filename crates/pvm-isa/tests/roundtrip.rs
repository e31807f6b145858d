//! Encoding and decoding: fixed samples, arbitrary instructions of every row, and the public vectors.

use std::path::Path;

use pvm_isa::disasm::Disassembly;
use pvm_isa::encode::MAX_LEN;
use pvm_isa::testing::{self, Rng};
use pvm_isa::{GpVersion, Inst, ProgramBlob, Reg, RegSet, asm};

const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/pvm-vectors/w3f-pr3-v0.4/programs");

#[test]
fn samples_have_known_bytes() {
    use asm::*;
    let r = Reg::from_field;
    let samples: &[(Inst, &str, &str)] = &[
        (ecalli(100), "0a 64", "ecalli 100"),
        (ecalli(0), "0a", "ecalli 0"),
        (
            load_imm_64(r(2), 0x1122_3344_5566_7788),
            "14 02 88 77 66 55 44 33 22 11",
            "load_imm_64 r2 = 0x1122334455667788",
        ),
        (store_imm_u8(0x20000, -1), "1e 03 00 00 02 ff", "store_imm_u8 [0x20000] = -1"),
        (load_imm_jump(r(0), 2, 1000), "50 10 02 e8 03", "load_imm_jump r0 = 2 -> +1000"),
        (load_imm_jump_ind(r(0), r(8), 2, 0), "b4 80 01 02", "load_imm_jump_ind r0 = 2 -> r8"),
        (store_imm_ind_u32(r(1), 8, 300), "48 11 08 2c 01", "store_imm_ind_u32 [r1 + 8] = 300"),
        (branch_lt_u(r(3), r(4), -20), "ac 43 ec", "branch_lt_u r3, r4 -> -20"),
        (branch_eq_imm(r(3), 0, 8), "51 03 08", "branch_eq_imm r3, 0 -> +8"),
        (add_64(r(5), r(3), r(4)), "c8 43 05", "add_64 r5 = r3, r4"),
        (move_reg(r(3), r(4)), "64 43", "move_reg r3 = r4"),
        (jump_ind(r(0), 0), "32 00", "jump_ind r0"),
        (load_u8(r(7), -16), "34 07 f0", "load_u8 r7 = [0xfffffff0]"),
        (store_u32(r(3), 0x20000), "3d 03 00 00 02", "store_u32 [0x20000] = r3"),
        (store_ind_u8(r(3), r(7), -4), "78 73 fc", "store_ind_u8 [r7 - 4] = r3"),
        (load_ind_u32(r(3), r(7), 0), "80 73", "load_ind_u32 r3 = [r7]"),
        (load_imm(r(7), -5), "33 07 fb", "load_imm r7 = -5"),
        (jump(16), "28 10", "jump -> +16"),
        (trap(), "00", "trap"),
    ];
    for (inst, bytes, text) in samples {
        let mut out = Vec::new();
        assert_eq!(inst.encode(GpVersion::V08, &mut out), out.len());
        let hex: Vec<String> = out.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex.join(" "), *bytes, "{inst}");
        assert_eq!(inst.to_string(), *text);
    }
}

#[test]
fn arbitrary_instructions_survive_encoding_and_decoding() {
    let mut rng = Rng::new(1);
    for gp in GpVersion::ALL {
        for op in testing::opcodes(gp) {
            for _ in 0..300 {
                let inst = Inst::arbitrary(op, &mut rng);
                let min = rng.below(5) as u8;
                check_round_trip(gp, &inst, min);
            }
        }
    }
}

fn check_round_trip(gp: GpVersion, inst: &Inst, min: u8) {
    let mut blob = ProgramBlob::new(gp);
    blob.push(gp, inst);
    let second = blob.push_with_offset_bytes(gp, inst, min);
    assert_eq!(second as usize, inst.encoded_len(gp), "{inst}");
    let second_len = blob.code.len() - second as usize;
    assert_eq!(second_len, inst.encoded_len_with_offset_bytes(gp, min), "{inst}");
    assert!(second_len <= MAX_LEN, "{inst}");
    if inst.offset().is_some() && gp != GpVersion::Next {
        let shortest_for_zero = inst.with_offset(0).encoded_len(gp);
        assert!(second_len >= shortest_for_zero + usize::from(min), "{inst}");
    }
    blob.push(gp, &asm::trap());
    let mut decoded: Vec<_> = blob.instructions(gp).collect();
    assert_eq!(decoded.len(), 3, "{inst}");
    decoded.pop();
    assert!(decoded[0].1.is_shortest(gp), "{inst}");
    for (pc, d) in decoded {
        assert_eq!((d.inst, d.is_valid, d.is_cut_off()), (*inst, true, false), "{inst} at {pc}");
        let mut out = Vec::new();
        d.encode_exact(&mut out);
        assert_eq!(out, d.bytes(), "{inst}");
    }
}

#[test]
fn immediates_are_as_short_as_possible() {
    let sign_extended = |value: i32, bytes: usize| match bytes {
        0 => 0,
        n => value << (32 - 8 * n) >> (32 - 8 * n),
    };
    let mut rng = Rng::new(2);
    for _ in 0..10_000 {
        let value = testing::imm(&mut rng);
        let len = pvm_isa::encode::imm_len(value);
        assert_eq!(sign_extended(value, len), value);
        assert!(len == 0 || sign_extended(value, len - 1) != value, "{value} fits {} bytes", len - 1);
    }
}

#[test]
fn any_bytes_decode_and_encode_back() {
    let mut rng = Rng::new(3);
    for gp in [GpVersion::V072, GpVersion::V08] {
        for _ in 0..2000 {
            let len = 1 + rng.below(80);
            let blob = testing::wild_program(&mut rng, len);
            let mut out = Vec::new();
            for (_, inst) in blob.instructions(gp) {
                inst.encode_exact(&mut out);
            }
            assert_eq!(out, blob.code);
        }
    }
}

#[test]
fn instructions_cut_off_by_the_end_read_zeros() {
    let gp = GpVersion::V08;
    let inst = asm::load_imm_64(Reg::A0, u64::MAX);
    let mut blob = ProgramBlob::default();
    blob.push(gp, &inst);
    blob.code.truncate(4);
    let mut cut = ProgramBlob { code: blob.code, ..ProgramBlob::default() };
    cut.mask.grow(4);
    cut.mask.set(0);
    let decoded = cut.decode(gp, 0);
    assert_eq!(decoded.inst, asm::load_imm_64(Reg::A0, 0xffff));
    assert!(decoded.is_cut_off());
    let past = cut.decode(gp, 4);
    assert_eq!((past.inst, past.len, past.is_valid), (asm::trap(), 1, false));
}

#[test]
fn register_sets_follow_the_roles() {
    let set = |regs: &[u8]| regs.iter().map(|&r| Reg::from_field(r)).collect::<RegSet>();
    let r = Reg::from_field;
    let cmov = asm::cmov_iz(r(1), r(2), r(3));
    assert_eq!((cmov.reads(), cmov.writes()), (set(&[1, 2, 3]), set(&[1])));
    let store = asm::store_ind_u64(r(1), r(2), 0);
    assert_eq!((store.reads(), store.writes()), (set(&[1, 2]), set(&[])));
    let call = asm::load_imm_jump_ind(r(0), r(5), 2, 0);
    assert_eq!((call.reads(), call.writes()), (set(&[5]), set(&[0])));
    let host = asm::ecalli(3);
    assert_eq!((host.reads(), host.writes()), (set(&[7, 8, 9, 10, 11, 12]), set(&[7, 8])));
    assert_eq!((host.gas_reads(), host.gas_writes()), (RegSet::EMPTY, RegSet::EMPTY));
}

#[test]
fn public_vectors_survive_decoding_and_encoding() {
    if !needs::data(Path::new(VECTORS)) {
        return;
    }
    let mut checked = 0;
    for file in std::fs::read_dir(VECTORS).expect("a folder") {
        let path = file.expect("readable").path();
        check_vector(&path);
        checked += 1;
    }
    assert_eq!(checked, 307);
}

fn check_vector(path: &Path) {
    let name = path.display();
    let text = std::fs::read_to_string(path).expect("readable");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let program = json["program"].as_array().expect("an array");
    let bytes: Vec<u8> = program.iter().map(|b| b.as_u64().expect("a byte") as u8).collect();
    let gp = GpVersion::V072;
    let blob = ProgramBlob::parse(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(blob.to_bytes(), bytes, "{name}");

    let mut exact = Vec::new();
    let mut rebuilt = ProgramBlob { jump_table: blob.jump_table.clone(), ..ProgramBlob::default() };
    let mut is_shortest = true;
    for (pc, inst) in blob.instructions(gp) {
        assert!(inst.is_valid, "{name} at {pc}");
        inst.encode_exact(&mut exact);
        is_shortest &= inst.is_shortest(gp);
        rebuilt.push(gp, &inst.inst);
    }
    assert_eq!(exact, blob.code, "{name}");
    assert_eq!(is_shortest, rebuilt == blob, "{name}");

    let listing = Disassembly::new(&blob, gp).to_string();
    let instructions = blob.instructions(gp).count();
    let printed = listing.lines().filter(|line| line.starts_with("  ")).count();
    assert_eq!(printed, instructions, "{name}");
    assert!(!listing.contains("invalid"), "{name}");
}
