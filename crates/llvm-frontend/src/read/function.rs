//! Reading one function: block order, operands, and the dispatch to the families of instructions.
//!
//! Blocks reachable from the entry are numbered and read in reverse postorder. A definition dominates its uses, so
//! every operand has been read before it is used. The exception is inputs of phis. Phis become block parameters,
//! created for all blocks before any instruction is read, and an edge's arguments are read with its terminator.
//!
//! The families append to the current block through the [`Builder`] and return the representation of the result.
//! Afterwards [`ssa::canonicalize`] drops unused values and splits critical edges.

use ssa::known_bits::KnownBits;
use ssa::{Block, Function, IdVec, Signature, SourceLoc, Type, Value};
use wasm_program::names::{self, Callee};

use super::builder::Builder;
use super::choices::closed_set;
use super::repr::{Repr, Shape, StructId};
use super::{PartReader, Refused, Unsupported};
use crate::llvm::lookup::LookupMap;
use crate::llvm::{self, Opcode};

/// The state of reading one function.
pub struct Reader<'p, 'a, 'm> {
    pub(super) part: &'p mut PartReader<'a, 'm>,
    pub(super) b: Builder,
    pub(super) values: LookupMap<llvm::Value<'m>, Repr>,
    pub(super) structs: Vec<Vec<Repr>>,
    pub(super) blocks: LookupMap<llvm::Block<'m>, Block>,
    /// The inputs of the phis of the second block on the edge from the first.
    pub(super) incoming: LookupMap<(Block, Block), Vec<llvm::Value<'m>>>,
    /// For each block the way its phis are passed.
    pub(super) phis: IdVec<Block, Vec<Passing>>,
    /// Phis and selects of pointers into linear memory.
    pub(super) relative: LookupMap<llvm::Value<'m>, ()>,
    /// Phis and selects of narrow integers whose inputs are zero-extended.
    zero_extended: LookupMap<llvm::Value<'m>, ()>,
    /// Blocks that do nothing but trap.
    pub(super) traps: LookupMap<llvm::Block<'m>, TrapCall<'m>>,
    /// The block for each trap code, once there is one.
    pub(super) trap_blocks: LookupMap<u8, Block>,
    /// The current block has its terminator; the rest of LLVM's block is dead.
    pub(super) terminated: bool,
    /// Cold functions that it calls in tail position.
    pub(super) cold_callees: Vec<ssa::FuncId>,
}

/// The way the value of a phi is passed along an edge.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Passing {
    /// As it is.
    Whole,
    /// A pointer, as the distance from this object.
    Distance(ssa::DataId),
    /// A narrow integer, zero-extended from this many bits.
    ZeroExtended(u32),
}

/// The code of a block that does nothing but trap.
#[derive(Clone, Copy, Debug)]
pub enum TrapCall<'m> {
    /// Always this one.
    Code(llvm::Value<'m>),
    /// The input of its n-th phi.
    Phi(usize),
}

/// Reads the body of `function`.
pub(super) fn read<'m>(
    part: &mut PartReader<'_, 'm>,
    function: llvm::Value<'m>,
) -> Result<Function, Unsupported> {
    let refuse =
        |what: Refused, instruction: String| Unsupported { function: function.name(), instruction, what };
    let signature = signature_of(function).map_err(|what| refuse(what, "its signature".into()))?;
    let sig = part.signature(signature);
    let mut reader = Reader {
        b: Builder::new(function.name(), sig),
        part,
        values: LookupMap::default(),
        structs: Vec::new(),
        blocks: LookupMap::default(),
        incoming: LookupMap::default(),
        phis: IdVec::new(),
        relative: LookupMap::default(),
        zero_extended: LookupMap::default(),
        traps: LookupMap::default(),
        trap_blocks: LookupMap::default(),
        terminated: false,
        cold_callees: Vec::new(),
    };
    reader.b.func.optimize_for_size = function.has_attribute("optsize") || function.has_attribute("minsize");
    let sources = reader.part.cx.program.sources.as_deref();
    let (is_located, are_offsets) = (sources.is_some(), sources.is_some_and(|sources| sources.are_offsets));
    if is_located {
        reader.b.func.source.subprogram = names::debug_id(function.subprogram_line());
    }
    let order = reverse_postorder(function);
    reader.create_blocks(function, &order).map_err(|(what, at)| refuse(what, at.print()))?;
    for &block in &order {
        reader.b.switch_to(reader.blocks[&block]);
        reader.terminated = false;
        for inst in block.instructions() {
            if !reader.terminated {
                if is_located {
                    if are_offsets {
                        reader.b.func.source.current = names::debug_id(inst.debug_line());
                        reader.inline_location(inst);
                    } else {
                        reader.b.func.source.current = reader.part.location(inst);
                    }
                }
                reader.instruction(inst).map_err(|what| refuse(what, inst.print()))?;
            }
        }
    }
    let mut body = reader.b.func;
    body.source.follow_none();
    ssa::canonicalize(&mut body);
    let cold = reader.cold_callees;
    ssa::estimate_frequencies_with(&mut body, &|func| cold.contains(&func));
    Ok(body)
}

impl<'m> Reader<'_, '_, 'm> {
    /// Adds the calls that an instruction was inlined at to the current location.
    fn inline_location(&mut self, inst: llvm::Value<'m>) {
        let source = &mut self.b.func.source;
        let mut outer: Option<SourceLoc> = None;
        // From the outermost call, which is in the function itself.
        for at in inst.inlined_at_lines().into_iter().rev().filter_map(names::debug_id::<SourceLoc>) {
            outer = Some(outer.map_or(at, |outer| source.inline(at, outer)));
        }
        if let (Some(loc), Some(outer)) = (source.current, outer) {
            source.current = Some(source.inline(loc, outer));
        }
    }
}

/// The `ssa` signature of a function.
fn signature_of(function: llvm::Value<'_>) -> Result<Signature, Refused> {
    let ty = function.global_type().ok_or("not a function")?;
    signature_of_type(ty)
}

/// The `ssa` signature of a function type.
pub(super) fn signature_of_type(ty: llvm::Ty<'_>) -> Result<Signature, Refused> {
    let (params, result) = ty.signature().ok_or("not a function type")?;
    let mut signature = Signature::default();
    for param in params {
        Shape::of(param)?.push_types(&mut signature.params);
    }
    if let Some(shape) = Shape::of_result(result)? {
        shape.push_types(&mut signature.results);
    }
    Ok(signature)
}

/// Blocks reachable from the entry, every block before those it dominates.
fn reverse_postorder<'m>(function: llvm::Value<'m>) -> Vec<llvm::Block<'m>> {
    let Some(entry) = function.entry_block() else { return Vec::new() };
    let mut seen = LookupMap::<llvm::Block<'m>, ()>::default();
    seen.insert(entry, ());
    let mut order = Vec::new();
    let mut stack = vec![(entry, entry.terminator().successors())];
    while let Some((block, pending)) = stack.last_mut() {
        // From the last successor to the first, so that the first comes next in the reversed order.
        match pending.pop() {
            Some(succ) if seen.insert(succ, ()).is_none() => {
                stack.push((succ, succ.terminator().successors()))
            }
            Some(_) => {}
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

impl<'m> Reader<'_, '_, 'm> {
    /// Creates the blocks, the function's parameters and the parameters for phis.
    fn create_blocks(
        &mut self,
        function: llvm::Value<'m>,
        order: &[llvm::Block<'m>],
    ) -> Result<(), (Refused, llvm::Value<'m>)> {
        for &block in order {
            let id = self.b.func.add_block();
            self.phis.push(Vec::new());
            self.blocks.insert(block, id);
        }
        for param in function.params() {
            let repr =
                self.parameter(self.b.func.entry(), param, Passing::Whole).map_err(|what| (what, param))?;
            self.values.insert(param, repr);
        }
        self.find_properties(order);
        for &block in order {
            let id = self.blocks[&block];
            let phis: Vec<_> =
                block.instructions().take_while(|i| i.opcode() == Some(Opcode::LLVMPHI)).collect();
            for &phi in &phis {
                self.phi(id, phi).map_err(|what| (what, phi))?;
            }
            self.note_trap(block, &phis);
        }
        Ok(())
    }

    /// Finds the phis and selects that have a cheaper representation.
    fn find_properties(&mut self, order: &[llvm::Block<'m>]) {
        let (mut pointers, mut integers) = (Vec::new(), Vec::new());
        for inst in order.iter().flat_map(|block| block.instructions()) {
            if matches!(inst.opcode(), Some(Opcode::LLVMPHI | Opcode::LLVMSelect)) {
                match (inst.ty().kind(), inst.ty().int_width()) {
                    (llvm::TypeKind::LLVMPointerTypeKind, _) => pointers.push(inst),
                    (_, Some(2..=31 | 33..=63)) => integers.push(inst),
                    _ => {}
                }
            }
        }
        if self.memory().is_some() {
            self.relative = closed_set(&pointers, super::pointer::points_into_memory);
        }
        self.zero_extended = closed_set(&integers, super::integer::is_zero_extended);
    }

    /// Records a block whose first instruction after the phis is a trap.
    fn note_trap(&mut self, block: llvm::Block<'m>, phis: &[llvm::Value<'m>]) {
        if block.terminator().opcode() != Some(Opcode::LLVMUnreachable) {
            return;
        }
        let call = block.instructions().nth(phis.len());
        let Some((call, callee)) = call.and_then(|call| Some((call, call.callee()?))) else { return };
        if let Some(super::Target::Callee(Callee::Trap)) = self.part.targets.get(&callee) {
            let code = call.operand(0);
            let nth = phis.iter().position(|&phi| phi == code);
            if let Some(trap) = nth.map(TrapCall::Phi).or(code.const_int().map(|_| TrapCall::Code(code))) {
                self.traps.insert(block, trap);
            }
        }
    }

    /// Turns a phi into parameters of `block`.
    fn phi(&mut self, block: Block, phi: llvm::Value<'m>) -> Result<(), Refused> {
        let passing = if self.relative.contains_key(&phi) {
            self.memory().map_or(Passing::Whole, Passing::Distance)
        } else if self.zero_extended.contains_key(&phi) {
            Passing::ZeroExtended(Self::width(phi)?)
        } else {
            Passing::Whole
        };
        let repr = self.parameter(block, phi, passing)?;
        self.values.insert(phi, repr);
        let nth = self.phis[block].len();
        self.phis[block].push(passing);
        for (value, pred) in phi.incoming() {
            if let Some(&pred) = self.blocks.get(&pred) {
                let edge = self.incoming.entry((pred, block)).or_default();
                // A predecessor with several edges to the block is listed once per edge, always with the same
                // value.
                if edge.len() == nth {
                    edge.push(value);
                }
            }
        }
        Ok(())
    }

    /// Creates the parameters that hold `value` on entry to `block`.
    fn parameter(&mut self, block: Block, value: llvm::Value<'m>, passing: Passing) -> Result<Repr, Refused> {
        let shape = Shape::of(value.ty())?;
        let repr = self.assemble(&shape, &mut |b, ty, bits| {
            let extended = bits == 1 || passing == Passing::ZeroExtended(bits);
            let known =
                if extended { KnownBits::below(bits, ty.bits()) } else { KnownBits::nothing(ty.bits()) };
            b.param(block, ty, known)
        });
        match (passing, repr) {
            (Passing::Distance(base), Repr::One(index)) => {
                Ok(Repr::Addr(ssa::Addr { base: Some(base), index: Some(index), offset: 0 }))
            }
            _ => Ok(repr),
        }
    }

    /// Builds a value of `shape` from parts that `make` supplies in order; it gets the type and the
    /// width of the integer in it.
    pub(super) fn assemble(
        &mut self,
        shape: &Shape,
        make: &mut impl FnMut(&mut Builder, Type, u32) -> Value,
    ) -> Repr {
        match shape {
            Shape::Int(65..) => {
                let low = make(&mut self.b, Type::I64, 64);
                Repr::Pair([low, make(&mut self.b, Type::I64, 64)])
            }
            Shape::Int(bits) => Repr::One(make(&mut self.b, super::repr::container(*bits), *bits)),
            Shape::Ptr => Repr::One(make(&mut self.b, Type::I32, 32)),
            Shape::Float(ty) => Repr::One(make(&mut self.b, *ty, 0)),
            Shape::Struct(fields) => {
                let fields = fields.iter().map(|field| self.assemble(field, make)).collect();
                self.new_struct(fields)
            }
        }
    }

    /// A struct value.
    pub(super) fn new_struct(&mut self, fields: Vec<Repr>) -> Repr {
        self.structs.push(fields);
        Repr::Struct(StructId(self.structs.len() as u32 - 1))
    }

    /// The parts of a value, in the order of [`Shape::push_types`].
    pub(super) fn push_parts(&mut self, repr: Repr, parts: &mut Vec<Value>) {
        match repr {
            Repr::One(value) => parts.push(value),
            Repr::Pair(halves) => parts.extend(halves),
            Repr::Addr(addr) => parts.push(self.address_value(addr)),
            Repr::Struct(id) => {
                for field in self.structs[id.0 as usize].clone() {
                    self.push_parts(field, parts);
                }
            }
        }
    }

    /// The representation of an operand; constants are made here.
    pub(super) fn repr(&mut self, value: llvm::Value<'m>) -> Result<Repr, Refused> {
        match self.values.get(&value) {
            Some(&repr) => Ok(repr),
            None => self.constant(value),
        }
    }

    /// An operand that is one `ssa` value.
    pub(super) fn one(&mut self, value: llvm::Value<'m>) -> Result<Value, Refused> {
        match self.repr(value)? {
            Repr::One(value) => Ok(value),
            Repr::Addr(addr) => Ok(self.address_value(addr)),
            Repr::Pair(_) | Repr::Struct(_) => Err("an operand of this type".into()),
        }
    }

    /// An operand of 65 to 128 bits.
    pub(super) fn pair(&mut self, value: llvm::Value<'m>) -> Result<[Value; 2], Refused> {
        match self.repr(value)? {
            Repr::Pair(halves) => Ok(halves),
            _ => Err("an operand of this type".into()),
        }
    }

    /// Width of an integer-typed value.
    pub(super) fn width(value: llvm::Value<'_>) -> Result<u32, Refused> {
        value.ty().int_width().filter(|&bits| bits <= 128).ok_or_else(|| "an operand of this type".into())
    }

    /// A constant operand.
    fn constant(&mut self, value: llvm::Value<'m>) -> Result<Repr, Refused> {
        use llvm::ValueKind as Kind;
        match value.kind() {
            Kind::LLVMConstantIntValueKind => self.constant_int(value),
            Kind::LLVMConstantFPValueKind => match (Shape::of(value.ty())?, value.const_float_bits()) {
                (Shape::Float(ty), Some(bits)) => Ok(Repr::One(self.b.iconst(ty, bits.cast_signed()))),
                _ => Err("a constant of this type".into()),
            },
            Kind::LLVMConstantPointerNullValueKind => {
                Ok(Repr::Addr(ssa::Addr { base: None, index: None, offset: 0 }))
            }
            Kind::LLVMUndefValueValueKind
            | Kind::LLVMPoisonValueKind
            | Kind::LLVMConstantAggregateZeroValueKind => self.zero(value.ty()),
            Kind::LLVMConstantStructValueKind => {
                let fields = value.operands().map(|field| self.repr(field)).collect::<Result<_, _>>()?;
                Ok(self.new_struct(fields))
            }
            Kind::LLVMGlobalVariableValueKind => self.global_address(value),
            Kind::LLVMConstantExprValueKind => {
                self.operation(value)?.ok_or_else(|| "a constant expression without a value".into())
            }
            _ => Err("an operand of a form that no wasm operator needs".into()),
        }
    }

    fn constant_int(&mut self, value: llvm::Value<'m>) -> Result<Repr, Refused> {
        let bits = value.const_int().ok_or("an integer of more than 128 bits")?;
        let width = Self::width(value)?;
        if width > 64 {
            let low = self.b.iconst(Type::I64, bits as i64);
            return Ok(Repr::Pair([low, self.b.iconst(Type::I64, (bits >> 64) as i64)]));
        }
        Ok(Repr::One(self.b.iconst(super::repr::container(width), bits as i64)))
    }

    /// The value whose bits are all zero.
    pub(super) fn zero(&mut self, ty: llvm::Ty<'m>) -> Result<Repr, Refused> {
        let shape = Shape::of(ty)?;
        Ok(self.assemble(&shape, &mut |b, ty, _| b.iconst(ty, 0)))
    }

    /// Reads one instruction.
    fn instruction(&mut self, inst: llvm::Value<'m>) -> Result<(), Refused> {
        if self.values.contains_key(&inst) {
            return Ok(()); // A phi, or an extension that was folded into its operand's load.
        }
        if let Some(repr) = self.operation(inst)? {
            let repr = match repr {
                Repr::One(value) if inst.ty().int_width() == Some(1) => {
                    Repr::One(self.b.zero_extend(value, 1))
                }
                _ => repr,
            };
            self.values.insert(inst, repr);
        }
        Ok(())
    }

    /// Reads an instruction or constant expression; `None` if it has no result.
    fn operation(&mut self, inst: llvm::Value<'m>) -> Result<Option<Repr>, Refused> {
        use Opcode::*;
        let opcode = inst.opcode().ok_or("not an instruction")?;
        match opcode {
            LLVMAdd | LLVMSub | LLVMMul | LLVMUDiv | LLVMSDiv | LLVMURem | LLVMSRem | LLVMShl | LLVMLShr
            | LLVMAShr | LLVMAnd | LLVMOr | LLVMXor => self.integer_binary(inst, opcode).map(Some),
            LLVMICmp => self.compare(inst).map(Some),
            LLVMTrunc | LLVMZExt | LLVMSExt => self.convert(inst, opcode).map(Some),
            LLVMPtrToInt | LLVMPtrToAddr | LLVMIntToPtr => self.convert_pointer(inst).map(Some),
            LLVMBitCast => self.bitcast(inst).map(Some),
            LLVMFreeze => self.repr(inst.operand(0)).map(Some),
            LLVMSelect => self.select(inst).map(Some),
            LLVMLoad => self.load(inst).map(Some),
            LLVMStore => self.store(inst).map(|()| None),
            LLVMGetElementPtr => self.element_address(inst).map(Some),
            LLVMExtractValue => self.extract_value(inst).map(Some),
            LLVMInsertValue => self.insert_value(inst).map(Some),
            LLVMCall => self.call(inst),
            LLVMBr | LLVMSwitch | LLVMRet | LLVMUnreachable => self.terminator(inst, opcode).map(|()| None),
            LLVMFNeg | LLVMFAdd | LLVMFSub | LLVMFMul | LLVMFDiv | LLVMFCmp | LLVMFPToUI | LLVMFPToSI
            | LLVMUIToFP | LLVMSIToFP | LLVMFPTrunc | LLVMFPExt => {
                self.float_operation(inst, opcode).map(Some)
            }
            _ => Err("no lowering for this instruction".into()),
        }
    }

    fn extract_value(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let mut repr = self.repr(inst.operand(0))?;
        for index in inst.indices() {
            repr = self.fields(repr)?.get(index as usize).copied().ok_or("a field that does not exist")?;
        }
        Ok(repr)
    }

    fn insert_value(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let aggregate = self.repr(inst.operand(0))?;
        let value = self.repr(inst.operand(1))?;
        self.insert_at(aggregate, &inst.indices(), value)
    }

    fn insert_at(&mut self, aggregate: Repr, path: &[u32], value: Repr) -> Result<Repr, Refused> {
        let Some((&index, rest)) = path.split_first() else { return Ok(value) };
        let mut fields = self.fields(aggregate)?.to_vec();
        let field = *fields.get(index as usize).ok_or("a field that does not exist")?;
        fields[index as usize] = self.insert_at(field, rest, value)?;
        Ok(self.new_struct(fields))
    }

    fn fields(&self, repr: Repr) -> Result<&[Repr], Refused> {
        match repr {
            Repr::Struct(id) => Ok(&self.structs[id.0 as usize]),
            _ => Err("an aggregate of this type".into()),
        }
    }
}
