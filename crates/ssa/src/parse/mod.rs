//! The parser of the text form.
//!
//! The grammar is shown in the documentation of the printer. Functions and data objects may be used before they are
//! declared, so a module is read in two passes. The first collects declarations and skips bodies by matching braces;
//! the second reads bodies and references with all names known.
//!
//! The id of a value or frame slot is the rank of the number it is written with; the id of a block is its position. So
//! hand-written text may leave gaps, and parsing printed text gives back the original ids.

mod body;
mod cursor;
mod lexer;

use std::collections::BTreeMap;
use std::fmt;

use crate::{
    DataId, DataKind, DataObject, Export, ExportItem, FuncDecl, FuncId, FuncKind, Function, Import,
    LinearMemory, Module, Relocation, Segment, SigId, StoredAddress,
};
use cursor::Cursor;
use lexer::Token;

/// A syntax error, or a reference to an undeclared name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Line, counted from 1.
    pub line: u32,
    /// The error.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Parses a module, without verifying it.
pub fn parse_module(text: &str) -> Result<Module, ParseError> {
    let tokens = lexer::lex(text)?;
    let mut parser = ModuleParser::default();
    parser.declarations(Cursor::new(&tokens))?;
    parser.bodies()?;
    Ok(parser.module)
}

/// Parses one function whose callees, data objects and signature are in `module`.
pub fn parse_function(module: &Module, text: &str) -> Result<Function, ParseError> {
    let tokens = lexer::lex(text)?;
    let mut cursor = Cursor::new(&tokens);
    cursor.skip_newlines();
    if !cursor.eat_word("func") {
        return Err(cursor.expected("`func`"));
    }
    let names = Names::of(module);
    let name = cursor.func_name()?;
    let sig = cursor.signature_of(module)?;
    let func = body::parse_body(module, &names, Function::new(name, sig), &mut cursor)?;
    cursor.skip_newlines();
    if *cursor.peek() != Token::End { Err(cursor.expected("end of text")) } else { Ok(func) }
}

/// Name resolution: the ids of declared functions and data objects.
#[derive(Default)]
struct Names {
    funcs: BTreeMap<String, FuncId>,
    data: BTreeMap<String, DataId>,
}

impl Names {
    fn of(module: &Module) -> Self {
        Self {
            funcs: module.decls.iter().map(|(id, decl)| (decl.name.clone(), id)).collect(),
            data: module.data.iter().map(|(id, object)| (object.name.clone(), id)).collect(),
        }
    }

    fn func(&self, cursor: &mut Cursor<'_, '_>) -> Result<FuncId, ParseError> {
        let start = *cursor;
        let name = cursor.func_name()?;
        self.funcs.get(name).copied().ok_or_else(|| start.error(format!("unknown function `${name}`")))
    }

    fn data(&self, cursor: &mut Cursor<'_, '_>) -> Result<DataId, ParseError> {
        let start = *cursor;
        let name = cursor.data_name()?;
        self.data.get(name).copied().ok_or_else(|| start.error(format!("unknown data object `@{name}`")))
    }
}

/// The module read so far, and the positions of the parts left for the second pass, when all names are known.
#[derive(Default)]
struct ModuleParser<'t, 'a> {
    module: Module,
    names: Names,
    bodies: Vec<(FuncId, Cursor<'t, 'a>)>,
    entries: Vec<(DataId, Cursor<'t, 'a>)>,
    exports: Vec<Cursor<'t, 'a>>,
    start: Option<Cursor<'t, 'a>>,
    host_arguments: Option<Cursor<'t, 'a>>,
    memory_size: Option<Cursor<'t, 'a>>,
}

impl<'t, 'a> ModuleParser<'t, 'a> {
    fn declarations(&mut self, mut cursor: Cursor<'t, 'a>) -> Result<(), ParseError> {
        loop {
            cursor.skip_newlines();
            if *cursor.peek() == Token::End {
                return Ok(());
            }
            let start = cursor;
            match cursor.word("a declaration")? {
                "sig" => {
                    self.module.signatures.push(cursor.signature()?);
                }
                "memory" => self.data(&mut cursor, DataKind::Memory(LinearMemory::default()))?,
                "fixed_memory" => self.data(&mut cursor, DataKind::FixedMemory)?,
                "var" => self.data(&mut cursor, DataKind::Variable)?,
                "table" => self.data(&mut cursor, DataKind::Table)?,
                "const" => self.data(&mut cursor, DataKind::Constant)?,
                "import" => self.import(&mut cursor)?,
                "intrinsic" => self.intrinsic(&mut cursor)?,
                "func" => self.local(&mut cursor)?,
                "export" => {
                    self.exports.push(cursor);
                    cursor.string()?;
                    cursor.take();
                }
                "start" => {
                    self.start = Some(cursor);
                    cursor.func_name()?;
                }
                "host_arguments" => {
                    self.host_arguments = Some(cursor);
                    cursor.take();
                }
                "memory_size" => {
                    self.memory_size = Some(cursor);
                    cursor.take();
                }
                _ => return Err(start.expected("a declaration")),
            }
            cursor.end_of_line()?;
        }
    }

    fn bodies(&mut self) -> Result<(), ParseError> {
        for (data, mut cursor) in std::mem::take(&mut self.entries) {
            self.data_entries(data, &mut cursor)?;
        }
        for (id, mut cursor) in std::mem::take(&mut self.bodies) {
            let decl = &self.module.decls[id];
            let func = Function::new(decl.name.clone(), decl.sig);
            self.module.functions[id] = Some(body::parse_body(&self.module, &self.names, func, &mut cursor)?);
        }
        for mut cursor in std::mem::take(&mut self.exports) {
            let name = cursor.string()?;
            let item = match cursor.peek() {
                Token::Func(_) => ExportItem::Func(self.names.func(&mut cursor)?),
                _ => ExportItem::Data(self.names.data(&mut cursor)?),
            };
            self.module.exports.push(Export { name, item });
        }
        if let Some(mut cursor) = self.start {
            self.module.start = Some(self.names.func(&mut cursor)?);
        }
        if let Some(mut cursor) = self.host_arguments {
            self.module.host_arguments = Some(self.names.data(&mut cursor)?);
        }
        if let Some(mut cursor) = self.memory_size {
            self.module.memory_size = Some(self.names.data(&mut cursor)?);
        }
        Ok(())
    }

    fn data(&mut self, cursor: &mut Cursor<'t, 'a>, mut kind: DataKind) -> Result<(), ParseError> {
        let start = *cursor;
        let name = cursor.data_name()?.to_owned();
        let size = cursor.attribute("size")?;
        let align = cursor.attribute("align")?;
        if let DataKind::Memory(memory) = &mut kind {
            memory.min_bytes = cursor.attribute("min")?;
            if cursor.peek_word() == Some("max") {
                memory.max_bytes = Some(cursor.attribute("max")?);
            }
            memory.page_log2 = cursor.attribute("page_log2")?;
            if cursor.peek_word() == Some("native_stack") {
                memory.native_stack = Some(cursor.attribute("native_stack")?);
            }
            memory.keeps_stack = cursor.eat_word("keeps_stack");
            memory.grows = cursor.eat_word("grows");
        }
        let init = if cursor.eat('=') { cursor.hex()? } else { Vec::new() };
        let object = DataObject {
            name: name.clone(),
            kind,
            size,
            align,
            init,
            relocs: Vec::new(),
            addresses: Vec::new(),
        };
        let id = self.module.data.push(object);
        if *cursor.peek() == Token::Punct('{') {
            self.entries.push((id, *cursor));
            skip_braces(cursor)?;
        }
        match self.names.data.insert(name, id) {
            None => Ok(()),
            Some(_) => Err(start.error("a data object of this name exists")),
        }
    }

    /// `{ offset: $function, offset: @data+addend, offset: bytes }`, the last for linear memory only.
    fn data_entries(&mut self, data: DataId, cursor: &mut Cursor<'t, 'a>) -> Result<(), ParseError> {
        let (names, object) = (&self.names, &mut self.module.data[data]);
        cursor.list('{', '}', |cursor| {
            cursor.skip_newlines();
            let offset = cursor.parse("an offset")?;
            cursor.expect(':')?;
            match (cursor.peek(), &mut object.kind) {
                (Token::Word(_), DataKind::Memory(memory)) => {
                    memory.segments.push(Segment { offset, bytes: cursor.hex()? });
                }
                (Token::Data(_), _) => {
                    let data = names.data(cursor)?;
                    object.addresses.push(StoredAddress { offset, data, addend: cursor.offset()? });
                }
                _ => object.relocs.push(Relocation { offset, func: names.func(cursor)? }),
            }
            cursor.skip_newlines();
            Ok(())
        })?;
        Ok(())
    }

    fn import(&mut self, cursor: &mut Cursor<'t, 'a>) -> Result<(), ParseError> {
        let name = *cursor;
        cursor.func_name()?;
        let import = Import { module: cursor.string()?, field: cursor.string()? };
        self.declare(name, cursor, FuncKind::Import(import))?;
        Ok(())
    }

    fn intrinsic(&mut self, cursor: &mut Cursor<'t, 'a>) -> Result<(), ParseError> {
        let name = *cursor;
        cursor.func_name()?;
        let intrinsic = cursor.string()?;
        self.declare(name, cursor, FuncKind::Intrinsic(intrinsic))?;
        Ok(())
    }

    fn local(&mut self, cursor: &mut Cursor<'t, 'a>) -> Result<(), ParseError> {
        let name = *cursor;
        cursor.func_name()?;
        let id = self.declare(name, cursor, FuncKind::Local)?;
        let body = *cursor;
        cursor.eat_word("optsize");
        if *cursor.peek() == Token::Punct('{') {
            self.bodies.push((id, body));
            self.skip_body(cursor)?;
        }
        Ok(())
    }

    /// Moves past a body, adding the signatures of its indirect calls.
    fn skip_body(&mut self, cursor: &mut Cursor<'t, 'a>) -> Result<(), ParseError> {
        let start = *cursor;
        loop {
            match cursor.take() {
                Token::Punct('}') => return Ok(()),
                Token::End => return Err(start.error("unclosed `{`")),
                Token::Word("call_indirect" | "tail_call_indirect") => {
                    self.declare_signature(cursor)?;
                }
                _ => {}
            }
        }
    }

    /// Reads a signature, which is added if the module has none with its shape.
    fn declare_signature(&mut self, cursor: &mut Cursor<'t, 'a>) -> Result<SigId, ParseError> {
        let shape = { *cursor }.signature()?;
        self.module.intern_signature(shape);
        cursor.signature_of(&self.module)
    }

    /// Reads the signature at `cursor` and adds a function with the name at `name`.
    fn declare(
        &mut self,
        mut name: Cursor<'t, 'a>,
        cursor: &mut Cursor<'t, 'a>,
        kind: FuncKind,
    ) -> Result<FuncId, ParseError> {
        let start = name;
        let name = name.func_name()?.to_owned();
        let sig = self.declare_signature(cursor)?;
        let id = self.module.decls.push(FuncDecl { name: name.clone(), sig, kind });
        self.module.functions.push(None);
        match self.names.funcs.insert(name, id) {
            None => Ok(id),
            Some(_) => Err(start.error("a function of this name exists")),
        }
    }
}

/// Moves past `{ … }`; braces don't nest in the text form.
fn skip_braces(cursor: &mut Cursor<'_, '_>) -> Result<(), ParseError> {
    let start = *cursor;
    loop {
        match cursor.take() {
            Token::Punct('}') => return Ok(()),
            Token::End => return Err(start.error("unclosed `{`")),
            _ => {}
        }
    }
}
