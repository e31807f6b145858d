//! Build attributes: the core and the conventions of the code.
//!
//! The section `.ARM.attributes` is a version byte and one subsection of vendor `aeabi` about the whole file: tags in
//! ascending order with values as ULEB128 numbers, or strings. Linkers compare them between objects. (ABI for the Arm
//! Architecture, Addenda, chapter 3.)
//!
//! The sizes of `wchar_t` and of enumerations are left out. The objects use neither, so they link with objects of every
//! choice, and an attribute would be compared. For the same reason there is no `.note.GNU-stack`: if one object has
//! that section, GNU linkers warn about all that don't, and objects of GCC and its libraries for these cores don't.

use crate::isa::Thumb;
use crate::isa::cpu::{Architecture, Cpu};

/// The attributes of a core as tag and value. If no signature has floats, the object is compatible with both ways of
/// passing them.
fn numbers(target: &Thumb, passes_floats: bool) -> Vec<(u8, u8)> {
    let cpu = target.cpu;
    let (architecture, thumb) = match cpu.architecture() {
        Architecture::V6M => (12, 1),
        Architecture::V7M => (10, 2),
        Architecture::V7EM => (13, 2),
        Architecture::V8MBase => (16, 3),
        Architecture::V8MMain => (17, 3),
        Architecture::V81MMain => (21, 3),
    };
    // CPU_arch, CPU_arch_profile 'M', ARM_ISA_use none, THUMB_ISA_use.
    let mut list = vec![(6, architecture), (7, b'M'), (8, 0), (9, thumb)];
    match cpu {
        Cpu::M4F => list.push((10, 6)),
        Cpu::M7DP | Cpu::M33F | Cpu::M55DP | Cpu::M85DP => list.push((10, 8)),
        _ => {}
    }
    // FP_denormal, FP_exceptions, FP_number_model: IEEE 754; ALIGN_NEEDED and ALIGN_PRESERVED 8.
    list.extend([(20, 1), (21, 1), (23, 3), (24, 1), (25, 1)]);
    if cpu.has_single() && !cpu.has_double() {
        list.push((27, 1));
    }
    // ABI_VFP_args.
    match (passes_floats, cpu.has_single() && !target.softfp) {
        (false, _) => list.push((28, 3)),
        (true, true) => list.push((28, 1)),
        (true, false) => {}
    }
    // CPU_unaligned_access.
    list.push((34, u8::from(cpu.has_main() && !target.strict_align)));
    if matches!(cpu.architecture(), Architecture::V8MMain | Architecture::V81MMain) {
        // DSP_extension.
        list.push((46, 1));
    }
    list
}

/// The contents of the section.
pub fn section(target: &Thumb, passes_floats: bool) -> Vec<u8> {
    let mut tags = Vec::new();
    // CPU_name.
    tags.push(5);
    tags.extend(target.cpu.attribute_name().bytes());
    tags.push(0);
    numbers(target, passes_floats).into_iter().for_each(|(tag, value)| tags.extend([tag, value]));
    // Tag_File and its length, which includes both.
    let mut file = vec![1];
    file.extend((tags.len() as u32 + 5).to_le_bytes());
    file.extend(tags);
    let vendor = b"aeabi\0";
    let mut section = vec![b'A'];
    section.extend((4 + vendor.len() as u32 + file.len() as u32).to_le_bytes());
    section.extend(vendor);
    section.extend(file);
    section
}
