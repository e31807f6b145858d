//! The C header of an object.
//!
//! Prototypes of exports and imports have the wasm types: integers are signed, floats carried as bits are integers, and
//! references are `int64_t`. Several results are a structure, passed as a pointer that comes first. A symbol that is no
//! C identifier, or that is a keyword, gets an identifier derived from it, and the symbol as its assembler name.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ssa::{DataId, DataKind, FuncId, FuncKind, Module, Signature, Type};

use crate::elf::write::names::Names;
use crate::elf::write::{NameError, data};
use crate::isa::MemoryMode;
use crate::{Options, Trap};

/// Keywords of C and C++, and `main`, whose type C fixes.
const WORDS: &str = "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const \
     consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double \
     dynamic_cast else enum explicit export extern false float for friend goto if inline int long main mutable namespace \
     new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict \
     return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try \
     typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq";

/// Writes the header of a module. The module has gone through [`crate::adapt::initial`] but no other preparation.
///
/// # Errors
/// If the names of imports and exports can't all be symbols.
pub fn header(module: &Module, linear: Option<DataId>, options: &Options) -> Result<String, NameError> {
    let names = Names::new(module, linear, &options.object, None)?;
    let mut header = Header { module, text: String::new(), used: BTreeSet::new() };
    header.text.push_str("/* Made by wasm-pvm. */\n#pragma once\n\n#include <stdint.h>\n\n");
    header.text.push_str("#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    if options.memory == MemoryMode::Register
        && let Some(DataKind::Memory(memory)) = linear.map(|memory| &module.data[memory].kind)
    {
        let bytes = data::MemoryLayout::new(&options.object, options.cpu).place(memory.min_bytes).0;
        let _ = writeln!(
            header.text,
            "/* Linear memory, {bytes} bytes of it, begins where r11 points at every entry. */\n"
        );
    }
    header.exports(&names, module.start);
    header.imports(&names);
    if let Trap::Handler(symbol) = &options.trap {
        let handler = header.declare("void ", symbol, "(uint32_t trap, uint32_t offset)");
        let _ = writeln!(
            header.text,
            "/* Called by traps, with the number and the offset in the module; must not return. */\n{handler}"
        );
    }
    header.data(&names, options);
    header.text.push_str("#ifdef __cplusplus\n}\n#endif\n");
    Ok(header.text)
}

struct Header<'a> {
    module: &'a Module,
    text: String,
    /// Identifiers in use.
    used: BTreeSet<String>,
}

impl Header<'_> {
    fn exports(&mut self, names: &Names, start: Option<FuncId>) {
        for (func, symbols) in names.functions.iter() {
            for symbol in symbols {
                let is_first = start == Some(func) && names.start.as_ref() == Some(symbol);
                let comment = if is_first { "/* Must be called once, before all others. */\n" } else { "" };
                self.function(func, symbol, comment);
            }
        }
    }

    fn imports(&mut self, names: &Names) {
        let mut seen = BTreeSet::new();
        for (func, decl) in self.module.decls.iter() {
            if let (FuncKind::Import(_), Some(symbol)) = (&decl.kind, &names.imports[func])
                && seen.insert(symbol)
            {
                self.function(func, symbol, "/* Imported. */\n");
            }
        }
    }

    fn function(&mut self, func: FuncId, symbol: &str, comment: &str) {
        let Signature { params, results } = self.module.signature_of(func);
        let mut list: Vec<String> =
            params.iter().enumerate().map(|(n, &ty)| format!("{} p{n}", type_name(ty))).collect();
        let result = match results[..] {
            [] => "void ".to_owned(),
            [ty] => format!("{} ", type_name(ty)),
            _ => {
                let name = self.identifier(&format!("{symbol}_results"));
                let members = results.iter().enumerate();
                let members: String =
                    members.map(|(n, &ty)| format!("    {} r{n};\n", type_name(ty))).collect();
                let _ = write!(self.text, "struct {name} {{\n{members}}};\n");
                list.insert(0, format!("struct {name} *results"));
                "void ".to_owned()
            }
        };
        let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
        let declaration = self.declare(&result, symbol, &format!("({list})"));
        let _ = writeln!(self.text, "{comment}{declaration}");
    }

    fn data(&mut self, names: &Names, options: &Options) {
        for (id, symbols) in names.data.iter() {
            let is_elsewhere = matches!(self.module.data[id].kind, DataKind::Memory(_))
                && options.memory != MemoryMode::Symbol;
            for symbol in symbols.iter().filter(|_| !is_elsewhere) {
                let (ty, array) = self.data_type(id, options);
                let declaration = self.declare(&format!("extern {ty}"), symbol, &array);
                let _ = writeln!(self.text, "{declaration}");
            }
            for symbol in names.sizes[id].iter().filter(|_| !is_elsewhere) {
                let declaration = self.declare("extern const uint8_t ", symbol, "[]");
                let _ = writeln!(self.text, "/* Its address is the number of bytes. */\n{declaration}");
            }
        }
    }

    /// The type of a data object, and the declarator's part after its name.
    fn data_type(&self, id: DataId, options: &Options) -> (&'static str, String) {
        let object = &self.module.data[id];
        match &object.kind {
            DataKind::Memory(memory) => {
                let layout = data::MemoryLayout::new(&options.object, options.cpu);
                ("uint8_t ", format!("[{}]", layout.place(memory.min_bytes).0))
            }
            DataKind::FixedMemory => {
                let layout = data::MemoryLayout::new(&options.object, options.cpu);
                ("uint8_t ", format!("[{}]", layout.place_other(object.size, object.align).0))
            }
            DataKind::Table => ("uint64_t ", format!("[{}]", object.size / 8)),
            DataKind::Variable if object.size == 8 => ("int64_t ", String::new()),
            DataKind::Variable => ("int32_t ", String::new()),
            DataKind::Constant if object.size == 8 => ("const int64_t ", String::new()),
            DataKind::Constant => ("const int32_t ", String::new()),
        }
    }

    /// A declaration of `symbol` between a type and the text after the name.
    fn declare(&mut self, before: &str, symbol: &str, after: &str) -> String {
        let name = self.identifier(symbol);
        let label = if name == symbol { String::new() } else { format!(" __asm__({})", quoted(symbol)) };
        format!("{before}{name}{after}{label};\n")
    }

    /// An identifier for a symbol: the symbol itself if it is a valid and free one.
    fn identifier(&mut self, symbol: &str) -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        let mut name: String = symbol.chars().map(legal).collect();
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        while WORDS.split_whitespace().any(|word| word == name) || self.used.contains(&name) {
            name.push('_');
        }
        self.used.insert(name.clone());
        name
    }
}

/// A symbol as a C string.
fn quoted(symbol: &str) -> String {
    format!("\"{}\"", symbol.replace('\\', "\\\\").replace('"', "\\\""))
}

const fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::I32 => "int32_t",
        Type::I64 => "int64_t",
        Type::F32 => "float",
        Type::F64 => "double",
    }
}
