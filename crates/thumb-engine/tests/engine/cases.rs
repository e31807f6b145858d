//! Programs of many cases. A case loads all registers and flags from a record in memory, executes one instruction, perhaps
//! in an IT block, and stores all registers and flags to the record.

use random::Rng;
use thumb_isa::{Cond, Form, Inst, ItMask, Opcode, Reg, RegClass, RegList, SysReg, UnitSet, Width};

/// Words of a record: r0 to r12, lr, sp, APSR, FPSCR, s0 to s31, before and after.
const STATE: usize = 49;
pub const RECORD: usize = 2 * STATE;
const LR: usize = 13;
const SP: usize = 14;
const APSR: usize = 15;
const FPSCR: usize = 16;
const FLOATS: usize = 17;
/// Words around the address that a load or store accesses.
pub const WINDOW: usize = 128;
/// Zeros around the code, which loads of literals read.
const PADDING: usize = 4112;
/// The bits of FPSCR for cumulative exceptions, which the engine doesn't keep.
const EXCEPTIONS: u32 = 0x9f;

/// An instruction with its form, and the condition of its IT block.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub inst: Inst,
    pub form: Form,
    pub it: Option<Cond>,
}

/// A program with its data.
pub struct Program {
    /// The address of the code and of the data.
    pub code_at: u32,
    pub data_at: u32,
    pub code: Vec<u8>,
    /// Records, then windows.
    pub data: Vec<u32>,
    pub cases: Vec<Case>,
}

/// Whether the row is checked here. The others change the system or end the program.
pub fn is_checked(op: Opcode) -> bool {
    !matches!(op, Opcode::Wfe | Opcode::Wfi | Opcode::Svc) && !op.is_trap()
}

impl Program {
    /// A program of up to `per_form` cases of every form.
    pub fn new(per_form: usize, seed: u64, code_at: u32, data_at: u32) -> Self {
        let mut rng = Rng::new(seed);
        let forms = Opcode::ALL.iter().filter(|op| is_checked(**op)).flat_map(|op| op.forms());
        let cases: Vec<Case> = forms
            .flat_map(|form| (0..per_form).map(move |n| (form, n)))
            .filter_map(|(form, n)| case(form, n, &mut rng))
            .collect();
        let records = RECORD * (cases.len() + 1);
        let data = vec![0; records + WINDOW * cases.len()];
        let mut program = Self { code_at, data_at, code: vec![0; PADDING], data, cases };
        program.begin();
        for n in 0..program.cases.len() {
            program.add(n, &mut rng);
        }
        program.end();
        program
    }

    /// The address of the first instruction.
    pub const fn entry(&self) -> u32 {
        (self.code_at + PADDING as u32) | 1
    }

    fn at(&self) -> u32 {
        self.code_at + self.code.len() as u32
    }

    fn put(&mut self, inst: Inst) {
        self.put_in(inst, None);
    }

    fn put_in(&mut self, inst: Inst, it: Option<Cond>) {
        let form = inst.form(Width::Wide, it).or_else(|| inst.form(Width::Narrow, it));
        inst.encode(form.unwrap_or_else(|| panic!("{inst} has a form")), it, &mut self.code);
    }

    fn address(&mut self, reg: Reg, address: u32) {
        self.put(Inst::mov_half(Opcode::Movw, reg, address & 0xffff));
        self.put(Inst::mov_half(Opcode::Movt, reg, address >> 16));
    }

    /// Saves registers, masks interrupts, and saves the stack pointer after the last record.
    fn begin(&mut self) {
        let saved = RegList::from_bits(0x4ff0);
        self.put(Inst::stack(Opcode::Push, saved));
        self.put(Inst::float_stack(Opcode::VpushF64, Reg::d(8), 8));
        self.mask(1);
        self.put(Inst::mov_reg(Opcode::MovReg, false, Reg::r(1), Reg::SP));
        let place = self.data_at + 4 * (RECORD * self.cases.len()) as u32;
        self.address(Reg::r(0), place);
        self.put(Inst::mem(Opcode::Str, Reg::r(1), Reg::r(0), 0));
    }

    fn end(&mut self) {
        let place = self.data_at + 4 * (RECORD * self.cases.len()) as u32;
        self.address(Reg::r(0), place);
        self.put(Inst::mem(Opcode::Ldr, Reg::r(1), Reg::r(0), 0));
        self.put(Inst::mov_reg(Opcode::MovReg, false, Reg::SP, Reg::r(1)));
        // The saved stack pointer differs between the machines.
        self.put(Inst::mov_imm(Opcode::MovImm, false, Reg::r(1), 0));
        self.put(Inst::mem(Opcode::Str, Reg::r(1), Reg::r(0), 0));
        self.mask(0);
        self.put(Inst::float_stack(Opcode::VpopF64, Reg::d(8), 8));
        self.put(Inst::stack(Opcode::Pop, RegList::from_bits(0x8ff0)));
        self.code.resize(self.code.len() + PADDING, 0);
    }

    fn mask(&mut self, value: u32) {
        self.put(Inst::mov_imm(Opcode::MovImm, false, Reg::r(0), value));
        self.put(Inst::write_sys(Opcode::Msr, SysReg::Primask, Reg::r(0)));
    }

    /// Adds the code of a case and its state.
    fn add(&mut self, n: usize, rng: &mut Rng) {
        let case = self.cases[n];
        let record = RECORD * n;
        let window = RECORD * (self.cases.len() + 1) + WINDOW * n;
        let center = self.data_at + 4 * (window + WINDOW / 2) as u32;
        self.randomise(record, &case, center, rng);
        (window..window + WINDOW).for_each(|at| self.data[at] = rng.bits() as u32);
        let base = scratch(&case.inst).expect("cases have a free register");
        let has_floats = uses_floats(&case.inst);
        self.address(base, self.data_at + 4 * record as u32);
        self.transfer(base, 0, true, has_floats);
        self.instruction(&case, record, window + WINDOW / 2);
        self.transfer(base, STATE, false, has_floats);
    }

    /// Loads or stores the state at a word of the record.
    fn transfer(&mut self, base: Reg, first: usize, is_load: bool, has_floats: bool) {
        let offset = |word: usize| 4 * (first + word) as i32;
        let free = if base == Reg::r(0) { Reg::r(1) } else { Reg::r(0) };
        let access =
            |reg, word| Inst::mem(if is_load { Opcode::Ldr } else { Opcode::Str }, reg, base, offset(word));
        let core: Vec<Inst> = (0..14usize)
            .map(|word| (word, if word == LR { Reg::LR } else { Reg::r(word as u8) }))
            .filter(|(_, reg)| *reg != base)
            .map(|(word, reg)| access(reg, word))
            .collect();
        let op = if is_load { Opcode::VldrF32 } else { Opcode::VstrF32 };
        let floats = (0..32u8)
            .filter(|_| has_floats)
            .map(|n| Inst::mem(op, Reg::s(n), base, offset(FLOATS + usize::from(n))));
        let floats: Vec<Inst> = floats.collect();
        let special = [
            (
                SP,
                Inst::mov_reg(Opcode::MovReg, false, Reg::SP, free),
                Inst::mov_reg(Opcode::MovReg, false, free, Reg::SP),
            ),
            (
                APSR,
                Inst::write_sys(Opcode::Msr, SysReg::Apsr, free),
                Inst::read_sys(Opcode::Mrs, free, SysReg::Apsr),
            ),
            (FPSCR, Inst::reg1(Opcode::Vmsr, free), Inst::reg1(Opcode::Vmrs, free)),
        ];
        if is_load {
            for (word, write, _) in special {
                self.put(access(free, word));
                self.put(write);
            }
            floats.into_iter().chain(core).for_each(|inst| self.put(inst));
        } else {
            core.into_iter().chain(floats).for_each(|inst| self.put(inst));
            for (word, _, read) in special {
                self.put(read);
                self.put(access(free, word));
            }
        }
    }

    /// The instruction, and another one that it may skip.
    fn instruction(&mut self, case: &Case, record: usize, center: usize) {
        let Case { inst, form, it } = *case;
        if let Inst::It { cond, mask, .. } = inst {
            inst.encode(form, None, &mut self.code);
            for (n, cond) in (0..).zip(mask.conds(cond)) {
                self.put_in(Inst::alu_imm(Opcode::AddImm, false, Reg::r(n), Reg::r(n), 1), Some(cond));
            }
            return;
        }
        if let Some(cond) = it {
            self.put(Inst::it(Opcode::It, cond, ItMask::new(cond, &[])));
        }
        let start = self.at();
        let after = start + form.width().bytes();
        // The table of a branch through `pc`.
        let table = if matches!(inst, Inst::TableBranch { rn: Reg::PC, .. }) { 4 } else { 0 };
        let label = after + table + 4;
        let distance = label - (start + 4);
        match inst {
            Inst::Branch { .. } | Inst::BranchCond { .. } | Inst::CmpBranch { .. } => {
                inst.with_offset(distance as i32).encode(form, it, &mut self.code);
            }
            _ => inst.encode(form, it, &mut self.code),
        }
        match inst {
            Inst::BranchReg { op, rm } => {
                let value = if op == Opcode::AddPc { distance } else { label | 1 };
                self.data[record + usize::from(rm.number()).min(LR)] = value;
            }
            Inst::TableBranch { op, rn, rm } => {
                let entry = distance / 2;
                self.data[record + usize::from(rm.number()).min(LR)] = 0;
                if rn == Reg::PC {
                    let bytes = [entry as u8, if op == Opcode::Tbb { entry as u8 } else { 0 }, 0, 0];
                    self.code.extend(bytes);
                } else {
                    self.data[record + usize::from(rn.number()).min(LR)] = self.data_at + 4 * center as u32;
                    self.data[center] = entry;
                }
            }
            Inst::Multi { op, list, .. } if list.contains(Reg::PC) => {
                let last = if op == Opcode::Ldmdb { center - 1 } else { center + list.len() - 1 };
                self.data[last] = label | 1;
            }
            Inst::Stack { list, .. } if list.contains(Reg::PC) => {
                self.data[center + list.len() - 1] = label | 1
            }
            _ => {}
        }
        self.put(Inst::mov_half(Opcode::Movw, skipped(&inst), 0x5c1f));
    }

    /// Random registers and flags; the base register of an access leads to the window.
    fn randomise(&mut self, record: usize, case: &Case, center: u32, rng: &mut Rng) {
        for word in 0..SP {
            self.data[record + word] = integer(rng);
        }
        self.data[record + SP] = center;
        let sticky = if rng.one_in(4) { 1 << 27 } else { 0 };
        self.data[record + APSR] = (rng.bits() as u32) & 0xf000_0000 | sticky;
        self.data[record + FPSCR] = (rng.bits() as u32) & 0xf200_0000;
        let is_double = is_double(&case.inst);
        for n in (0..32).step_by(2) {
            let bits =
                if is_double { double(rng) } else { u64::from(single(rng)) | u64::from(single(rng)) << 32 };
            self.data[record + FLOATS + n] = bits as u32;
            self.data[record + FLOATS + n + 1] = (bits >> 32) as u32;
        }
        let Some(access) = accessed(&case.inst) else {
            if matches!(case.inst, Inst::Reg1 { op: Opcode::Vmsr, .. }) {
                (0..SP).for_each(|word| self.data[record + word] &= 0xf200_0000);
            }
            return;
        };
        let place = |reg: Reg| {
            record
                + match reg.number() {
                    13 => SP,
                    14 => LR,
                    n => usize::from(n),
                }
        };
        let mut base = center.wrapping_add_signed(-access.offset);
        if access.is_any_address {
            base = base.wrapping_add(rng.below(4) as u32);
        }
        if let Some((index, scale)) = access.index {
            let value = rng.below(40) as u32;
            self.data[place(index)] = value;
            base = base.wrapping_sub(value << scale);
        }
        if access.base == Reg::SP {
            base &= !3;
        }
        self.data[place(access.base)] = base;
    }

    /// The differences between the data after two runs.
    pub fn differences(&self, expected: &[u32], actual: &[u32]) -> Vec<String> {
        let mut found = Vec::new();
        for (n, case) in self.cases.iter().enumerate() {
            let base = scratch(&case.inst).expect("cases have a free register");
            let mut words = Vec::new();
            for word in 0..STATE {
                let at = RECORD * n + STATE + word;
                let mask = if word == FPSCR { !EXCEPTIONS } else { u32::MAX };
                if (expected[at] ^ actual[at]) & mask != 0 {
                    words.push(format!("{}: {:#x} and not {:#x}", name(word), expected[at], actual[at]));
                }
            }
            let window = RECORD * (self.cases.len() + 1) + WINDOW * n;
            for at in (window..window + WINDOW).filter(|&at| expected[at] != actual[at]) {
                words.push(format!("word {}: {:#x} and not {:#x}", at - window, expected[at], actual[at]));
            }
            if !words.is_empty() {
                let state: Vec<String> = (0..STATE)
                    .map(|word| format!("{} {:#x}", name(word), self.data[RECORD * n + word]))
                    .collect();
                found.push(format!(
                    "{} {:?} it {:?} (base {base}): {}\n  before: {}",
                    case.inst,
                    case.form,
                    case.it,
                    words.join(", "),
                    state.join(", ")
                ));
            }
        }
        found
    }
}

fn name(word: usize) -> String {
    match word {
        LR => "lr".to_owned(),
        SP => "sp".to_owned(),
        APSR => "apsr".to_owned(),
        FPSCR => "fpscr".to_owned(),
        FLOATS.. => format!("s{}", word - FLOATS),
        n => format!("r{n}"),
    }
}

/// A random case of a form; every second one is in an IT block, where that is allowed.
fn case(form: Form, n: usize, rng: &mut Rng) -> Option<Case> {
    let it = (n % 2 == 1 && form.op().allowed_in_it()).then(|| thumb_isa::testing::cond(rng));
    let mut attempts = (0..200).map_while(|_| Inst::arbitrary(form, it, rng));
    let inst = attempts.find(is_usable)?;
    Some(Case { inst, form, it })
}

fn is_usable(inst: &Inst) -> bool {
    let is_apart = match *inst {
        Inst::MemReg { rn, rm, .. } | Inst::TableBranch { rn, rm, .. } => rn != rm,
        Inst::ReadSys { sys, .. } | Inst::WriteSys { sys, .. } => sys == SysReg::Apsr,
        // A call changes the register that it goes to.
        Inst::BranchReg { rm, .. } => rm != Reg::SP,
        _ => true,
    };
    is_apart && scratch(inst).is_some()
}

/// A register that the instruction doesn't use.
fn scratch(inst: &Inst) -> Option<Reg> {
    let used = inst.reads().union(inst.writes()).union(UnitSet::of(skipped(inst)));
    (0..13).rev().map(Reg::r).find(|&reg| !used.intersects(UnitSet::of(reg)))
}

/// The register that a skipped instruction would change.
fn skipped(inst: &Inst) -> Reg {
    let used = inst.reads().union(inst.writes());
    [8, 9, 10, 11, 7]
        .into_iter()
        .map(Reg::r)
        .find(|&reg| !used.intersects(UnitSet::of(reg)))
        .unwrap_or(Reg::r(8))
}

fn uses_floats(inst: &Inst) -> bool {
    inst.op().feature() >= thumb_isa::Feature::FpSingle
}

fn is_double(inst: &Inst) -> bool {
    inst.op().reg_slots().iter().any(|slot| slot.class == RegClass::Double)
}

/// The address of an access.
struct Access {
    base: Reg,
    offset: i32,
    index: Option<(Reg, u32)>,
    is_any_address: bool,
}

fn accessed(inst: &Inst) -> Option<Access> {
    let of = |base, offset| Access { base, offset, index: None, is_any_address: false };
    let any = |base, offset| Access { is_any_address: !uses_floats(inst), ..of(base, offset) };
    Some(match *inst {
        Inst::Mem { rn, offset, .. } | Inst::MemPre { rn, offset, .. } => any(rn, offset),
        Inst::MemPost { rn, .. } => any(rn, 0),
        Inst::MemReg { rn, rm, scale, .. } => Access { index: Some((rm, scale)), ..any(rn, 0) },
        Inst::Dual { rn, offset, .. } | Inst::DualPre { rn, offset, .. } => of(rn, offset),
        Inst::DualPost { rn, .. } | Inst::Multi { rn, .. } => of(rn, 0),
        Inst::Stack { .. } | Inst::FloatStack { .. } => of(Reg::SP, 0),
        _ => return None,
    })
}

/// A word that is likely to be an edge case, also as two halves.
fn integer(rng: &mut Rng) -> u32 {
    const EDGES: [u32; 8] = [0, 1, u32::MAX, 1 << 31, u32::MAX >> 1, 0x8000_8000, 0x7fff_7fff, 0xffff_8000];
    match rng.below(5) {
        0 | 1 => rng.pick(&EDGES),
        2 => 1 << rng.below(32),
        3 => rng.below(70) as u32,
        _ => rng.bits() as u32,
    }
}

/// The bits of a number that is likely to be an edge case; also NaNs of both kinds with payloads.
fn single(rng: &mut Rng) -> u32 {
    match rng.below(6) {
        0 => 0x7f80_0000 | rng.bits() as u32 & 0x8043_ffff,
        1 => (rng.bits() as u32) & 0x807f_ffff,
        2 => rng.bits() as u32,
        3 => integer(rng),
        _ => (rng.interesting_float() as f32).to_bits(),
    }
}

fn double(rng: &mut Rng) -> u64 {
    match rng.below(6) {
        0 => 0x7ff0_0000_0000_0000 | rng.bits() & 0x800c_0000_3fff_ffff,
        1 => rng.bits() & 0x800f_ffff_ffff_ffff,
        2 => rng.bits(),
        3 => f64::from(f32::from_bits(single(rng))).to_bits(),
        _ => rng.interesting_float().to_bits(),
    }
}
