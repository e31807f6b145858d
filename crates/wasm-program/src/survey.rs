//! The requirements of a module, collected before translation.
//!
//! A large module takes minutes to compile, and requirements that can't be met are often visible at once: an import
//! without an action, a float operator where floats are rejected. One walk over the operators finds all of them, in the
//! code that is reachable from the entries:
//!
//! - A function reaches the functions it calls or takes the address of, the tables it calls through or reads, the
//!   element segments it copies and the globals it reads.
//! - Tables and globals reach the functions in their references.
//! - Operators after an unconditional transfer count only if a branch leads to the end of their block, as in translation.
//!
//! This is a superset of the compiled code, since LLVM removes more.

use ssa::Import;
use wasmparser::{Catch, Operator, TryTable};

use crate::error::Error;
use crate::floats;
use crate::module_info::{ConstOp, ExportKind, ModuleInfo, SegmentMode, ValueType};
use crate::options::{Floats, Options};
use crate::program::check_imported_globals;
use crate::shadow_stack::memory_access;
use crate::types::lower_type;

/// Maximum number of float operators that an error lists.
const LISTED: usize = 8;

/// An imported function that reachable code uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReachedImport {
    /// Its name.
    pub import: Import,
    /// Number of words of the parameters and of the results.
    pub arity: (usize, usize),
    /// Name of a function that uses it, and the offset of the use in the input; `None` if it is exported or in a table.
    pub user: Option<(String, usize)>,
}

/// The requirements of a module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Demands {
    /// The imported functions that reachable code uses, in wasm order.
    pub imports: Vec<ReachedImport>,
    /// Names of the exports that the output names: all but tags, in wasm order.
    pub exports: Vec<String>,
    /// Bytes that the main memory has at the start, if a load or store uses it and the address space has so many.
    pub memory_bytes: Option<u32>,
    /// Requirements that can't be met: values of globals, and float operators if they are rejected.
    pub refused: Vec<Error>,
}

impl Demands {
    /// Refuses a module with a requirement that the frontend can't meet.
    ///
    /// # Errors
    /// The first of [`Self::refused`].
    pub fn check(&self) -> Result<(), Error> {
        self.refused.first().cloned().map_or(Ok(()), Err)
    }
}

/// Walks the reachable code.
///
/// # Errors
/// [`Error::InvalidWasm`] for a malformed body, which a validated module doesn't have.
pub fn survey(info: &ModuleInfo, wasm: &[u8], options: &Options) -> Result<Demands, Error> {
    let mut survey = Survey::walk(info, wasm, options)?;
    let globals = check_imported_globals(info, options).err();
    let imports = survey.refused_imports();
    let refused = globals.into_iter().chain(imports).chain(survey.refused_floats()).collect();
    let exports = info.exports.iter().filter(|export| !matches!(export.kind, ExportKind::Tag(_)));
    Ok(Demands {
        imports: survey.imports(),
        exports: exports.map(|export| export.name.clone()).collect(),
        memory_bytes: survey.memory_bytes(),
        refused,
    })
}

/// Whether reachable code computes with floats.
///
/// # Errors
/// As for [`survey`].
pub fn computes_floats(info: &ModuleInfo, wasm: &[u8], options: &Options) -> Result<bool, Error> {
    let options = Options { floats: Floats::Reject, ..options.clone() };
    Ok(!Survey::walk(info, wasm, &options)?.floats.is_empty())
}

/// Where a function is used: in the body of another, at an offset; or elsewhere.
type Use = Option<(u32, usize)>;

struct Survey<'a> {
    info: &'a ModuleInfo,
    wasm: &'a [u8],
    options: &'a Options,
    /// The first use of each reached function.
    reached: Vec<Option<Use>>,
    tables: Vec<bool>,
    globals: Vec<bool>,
    elements: Vec<bool>,
    work: Vec<u32>,
    accesses_memory: bool,
    /// Float operators: function, offset, name.
    floats: Vec<(u32, usize, String)>,
}

impl<'a> Survey<'a> {
    /// Visits all reachable code.
    fn walk(info: &'a ModuleInfo, wasm: &'a [u8], options: &'a Options) -> Result<Self, Error> {
        let mut survey = Survey {
            info,
            wasm,
            options,
            reached: vec![None; info.functions.len()],
            tables: vec![false; info.tables.len()],
            globals: vec![false; info.globals.len()],
            elements: vec![false; info.elements.len()],
            work: Vec::new(),
            accesses_memory: false,
            floats: Vec::new(),
        };
        survey.roots(options);
        while let Some(function) = survey.work.pop() {
            survey.body(function)?;
        }
        Ok(survey)
    }

    fn roots(&mut self, options: &Options) {
        for function in self.info.entries(options.service_entries) {
            self.function(function, None);
        }
        for export in &self.info.exports {
            if let (ExportKind::Table(table), true) = (export.kind, options.target.shares_tables) {
                self.table(table);
            }
        }
        if let Some(start) = self.info.start {
            self.function(start, None);
        }
    }

    fn function(&mut self, function: u32, user: Use) {
        let reached = &mut self.reached[function as usize];
        if reached.is_none() {
            *reached = Some(user);
            self.work.push(function);
        }
    }

    fn table(&mut self, table: u32) {
        if std::mem::replace(&mut self.tables[table as usize], true) {
            return;
        }
        self.references(&[self.info.tables[table as usize].init]);
        for (index, element) in (0..).zip(&self.info.elements) {
            if matches!(element.mode, SegmentMode::Active(into, _) if into == table) {
                self.element(index);
            }
        }
    }

    fn element(&mut self, element: u32) {
        if !std::mem::replace(&mut self.elements[element as usize], true) {
            self.references(&self.info.elements[element as usize].items);
        }
    }

    fn global(&mut self, global: u32) {
        if !std::mem::replace(&mut self.globals[global as usize], true) {
            self.references(&self.info.globals[global as usize].init);
        }
    }

    fn references(&mut self, ops: &[ConstOp]) {
        for op in ops {
            match *op {
                ConstOp::RefFunc(function) => self.function(function, None),
                ConstOp::GlobalGet(global) => self.global(global),
                _ => {}
            }
        }
    }

    fn body(&mut self, function: u32) -> Result<(), Error> {
        if self.info.functions[function as usize].import.is_some() {
            return Ok(());
        }
        let mut flow = Flow::default();
        let mut reader = self.info.body(self.wasm, function).get_operators_reader()?;
        while !reader.eof() {
            let (op, offset) = reader.read_with_offset()?;
            if flow.executes(&op)? {
                self.operator(function, offset as usize, &op);
            }
        }
        Ok(())
    }

    fn operator(&mut self, function: u32, offset: usize, op: &Operator<'_>) {
        match *op {
            Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } => self.function(function_index, Some((function, offset))),
            Operator::CallIndirect { table_index: table, .. }
            | Operator::ReturnCallIndirect { table_index: table, .. }
            | Operator::TableGet { table }
            | Operator::TableCopy { src_table: table, .. } => self.table(table),
            Operator::TableInit { elem_index, .. } => self.element(elem_index),
            Operator::GlobalGet { global_index } => self.global(global_index),
            ref other => {
                self.accesses_memory |= memory_access(other).is_some();
                if self.options.floats == Floats::Reject
                    && let Some(name) = floats::arithmetic(other)
                {
                    self.floats.push((function, offset, name));
                }
            }
        }
    }

    fn memory_bytes(&self) -> Option<u32> {
        let memory = self.info.main_memory().filter(|_| self.accesses_memory)?;
        let declared = u32::try_from(memory.min_bytes()).ok()?;
        Some(declared.max(self.options.memory_bytes.unwrap_or(0)))
    }

    /// The first float operator is the error's place, the others are listed in the order of the input.
    fn refused_floats(&mut self) -> Option<Error> {
        self.floats.sort_by_key(|(_, offset, _)| *offset);
        let ((function, offset, name), others) = self.floats.split_first()?;
        let mut what = format!("float operator {name}");
        if !others.is_empty() {
            let place = |(function, offset, name): &(u32, usize, String)| {
                format!("{name} in function {} at offset {offset:#x}", self.info.function_name(*function))
            };
            let listed: Vec<String> = others.iter().take(LISTED).map(place).collect();
            what = format!("{what}, and {}", listed.join(", "));
            if others.len() > LISTED {
                what = format!("{what}, and {} more", others.len() - LISTED);
            }
        }
        what.push_str(" (--floats soft computes them, --floats trap compiles them to traps)");
        let function = Some(self.info.function_name(*function));
        Some(Error::Unsupported { function, offset: *offset, what })
    }

    /// Hosts know no exceptions.
    fn refused_imports(&self) -> Option<Error> {
        let functions = self.info.functions.iter().zip(&self.reached);
        functions.filter_map(|(function, reached)| Some((function, (*reached)?))).find_map(
            |(function, user)| {
                let (import, ty) = (function.import.as_ref()?, &self.info.types[function.ty as usize]);
                let is_known = !ty.has_exception_params() && !ty.has_exception_results();
                let what = format!(
                    "a reference to an exception that the import {}.{} takes or returns: only an adapter can",
                    import.module, import.field
                );
                let (function, offset) =
                    user.map_or((None, 0), |(user, offset)| (Some(self.info.function_name(user)), offset));
                (!is_known).then_some(Error::Unsupported { function, offset, what })
            },
        )
    }

    /// The number of words of a value; those of a reference to an exception aren't known yet.
    fn words(&self, ty: ValueType) -> usize {
        if ty == ValueType::ExnRef { 1 } else { lower_type(ty, self.options).len() }
    }

    fn imports(&self) -> Vec<ReachedImport> {
        let functions = self.info.functions.iter().zip(&self.reached);
        let reached = functions.filter_map(|(function, reached)| {
            let ty = &self.info.types[function.ty as usize];
            let words = |types: &[_]| types.iter().map(|&ty| self.words(ty)).sum();
            Some(ReachedImport {
                import: function.import.clone()?,
                arity: (words(&ty.params), words(&ty.results)),
                user: (*reached)?.map(|(user, offset)| (self.info.function_name(user), offset)),
            })
        });
        reached.collect()
    }
}

/// Finds the operators of a body that can be executed.
struct Flow {
    frames: Vec<Frame>,
    /// Whether the next operator can be executed.
    live: bool,
    /// Frames opened since the code became unreachable.
    skipped: usize,
}

/// Whether an operator opens a frame.
fn opens(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. }
    )
}

/// The depths that exceptions in a block lead to, counted outside of it.
fn labels(block: &TryTable) -> Vec<u32> {
    let label = |catch: &Catch| match *catch {
        Catch::One { label, .. }
        | Catch::OneRef { label, .. }
        | Catch::All { label }
        | Catch::AllRef { label } => label,
    };
    block.catches.iter().map(label).collect()
}

/// A block that has been entered.
#[derive(Default)]
struct Frame {
    is_loop: bool,
    /// Whether it is an `if` without an `else` so far, whose condition leads to its end.
    lacks_else: bool,
    /// Whether its end is reached other than by falling through.
    reaches_end: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Self { frames: vec![Frame::default()], live: true, skipped: 0 }
    }
}

impl Flow {
    /// Advances by one operator; returns whether it can be executed.
    fn executes(&mut self, op: &Operator<'_>) -> Result<bool, Error> {
        let was_live = self.live;
        match op {
            _ if opens(op) && !self.live => self.skipped += 1,
            Operator::TryTable { try_table } => {
                // Exceptions lead to the frames around this one.
                labels(try_table).into_iter().for_each(|depth| self.branch(depth));
                self.frames.push(Frame::default());
            }
            _ if opens(op) => {
                let is_loop = matches!(op, Operator::Loop { .. });
                let lacks_else = matches!(op, Operator::If { .. });
                self.frames.push(Frame { is_loop, lacks_else, reaches_end: false });
            }
            Operator::Else if self.skipped == 0 => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.lacks_else = false;
                    frame.reaches_end |= self.live;
                }
                self.live = true;
            }
            Operator::Catch { .. } | Operator::CatchAll if self.skipped == 0 => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.reaches_end |= self.live;
                }
                self.live = true;
            }
            Operator::End | Operator::Delegate { .. } if self.skipped > 0 => self.skipped -= 1,
            Operator::End | Operator::Delegate { .. } => {
                let frame = self.frames.pop().unwrap_or_default();
                self.live |= frame.reaches_end || frame.lacks_else;
            }
            _ if !self.live => {}
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.live = false;
            }
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                for target in targets.targets() {
                    self.branch(target?);
                }
                self.branch(targets.default());
                self.live = false;
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::Rethrow { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => self.live = false,
            _ => {}
        }
        Ok(was_live)
    }

    fn branch(&mut self, depth: u32) {
        let frame = self.frames.iter_mut().nth_back(depth as usize);
        if let Some(frame) = frame.filter(|frame| !frame.is_loop) {
            frame.reaches_end = true;
        }
    }
}
