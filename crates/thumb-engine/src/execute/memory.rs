//! Loads and stores.

use thumb_isa::{Inst, Opcode as O, Reg, RegList};

use super::branch::interworking;
use super::{Next, State, Step};
use crate::fault::Fault;

/// The base register and its new value.
type Writeback = Option<(Reg, u32)>;

/// Executes a load or store of one or two registers.
pub fn single(state: &mut State<'_>, inst: &Inst) -> Step {
    let get = |reg| state.cpu.get(reg);
    let literal = |offset| (state.cpu.pc().wrapping_add(4) & !3).wrapping_add_signed(offset);
    let (op, rt, rt2, address, writeback): (O, Reg, Option<Reg>, u32, Writeback) = match *inst {
        Inst::Mem { op, rt, rn, offset } => (op, rt, None, get(rn).wrapping_add_signed(offset), None),
        Inst::MemPre { op, rt, rn, offset } => {
            let address = get(rn).wrapping_add_signed(offset);
            (op, rt, None, address, Some((rn, address)))
        }
        Inst::MemPost { op, rt, rn, offset } => {
            (op, rt, None, get(rn), Some((rn, get(rn).wrapping_add_signed(offset))))
        }
        Inst::MemReg { op, rt, rn, rm, scale } => {
            (op, rt, None, get(rn).wrapping_add(get(rm) << scale), None)
        }
        Inst::MemLit { op, rt, offset } => (op, rt, None, literal(offset), None),
        Inst::Dual { op, rt, rt2, rn, offset } => {
            (op, rt, Some(rt2), get(rn).wrapping_add_signed(offset), None)
        }
        Inst::DualPre { op, rt, rt2, rn, offset } => {
            let address = get(rn).wrapping_add_signed(offset);
            (op, rt, Some(rt2), address, Some((rn, address)))
        }
        Inst::DualPost { op, rt, rt2, rn, offset } => {
            (op, rt, Some(rt2), get(rn), Some((rn, get(rn).wrapping_add_signed(offset))))
        }
        _ => unreachable!("{inst} is of another family"),
    };
    match rt2 {
        Some(rt2) => dual(state, op, rt, rt2, address)?,
        None => access(state, op, rt, address)?,
    }
    if let Some((base, value)) = writeback {
        state.cpu.set(base, value);
    }
    Ok(Next::Sequential)
}

/// Refuses an address that is no multiple of `bytes`, if the core does.
#[inline]
const fn check(state: &State<'_>, address: u32, bytes: u32) -> Result<(), Fault> {
    if address & (bytes - 1) != 0 && !state.is_unaligned { Err(Fault::Unaligned { address }) } else { Ok(()) }
}

/// Refuses an address that is no multiple of 4.
const fn check_word(address: u32) -> Result<(), Fault> {
    if address & 3 == 0 { Ok(()) } else { Err(Fault::Unaligned { address }) }
}

fn access(state: &mut State<'_>, op: O, rt: Reg, address: u32) -> Result<(), Fault> {
    match op {
        O::Ldr | O::LdrPre | O::LdrPost | O::LdrReg | O::LdrLit => {
            check(state, address, 4)?;
            let value = state.memory.word(address)?;
            state.cpu.set(rt, value);
        }
        O::Str | O::StrPre | O::StrPost | O::StrReg => {
            check(state, address, 4)?;
            state.memory.set_word(address, state.cpu.get(rt))?;
        }
        O::Ldrb | O::LdrbPre | O::LdrbPost | O::LdrbReg | O::LdrbLit => {
            let [byte] = state.memory.load(address)?;
            state.cpu.set(rt, byte.into());
        }
        O::Ldrsb | O::LdrsbPre | O::LdrsbPost | O::LdrsbReg | O::LdrsbLit => {
            let [byte] = state.memory.load(address)?;
            state.cpu.set(rt, byte as i8 as u32);
        }
        O::Strb | O::StrbPre | O::StrbPost | O::StrbReg => {
            state.memory.store(address, [state.cpu.get(rt) as u8])?;
        }
        O::Ldrh | O::LdrhPre | O::LdrhPost | O::LdrhReg | O::LdrhLit => {
            check(state, address, 2)?;
            let value = u16::from_le_bytes(state.memory.load(address)?);
            state.cpu.set(rt, value.into());
        }
        O::Ldrsh | O::LdrshPre | O::LdrshPost | O::LdrshReg | O::LdrshLit => {
            check(state, address, 2)?;
            let value = i16::from_le_bytes(state.memory.load(address)?);
            state.cpu.set(rt, value as u32);
        }
        O::Strh | O::StrhPre | O::StrhPost | O::StrhReg => {
            check(state, address, 2)?;
            state.memory.store(address, (state.cpu.get(rt) as u16).to_le_bytes())?;
        }
        _ => float(state, op, rt, address)?,
    }
    Ok(())
}

fn float(state: &mut State<'_>, op: O, rt: Reg, address: u32) -> Result<(), Fault> {
    check_word(address)?;
    match op {
        O::VldrF32 | O::VldrLitF32 => {
            let bits = state.memory.word(address)?;
            state.cpu.set_single(rt, bits);
        }
        O::VstrF32 => state.memory.set_word(address, state.cpu.single(rt))?,
        O::VldrF64 | O::VldrLitF64 => {
            let bits = u64::from_le_bytes(state.memory.load(address)?);
            state.cpu.set_double(rt, bits);
        }
        O::VstrF64 => state.memory.store(address, state.cpu.double(rt).to_le_bytes())?,
        _ => unreachable!("{op:?} is of another family"),
    }
    Ok(())
}

fn dual(state: &mut State<'_>, op: O, rt: Reg, rt2: Reg, address: u32) -> Result<(), Fault> {
    check_word(address)?;
    let second = address.wrapping_add(4);
    if matches!(op, O::Strd | O::StrdPre | O::StrdPost) {
        state.memory.set_word(address, state.cpu.get(rt))?;
        return state.memory.set_word(second, state.cpu.get(rt2));
    }
    let words = (state.memory.word(address)?, state.memory.word(second)?);
    state.cpu.set(rt, words.0);
    state.cpu.set(rt2, words.1);
    Ok(())
}

/// Executes a load or store of several registers.
pub fn several(state: &mut State<'_>, inst: &Inst) -> Step {
    match *inst {
        Inst::Multi { op, rn, writeback, list } => {
            let (base, bytes) = (state.cpu.get(rn), 4 * list.len() as u32);
            let is_below = matches!(op, O::Stmdb | O::Ldmdb);
            let (start, after) = match is_below {
                true => (base.wrapping_sub(bytes), base.wrapping_sub(bytes)),
                false => (base, base.wrapping_add(bytes)),
            };
            let writeback = writeback.then_some((rn, after));
            transfer(state, matches!(op, O::Ldm | O::Ldmdb), list, start, writeback)
        }
        Inst::Stack { op, list } => {
            let (sp, bytes) = (state.cpu.get(Reg::SP), 4 * list.len() as u32);
            let is_load = op == O::Pop;
            let start = if is_load { sp } else { sp.wrapping_sub(bytes) };
            let after = if is_load { sp.wrapping_add(bytes) } else { start };
            transfer(state, is_load, list, start, Some((Reg::SP, after)))
        }
        Inst::FloatStack { op, first, count } => {
            let is_double = matches!(op, O::VpushF64 | O::VpopF64);
            let (first, words) = match is_double {
                true => (2 * usize::from(first.index()), 2 * count),
                false => (first.index().into(), count),
            };
            let is_load = matches!(op, O::VpopF32 | O::VpopF64);
            float_stack(state, is_load, first, words)
        }
        _ => unreachable!("{inst} is of another family"),
    }
}

fn transfer(state: &mut State<'_>, is_load: bool, list: RegList, start: u32, writeback: Writeback) -> Step {
    check_word(start)?;
    let mut target = None;
    for (n, reg) in (0..).zip(list.iter()) {
        let address = start.wrapping_add(4 * n);
        if !is_load {
            state.memory.set_word(address, state.cpu.get(reg))?;
            continue;
        }
        let word = state.memory.word(address)?;
        if reg == Reg::PC {
            target = Some(word);
        } else {
            state.cpu.set(reg, word);
        }
    }
    if let Some((base, value)) = writeback {
        state.cpu.set(base, value);
    }
    Ok(target.map_or(Ok(Next::Sequential), interworking)?)
}

fn float_stack(state: &mut State<'_>, is_load: bool, first: usize, words: u32) -> Step {
    let sp = state.cpu.get(Reg::SP);
    let start = if is_load { sp } else { sp.wrapping_sub(4 * words) };
    for (n, register) in (0..words).zip(first..) {
        let address = start.wrapping_add(4 * n);
        if is_load {
            state.cpu.floats[register] = state.memory.word(address)?;
        } else {
            state.memory.set_word(address, state.cpu.floats[register])?;
        }
    }
    state.cpu.set(Reg::SP, if is_load { sp.wrapping_add(4 * words) } else { start });
    Ok(Next::Sequential)
}
