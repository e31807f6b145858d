//! The instruction table against the facts of the target description, row by row, and its own invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pvm_isa::table::Encoding;
use pvm_isa::testing::Rng;
use pvm_isa::{Flow, Format, GpVersion, Inst, Opcode, Role};

const FACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/targets/pvm/instructions.csv");

#[test]
fn numbers_and_mnemonics_are_unique_and_invertible() {
    let mnemonics: BTreeSet<&str> = Opcode::ALL.iter().map(|op| op.mnemonic()).collect();
    assert_eq!(mnemonics.len(), Opcode::ALL.len());
    for (index, &op) in Opcode::ALL.iter().enumerate() {
        assert_eq!(op as usize, index);
        assert_eq!(Opcode::from_mnemonic(op.mnemonic()), Some(op));
        for gp in GpVersion::ALL {
            if let Some(number) = op.number(gp) {
                assert_eq!(Opcode::from_number(gp, number), Some(op));
            }
        }
    }
    for gp in [GpVersion::V072, GpVersion::V08] {
        let defined = (0..=255).filter(|&n| Opcode::from_number(gp, n).is_some()).count();
        assert_eq!(defined, 139, "GP {gp}");
    }
}

#[test]
fn the_next_format_has_the_instructions_of_0_8() {
    let mut numbers = 0;
    for op in Opcode::ALL.iter().copied() {
        assert_eq!(op.exists(GpVersion::Next), op.exists(GpVersion::V08), "{op}");
        for encoding in op.encodings() {
            assert_eq!(Encoding::from_number(encoding.number), Some((op, *encoding)));
            numbers += 1;
        }
        let is_ascending =
            op.encodings().is_sorted_by(|a, b| a.operands < b.operands && a.bytes() < b.bytes());
        assert!(is_ascending, "the first encoding with enough room is the shortest: {op}");
    }
    assert_eq!((0..512).filter(|&number| Encoding::from_number(number).is_some()).count(), numbers);
}

#[test]
fn versions_differ_in_twelve_rows() {
    let differ: Vec<_> = Opcode::ALL
        .iter()
        .filter(|op| op.number(GpVersion::V072) != op.number(GpVersion::V08))
        .map(|op| (op.mnemonic(), op.number(GpVersion::V072), op.number(GpVersion::V08)))
        .collect();
    assert_eq!(differ.len(), 12);
    assert_eq!(differ[0], ("unlikely", None, Some(2)));
    assert_eq!(differ[1], ("sbrk", Some(101), None));
    for (i, row) in differ[2..].iter().enumerate() {
        assert_eq!((row.1, row.2), (Some(102 + i as u8), Some(101 + i as u8)));
    }
}

#[test]
fn versions_have_names() {
    for gp in GpVersion::ALL {
        assert_eq!(gp.to_string().parse(), Ok(gp));
    }
    assert_eq!("0.7.2".parse(), Ok(GpVersion::V072));
    assert!("0.9".parse::<GpVersion>().is_err());
}

#[test]
fn loads_and_stores_have_the_sizes_and_forms_of_their_names() {
    for op in Opcode::ALL.iter().copied() {
        let name = op.mnemonic();
        let bits = || name.rsplit(['u', 'i']).next()?.parse::<u8>().ok();
        let is_access = op.is_load() || op.is_store();
        assert_eq!(op.access_bytes(), is_access.then(|| bits().expect("a width") / 8), "{op}");
        let absolute = name.contains("_ind_").then(|| name.replace("_ind_", "_"));
        assert_eq!(op.absolute_form().map(|form| form.mnemonic().to_owned()), absolute, "{op}");
        let constant = name.strip_prefix("store_ind_").map(|width| format!("store_imm_ind_{width}"));
        assert_eq!(op.constant_form().map(|form| form.mnemonic().to_owned()), constant, "{op}");
    }
}

#[test]
fn every_operation_with_an_immediate_is_a_form_of_one_between_registers() {
    let forms = Opcode::ALL.iter().flat_map(|op| [op.immediate_form(), op.immediate_first_form()]).flatten();
    let forms: Vec<Opcode> = forms.collect();
    let unique: BTreeSet<Opcode> = forms.iter().copied().collect();
    assert_eq!(unique.len(), forms.len());
    let is_operation = |op: &Opcode| op.format() == Format::Reg2Imm && op.access_bytes().is_none();
    assert_eq!(unique, Opcode::ALL.iter().copied().filter(is_operation).collect());
    for op in Opcode::ALL.iter().copied().filter(|op| op.immediate_form().is_some()) {
        let plain = op.immediate_form().expect("filtered").mnemonic().replace("_imm", "");
        assert_eq!(plain, op.mnemonic());
        assert_eq!(op.format(), Format::Reg3);
    }
    for op in Opcode::ALL.iter().copied().filter(|op| op.immediate_first_form().is_some()) {
        let plain = op.immediate_first_form().expect("filtered").mnemonic().replace("_imm", "");
        let plain = plain.replace("_alt", "").replace("neg_add", "sub").replace("set_gt", "set_lt");
        assert_eq!(plain, op.mnemonic());
    }
}

#[test]
fn branches_have_inverses_of_the_same_format() {
    for op in Opcode::ALL.iter().copied() {
        assert_eq!(op.inverse().is_some(), op.flow() == Flow::Branch, "{op}");
        if let Some(inverse) = op.inverse() {
            assert_ne!(inverse, op);
            assert_eq!(inverse.inverse(), Some(op));
            assert_eq!(inverse.format(), op.format());
            // Equality and its opposite, or "less" and its opposite in one order.
            let condition = |op: Opcode| op.mnemonic().replace("branch_", "").replace("_imm", "");
            let pair = [condition(op), condition(inverse)];
            let known =
                [["eq", "ne"], ["lt_u", "ge_u"], ["gt_u", "le_u"], ["lt_s", "ge_s"], ["gt_s", "le_s"]];
            assert!(known.iter().any(|[a, b]| pair == [*a, *b] || pair == [*b, *a]), "{op}: {inverse}");
        }
    }
}

#[test]
fn rows_agree_with_the_facts() {
    if !Path::new(FACTS).exists() {
        println!("notice: {FACTS} is absent, the table is not compared with it");
        return;
    }
    let text = std::fs::read_to_string(FACTS).expect("readable");
    let mut rows = text.lines().map(split_csv);
    let header = rows.next().expect("a header");
    let mut seen = 0;
    for row in rows {
        check_row(&header.iter().zip(&row).map(|(name, field)| (name.as_str(), field.as_str())).collect());
        seen += 1;
    }
    assert_eq!(seen, Opcode::ALL.len());
}

fn check_row(row: &BTreeMap<&str, &str>) {
    let get = |column| row[column];
    let name = get("mnemonic");
    let op = Opcode::from_mnemonic(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(op.number(GpVersion::V072), get("op_072").parse().ok(), "{name}");
    assert_eq!(op.number(GpVersion::V08), get("op_080").parse().ok(), "{name}");
    assert_eq!(format!("{:?}", op.format()).to_uppercase(), get("format").replace('_', ""), "{name}");
    assert_eq!(op.is_terminator(), get("terminator") == "T", "{name}");
    check_roles(op, get("gas_srcs"), get("gas_dsts"));
    if get("cycles") == "-" {
        return;
    }
    let number = |column| get(column).parse::<u8>().expect("a number");
    let cost = op.cost();
    assert_eq!(cost.cycles, number("cycles"), "{name}");
    assert_eq!(cost.slots.overlapping, number("slots_if_overlap"), "{name}");
    assert_eq!(cost.slots.otherwise, number("slots_otherwise"), "{name}");
    let units = cost.units;
    let expected = ["alu", "load", "store", "mul", "div"].map(number);
    assert_eq!([units.alu, units.load, units.store, units.mul, units.div], expected, "{name}");
}

/// The facts name the register fields A, B and D; two-register operations call theirs D, A.
fn check_roles(op: Opcode, reads: &str, writes: &str) {
    let inst = Inst::arbitrary(op, &mut Rng::new(0));
    let fields = match inst {
        Inst::Reg2 { .. } => ["D", "A", ""],
        _ => ["A", "B", "D"],
    };
    for ((field, role), reg) in fields.into_iter().zip(op.roles()).zip(inst.reg_fields()) {
        let has = |list: &str| list.split(' ').any(|name| name == field) && !field.is_empty();
        assert_eq!(role.is_some_and(Role::reads), has(reads), "{op} field {field}");
        assert_eq!(role.is_some_and(Role::writes), has(writes), "{op} field {field}");
        assert_eq!(role.is_some(), reg.is_some(), "{op} field {field}");
    }
}

/// The fields of a line; quotes keep commas together.
fn split_csv(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("not empty").push(c),
        }
    }
    fields
}
