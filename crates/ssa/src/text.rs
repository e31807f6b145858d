//! The printer of the text form.
//!
//! A module prints as its signatures, data objects, functions, exports, start function and the limits of
//! the host's arguments. Each list is in id order, so ids need not be written: [`crate::parse_module`] numbers the
//! items again by position. Data objects (`@name`) and functions (`$name`) are referred to by name; blocks, values and
//! frame slots by number.
//!
//! ```text
//! sig (i32) -> (i32)
//! memory @mem size=0 align=4096 min=65536 max=131072 page_log2=16 grows { 1024: 00ff }
//! var @counter size=4 align=4 = 2a000000
//! table @table size=16 align=8 { 8: $fib }
//! import $log "env" "log" (i32, i32) -> ()
//! intrinsic $sbrk "__pvm_sbrk" (i32) -> (i32)
//! func $fib (i32) -> (i32) {
//!   slot s0 size=16 align=8
//! b0(v0: i32):
//!   v1 = load.u8.i32 [@mem + v0 - 4] volatile align=2
//!   branch v1, b1, b2(v0)
//! b1 freq=0.5:
//!   trap unreachable
//! b2(v2: i32) freq=0.5:
//!   return v2
//! }
//! export "fib" $fib
//! start $init
//! host_arguments @limits
//! memory_size @bytes
//! ```
//!
//! Signatures with the same shape can represent different wasm types. All but the first are followed by `#` and the
//! number of earlier ones with that shape: `(i64) -> (i32) #1`.
//!
//! A comment runs from `;` to the end of its line. Integer constants are signed decimal, float constants are their
//! bits in hexadecimal, a block's frequency is omitted when it is 1. Printing never fails: a reference to a function
//! that doesn't exist prints as `$"?f7"`.

use std::fmt::{self, Display, Write};

use crate::{
    Addr, BlockCall, DataId, DataKind, DataObject, ExportItem, FuncDecl, FuncId, FuncKind, Function,
    InstData, MemFlags, Module, SigId, Signature, Type, Value,
};
use crate::{Block, EntityId, Inst};

impl Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sig in self.signatures.values() {
            writeln!(f, "sig {sig}")?;
        }
        for object in self.data.values() {
            write_data(f, self, object)?;
        }
        for (id, decl) in self.decls.iter() {
            write_decl(f, self, id, decl)?;
        }
        for export in &self.exports {
            write!(f, "export {} ", Quoted(&export.name))?;
            match export.item {
                ExportItem::Func(func) => writeln!(f, "{}", FuncName(self, func))?,
                ExportItem::Data(data) => writeln!(f, "{}", DataName(self, data))?,
            }
        }
        if let Some(func) = self.start {
            writeln!(f, "start {}", FuncName(self, func))?;
        }
        if let Some(data) = self.host_arguments {
            writeln!(f, "host_arguments {}", DataName(self, data))?;
        }
        if let Some(data) = self.memory_size {
            writeln!(f, "memory_size {}", DataName(self, data))?;
        }
        Ok(())
    }
}

/// The text form of one function, its callees and data objects named as in `module`.
pub fn print_function(module: &Module, func: &Function) -> String {
    let mut out = String::new();
    write_function(&mut out, module, func).expect("writing to a string doesn't fail");
    out
}

/// The text form of one instruction with its results, without indentation or line end.
pub fn print_inst(module: &Module, func: &Function, inst: Inst) -> String {
    let mut out = String::new();
    write_inst(&mut out, module, func, inst).expect("writing to a string doesn't fail");
    out
}

/// The lines of [`print_function`], each with its instruction if it is one.
pub fn print_lines(module: &Module, func: &Function) -> Vec<(String, Option<Inst>)> {
    let head = std::iter::repeat_n(None, 1 + func.frame_slots.len());
    let block =
        |block: Block| std::iter::once(None).chain(func.blocks[block].insts.iter().copied().map(Some));
    let insts: Vec<Option<Inst>> = head.chain(func.blocks.ids().flat_map(block)).chain([None]).collect();
    let text = print_function(module, func);
    assert_eq!(text.lines().count(), insts.len(), "an instruction is a line");
    text.lines().map(str::to_owned).zip(insts).collect()
}

impl Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) -> ({})", List(&self.params), List(&self.results))
    }
}

fn write_data(f: &mut dyn Write, module: &Module, object: &DataObject) -> fmt::Result {
    let keyword = match object.kind {
        DataKind::Memory(_) => "memory",
        DataKind::FixedMemory => "fixed_memory",
        DataKind::Variable => "var",
        DataKind::Table => "table",
        DataKind::Constant => "const",
    };
    let name = Name('@', &object.name);
    write!(f, "{keyword} {name} size={} align={}", object.size, object.align)?;
    let mut segments = &[][..];
    if let DataKind::Memory(memory) = &object.kind {
        write!(f, " min={}", memory.min_bytes)?;
        if let Some(max) = memory.max_bytes {
            write!(f, " max={max}")?;
        }
        write!(f, " page_log2={}", memory.page_log2)?;
        if let Some(stack) = memory.native_stack {
            write!(f, " native_stack={stack}")?;
        }
        if memory.keeps_stack {
            f.write_str(" keeps_stack")?;
        }
        if memory.grows {
            f.write_str(" grows")?;
        }
        segments = &memory.segments;
    }
    if !object.init.is_empty() {
        write!(f, " = {}", Hex(&object.init))?;
    }
    let segments = segments.iter().map(|s| format!("{}: {}", s.offset, Hex(&s.bytes)));
    let relocs = object.relocs.iter().map(|r| format!("{}: {}", r.offset, FuncName(module, r.func)));
    let addresses = object.addresses.iter().map(|stored| {
        let sum = if stored.addend == 0 { String::new() } else { format!("{:+}", stored.addend) };
        format!("{}: {}{sum}", stored.offset, DataName(module, stored.data))
    });
    let entries: Vec<String> = segments.chain(relocs).chain(addresses).collect();
    if !entries.is_empty() {
        write!(f, " {{ {} }}", entries.join(", "))?;
    }
    f.write_char('\n')
}

fn write_decl(f: &mut dyn Write, module: &Module, id: FuncId, decl: &FuncDecl) -> fmt::Result {
    let name = Name('$', &decl.name);
    let sig = Sig(module, decl.sig);
    match &decl.kind {
        FuncKind::Import(import) => {
            let (module, field) = (Quoted(&import.module), Quoted(&import.field));
            writeln!(f, "import {name} {module} {field} {sig}")
        }
        FuncKind::Intrinsic(intrinsic) => writeln!(f, "intrinsic {name} {} {sig}", Quoted(intrinsic)),
        FuncKind::Local => match module.functions.get(id) {
            Some(Some(func)) => write_function(f, module, func),
            _ => writeln!(f, "func {name} {sig}"),
        },
    }
}

fn write_function(f: &mut dyn Write, module: &Module, func: &Function) -> fmt::Result {
    let size = if func.optimize_for_size { " optsize" } else { "" };
    writeln!(f, "func {} {}{size} {{", Name('$', &func.name), Sig(module, func.sig))?;
    for (slot, data) in func.frame_slots.iter() {
        writeln!(f, "  slot {slot} size={} align={}", data.size, data.align)?;
    }
    for block in func.blocks.ids() {
        write_block_head(f, func, block)?;
        for &inst in &func.blocks[block].insts {
            f.write_str("  ")?;
            write_inst(f, module, func, inst)?;
            f.write_char('\n')?;
        }
    }
    f.write_str("}\n")
}

fn write_block_head(f: &mut dyn Write, func: &Function, block: Block) -> fmt::Result {
    let data = &func.blocks[block];
    write!(f, "{block}")?;
    if !data.params.is_empty() {
        let params: Vec<String> =
            data.params.iter().map(|&v| format!("{v}: {}", type_name(func, v))).collect();
        write!(f, "({})", params.join(", "))?;
    }
    if data.freq.to_bits() != 1.0f32.to_bits() {
        write!(f, " freq={}", data.freq)?;
    }
    f.write_str(":\n")
}

fn type_name(func: &Function, value: Value) -> &'static str {
    func.values.get(value).map_or("?", |v| v.ty.name())
}

fn write_inst(f: &mut dyn Write, module: &Module, func: &Function, inst: Inst) -> fmt::Result {
    let results = &func.results[inst];
    if !results.is_empty() {
        write!(f, "{} = ", List(results))?;
    }
    match &func.insts[inst] {
        InstData::Const { ty: Type::F32, bits } => write!(f, "const.f32 {:#010x}", *bits as u32),
        InstData::Const { ty: Type::F64, bits } => write!(f, "const.f64 {:#018x}", *bits),
        InstData::Const { ty, bits } => write!(f, "const.{ty} {bits}"),
        InstData::DataAddr { data, offset } => {
            write!(f, "data_addr {}", DataName(module, *data))?;
            write_offset(f, *offset)
        }
        InstData::FrameAddr { slot } => write!(f, "frame_addr {slot}"),
        InstData::FuncRef { func } => write!(f, "func_ref {}", FuncName(module, *func)),
        InstData::Unary { op, ty, arg } => write!(f, "{op}.{ty} {arg}"),
        InstData::Binary { op, ty, args } => write!(f, "{op}.{ty} {}", List(args)),
        InstData::Icmp { cond, ty, args } => write!(f, "icmp.{cond}.{ty} {}", List(args)),
        InstData::Fcmp { cond, ty, args } => write!(f, "fcmp.{cond}.{ty} {}", List(args)),
        InstData::Select { ty, cond, if_true, if_false } => {
            write!(f, "select.{ty} {cond}, {if_true}, {if_false}")
        }
        InstData::Load { mem, ty, addr, flags } => {
            write!(f, "load.{mem}.{ty} ")?;
            write_address(f, module, addr, *flags)
        }
        InstData::Store { mem, addr, value, flags } => {
            write!(f, "store.{mem} {value}, ")?;
            write_address(f, module, addr, *flags)
        }
        InstData::Call { func, args } => write!(f, "call {}({})", FuncName(module, *func), List(args)),
        InstData::CallIndirect { sig, callee, args } => {
            write!(f, "call_indirect {} {callee}({})", Sig(module, *sig), List(args))
        }
        terminator => write_terminator(f, module, terminator),
    }
}

fn write_terminator(f: &mut dyn Write, module: &Module, data: &InstData) -> fmt::Result {
    match data {
        InstData::Jump { to } => write!(f, "jump {to}"),
        InstData::Branch { cond, if_true, if_false } => write!(f, "branch {cond}, {if_true}, {if_false}"),
        InstData::Switch { ty, value, cases, default } => {
            let cases: Vec<String> = cases.iter().map(|(case, to)| format!("{case}: {to}")).collect();
            write!(f, "switch.{ty} {value}, [{}], {default}", cases.join(", "))
        }
        InstData::Return { args } if args.is_empty() => f.write_str("return"),
        InstData::Return { args } => write!(f, "return {}", List(args)),
        InstData::TailCall { func, args } => {
            write!(f, "tail_call {}({})", FuncName(module, *func), List(args))
        }
        InstData::TailCallIndirect { sig, callee, args } => {
            write!(f, "tail_call_indirect {} {callee}({})", Sig(module, *sig), List(args))
        }
        InstData::Trap { code } => write!(f, "trap {code}"),
        _ => unreachable!("write_inst prints everything else"),
    }
}

impl Display for BlockCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.args[..] {
            [] => write!(f, "{}", self.block),
            args => write!(f, "{}({})", self.block, List(args)),
        }
    }
}

fn write_address(f: &mut dyn Write, module: &Module, addr: &Addr, flags: MemFlags) -> fmt::Result {
    f.write_char('[')?;
    match (addr.base, addr.index) {
        (None, None) => write!(f, "{}", addr.offset)?,
        (Some(base), None) => write!(f, "{}", DataName(module, base))?,
        (None, Some(index)) => write!(f, "{index}")?,
        (Some(base), Some(index)) => write!(f, "{} + {index}", DataName(module, base))?,
    }
    if addr.base.is_some() || addr.index.is_some() {
        write_offset(f, addr.offset)?;
    }
    f.write_char(']')?;
    if flags.volatile {
        f.write_str(" volatile")?;
    }
    if flags.align_log2 != 0 {
        write!(f, " align={}", 1u64 << (flags.align_log2 & 63))?;
    }
    Ok(())
}

fn write_offset(f: &mut dyn Write, offset: i32) -> fmt::Result {
    match offset {
        0 => Ok(()),
        1.. => write!(f, " + {offset}"),
        _ => write!(f, " - {}", offset.unsigned_abs()),
    }
}

/// Items separated by commas.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in self.0.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { ", " })?;
            item.fmt(f)?;
        }
        Ok(())
    }
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("empty");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct Sig<'a>(&'a Module, SigId);

impl Display for Sig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.signatures.get(self.1) {
            Some(sig) => match self.0.signature_number(self.1) {
                0 => sig.fmt(f),
                number => write!(f, "{sig} #{number}"),
            },
            None => write!(f, "?{}", self.1),
        }
    }
}

struct FuncName<'a>(&'a Module, FuncId);

impl Display for FuncName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.decls.get(self.1) {
            Some(decl) => Name('$', &decl.name).fmt(f),
            None => write!(f, "$\"?f{}\"", self.1.index()),
        }
    }
}

struct DataName<'a>(&'a Module, DataId);

impl Display for DataName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.data.get(self.1) {
            Some(object) => Name('@', &object.name).fmt(f),
            None => write!(f, "@\"?d{}\"", self.1.index()),
        }
    }
}

/// A sigil and a name, quoted unless it is a plain word.
struct Name<'a>(char, &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.0)?;
        if !self.1.is_empty() && self.1.bytes().all(is_word_byte) {
            f.write_str(self.1)
        } else {
            Quoted(self.1).fmt(f)
        }
    }
}

/// Whether a byte may be part of a word: a keyword, number, opcode or unquoted name.
pub(crate) const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// A string literal; quotes, backslashes and control characters are written `\u{hex}`.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            if c.is_control() || matches!(c, '"' | '\\') {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        f.write_char('"')
    }
}
