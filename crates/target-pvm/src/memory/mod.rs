//! The memory plan: addresses of all data objects in the PVM's address space.
//!
//! A standard program has a read-only area and a read-write area, each stored as one run of bytes from its start. Zeros
//! after the last stored read-write byte cost nothing; zeros between stored bytes are stored. The plan therefore puts
//! all stored bytes together and all zeros after them.
//!
//! ```text
//! 0x10000      read-only area: constants, and tables and variables that are never written
//! rw_start     variables and written tables │ linear memory from its first live byte, to the end of the heap
//! ...
//! 0xfefe0000   end of the machine stack
//! ```
//!
//! - **Linear memory is a window**: `pvm = wasm + base` modulo 2^32, for one constant `base`. It is the last object of
//!   the read-write area, so it ends where the heap ends and grows by growing the heap. In guard mode the first page
//!   after it is the first unmapped one, which requires a page-aligned base. With explicit bounds checks an alignment
//!   of 16 bytes suffices and saves padding: naturally aligned accesses still never cross a page.
//! - **A fused shadow stack needs no linear memory.** If every segment is above the initial stack pointer (the linker
//!   put the stack first), the window begins at the stack pointer and the base may be negative. If data is below it,
//!   the range of the stack also has zero-initialised data of unknown size. It stays mapped, and costs nothing because
//!   it is all zeros after the data.
//! - **The best base is 0.** It makes every access shorter, but leaves a hole between the start of the area and the
//!   data. [`crate::prepare::sparse`] decides whether code copies the data at the start instead of storing it with the hole;
//!   [`Window::is_identity`] tells the plan.
//! - **The padding before the window is used**: constants go there if all of them fit.
//! - **The machine stack** has [`MACHINE_STACK`] bytes for return addresses and spilled values, plus the size of the
//!   shadow stack it replaces. It is not stored, so a generous size costs nothing.
//!
//! Only objects that code or (on request) exports refer to get an address; asking for another object's address is a
//! bug.

use pvm_isa::spi;
use ssa::{Addr, DataId, DataKind, DataObject, ExportItem, IdVec, InstData, LinearMemory, Module};

/// Bytes of machine stack for values that wasm engines keep outside of linear memory.
pub const MACHINE_STACK: u32 = 1 << 20;

/// Maximum size of the stack in bytes: the container's limit, in whole pages.
pub const MAX_STACK: u32 = spi::MAX_AREA_LEN / spi::PAGE_SIZE * spi::PAGE_SIZE;

/// Memory options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryOptions {
    /// Bytes of machine stack; `None` derives it from the module.
    pub stack_size: Option<u32>,
    /// Whether the first byte after linear memory (rounded up to a page) must be unmapped: guard mode.
    pub guard: bool,
    /// Whether exported globals and tables get an address even if no code refers to them.
    pub keep_exports: bool,
    /// The part of linear memory in use, if its segments don't tell because [`crate::prepare::sparse`] has changed them.
    pub window: Option<Window>,
}

/// The part of linear memory in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The first wasm address that needs memory.
    pub first: u32,
    /// Upper bound of the size in bytes of the shadow stack that the machine stack replaces.
    pub replaced_stack: u64,
    /// Whether wasm addresses are PVM addresses, provided that everything else fits below: memory has no stored
    /// contents.
    pub is_identity: bool,
}

impl Window {
    /// The window according to a memory's segments: see the module documentation. Zeros in segments count as in use.
    pub fn of(memory: &LinearMemory) -> Self {
        let first = first_live_byte(memory);
        Self { first, replaced_stack: replaced_stack(memory), is_identity: false }
    }
}

/// Where the read-write area begins if there is no read-only area.
pub fn lowest_rw_start() -> u32 {
    spi::rw_start(0)
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { stack_size: None, guard: true, keep_exports: false, window: None }
    }
}

/// Reasons why a module's memory does not fit a standard program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MemoryError {
    /// The read-only data is too large.
    #[error("{0} bytes of constant data exceed the container's limit of {max} bytes", max = spi::MAX_AREA_LEN)]
    ReadOnly(u64),
    /// The initial read-write data is too large.
    #[error("{0} bytes of initial data exceed the container's limit of {max} bytes", max = spi::MAX_AREA_LEN)]
    ReadWrite(u64),
    /// The zeros after the read-write data are too many.
    #[error(
        "an initial linear memory of {0} bytes exceeds the container's limit of {max} heap pages and {bytes} bytes",
        max = u16::MAX,
        bytes = spi::MAX_AREA_LEN
    )]
    Heap(u64),
    /// The stack is too large.
    #[error(
        "a stack of {0} bytes exceeds the container's limit of {MAX_STACK} bytes; set a smaller one with --stack-size"
    )]
    Stack(u64),
}

/// Addresses of all data objects. See the module documentation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryPlan {
    addresses: IdVec<DataId, Option<u32>>,
    /// The object that is linear memory, if it has an address.
    memory: Option<DataId>,
    linear_base: u32,
    ro_len: u32,
    rw_start: u32,
    /// End of all initial read-write memory, zeros included; a multiple of the page size.
    rw_end: u32,
    stack_size: u32,
}

/// The two areas' initial bytes, for the container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Images {
    /// Read-only bytes.
    pub ro: Vec<u8>,
    /// Read-write bytes, without trailing zeros.
    pub rw: Vec<u8>,
    /// Zeroed pages after the read-write bytes.
    pub heap_pages: u16,
}

impl MemoryPlan {
    /// Plans the memory of a module. Code must not refer to further objects afterwards.
    ///
    /// # Errors
    /// If an area exceeds the limits of the container.
    pub fn new(module: &Module, options: &MemoryOptions) -> Result<Self, MemoryError> {
        let usage = Usage::of(module, options.keep_exports);
        let memory = module.memory().filter(|(id, _)| usage.used[*id]);
        let in_use = options.window.or_else(|| module.memory().map(|(_, memory)| Window::of(memory)));
        let live_start = in_use.filter(|_| memory.is_some()).map_or(0, |window| window.first);
        let is_identity = in_use.is_some_and(|window| window.is_identity);
        let align = if options.guard { spi::PAGE_SIZE } else { UNGUARDED_ALIGN };
        let window = |rw_start: u32, front: u64| -> i64 {
            let first = i64::from(rw_start) + front as i64 - i64::from(live_start);
            if is_identity && first <= 0 { 0 } else { next_multiple_of(first, align) }
        };

        let constants = usage.place(module, Area::default(), true);
        let mut front = usage.place(module, Area::default(), false);
        let both = usage.place(module, front.clone(), true);
        let slack = window(spi::rw_start(0), front.len) + i64::from(live_start) - i64::from(spi::rw_start(0));
        let mut ro = Area::default();
        if memory.is_some() && both.len as i64 <= slack {
            front = both;
        } else {
            ro = constants;
        }
        let ro_len = limited(ro.len, spi::MAX_AREA_LEN).map_err(MemoryError::ReadOnly)?;
        let front_len = limited(front.len, spi::MAX_AREA_LEN).map_err(MemoryError::ReadWrite)?;
        let rw_start = spi::rw_start(ro_len);
        let base = if memory.is_some() { window(rw_start, front.len) } else { 0 };
        let rw_end = rw_end(rw_start, front_len, memory.map(|(_, memory)| (base, memory)))?;

        let mut addresses = IdVec::filled(None, module.data.len());
        ro.objects.iter().for_each(|&(id, at)| addresses[id] = Some(spi::RO_START + at));
        front.objects.iter().for_each(|&(id, at)| addresses[id] = Some(rw_start + at));
        if let Some((id, _)) = memory {
            addresses[id] = Some(base as u32);
        }
        let replaced_stack = in_use.map_or(0, |window| window.replaced_stack);
        let stack_size = stack_size(replaced_stack, options)?;
        let memory = memory.map(|(id, _)| id);
        Ok(Self { addresses, memory, linear_base: base as u32, ro_len, rw_start, rw_end, stack_size })
    }

    /// The PVM address of a data object; of linear memory, of its byte 0 (which need not be mapped).
    ///
    /// # Panics
    /// If the object was not referred to when the plan was made.
    pub fn address(&self, data: DataId) -> u32 {
        self.addresses[data].unwrap_or_else(|| {
            panic!("{data} has no address: no code referred to it when memory was planned")
        })
    }

    /// The PVM address of a data object, if it has one.
    pub fn try_address(&self, data: DataId) -> Option<u32> {
        self.addresses.get(data).copied().flatten()
    }

    /// `base` in `pvm = wasm + base` modulo 2^32; 0 without linear memory.
    pub fn linear_base(&self) -> u32 {
        self.linear_base
    }

    /// Address of the read-write area.
    pub fn rw_start(&self) -> u32 {
        self.rw_start
    }

    /// End of the initial heap, a multiple of the page size.
    pub fn heap_end(&self) -> u32 {
        self.rw_end
    }

    /// Bytes of machine stack.
    pub fn stack_size(&self) -> u32 {
        self.stack_size
    }

    /// The initial bytes of both areas. `reference` gives the value of a function reference.
    ///
    /// # Errors
    /// If the zeros after the stored bytes are too many for the container.
    pub fn images(
        &self,
        module: &Module,
        mut reference: impl FnMut(ssa::FuncId) -> u64,
    ) -> Result<Images, MemoryError> {
        let mut ro = vec![0; self.ro_len as usize];
        let mut rw = Vec::new();
        for (id, object) in module.data.iter() {
            let Some(address) = self.addresses[id] else { continue };
            if let DataKind::Memory(memory) = &object.kind {
                for segment in memory.segments.iter().filter(|segment| !segment.bytes.is_empty()) {
                    let address = self.linear_base.wrapping_add(segment.offset);
                    write_at(&mut rw, (address - self.rw_start) as usize, &segment.bytes);
                }
                continue;
            }
            let (area, start) =
                if address < self.rw_start { (&mut ro, spi::RO_START) } else { (&mut rw, self.rw_start) };
            let at = (address - start) as usize;
            write_at(area, at, &object.init);
            for reloc in &object.relocs {
                write_at(area, at + reloc.offset as usize, &reference(reloc.func).to_le_bytes());
            }
            for stored in &object.addresses {
                let address = self.address(stored.data).wrapping_add_signed(stored.addend);
                write_at(area, at + stored.offset as usize, &address.to_le_bytes());
            }
        }
        let used = rw.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        rw.truncate(used);
        let heap_pages = self.heap_pages(&mut rw)?;
        limited(rw.len() as u64, spi::MAX_AREA_LEN).map_err(MemoryError::ReadWrite)?;
        Ok(Images { ro, rw, heap_pages })
    }

    /// The number of zeroed pages after the stored bytes. Pages beyond the container's maximum are stored instead.
    fn heap_pages(&self, rw: &mut Vec<u8>) -> Result<u16, MemoryError> {
        let stored = spi::page_align(rw.len() as u32);
        let pages = (self.rw_end - self.rw_start - stored) / spi::PAGE_SIZE;
        let Some(excess) = pages.checked_sub(u16::MAX.into()).filter(|&excess| excess > 0) else {
            return Ok(pages as u16);
        };
        // A page counts as stored if its first byte is, so the last of these pages needs only one byte.
        let len = stored + (excess - 1) * spi::PAGE_SIZE + 1;
        if len > spi::MAX_AREA_LEN {
            return Err(MemoryError::Heap(u64::from(pages) * u64::from(spi::PAGE_SIZE)));
        }
        rw.resize(len as usize, 0);
        Ok(u16::MAX)
    }
}

/// Alignment of the window when explicit checks guard linear memory.
const UNGUARDED_ALIGN: u32 = 16;

/// Objects placed one after the other from offset 0.
#[derive(Clone, Default)]
struct Area {
    objects: Vec<(DataId, u32)>,
    len: u64,
}

impl Area {
    fn push(&mut self, id: DataId, object: &DataObject) {
        let at = self.len.next_multiple_of(u64::from(object.align.max(1)));
        self.objects.push((id, at as u32));
        self.len = at + u64::from(object.size);
    }
}

/// Uses of each data object by code.
struct Usage {
    used: IdVec<DataId, bool>,
    /// Whether it may be written: a store names it, or its address is taken.
    written: IdVec<DataId, bool>,
}

impl Usage {
    fn of(module: &Module, keep_exports: bool) -> Self {
        let none = || IdVec::filled(false, module.data.len());
        let mut usage = Self { used: none(), written: none() };
        for func in module.functions.values().flatten() {
            func.insts.values().for_each(|inst| usage.note(inst));
        }
        for export in &module.exports {
            if let ExportItem::Data(id) = export.item
                && (keep_exports || matches!(module.data[id].kind, DataKind::Memory(_)))
            {
                usage.used[id] = true;
                usage.written[id] = true;
            }
        }
        usage.note_stored(module);
        usage
    }

    /// Marks objects whose addresses are stored in used ones as read and written. Every object is visited once.
    fn note_stored(&mut self, module: &Module) {
        let mut pending: Vec<DataId> =
            self.used.iter().filter(|(_, used)| **used).map(|(id, _)| id).collect();
        while let Some(id) = pending.pop() {
            for stored in &module.data[id].addresses {
                self.written[stored.data] = true;
                if !std::mem::replace(&mut self.used[stored.data], true) {
                    pending.push(stored.data);
                }
            }
        }
    }

    fn note(&mut self, inst: &InstData) {
        match inst {
            InstData::Load { addr: Addr { base: Some(id), .. }, .. } => self.used[*id] = true,
            InstData::Store { addr: Addr { base: Some(id), .. }, .. }
            | InstData::DataAddr { data: id, .. } => {
                self.used[*id] = true;
                self.written[*id] = true;
            }
            _ => {}
        }
    }

    /// Appends to `area` all used objects that are read-only, or all that are not; linear memory excepted.
    fn place(&self, module: &Module, mut area: Area, read_only: bool) -> Area {
        for (id, object) in module.data.iter().filter(|(id, _)| self.used[*id]) {
            let constant = match object.kind {
                DataKind::Memory(_) => continue,
                DataKind::Constant => true,
                DataKind::Variable | DataKind::Table => !self.written[id],
            };
            if constant == read_only {
                area.push(id, object);
            }
        }
        area
    }
}

/// The first wasm address that needs memory.
fn first_live_byte(memory: &LinearMemory) -> u32 {
    let mut segments = memory.segments.iter().filter(|segment| !segment.bytes.is_empty()).peekable();
    match memory.native_stack {
        Some(top) if segments.peek().is_some() && segments.all(|segment| segment.offset >= top) => top,
        _ => 0,
    }
}

/// See [`Window::replaced_stack`].
fn replaced_stack(memory: &LinearMemory) -> u64 {
    let Some(top) = memory.native_stack else { return 0 };
    let present = memory.segments.iter().filter(|segment| !segment.bytes.is_empty());
    let ends = present.map(|segment| u64::from(segment.offset) + segment.bytes.len() as u64);
    let below = ends.filter(|&end| end <= u64::from(top)).max().unwrap_or(0);
    let bytes = u64::from(top) - below;
    // With data below, zero-initialised data is part of this range, which may be huge.
    if below > 0 { bytes.min(u64::from(MAX_STACK - MACHINE_STACK)) } else { bytes }
}

fn stack_size(replaced: u64, options: &MemoryOptions) -> Result<u32, MemoryError> {
    let bytes = options.stack_size.map_or(u64::from(MACHINE_STACK) + replaced, u64::from);
    let bytes = bytes.max(1).next_multiple_of(u64::from(spi::PAGE_SIZE));
    limited(bytes, MAX_STACK).map_err(MemoryError::Stack)
}

/// The end of the initial heap in whole pages. `memory` is linear memory with its base.
fn rw_end(rw_start: u32, front: u32, memory: Option<(i64, &LinearMemory)>) -> Result<u32, MemoryError> {
    let front_end = i64::from(rw_start) + i64::from(front);
    let end = memory.map_or(front_end, |(base, memory)| front_end.max(base + memory.min_bytes as i64));
    let end = next_multiple_of(end, spi::PAGE_SIZE);
    // Stored bytes and zeroed pages together; the exact split is known with the images.
    let limit = i64::from(spi::MAX_AREA_LEN) + i64::from(u16::MAX) * i64::from(spi::PAGE_SIZE);
    match u32::try_from(end) {
        Ok(fits) if end - i64::from(rw_start) <= limit => Ok(fits),
        _ => Err(MemoryError::Heap((end - i64::from(rw_start)) as u64)),
    }
}

/// `bytes` as `u32` if it is at most `max`, else itself as the error.
fn limited(bytes: u64, max: u32) -> Result<u32, u64> {
    u32::try_from(bytes).ok().filter(|&fits| fits <= max).ok_or(bytes)
}

/// The smallest multiple of `align` that is at least `value`, which may be negative.
fn next_multiple_of(value: i64, align: u32) -> i64 {
    let align = i64::from(align);
    (value + align - 1).div_euclid(align) * align
}

/// Writes bytes at an offset of an image, which is extended with zeros if it ends before.
fn write_at(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssa::{Export, Function, MemFlags, MemType, Segment, Signature, Type};

    /// A module with the given objects, whose only function stores to `stored` and loads from `loaded`.
    fn module(objects: Vec<DataObject>, stored: &[usize], loaded: &[usize]) -> Module {
        let mut module = Module::default();
        let ids: Vec<DataId> = objects.into_iter().map(|object| module.data.push(object)).collect();
        let sig = module.intern_signature(Signature { params: vec![Type::I64], results: vec![] });
        let mut func = Function::new("f", sig);
        let block = func.add_block();
        let value = func.add_param(block, Type::I64);
        let addr = |n: &usize| Addr { base: Some(ids[*n]), index: None, offset: 0 };
        let flags = MemFlags::default();
        for n in stored {
            func.append(block, InstData::Store { mem: MemType::I64, addr: addr(n), value, flags }, &[]);
        }
        for n in loaded {
            let load = InstData::Load { mem: MemType::I64, ty: Type::I64, addr: addr(n), flags };
            func.append(block, load, &[Type::I64]);
        }
        func.append(block, InstData::Return { args: vec![] }, &[]);
        let kind = ssa::FuncKind::Local;
        module.decls.push(ssa::FuncDecl { name: "f".into(), sig, kind });
        module.functions.push(Some(func));
        module
    }

    fn object(name: &str, kind: DataKind, size: u32, init: &[u8]) -> DataObject {
        DataObject {
            name: name.into(),
            kind,
            size,
            align: 8,
            init: init.to_vec(),
            relocs: vec![],
            addresses: vec![],
        }
    }

    fn memory(pages: u64, segments: &[(u32, &[u8])], native_stack: Option<u32>) -> DataObject {
        let segments = segments.iter().map(|&(offset, bytes)| Segment { offset, bytes: bytes.to_vec() });
        let memory = LinearMemory {
            min_bytes: pages << 16,
            max_bytes: None,
            page_log2: 16,
            segments: segments.collect(),
            grows: false,
            native_stack,
        };
        object("memory", DataKind::Memory(memory), 0, &[])
    }

    fn id(n: usize) -> DataId {
        ssa::EntityId::new(n)
    }

    fn plan(module: &Module) -> MemoryPlan {
        MemoryPlan::new(module, &MemoryOptions::default()).expect("fits")
    }

    fn images(module: &Module) -> Images {
        plan(module).images(module, |_| 0).expect("fits")
    }

    #[test]
    fn memory_alone_begins_with_the_area_and_ends_with_the_heap() {
        let module = module(vec![memory(2, &[(1024, b"abc")], None)], &[0], &[]);
        let plan = plan(&module);
        assert_eq!(plan.linear_base(), 0x2_0000);
        assert_eq!(plan.heap_end(), 0x4_0000);
        let images = images(&module);
        assert_eq!(images.rw.len(), 1027);
        assert_eq!(images.heap_pages, 31);
    }

    #[test]
    fn a_fused_stack_below_the_data_is_not_stored() {
        let module = module(vec![memory(17, &[(0x10_0000, b"abc")], Some(0x10_0000))], &[0], &[]);
        let plan = plan(&module);
        assert_eq!(plan.linear_base(), 0x2_0000u32.wrapping_sub(0x10_0000));
        assert_eq!(plan.heap_end(), 0x3_0000);
        assert_eq!(plan.stack_size(), 2 << 20);
        assert_eq!(images(&module).rw, b"abc");
    }

    #[test]
    fn a_fused_stack_above_the_data_keeps_the_window_whole() {
        let module = module(vec![memory(2, &[(1024, b"abc")], Some(0x1_0400))], &[0], &[]);
        assert_eq!(plan(&module).linear_base(), 0x2_0000);
        assert_eq!(plan(&module).stack_size(), MACHINE_STACK + 0x1_0000);
        let no_data = self::module(vec![memory(2, &[], Some(0x1_0400))], &[0], &[]);
        assert_eq!(plan(&no_data).linear_base(), 0x2_0000);
    }

    #[test]
    fn variables_come_first_and_constants_fill_the_padding() {
        let objects = vec![
            memory(1, &[(0, b"m")], None),
            object("g", DataKind::Variable, 4, &[7]),
            object("c", DataKind::Constant, 8, b"constant"),
            object("unused", DataKind::Variable, 4, &[9]),
        ];
        let module = module(objects, &[0, 1], &[2]);
        let plan = plan(&module);
        assert_eq!((plan.address(id(1)), plan.address(id(2))), (0x2_0000, 0x2_0008));
        assert_eq!(plan.linear_base(), 0x2_1000);
        assert_eq!(plan.try_address(id(3)), None);
        let images = images(&module);
        assert_eq!(&images.rw[..16], b"\x07\0\0\0\0\0\0\0constant");
        assert_eq!((images.rw.len(), images.ro.len()), (0x1001, 0));
        let loose = MemoryPlan::new(&module, &MemoryOptions { guard: false, ..MemoryOptions::default() });
        assert_eq!(loose.expect("fits").linear_base(), 0x2_0010);
    }

    #[test]
    fn data_without_stores_is_read_only() {
        let objects = vec![
            object("t", DataKind::Table, 16, &[]),
            object("c", DataKind::Constant, 8, b"constant"),
            object("v", DataKind::Variable, 8, &[1]),
        ];
        let mut module = module(objects, &[2], &[0, 1]);
        module.data[id(0)].relocs.push(ssa::Relocation { offset: 8, func: ssa::EntityId::new(0) });
        let plan = plan(&module);
        assert_eq!([0, 1, 2].map(|n| plan.address(id(n))), [0x1_0000, 0x1_0010, 0x3_0000]);
        let images = plan.images(&module, |_| 0x1_0000_0002).expect("fits");
        assert_eq!(images.ro, b"\0\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0constant");
        assert_eq!((images.rw.as_slice(), images.heap_pages), (&[1][..], 0));
    }

    #[test]
    fn exports_keep_memory_and_on_request_the_rest() {
        let objects = vec![memory(1, &[(8, b"m")], None), object("g", DataKind::Variable, 4, &[7])];
        let mut module = module(objects, &[], &[]);
        for n in 0..2 {
            module.exports.push(Export { name: n.to_string(), item: ExportItem::Data(id(n)) });
        }
        assert_eq!(plan(&module).try_address(id(0)), Some(0x2_0000));
        assert_eq!(plan(&module).try_address(id(1)), None);
        let kept =
            MemoryPlan::new(&module, &MemoryOptions { keep_exports: true, ..MemoryOptions::default() });
        assert_eq!(kept.expect("fits").address(id(1)), 0x2_0000);
    }

    fn identity(first: u32) -> Option<Window> {
        Some(Window { first, replaced_stack: 0, is_identity: true })
    }

    #[test]
    fn wasm_addresses_are_pvm_addresses_if_the_rest_fits_below() {
        let objects = vec![
            memory(17, &[], Some(0x10_0000)),
            object("g", DataKind::Variable, 4, &[7]),
            object("c", DataKind::Constant, 8, b"constant"),
        ];
        let module = module(objects, &[0, 1], &[2]);
        let options = MemoryOptions { window: identity(0x10_0000), ..MemoryOptions::default() };
        let plan = MemoryPlan::new(&module, &options).expect("fits");
        assert_eq!((plan.linear_base(), plan.address(id(1)), plan.heap_end()), (0, 0x2_0000, 0x11_0000));
        let images = plan.images(&module, |_| 0).expect("fits");
        assert_eq!((images.rw.len(), images.heap_pages), (16, 0xef));
        let options = MemoryOptions { window: identity(0x1_8000), ..MemoryOptions::default() };
        assert_eq!(MemoryPlan::new(&module, &options).expect("fits").linear_base(), 0x9000);
    }

    #[test]
    fn zeros_are_stored_where_heap_pages_are_too_few() {
        for (pages, stored, heap) in [(4095, 0, 0xfff0), (4097, 16 * 4096 + 1, 0xffff)] {
            let images = images(&module(vec![memory(pages, &[], None)], &[0], &[]));
            assert_eq!((images.rw.len(), images.heap_pages), (stored, heap), "{pages} pages");
        }
        let data = module(vec![memory(4351, &[(5, b"data")], None)], &[0], &[]);
        let images = images(&data);
        assert_eq!((images.rw.len(), images.heap_pages), (4080 * 4096 + 1, 0xffff));
    }

    #[test]
    fn limits_are_errors() {
        let large = module(vec![memory(1 << 16, &[], None)], &[0], &[]);
        let error = MemoryPlan::new(&large, &MemoryOptions::default());
        assert_eq!(error, Err(MemoryError::Heap(1 << 32)));
        let small = module(vec![memory(1, &[], None)], &[0], &[]);
        let options = MemoryOptions { stack_size: Some(1 << 24), ..MemoryOptions::default() };
        assert_eq!(MemoryPlan::new(&small, &options), Err(MemoryError::Stack(1 << 24)));
        let constant = module(vec![object("c", DataKind::Constant, 1 << 24, &[])], &[], &[0]);
        let error = MemoryPlan::new(&constant, &MemoryOptions::default());
        assert_eq!(error, Err(MemoryError::ReadOnly(1 << 24)));
    }
}
