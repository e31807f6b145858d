//! Uses of data objects by code, and their placement in the two areas.

use ssa::{Addr, DataId, DataKind, DataObject, ExportItem, IdVec, InstData, Module};

/// Objects placed one after the other from offset 0.
#[derive(Clone, Default)]
pub struct Area {
    /// Each object with its offset.
    pub objects: Vec<(DataId, u32)>,
    /// Bytes of all objects, with the padding between them.
    pub len: u64,
}

impl Area {
    fn push(&mut self, id: DataId, object: &DataObject) {
        let at = self.len.next_multiple_of(u64::from(object.align.max(1)));
        self.objects.push((id, at as u32));
        self.len = at + u64::from(object.size);
    }
}

/// Uses of each data object by code.
pub struct Usage {
    /// Whether code or an export refers to it.
    pub used: IdVec<DataId, bool>,
    /// Whether it may be written: a store names it, or its address is taken.
    written: IdVec<DataId, bool>,
}

impl Usage {
    /// The uses in a module; with `keep_exports`, exports are uses, too.
    pub fn of(module: &Module, keep_exports: bool) -> Self {
        let none = || IdVec::filled(false, module.data.len());
        let mut usage = Self { used: none(), written: none() };
        for func in module.functions.values().flatten() {
            func.insts.values().for_each(|inst| usage.note(inst));
        }
        for export in &module.exports {
            if let ExportItem::Data(id) = export.item
                && (keep_exports || is_memory(&module.data[id]))
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

    /// Appends to `area` all used objects that are read-only, or all that are not; linear memories excepted.
    pub fn place(&self, module: &Module, mut area: Area, read_only: bool) -> Area {
        for (id, object) in module.data.iter().filter(|(id, _)| self.used[*id]) {
            if !is_memory(object) && self.is_constant(id, object) == read_only {
                area.push(id, object);
            }
        }
        area
    }

    /// Whether an object is never written.
    pub fn is_constant(&self, id: DataId, object: &DataObject) -> bool {
        match object.kind {
            DataKind::Memory(_) | DataKind::FixedMemory => false,
            DataKind::Constant => true,
            DataKind::Variable | DataKind::Table => !self.written[id],
        }
    }

    /// Places these objects in an area of their own, instead of with the others.
    pub fn take(&mut self, module: &Module, objects: &[DataId]) -> Area {
        let mut area = Area::default();
        for &id in objects {
            area.push(id, &module.data[id]);
            self.used[id] = false;
        }
        area
    }

    /// Appends the used memories other than the first. Those with initial data come first, so that the zeros of the
    /// others are together.
    pub fn place_memories(&self, module: &Module, mut area: Area) -> Area {
        let memories = fixed_memories(module).filter(|(id, _)| self.used[*id]);
        memories.for_each(|(id, object)| area.push(id, object));
        area
    }
}

/// The memories other than the first, in the order of their addresses.
pub fn fixed_memories(module: &Module) -> impl Iterator<Item = (DataId, &DataObject)> {
    let memories = || module.data.iter().filter(|(_, object)| object.kind == DataKind::FixedMemory);
    let with_data = memories().filter(|(_, object)| !object.init.is_empty());
    with_data.chain(memories().filter(|(_, object)| object.init.is_empty()))
}

fn is_memory(object: &DataObject) -> bool {
    matches!(object.kind, DataKind::Memory(_) | DataKind::FixedMemory)
}
