//! Static data of a module with relocations: one object per symbol.
//!
//! The objects exist before translation, with their contents, so that references name the object they mean.

use ssa::{DataId, DataKind, DataObject, EntityId as _, StoredAddress};

use crate::module_info::ModuleInfo;
use crate::names;
use crate::relocations::{Object, Relocations};

/// The objects, to be added to a module that has `first` others.
pub fn objects(relocations: &Relocations, info: &ModuleInfo, wasm: &[u8], first: usize) -> Vec<DataObject> {
    let mut words = relocations.words.iter().peekable();
    let mut objects = Vec::new();
    for (n, object) in (0..).zip(&relocations.objects) {
        let mut addresses = Vec::new();
        while let Some((at, address)) = words.next_if(|(at, _)| *at < object.range.end) {
            // Bytes between objects belong to no object.
            if object.range.start <= *at {
                let target = &relocations.objects[address.object];
                addresses.push(StoredAddress {
                    offset: at - object.range.start,
                    data: DataId::new(first + address.object),
                    addend: address.value.wrapping_sub(target.range.start) as i32,
                });
            }
        }
        objects.push(DataObject {
            name: names::static_symbol(n),
            kind: DataKind::Variable,
            size: object.range.end - object.range.start,
            align: object.align,
            init: bytes(object, info, wasm),
            relocs: Vec::new(),
            addresses,
        });
    }
    objects
}

/// The initial bytes of an object, without zeros at the end.
fn bytes(object: &Object, info: &ModuleInfo, wasm: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; object.range.len()];
    for data in &info.data {
        let Some(start) = data.mode.constant_offset() else { continue };
        let segment = &wasm[data.bytes.clone()];
        let (from, to) = (object.range.start.max(start), object.range.end.min(start + segment.len() as u32));
        if from < to {
            let target = (from - object.range.start) as usize..(to - object.range.start) as usize;
            bytes[target].copy_from_slice(&segment[(from - start) as usize..(to - start) as usize]);
        }
    }
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(len);
    bytes
}
