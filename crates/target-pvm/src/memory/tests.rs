//! Addresses and images of small modules.

use ssa::{
    Addr, DataKind, DataObject, Export, ExportItem, Function, InstData, MemFlags, MemType, Segment,
    Signature, Type,
};

use super::*;

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
        keeps_stack: false,
        native_stack,
    };
    object("memory", DataKind::Memory(memory), 0, &[])
}

fn id(n: usize) -> DataId {
    ssa::EntityId::new(n)
}

const LAYOUT: ProgramLayout = ProgramLayout::SPI;

fn planned(module: &Module, options: &MemoryOptions) -> Result<MemoryPlan, MemoryError> {
    let window = linear_memory(module).map(|memory| Window::of(module, memory, &LAYOUT));
    MemoryPlan::new(module, window, options, LAYOUT)
}

fn plan(module: &Module) -> MemoryPlan {
    planned(module, &MemoryOptions::default()).expect("fits")
}

fn images(module: &Module) -> Images {
    plan(module).images(module, |_| 0).expect("fits")
}

#[test]
fn memory_alone_begins_with_the_area_and_ends_with_the_heap() {
    let module = module(vec![memory(2, &[(1024, b"abc")], None)], &[0], &[]);
    let plan = plan(&module);
    assert_eq!(plan.linear_base(), 0x2_0000);
    assert_eq!(plan.rw_end, 0x4_0000);
    let images = images(&module);
    assert_eq!(images.rw.len(), 1027);
    assert_eq!(images.heap_pages, 31);
}

#[test]
fn a_fused_stack_below_the_data_is_not_stored() {
    let module = module(vec![memory(17, &[(0x10_0000, b"abc")], Some(0x10_0000))], &[0], &[]);
    let plan = plan(&module);
    assert_eq!(plan.linear_base(), 0x2_0000u32.wrapping_sub(0x10_0000));
    assert_eq!(plan.rw_end, 0x3_0000);
    assert_eq!(images(&module).stack_size, 2 << 20);
    assert_eq!(images(&module).rw, b"abc");
}

#[test]
fn a_fused_stack_above_the_data_keeps_the_window_whole() {
    let module = module(vec![memory(2, &[(1024, b"abc")], Some(0x1_0400))], &[0], &[]);
    assert_eq!(plan(&module).linear_base(), 0x2_0000);
    assert_eq!(images(&module).stack_size, MACHINE_STACK + 0x1_0000);
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
    let loose = planned(&module, &MemoryOptions { guard: false, ..MemoryOptions::default() });
    assert_eq!(loose.expect("fits").linear_base(), 0x2_0010);
}

#[test]
fn further_memories_are_between_variables_and_linear_memory() {
    let objects = vec![
        memory(1, &[(0, b"m")], None),
        object("zeros", DataKind::FixedMemory, 0x5001, &[]),
        object("more", DataKind::FixedMemory, 0x3000, b"more"),
        object("g", DataKind::Variable, 4, &[7]),
        object("c", DataKind::Constant, 8, b"constant"),
    ];
    let module = module(objects, &[0, 1, 2, 3], &[4]);
    let plan = plan(&module);
    // The constant is in the padding before linear memory, and the memory with data comes first.
    assert_eq!(
        [3, 4, 2, 1, 0].map(|n| plan.address(id(n))),
        [0x2_0000, 0x2_0008, 0x2_0010, 0x2_3010, 0x2_9000]
    );
    let images = images(&module);
    assert_eq!(&images.rw[..20], b"\x07\0\0\0\0\0\0\0constantmore");
    assert_eq!((images.rw.len(), images.rw[0x9000]), (0x9001, b'm'));
    let strict = planned(&module, &MemoryOptions { guard: false, ..MemoryOptions::default() });
    assert_eq!(strict.expect("fits").linear_base(), 0x3_8010);
}

#[test]
fn a_further_memory_that_does_not_fit_is_an_error() {
    let objects = vec![memory(1, &[], None), object("more", DataKind::FixedMemory, 0xf000_0000, &[])];
    let error = planned(&module(objects, &[0, 1], &[]), &MemoryOptions::default());
    assert!(matches!(error, Err(MemoryError::Heap { .. })), "{error:?}");
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
    let kept = planned(&module, &MemoryOptions { keep_exports: true, ..MemoryOptions::default() });
    assert_eq!(kept.expect("fits").address(id(1)), 0x2_0000);
}

fn identity(module: &Module, first: u32) -> MemoryPlan {
    let window = Window { memory: id(0), first, replaced_stack: 0, is_identity: true };
    MemoryPlan::new(module, Some(window), &MemoryOptions::default(), LAYOUT).expect("fits")
}

#[test]
fn wasm_addresses_are_pvm_addresses_if_the_rest_fits_below() {
    let objects = vec![
        memory(17, &[], Some(0x10_0000)),
        object("g", DataKind::Variable, 4, &[7]),
        object("c", DataKind::Constant, 8, b"constant"),
    ];
    let module = module(objects, &[0, 1], &[2]);
    let plan = identity(&module, 0x10_0000);
    assert_eq!((plan.linear_base(), plan.address(id(1)), plan.rw_end), (0, 0x2_0000, 0x11_0000));
    let images = plan.images(&module, |_| 0).expect("fits");
    assert_eq!((images.rw.len(), images.heap_pages), (16, 0xef));
    assert_eq!(identity(&module, 0x1_8000).linear_base(), 0x9000);
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
    let error = planned(&large, &MemoryOptions::default());
    assert_eq!(error, Err(too_large(&LAYOUT, 1 << 32)));
    let small = module(vec![memory(1, &[], None)], &[0], &[]);
    let options = MemoryOptions { stack_size: Some(1 << 24), ..MemoryOptions::default() };
    assert_eq!(
        planned(&small, &options),
        Err(MemoryError::Stack { bytes: 1 << 24, max: LAYOUT.max_stack() })
    );
    let constant = module(vec![object("c", DataKind::Constant, 1 << 24, &[])], &[], &[0]);
    let error = planned(&constant, &MemoryOptions::default());
    assert_eq!(error, Err(MemoryError::ReadOnly { bytes: 1 << 24, max: LAYOUT.max_area }));
}

#[test]
fn places_are_those_of_the_layout() {
    let objects = vec![
        memory(1, &[(0, b"m")], None),
        object("g", DataKind::Variable, 4, &[7]),
        object("c", DataKind::Constant, 0x3000, b"constant"),
    ];
    let module = module(objects, &[0, 1], &[2]);
    let layout =
        ProgramLayout { page: 0x100, ro_start: 0x400, lowest_rw_start: 0x800, zone: 0x2000, ..LAYOUT };
    let window = Window::of(&module, id(0), &layout);
    let plan = MemoryPlan::new(&module, Some(window), &MemoryOptions::default(), layout).expect("fits");
    assert_eq!([2, 1, 0].map(|n| plan.address(id(n))), [0x400, 0x4800, 0x4900]);
    let images = plan.images(&module, |_| 0).expect("fits");
    assert_eq!((images.rw.len(), images.heap_pages), (0x101, 0xff));
}

#[test]
#[should_panic(expected = "place for one linear memory")]
fn a_second_memory_has_no_place() {
    linear_memory(&module(vec![memory(1, &[], None), memory(1, &[], None)], &[], &[]));
}
