//! Fields of section headers that the writer of ELF files has no way to set.

use std::collections::BTreeMap;

use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, elf, elf::FileHeader32};

/// Offset of `sh_link` in a section header.
const LINK: usize = 24;
/// Offset of `sh_addralign`.
const ALIGN: usize = 32;

/// Sets the link of every section with stack sizes to the section of code before it, and the alignment of sections by
/// name. The writer aligns the place in the file, too, which for a region of zeros would be as many bytes of nothing.
pub fn complete(file: &mut [u8], alignments: &BTreeMap<String, u64>) {
    let header = FileHeader32::<Endianness>::parse(&*file).expect("the writer writes a header");
    let headers = header.sections(Endianness::Little, &*file).expect("the writer writes sections");
    let mut code = 0;
    let mut fields = Vec::new();
    for (index, section) in headers.iter().enumerate() {
        let flags = section.sh_flags(Endianness::Little);
        if flags.contains(elf::SHF_EXECINSTR) {
            code = index as u32;
        }
        if flags.contains(elf::SHF_LINK_ORDER) {
            fields.push((index, LINK, code));
        }
        let name = headers.section_name(Endianness::Little, section).expect("the writer writes names");
        if let Some(&align) = alignments.get(&*String::from_utf8_lossy(name)) {
            fields.push((index, ALIGN, align as u32));
        }
    }
    let start = header.e_shoff.get(Endianness::Little) as usize;
    let entry = usize::from(header.e_shentsize.get(Endianness::Little));
    for (index, field, value) in fields {
        let at = start + index * entry + field;
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}
