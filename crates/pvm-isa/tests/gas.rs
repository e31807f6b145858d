//! The block-cost model against known costs, against a literal implementation of its rules, and against the reference
//! implementation in Python if it is installed.

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use pvm_isa::asm::*;
use pvm_isa::gas::{block_cost, instruction_costs, program_costs};
use pvm_isa::testing::{self, Rng};
use pvm_isa::validate::{Defect, InvalidProgram, validate};
use pvm_isa::{GpVersion, Inst, Opcode, ProgramBlob, Reg};

const GP: GpVersion = GpVersion::V08;

fn r(n: usize) -> Reg {
    Reg::from_field(n as u8)
}

/// `n` instructions made from their index.
fn each(n: usize, inst: impl Fn(usize) -> Inst) -> Vec<Inst> {
    (0..n).map(inst).collect()
}

fn cost(parts: &[&[Inst]]) -> u32 {
    let insts = parts.concat();
    let fast = block_cost(GP, &insts, false);
    assert_eq!(fast, support::block_cost(&insts, false), "{insts:?}");
    fast
}

fn cheap_cost(parts: &[&[Inst]]) -> u32 {
    let insts = parts.concat();
    let fast = block_cost(GP, &insts, true);
    assert_eq!(fast, support::block_cost(&insts, true), "{insts:?}");
    fast
}

fn ret() -> Inst {
    jump_ind(r(0), 0)
}

fn ft() -> Inst {
    fallthrough()
}

/// `n` loads into different registers.
fn loads(n: usize) -> Vec<Inst> {
    each(n, |i| load_ind_u64(r(i % 12), r(12), 8 * i as i32))
}

/// `n` additions in place, on eight registers in turn.
fn adds(n: usize) -> Vec<Inst> {
    each(n, |i| add_imm_64(r(i % 8), r(i % 8), 1))
}

#[test]
fn terminators() {
    assert_eq!(cost(&[&[ft()]]), 2);
    assert_eq!(cost(&[&[trap()]]), 2);
    assert_eq!(cost(&[&[jump(0)]]), 15);
    assert_eq!(cost(&[&[ret()]]), 22);
    let branch = [branch_eq(r(3), r(4), 0)];
    assert_eq!((cost(&[&branch]), cheap_cost(&[&branch])), (20, 1));
    assert_eq!(cost(&[&[ecalli(1), ret()]]), 100);
    assert_eq!(cost(&[&[ecalli(1), ecalli(1), ret()]]), 101);
    assert_eq!(cost(&[&[unlikely(), add_imm_64(r(3), r(3), 1), ft()]]), 40);
}

#[test]
fn additions() {
    let independent = |n| each(n, |i| add_imm_64(r(i % 13), r(i % 13), 1));
    let in_place: Vec<u32> = [4, 8, 16, 32, 64].map(|n| cost(&[&independent(n), &[ft()]])).into();
    assert_eq!(in_place, [3, 4, 6, 10, 18]);
    for n in [2, 5, 20] {
        let chain = each(n, |_| add_imm_64(r(3), r(3), 1));
        assert_eq!(cost(&[&chain, &[ft()]]), n as u32);
    }
    let three_address = |n| each(n, |i| add_64(r(2 + i % 8), r(11), r(12)));
    assert_eq!([8, 32].map(|n| cost(&[&three_address(n), &[ft()]])), [6, 18]);
    let chained_32 = |n| each(n, |_| add_32(r(3), r(3), r(4)));
    assert_eq!([8, 32].map(|n| cost(&[&chained_32(n), &[ft()]])), [16, 64]);
}

#[test]
fn memory() {
    for (n, expected) in [(1, 25), (4, 25), (5, 50), (8, 50), (9, 75), (16, 100)] {
        assert_eq!(cost(&[&loads(n), &[ft()]]), expected, "{n} loads");
    }
    let stores = |n| each(n, |i| store_ind_u64(r(i % 12), r(12), 8 * i as i32));
    assert_eq!([1, 4, 8].map(|n| cost(&[&stores(n), &[ft()]])), [25, 25, 50]);
    let (x, p) = (r(3), r(7));
    let update = [load_ind_u64(x, p, 0), add_imm_64(x, x, 1), store_ind_u64(x, p, 0), ft()];
    assert_eq!(cost(&[&update]), 51);
    assert_eq!(cost(&[&each(3, |_| load_ind_u64(x, x, 0)), &[ft()]]), 75);
    let copy = |n: usize| {
        let from = each(n, |i| load_ind_u64(r(2 + i), r(0), 8 * i as i32));
        let to = each(n, |i| store_ind_u64(r(2 + i), r(1), 8 * i as i32));
        [from, to].concat()
    };
    assert_eq!([4, 8].map(|n| cost(&[&copy(n), &[ft()]])), [50, 100]);
}

#[test]
fn loads_starve_additions() {
    let separate = |n| each(n, |i| add_imm_64(r(4 + i % 8), r(4 + i % 8), 1));
    assert_eq!(cost(&[&loads(3), &separate(4), &[ft()]]), 25);
    assert_eq!(cost(&[&loads(4), &separate(4), &[ft()]]), 26);
    assert_eq!(cost(&[&loads(3), &separate(32), &[ft()]]), 30);
    let load = [load_ind_u64(r(11), r(12), 0)];
    assert_eq!(cost(&[&load, &adds(64), &[ft()]]), 38);
    assert_eq!(cost(&[&adds(64), &load, &[ft()]]), 41);
}

#[test]
fn arithmetic() {
    let mul_64 = each(4, |i| mul_64(r(i), r(i), r(12)));
    let mul_32 = each(4, |i| mul_32(r(i), r(i), r(12)));
    assert_eq!((cost(&[&mul_64, &[ft()]]), cost(&[&mul_32, &[ft()]])), (12, 16));
    let div = each(2, |i| div_u_64(r(i), r(i), r(12)));
    assert_eq!((cost(&[&div[..1], &[ft()]]), cost(&[&div, &[ft()]])), (60, 120));
    let select = [set_lt_u(r(3), r(4), r(5)), cmov_nz(r(6), r(7), r(3)), ft()];
    assert_eq!(cost(&[&select]), 5);
    assert_eq!(cost(&[&[min_u(r(3), r(3), r(4)), ft()]]), 3);
    assert_eq!(cost(&[&[shlo_l_imm_64(r(3), r(3), 32), shlo_r_imm_64(r(3), r(3), 32), ft()]]), 2);
    assert_eq!(cost(&[&[load_imm_64(r(4), 0xffff_ffff), and(r(3), r(3), r(4)), ft()]]), 2);
    assert_eq!(cost(&[&[add_imm_32(r(3), r(3), 0), ft()]]), 2);
    assert_eq!(cost(&[&each(4, |i| load_imm(r(i), 1)), &[ft()]]), 3);
    assert_eq!(cost(&[&each(8, |i| move_reg(r(i), r(12))), &[ft()]]), 4);
}

#[test]
fn calls_and_loops() {
    let (sp, ra) = (Reg::SP, Reg::RA);
    let save = each(3, |i| store_ind_u64(r([0, 5, 6][i]), sp, 8 * i as i32));
    assert_eq!(cost(&[&[add_imm_64(sp, sp, -24)], &save, &[load_imm_jump(ra, 2, 0)]]), 26);
    let restore = each(3, |i| load_ind_u64(r([0, 5, 6][i]), sp, 8 * i as i32));
    assert_eq!(cost(&[&restore, &[add_imm_64(sp, sp, 24), ret()]]), 47);
    assert_eq!(cost(&[&[load_ind_u64(ra, sp, 0), ret()]]), 47);
    let latch = [branch_lt_u(r(3), r(12), 0)];
    for n in 1..=4 {
        let body = each(n, |i| add_imm_64(r(3 + i), r(3 + i), 1));
        assert_eq!((cost(&[&body, &latch]), cheap_cost(&[&body, &latch])), (21, 2), "{n} additions");
    }
    let body = each(13, |i| add_imm_64(r(i), r(i), 1));
    let last = [branch_lt_u(r(12), r(0), 0)];
    assert_eq!((cost(&[&body, &last]), cheap_cost(&[&body, &last])), (24, 5));
    assert_eq!(cost(&[&[unlikely()], &loads(8), &[ft()]]), 51);
    assert_eq!(cost(&[&[unlikely(), div_u_64(r(3), r(3), r(4)), ft()]]), 61);
    assert_eq!(cost(&[&[unlikely()], &adds(64), &[ft()]]), 53);
}

#[test]
fn five_instructions_start_per_cycle() {
    let mul = [mul_64(r(0), r(0), r(0))];
    let users = each(8, |i| add_64(r(1 + i), r(1 + i), r(0)));
    let constants = each(6, |i| load_imm(r(i), 1));
    assert_eq!(cost(&[&mul, &users, &constants, &[ft()]]), 7);
    let slow_mul = [mul_upper_s_u(r(0), r(0), r(0))];
    let users = each(4, |i| add_32(r(1 + i), r(1 + i), r(0)));
    let moves = each(12, |_| move_reg(r(11), r(12)));
    assert_eq!(cost(&[&slow_mul, &users, &moves, &[unlikely(); 3], &[ft()]]), 47);
}

#[test]
fn version_0_7_counts_instructions() {
    let gp = GpVersion::V072;
    assert_eq!(block_cost(gp, &[ecalli(1), div_u_64(r(1), r(2), r(3)), trap()], false), 3);
    let mut program = ProgramBlob::default();
    program.push(gp, &add_64(r(1), r(2), r(3)));
    program.push(gp, &fallthrough());
    program.push(gp, &ecalli(1));
    assert_eq!(program_costs(gp, &program), [(0, 2), (4, 2)]);
}

#[test]
fn the_minimal_program_of_the_target_description() {
    let jumps = [jump(10), jump(5)];
    let body = [
        load_ind_u32(r(3), r(7), 0),
        add_imm_32(r(3), r(3), 1),
        store_u32(r(3), 0x20000),
        load_imm(r(7), 0x20000),
        load_imm(r(8), 4),
        ret(),
    ];
    let mut program = ProgramBlob::default();
    jumps.iter().for_each(|inst| _ = program.push_with_offset_bytes(GP, inst, 4));
    body.iter().for_each(|inst| _ = program.push(GP, inst));
    assert_eq!(program_costs(GP, &program), [(0, 15), (5, 15), (10, 52)]);
}

#[test]
fn branches_are_cheap_next_to_trap_and_unlikely_bytes() {
    let cost_with = |offset: i32, after: Inst| {
        let mut program = ProgramBlob::default();
        program.push_with_offset_bytes(GP, &branch_eq(r(1), r(2), offset), 4);
        program.push(GP, &after);
        program.push(GP, &jump(0));
        program_costs(GP, &program)[0]
    };
    assert_eq!(cost_with(0, fallthrough()), (0, 20));
    assert_eq!(cost_with(0, trap()), (0, 1));
    assert_eq!(cost_with(0, unlikely()), (0, 1));
    assert_eq!(cost_with(2, fallthrough()), (0, 1), "the target is a zero byte inside the branch");
    assert_eq!(cost_with(1000, fallthrough()), (0, 1), "zeros follow the code");
    assert_eq!(cost_with(-1, fallthrough()), (0, 1), "zeros precede the code");
}

#[test]
fn random_blocks_agree_with_the_literal_rules() {
    let mut rng = Rng::new(30);
    let branches: Vec<Opcode> = testing::opcodes(GP).into_iter().filter(|op| op.is_terminator()).collect();
    for _ in 0..6000 {
        let insts = random_block(&mut rng, &branches);
        let cheap = rng.one_in(2);
        assert_eq!(block_cost(GP, &insts, cheap), support::block_cost(&insts, cheap), "{insts:#?}");
    }
}

/// A block that favours some group of opcodes, so that every limit of the model is reached.
#[test]
fn instructions_have_the_gas_that_they_add() {
    let mut rng = Rng::new(31);
    for _ in 0..30 {
        let block = random_block(&mut rng, &[Opcode::JumpInd]);
        let mut program = ProgramBlob::default();
        for inst in &block {
            program.push(GP, inst);
        }
        let costs = instruction_costs(GP, &program, 0);
        assert_eq!(costs.len(), block.len());
        let sums = costs.iter().scan(0, |sum, (_, gas)| {
            *sum += gas;
            Some(*sum)
        });
        let literal: Vec<u32> = (0..block.len()).map(|n| support::block_cost(&block[..=n], false)).collect();
        // A later instruction may make the block cheaper.
        for (n, sum) in sums.enumerate() {
            assert_eq!(Some(sum), literal[n..].iter().min().copied(), "{n} of {block:?}");
        }
    }
}

fn random_block(rng: &mut Rng, terminators: &[Opcode]) -> Vec<Inst> {
    let all: Vec<Opcode> = testing::opcodes(GP).into_iter().filter(|op| !op.is_terminator()).collect();
    let favourites: Vec<Opcode> = (0..1 + rng.below(6)).map(|_| rng.pick(&all)).collect();
    let len = rng.below(100);
    let mut insts: Vec<Inst> = Vec::new();
    for _ in 0..len {
        let choice = if rng.one_in(8) { &all } else { &favourites };
        let op = rng.pick(choice);
        insts.push(Inst::arbitrary(op, rng));
    }
    let terminator = rng.pick(terminators);
    insts.push(Inst::arbitrary(terminator, rng));
    insts
}

/// Reads programs as hex, one per line, and prints the results of the reference for each: validity, block costs, and
/// instructions with their fields.
const REFERENCE_SCRIPT: &str = r"
import sys
from pvmref import *
for line in sys.stdin:
    p = Program(bytes.fromhex(line.strip()), '080')
    print(int(p.valid08()), ' '.join(f'{b}:{gas_for_block(p, b)}' for b in sorted(p.bb)), sep='|', end='|')
    i = 0
    while i < p.cl:
        n, f, d, l = p.dec(i)
        print(i, n, *(f'{k}{s64(v)}' for k, v in sorted(d.items())), sep=' ', end=';')
        i += l
    print()
";

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/targets/pvm/reference");

#[test]
fn programs_agree_with_the_reference() {
    if !Path::new(REFERENCE).join("pvmref.py").exists() {
        println!("notice: {REFERENCE} is absent, the Python reference is not asked");
        return;
    }
    let mut rng = Rng::new(31);
    let mut programs = Vec::new();
    for i in 0..400 {
        let len = 1 + rng.below(120);
        let block_len = 1 + rng.below(40);
        programs.push(match i % 4 {
            0 => testing::wild_program(&mut rng, len),
            _ => testing::program(GP, &mut rng, len, block_len),
        });
    }
    let Some(answers) = ask_reference(&programs) else {
        println!("notice: python3 does not run, the Python reference is not asked");
        return;
    };
    assert_eq!(answers.len(), programs.len());
    for (program, answer) in programs.iter().zip(answers) {
        assert_eq!(our_answer(program), answer);
    }
}

fn ask_reference(programs: &[ProgramBlob]) -> Option<Vec<String>> {
    let mut python = Command::new("python3");
    python.args(["-B", "-c", REFERENCE_SCRIPT]).current_dir(REFERENCE);
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut input = String::new();
    for program in programs {
        program.to_bytes().iter().for_each(|b| input += &format!("{b:02x}"));
        input.push('\n');
    }
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all input");
    assert!(output.status.success(), "the reference failed");
    Some(String::from_utf8(output.stdout).expect("ASCII").lines().map(str::to_owned).collect())
}

fn our_answer(program: &ProgramBlob) -> String {
    let costs: Vec<String> =
        program_costs(GP, program).into_iter().map(|(pc, cost)| format!("{pc}:{cost}")).collect();
    let mut out = format!("{}|{}|", u8::from(is_valid_by_the_text(program)), costs.join(" "));
    for (pc, inst) in program.instructions(GP) {
        out += &format!(
            "{pc} {}{};",
            inst.inst.op(),
            if inst.is_valid { fields(pc, &inst.inst) } else { String::new() }
        );
    }
    out
}

/// Validity by the Gray Paper, which accepts a last instruction that can fall through if it is a terminator.
fn is_valid_by_the_text(program: &ProgramBlob) -> bool {
    match validate(GP, program) {
        Ok(()) => true,
        Err(InvalidProgram { offset, defect: Defect::LastFallsThrough }) => {
            program.decode(GP, offset).inst.op().is_terminator()
        }
        Err(_) => false,
    }
}

/// The operands in the format of the reference: registers a, b, d, immediates x, y, absolute targets.
fn fields(pc: u32, inst: &Inst) -> String {
    let target = || inst.target(pc).expect("an offset");
    match *inst {
        Inst::NoArg { .. } => String::new(),
        Inst::Imm { imm, .. } => format!(" x{imm}"),
        Inst::RegImm64 { dst, imm, .. } => format!(" a{} x{}", dst.index(), imm as i64),
        Inst::Imm2 { addr, value, .. } => format!(" x{addr} y{value}"),
        Inst::Off { .. } => format!(" x{}", target()),
        Inst::RegImm { reg, imm, .. } => format!(" a{} x{imm}", reg.index()),
        Inst::RegImm2 { base, disp, value, .. } => format!(" a{} x{disp} y{value}", base.index()),
        Inst::RegImmOff { reg, imm, .. } => format!(" a{} x{imm} y{}", reg.index(), target()),
        Inst::Reg2 { dst, src, .. } => format!(" a{} d{}", src.index(), dst.index()),
        Inst::Reg2Imm { a, b, imm, .. } => format!(" a{} b{} x{imm}", a.index(), b.index()),
        Inst::Reg2Off { a, b, .. } => format!(" a{} b{} x{}", a.index(), b.index(), target()),
        Inst::Reg2Imm2 { dst, base, imm, disp, .. } => {
            format!(" a{} b{} x{imm} y{disp}", dst.index(), base.index())
        }
        Inst::Reg3 { dst, a, b, .. } => format!(" a{} b{} d{}", a.index(), b.index(), dst.index()),
    }
}
