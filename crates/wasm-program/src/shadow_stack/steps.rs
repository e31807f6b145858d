//! How one function uses the shadow stack: operators without control flow.
//!
//! Two kinds of checks are made here. The first is whether the function's part of the stack can be a frame at all: the
//! stack pointer is lowered by constants and alignments only, and nothing above its value at entry is accessed. The
//! second is whether addresses of the stack are used as compilers use them; [`Analysis::suspect`] notes violations.

use wasmparser::Operator;

use super::accesses::Direction;
use super::flow::Sink;
use super::frame::Analysis;
use super::operators::{
    FixedArity, folded, is_comparison, is_elsewhere, is_narrow_load, is_numeric, is_ordering, is_signed,
    loads_word, memory_access, stores_word,
};
use super::value::{Known, LEAST_BOUND, Place, Traits};
use crate::module_info::ConstOp;
use crate::vectors;

/// Frames above this size are not moved to the machine stack.
const MAX_FRAME: i64 = 1 << 28;
/// Stands for the size of an object of a size that is not known: more than any other.
const UNKNOWN_SIZE: i64 = 1 << 40;
/// Masks below this make numbers.
const LARGEST_NUMBER_MASK: i32 = 1 << 16;
/// Shifts to the left by this many bits may make addresses of pages.
const PAGE_BITS: i32 = 12;

/// No static data is below this, unless the stack is.
pub(super) const LEAST_STATIC: u32 = 1024;
/// Words of the frame this near above an address that is handed out may be written through it.
const LARGEST_VARIABLE: i32 = 64;

const ENTRY_IS_USED: &str = "the stack pointer at entry is used for something other than a frame";

impl Analysis<'_> {
    /// An operator without control flow.
    pub(super) fn straight(&mut self, op: &Operator<'_>) {
        match *op {
            Operator::GlobalGet { global_index } => self.global_get(global_index),
            Operator::GlobalSet { global_index } => self.global_set(global_index),
            Operator::I32Const { value } => self.stack.push(Known::Constant(value)),
            Operator::I64Const { value } => {
                let value = u32::try_from(value).map_or(Known::NUMBER, |value| Known::Constant(value as i32));
                self.stack.push(value);
            }
            Operator::LocalGet { local_index } => {
                let value = self.state().locals[local_index as usize];
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.state().locals[local_index as usize] = value;
            }
            Operator::LocalTee { local_index } => {
                let value = *self.stack.last().expect("validated: an operand");
                self.state().locals[local_index as usize] = value;
            }
            Operator::Drop => drop(self.pop()),
            Operator::Select | Operator::TypedSelect { .. } => {
                self.pop_number();
                let (b, a) = (self.pop(), self.pop());
                let value = self.either(a, b);
                self.stack.push(value);
            }
            Operator::Call { function_index } => self.call(function_index),
            Operator::CallIndirect { type_index, .. } => self.call_indirect(type_index),
            Operator::RefFunc { function_index } => {
                self.effects.references.insert(function_index);
                self.stack.push(Known::ORDINARY);
            }
            _ => self.arithmetic(op),
        }
    }

    fn global_get(&mut self, global: u32) {
        let value = if global == self.subject.global {
            match self.state().pointer {
                Some(place) => Known::Place(self.as_pointer(place)),
                None => Known::Unknown(Traits::ENTRY),
            }
        } else {
            self.effects.reads.insert(global);
            self.constant_global(global).unwrap_or(Known::Unknown(self.world.global(global)))
        };
        self.stack.push(value);
    }

    fn constant_global(&self, global: u32) -> Option<Known> {
        let global = &self.subject.info.globals[global as usize];
        match global.init[..] {
            [ConstOp::I32Const(value)] if !global.mutable => Some(Known::Constant(value)),
            _ => None,
        }
    }

    /// A place that the stack pointer holds: the entry value unless it is lowered.
    fn as_pointer(&self, place: Place) -> Place {
        Place { is_entry: self.bound(place) >= 0, ..place }
    }

    fn global_set(&mut self, global: u32) {
        let value = self.pop();
        if global != self.subject.global {
            let traits = self.plain(value);
            self.give(Sink::Global(global), traits);
            return;
        }
        let Known::Place(place) = value else {
            self.keep("the stack pointer is set to something that is not derived from it by constants");
            let state = self.state();
            (state.pointer, state.intact) = (None, None);
            return;
        };
        let state = self.state();
        state.pointer = Some(place);
        if !state.intact.is_some_and(|lowest| is_inside(place, lowest)) {
            state.intact = Some(place);
        }
        if self.is_dynamic(place) {
            self.allocated(place);
        }
    }

    fn arithmetic(&mut self, op: &Operator<'_>) {
        if let [.., Known::Constant(a), Known::Constant(b)] = self.stack[..]
            && let Some(value) = folded(op, a, b)
        {
            self.stack.truncate(self.stack.len() - 2);
            self.stack.push(Known::Constant(value));
            return;
        }
        match *op {
            Operator::I32Add => self.binary(Self::add),
            Operator::I32Sub => self.binary(Self::subtract),
            Operator::I32And => self.binary(Self::and),
            Operator::I32Or | Operator::I32Xor => self.binary(|this, a, b| {
                let traits = this.plain(a) | this.plain(b);
                Known::Unknown(traits.computed() | Traits::NUMBER)
            }),
            Operator::I32Shl => self.binary(|this, a, b| {
                let traits = this.plain(a);
                this.plain(b);
                let is_page = matches!(b, Known::Constant(bits) if bits >= PAGE_BITS) && traits.is_address();
                // Compilers compute the alignment of empty slices like this.
                if a == Known::TRUTH {
                    return a;
                }
                if is_page { Known::ORDINARY } else { Known::Unknown(traits.number()) }
            }),
            Operator::I32Mul => self.binary(|this, a, b| {
                let traits = this.plain(a) | this.plain(b);
                let is_page = |known| matches!(known, Known::Constant(n) if n >= 1 << PAGE_BITS);
                let is_address = (is_page(a) || is_page(b)) && traits.is_address();
                if is_address { Known::ORDINARY } else { Known::Unknown(traits.number()) }
            }),
            _ if is_comparison(op) => self.binary(|this, a, b| this.compare(op, a, b)),
            Operator::I64ExtendI32U | Operator::I64ExtendI32S | Operator::I32WrapI64 => {
                let value = self.pop();
                let traits = self.plain(value);
                let is_same = matches!(value, Known::Constant(n) if n >= 0 || *op == Operator::I32WrapI64);
                self.stack.push(if is_same { value } else { Known::Unknown(traits) });
            }
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } | Operator::MemoryInit { .. } => {
                self.bulk(op);
            }
            _ => self.other(op),
        }
    }

    /// Any other operator: pops and pushes as many values as its type says, and checks addresses.
    fn other(&mut self, op: &Operator<'_>) {
        let (pops, pushes) = op.operator_arity(&FixedArity).expect("its arity is fixed");
        let operands = self.stack.split_off(self.stack.len() - pops as usize);
        let access = memory_access(op);
        let mut traits = Traits::NONE;
        for (n, &operand) in operands.iter().enumerate() {
            if access.is_none() || n > 0 {
                traits |= self.plain(operand);
            }
        }
        let mut result = match op {
            _ if is_numeric(op) => Known::Unknown(traits.number()),
            _ => Known::Unknown(traits & (Traits::OBJECT | Traits::FOREIGN) | Traits::ADDRESS),
        };
        if let Some((offset, bytes)) = access {
            let direction = if pushes == 0 { Direction::Store } else { Direction::Load };
            self.access(operands[0], offset, bytes, direction);
            let place = self.place_at(operands[0], offset);
            match (op, place) {
                (Operator::V128Store { .. }, Some(place)) => {
                    words_of_vector(place).for_each(|place| self.fill_slot(place, traits));
                }
                (Operator::V128Load { .. }, Some(place)) => {
                    let words = words_of_vector(place).map(|place| self.traits(self.slot(place)));
                    result = Known::Unknown(words.fold(Traits::ADDRESS, |all, word| all | word));
                }
                (_, Some(place)) if stores_word(op) || loads_word(op) => {
                    if stores_word(op) {
                        self.fill_slot(place, traits);
                    }
                    if loads_word(op) {
                        result = self.slot(place);
                    }
                }
                _ if is_narrow_load(op) => {
                    result = Known::Unknown(Traits::NUMBER | Traits::CHARACTER);
                }
                _ if pushes > 0 => result = Known::ORDINARY,
                _ => {}
            }
        } else if is_elsewhere(op) {
            self.check_elsewhere(operands[0]);
            result = Known::ORDINARY;
        }
        self.stack.extend(std::iter::repeat_n(result, pushes as usize));
    }

    /// Addresses of the stack have no meaning in another memory.
    pub(super) fn check_elsewhere(&mut self, address: Known) {
        if self.traits(address).has(Traits::OBJECT) {
            self.refuse("an address of the stack is used in another memory");
        }
    }

    pub(super) fn place_at(&self, address: Known, offset: u32) -> Option<Place> {
        let Known::Place(place) = address else { return None };
        Some(Place { offset: place.offset.wrapping_add(offset as i32), ..place })
    }

    fn fill_slot(&mut self, place: Place, traits: Traits) {
        let slot = self.slots.entry((place.origin, place.offset)).or_default();
        let before = *slot;
        *slot |= traits;
        self.has_changed |= *slot != before;
        *self.stored.entry((place.origin, place.offset)).or_default() |= traits;
    }

    fn slot(&self, place: Place) -> Known {
        let around =
            (place.origin, place.offset.saturating_sub(LARGEST_VARIABLE))..=(place.origin, place.offset);
        let is_shared = self.handed_out.range(around).next().is_some();
        match self.slots.get(&(place.origin, place.offset)) {
            Some(&known) if !is_shared => Known::Unknown(known.elsewhere()),
            Some(&known) => Known::Unknown(known.without(Traits::CONSTANT) | Traits::ADDRESS),
            None => Known::ORDINARY,
        }
    }

    pub(super) fn pop(&mut self) -> Known {
        self.stack.pop().expect("validated: the operand stack is not empty")
    }

    /// Pops a condition or an index.
    pub(super) fn pop_number(&mut self) {
        let value = self.pop();
        self.plain(value);
    }

    fn binary(&mut self, f: impl FnOnce(&mut Self, Known, Known) -> Known) {
        let (b, a) = (self.pop(), self.pop());
        let value = f(self, a, b);
        self.stack.push(value);
    }

    /// The traits of a value.
    pub(super) fn traits(&self, value: Known) -> Traits {
        match value {
            Known::Constant(value) => self.subject.region.constant(value),
            Known::Place(place) if place.is_entry => Traits::OBJECT | Traits::ENTRY,
            Known::Place(_) => Traits::OBJECT,
            Known::Param(param) => self.world.param(self.function, param),
            Known::Derived(_, traits) | Known::Unknown(traits) => traits,
        }
    }

    /// The traits of a value that is used in a way the stack pointer at entry must not be.
    pub(super) fn plain(&mut self, value: Known) -> Traits {
        let traits = self.traits(value);
        if traits.has(Traits::ENTRY) {
            self.suspect(ENTRY_IS_USED);
        }
        if let Known::Place(place) = value {
            self.has_changed |= self.handed_out.insert((place.origin, place.offset));
            self.is_stale |= self.is_unprotected(place);
        }
        traits.without(Traits::ENTRY)
    }

    /// A value that is one of two.
    pub(super) fn either(&self, a: Known, b: Known) -> Known {
        match (a, b) {
            _ if a == b => a,
            (Known::Place(x), Known::Place(y)) if x.equals(y) => {
                Known::Place(Place { is_entry: x.is_entry || y.is_entry, ..x })
            }
            _ if a.shares_base(b) => Known::derived(a.base(), self.traits(a) | self.traits(b)),
            _ => Known::Unknown(self.traits(a) | self.traits(b)),
        }
    }

    fn add(&mut self, a: Known, b: Known) -> Known {
        match (a, b) {
            (Known::Constant(a), Known::Constant(b)) => Known::Constant(a.wrapping_add(b)),
            (Known::Place(place), Known::Constant(n)) | (Known::Constant(n), Known::Place(place)) => {
                self.shifted(place, n.into())
            }
            (value, Known::Constant(n)) | (Known::Constant(n), value) => self.add_constant(value, n),
            _ => {
                let (x, y) = (self.plain(a), self.plain(b));
                let base = match (x.is_address(), y.is_address()) {
                    (true, false) => a.base(),
                    (false, true) => b.base(),
                    _ => None,
                };
                Known::derived(base, sum(x, y))
            }
        }
    }

    /// The sum of a value that is no place and a constant. Compilers subtract the least number from words that are a
    /// pointer or a tag above it; no end of memory is there.
    fn add_constant(&mut self, value: Known, n: i32) -> Known {
        let traits = self.plain(value);
        let size = self.subject.region.size();
        if traits.has(Traits::OBJECT | Traits::FOREIGN)
            && n < 0
            && n.unsigned_abs().saturating_add(64) >= size
            && !(n == i32::MIN && traits.has(Traits::ADDRESS | Traits::NUMBER))
        {
            self.suspect("the distance of a stack object from the end of the stack is computed");
        }
        if n == 0 {
            return Known::derived(value.base(), traits);
        }
        let below = if n < 0 { traits.below() } else { Traits::NONE };
        Known::derived(value.base(), self.offset(traits.computed(), n) | below)
    }

    /// The traits of the sum of a constant and a number or an address with these traits.
    fn offset(&self, traits: Traits, n: i32) -> Traits {
        let region = self.subject.region;
        let is_small = n < region.floor.min(LEAST_STATIC) as i32;
        let is_table = traits.has(Traits::CHARACTER) && region.precedes_table(n as u32, 8);
        if traits.is_address() {
            traits
        } else if n > 0 && is_table {
            Traits::ADDRESS
        } else if region.contains(n as u32) {
            traits | Traits::NUMBER | Traits::REGION
        } else if n as u32 >= region.top && n > 0 {
            Traits::ADDRESS
        } else if is_small || traits.has(Traits::REGION) {
            traits | Traits::NUMBER
        } else {
            Traits::ADDRESS
        }
    }

    fn subtract(&mut self, a: Known, b: Known) -> Known {
        match (a, b) {
            (Known::Place(place), Known::Constant(n)) => self.shifted(place, -i64::from(n)),
            (_, Known::Constant(n)) => self.add(a, Known::Constant(n.wrapping_neg())),
            (Known::Place(place), _) if place.is_entry => {
                self.plain(b);
                self.lowered(place)
            }
            _ => {
                let (a, b) = (self.plain(a), self.plain(b));
                self.check_bound(a, b);
                Known::Unknown(match (a.is_address(), b.is_address()) {
                    (true, true) => Traits::ADDRESS | Traits::NUMBER,
                    (true, false) => a.computed() | a.below(),
                    (false, _) => (a | b & Traits::ADDRESS).computed() | Traits::NUMBER,
                })
            }
        }
    }

    fn and(&mut self, a: Known, b: Known) -> Known {
        match (a, b) {
            (Known::Constant(a), Known::Constant(b)) => Known::Constant(a & b),
            (Known::Place(place), Known::Constant(n)) | (Known::Constant(n), Known::Place(place))
                if (n as u32).wrapping_neg().is_power_of_two() =>
            {
                self.align(place, (n as u32).wrapping_neg())
            }
            (value, Known::Constant(n)) | (Known::Constant(n), value) => {
                let traits = self.plain(value);
                let is_number = (0..LARGEST_NUMBER_MASK).contains(&n);
                Known::Unknown(if is_number { traits.number() } else { traits.computed() })
            }
            _ => {
                let traits = self.plain(a) | self.plain(b);
                Known::Unknown(traits.computed() | Traits::NUMBER)
            }
        }
    }

    fn compare(&mut self, op: &Operator<'_>, a: Known, b: Known) -> Known {
        let (x, y) = (self.plain(a), self.plain(b));
        if !a.shares_base(b) {
            self.check_bound(x, y);
        }
        self.check_order(op, x, b);
        self.check_order(op, y, a);
        Known::TRUTH
    }

    /// An object on the machine's stack is above all of linear memory, and its address is negative as a signed number.
    fn check_order(&mut self, op: &Operator<'_>, object: Traits, other: Known) {
        let Known::Constant(bound) = other else { return };
        let is_bound = if is_signed(op) { bound < LEAST_BOUND as i32 } else { bound as u32 >= LEAST_BOUND };
        let is_object =
            object.has(Traits::OBJECT | Traits::FOREIGN) && !object.has(Traits::NUMBER | Traits::ADDRESS);
        if is_ordering(op) && is_object && is_bound {
            self.suspect("an address of the stack is compared with a constant");
        }
    }

    /// A stack object is compared with a constant of the stack, or their distance is computed.
    fn check_bound(&mut self, a: Traits, b: Traits) {
        let is_scan = |object: Traits, bound: Traits| {
            let is_known = object.has(Traits::OBJECT) && !object.has(Traits::NUMBER | Traits::ADDRESS);
            object.has(Traits::OBJECT | Traits::FOREIGN) && bound.has(Traits::TOP)
                || is_known && bound.has(Traits::BOUND)
        };
        if is_scan(a, b) || is_scan(b, a) {
            self.suspect("an address of the stack is compared with a constant of the stack");
        }
    }

    /// An upper limit of the distance of a place from the entry stack pointer.
    pub(super) fn bound(&self, place: Place) -> i64 {
        self.bounds[place.origin as usize] + i64::from(place.offset)
    }

    fn shifted(&mut self, place: Place, by: i64) -> Known {
        let offset = i64::from(place.offset) + by;
        let Some(offset) = i32::try_from(offset).ok().filter(|n| n.unsigned_abs() < 1 << 30) else {
            self.refuse("the stack frame is too large");
            return Known::Unknown(self.traits(Known::Place(place)));
        };
        let moved = Place { offset, ..place };
        self.reach(moved);
        Known::Place(Place { is_entry: place.is_entry && by == 0, ..moved })
    }

    /// Makes the frame deep enough for `place`.
    pub(super) fn reach(&mut self, place: Place) {
        if self.bound(place) > 0 {
            match place.origin {
                0 => self.refuse("an address above the entry stack pointer is computed"),
                _ => self.suspect("an address above the entry stack pointer is computed"),
            }
        }
        let depth = self.depths[place.origin as usize] - i64::from(place.offset);
        if self.is_dynamic(place) {
            self.keep("the stack pointer is lowered by a size that is not constant");
        } else if depth > MAX_FRAME {
            self.keep("the stack frame is too large");
        } else if depth > i64::from(self.subject.region.size()) {
            self.suspect("the stack frame is larger than the stack");
        }
        self.deepest = self.deepest.max(depth.min(MAX_FRAME));
    }

    /// The pointer lowered by a number that is not known: a new origin, below everything that the function has. It is an
    /// allocation if the pointer is set to it; until then it counts as the value at entry, since it may as well be the
    /// distance from another address.
    fn lowered(&mut self, place: Place) -> Known {
        let next = self.depths.len() as u32;
        let key = (place.origin, place.offset, self.offset);
        let origin = *self.allocations.entry(key).or_insert(next);
        if origin == next {
            self.depths.push(self.depths[place.origin as usize].saturating_add(UNKNOWN_SIZE));
            self.bounds.push(self.bound(place) - UNKNOWN_SIZE);
        }
        let lowered = Place { origin, offset: 0, is_entry: true };
        self.reach(lowered);
        Known::Place(lowered)
    }

    /// Whether a place is in an object of a size that is not known.
    fn is_dynamic(&self, place: Place) -> bool {
        self.depths[place.origin as usize] >= UNKNOWN_SIZE
    }

    /// The stack pointer is at an object of a size that is not known: it is an ordinary object from now on.
    fn allocated(&mut self, place: Place) {
        let object = |value: &mut Known| {
            if let Known::Place(other) = value
                && other.equals(place)
            {
                other.is_entry = false;
            }
        };
        self.stack.iter_mut().for_each(object);
        let state = self.state();
        state.locals.iter_mut().for_each(object);
        state.pointer = Some(Place { is_entry: false, ..place });
    }

    /// `place & -align`, a new origin.
    fn align(&mut self, place: Place, align: u32) -> Known {
        let next = self.depths.len() as u32;
        let origin = *self.aligned.entry((place.origin, place.offset, align)).or_insert(next);
        if origin == next {
            let depth = self.depths[place.origin as usize] - i64::from(place.offset);
            self.depths.push(depth + i64::from(align - 1));
            self.bounds.push(self.bound(place));
        }
        let aligned = Place { origin, offset: 0, is_entry: place.is_entry };
        self.reach(aligned);
        Known::Place(aligned)
    }
}

/// Whether a place is at the stack pointer or above it, at a known distance.
pub(super) fn is_inside(place: Place, pointer: Place) -> bool {
    pointer.origin == place.origin && pointer.offset <= place.offset
}

/// The words of a vector at a place.
fn words_of_vector(place: Place) -> impl Iterator<Item = Place> {
    (0..vectors::BYTES as i32)
        .step_by(4)
        .map(move |at| Place { offset: place.offset.wrapping_add(at), ..place })
}

/// The traits of a sum: of two addresses at most one is the address, the other is a distance.
fn sum(a: Traits, b: Traits) -> Traits {
    let traits = match (a.is_address(), b.is_address()) {
        (true, true) => (a | b).without(Traits::REGION),
        (true, false) => a,
        (false, true) => b,
        (false, false) => a | b | Traits::NUMBER,
    };
    traits.computed()
}
