//! Generates the texts of modules that import from each other.
//!
//! The values of immutable `i32` globals are known here, so that an offset computed from one is valid for a segment.
//! Every function consumes its module's fuel, so that all calls end.

use std::fmt::Write as _;

use random::Rng;

/// Modules in the order of their instantiation.
#[derive(Clone, Debug)]
pub struct Program {
    /// Texts; the last one is the main module.
    pub modules: Vec<String>,
    /// The adapters, numbered as in `modules`, in the order in which they are given to the compiler.
    pub order: Vec<usize>,
    /// Exported functions of the main module; whether each parameter is an `i64`.
    pub functions: Vec<(String, Vec<bool>)>,
}

impl Program {
    /// The adapters in the order in which they are given to the compiler.
    pub fn adapters(&self) -> Vec<Vec<u8>> {
        self.order.iter().map(|&n| self.modules[n].clone().into_bytes()).collect()
    }
}

/// Maximum number of pages of a memory, and of elements of a table.
const MOST_PAGES: u32 = 2;
const MOST_ELEMENTS: u32 = 12;
/// Data and accesses are in the first bytes of memory, so that they overlap.
const BYTES: u32 = 200;

/// Signatures of functions by number, as text and as whether parameters are `i64`.
const SIGNATURES: [(&str, &[bool]); 3] = [
    ("(result i32)", &[]),
    ("(param i32) (result i32)", &[false]),
    ("(param i64 i32) (result i64)", &[true, false]),
];
/// The signature of functions in tables.
const IN_TABLES: usize = 1;

/// A global that another module may import.
#[derive(Clone, Debug)]
struct Global {
    name: String,
    ty: &'static str,
    is_mutable: bool,
    /// The value of an immutable `i32`.
    value: Option<u32>,
}

/// A function that another module may import.
#[derive(Clone, Debug)]
struct Function {
    name: String,
    signature: usize,
}

/// A table that another module may import.
#[derive(Clone, Debug)]
struct Table {
    name: String,
    len: u32,
}

/// The exports of the modules so far.
#[derive(Clone, Default, Debug)]
struct Exports {
    globals: Vec<Global>,
    functions: Vec<Function>,
    tables: Vec<Table>,
    has_memory: bool,
}

/// A random program.
pub fn program(mut random: Rng) -> Program {
    let adapters = 1 + random.below(3);
    // In a chain, each module imports from the one before it, so the order of options has no effect.
    let is_chain = random.one_in(2);
    let mut exports = Exports::default();
    let mut program = Program { modules: Vec::new(), order: (0..adapters).collect(), functions: Vec::new() };
    for number in 0..=adapters {
        let mut module = Writer {
            random: &mut random,
            own: Exports::default(),
            number,
            text: String::new(),
            passive: [0; 2],
        };
        module.module(&exports, is_chain, number == adapters);
        let Writer { own, text, .. } = module;
        if number == adapters {
            let functions =
                own.functions.iter().map(|it| (it.name.clone(), SIGNATURES[it.signature].1.to_vec()));
            program.functions = functions.collect();
        }
        let fresh = |name: &str| name.starts_with(&format!("m{number}_"));
        exports.globals.extend(own.globals.into_iter().filter(|global| fresh(&global.name)));
        exports.functions.extend(own.functions.into_iter().filter(|function| fresh(&function.name)));
        exports.tables.extend(own.tables.into_iter().filter(|table| fresh(&table.name)));
        exports.has_memory |= own.has_memory;
        program.modules.push(text);
    }
    if is_chain {
        for n in (1..adapters).rev() {
            program.order.swap(n, random.below(n + 1));
        }
    }
    program
}

/// Writes one module. Every entity is named as it is exported.
struct Writer<'r> {
    random: &'r mut Rng,
    own: Exports,
    number: usize,
    text: String,
    /// Passive data segments, and passive element segments, which come first.
    passive: [u32; 2],
}

impl Writer<'_> {
    fn below(&mut self, limit: u32) -> u32 {
        self.random.below(limit.max(1) as usize) as u32
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let at = self.below(of.len() as u32) as usize;
        of.get(at).cloned()
    }

    fn line(&mut self, line: &str) {
        self.text.push_str("  ");
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn module(&mut self, others: &Exports, is_chain: bool, is_main: bool) {
        self.text.push_str("(module\n");
        for (_, (signature, _)) in SIGNATURES.iter().enumerate().skip(usize::from(self.one_in(2))) {
            self.line(&format!("(type (func {signature}))"));
        }
        self.imports(others, is_chain, is_main);
        self.memory(is_main);
        self.tables();
        self.globals();
        let imported = self.own.functions.len();
        let count = 2 + self.below(3);
        for n in 0..count {
            let signature = if n == 0 { IN_TABLES } else { self.below(3) as usize };
            self.own.functions.push(Function { name: format!("m{}_f{n}", self.number), signature });
        }
        self.segments();
        for at in imported..self.own.functions.len() {
            self.function(at);
        }
        if self.one_in(2) {
            let body = self.statements(imported);
            self.line(&format!("(func $start{body})"));
            self.line("(start $start)");
        }
        if is_main {
            // Imports can be exported again.
            let mut again = Vec::new();
            again.extend(
                self.own.globals.iter().map(|it| format!("(export \"x_{0}\" (global ${0}))", it.name)),
            );
            again.extend(
                self.own.functions[..imported]
                    .iter()
                    .map(|it| format!("(export \"{0}\" (func ${0}))", it.name)),
            );
            again.iter().for_each(|line| self.line(line));
        }
        self.text.push_str(")\n");
    }

    fn imports(&mut self, others: &Exports, is_chain: bool, is_main: bool) {
        if is_main || self.one_in(2) {
            self.line("(import \"env\" \"host\" (func $host (param i64) (result i64)))");
        }
        let before = format!("m{}_f0", self.number.wrapping_sub(1));
        for function in &others.functions {
            if (is_chain && function.name == before) || self.one_in(3) {
                let signature = SIGNATURES[function.signature].0;
                self.line(&format!("(import \"env\" \"{0}\" (func ${0} {signature}))", function.name));
                self.own.functions.push(function.clone());
            }
        }
        for global in &others.globals {
            if self.one_in(2) {
                let ty =
                    if global.is_mutable { format!("(mut {})", global.ty) } else { global.ty.to_owned() };
                self.line(&format!("(import \"env\" \"{0}\" (global ${0} {ty}))", global.name));
                self.own.globals.push(global.clone());
            }
        }
        for table in &others.tables {
            if self.one_in(2) {
                let least = self.below(table.len + 1);
                self.line(&format!("(import \"env\" \"{0}\" (table ${0} {least} funcref))", table.name));
                self.own.tables.push(table.clone());
            }
        }
        if others.has_memory && (is_main || self.one_in(2)) {
            self.line("(import \"env\" \"memory\" (memory $memory 1))");
            self.own.has_memory = true;
        }
    }

    /// The first module has the memory, or the main module.
    fn memory(&mut self, is_main: bool) {
        if !self.own.has_memory && (self.number == 0 && self.one_in(2) || is_main) {
            self.line(&format!("(memory $memory 1 {MOST_PAGES})"));
            self.own.has_memory = true;
        }
        if self.own.has_memory && (self.number == 0 || is_main) {
            self.line("(export \"memory\" (memory $memory))");
        }
    }

    fn tables(&mut self) {
        for n in 0..self.below(3) {
            let (name, len) = (format!("m{}_t{n}", self.number), 4 + self.below(MOST_ELEMENTS - 3));
            self.line(&format!("(table ${name} (export \"{name}\") {len} {MOST_ELEMENTS} funcref)"));
            self.own.tables.push(Table { name, len });
        }
    }

    fn globals(&mut self) {
        self.line("(global $fuel (mut i32) (i32.const 40))");
        let imported = self.own.globals.clone();
        for n in 0..1 + self.below(5) {
            let ty = ["i32", "i32", "i64", "funcref"][self.below(4) as usize];
            let name = format!("m{}_g{n}", self.number);
            let is_mutable = self.one_in(3);
            let constant = self.below(100);
            let fitting: Vec<Global> =
                imported.iter().filter(|it| it.ty == ty && !it.is_mutable).cloned().collect();
            let other = if self.one_in(3) { None } else { self.pick(&fitting) };
            let (init, value) = match (ty, other) {
                ("funcref", Some(other)) => (format!("(global.get ${})", other.name), None),
                ("funcref", None) if self.one_in(4) => ("(ref.null func)".to_owned(), None),
                ("funcref", None) => (format!("(ref.func $m{}_f0)", self.number), None),
                (_, Some(other)) => {
                    let operator = ["add", "sub", "mul"][self.below(3) as usize];
                    let value = other.value.unwrap_or(0);
                    let value = match operator {
                        "add" => value.wrapping_add(constant),
                        "sub" => value.wrapping_sub(constant),
                        _ => value.wrapping_mul(constant),
                    };
                    (
                        format!("({ty}.{operator} (global.get ${}) ({ty}.const {constant}))", other.name),
                        Some(value),
                    )
                }
                (_, None) => (format!("({ty}.const {constant})"), Some(constant)),
            };
            let shown = if is_mutable { format!("(mut {ty})") } else { ty.to_owned() };
            self.line(&format!("(global ${name} (export \"{name}\") {shown} {init})"));
            let value = value.filter(|_| ty == "i32" && !is_mutable);
            self.own.globals.push(Global { name, ty, is_mutable, value });
        }
    }

    /// An expression of `value` that goes through an imported global if there is one.
    fn offset(&mut self, value: u32) -> String {
        let prefix = format!("m{}_", self.number);
        let known: Vec<Global> = self
            .own
            .globals
            .iter()
            .filter(|it| it.value.is_some() && !it.name.starts_with(&prefix))
            .cloned()
            .collect();
        match self.pick(&known) {
            Some(Global { name, value: Some(known), .. }) => {
                let difference = value.wrapping_sub(known) as i32;
                format!("(i32.add (global.get ${name}) (i32.const {difference}))")
            }
            _ => format!("(i32.const {value})"),
        }
    }

    /// Passive segments first, then active ones.
    fn segments(&mut self) {
        let table_functions: Vec<String> = self
            .own
            .functions
            .iter()
            .filter(|it| it.signature == IN_TABLES)
            .map(|it| it.name.clone())
            .collect();
        self.passive = [if self.own.has_memory { self.below(3) } else { 0 }, self.below(2)];
        for _ in 0..self.passive[1] {
            let function = self.pick(&table_functions).unwrap_or_default();
            self.line(&format!("(elem func ${function} ${function})"));
        }
        for table in self.own.tables.clone() {
            for _ in 0..self.below(3) {
                let at = self.below(table.len - 1);
                let offset = self.offset(at);
                let first = self.pick(&table_functions).unwrap_or_default();
                let prefix = format!("m{}_", self.number);
                let references: Vec<Global> = self
                    .own
                    .globals
                    .iter()
                    .filter(|it| it.ty == "funcref" && !it.is_mutable && !it.name.starts_with(&prefix))
                    .cloned()
                    .collect();
                let second = match self.pick(&references) {
                    Some(global) => format!("(global.get ${})", global.name),
                    None => format!("(ref.func ${first})"),
                };
                self.line(&format!(
                    "(elem (table ${}) (offset {offset}) funcref (item (ref.func ${first})) (item {second}))",
                    table.name
                ));
            }
        }
        for n in 0..self.passive[0] {
            self.line(&format!("(data \"passive{n}{}\")", self.number));
        }
        if self.own.has_memory {
            for n in 0..self.below(4) {
                let at = self.below(BYTES);
                let offset = self.offset(at);
                self.line(&format!("(data {offset} \"d{n}m{}\")", self.number));
            }
        }
    }

    fn function(&mut self, at: usize) {
        let Function { name, signature } = self.own.functions[at].clone();
        let wide = signature == 2;
        let statements = self.statements(at);
        let result = if wide {
            let value = self.value(at);
            format!("(i64.add (local.get 0) (i64.extend_i32_s {value}))")
        } else {
            self.value(at)
        };
        let ty = if wide { "i64" } else { "i32" };
        self.line(&format!(
            "(func ${name} (export \"{name}\") {} \
             (if (i32.eqz (global.get $fuel)) (then (return ({ty}.const 7)))) \
             (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1))){statements} {result})",
            SIGNATURES[signature].0
        ));
    }

    /// Statements that may call functions before number `end`.
    fn statements(&mut self, end: usize) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.below(5) {
            let statement = self.statement(end);
            let _ = write!(text, "\n    {statement}");
        }
        text
    }

    fn statement(&mut self, end: usize) -> String {
        let value = self.value(end);
        let address = self.below(BYTES);
        let mutable: Vec<Global> =
            self.own.globals.iter().filter(|it| it.is_mutable && it.ty != "funcref").cloned().collect();
        let has_host = self.text.contains("\"host\"");
        match self.below(10) {
            0 | 1 if !mutable.is_empty() => match self.pick(&mutable) {
                Some(Global { name, ty: "i64", .. }) => {
                    format!("(global.set ${name} (i64.extend_i32_u {value}))")
                }
                Some(Global { name, .. }) => format!("(global.set ${name} {value})"),
                None => "(nop)".to_owned(),
            },
            2 if has_host => format!("(drop (call $host (i64.extend_i32_s {value})))"),
            3 => self.table_statement(),
            4 | 5 => match self.call(end) {
                Some(call) => format!("(drop {call})"),
                None => "(nop)".to_owned(),
            },
            6 if self.passive[0] > 0 && self.own.has_memory => {
                let segment = self.below(self.passive[0]);
                if self.one_in(6) {
                    return format!("(data.drop {segment})");
                }
                let len = self.below(9);
                format!("(memory.init {segment} (i32.const {address}) (i32.const 0) (i32.const {len}))")
            }
            7 if self.own.has_memory && self.one_in(4) => "(drop (memory.grow (i32.const 1)))".to_owned(),
            _ if self.own.has_memory => format!("(i32.store (i32.const {address}) {value})"),
            _ => "(nop)".to_owned(),
        }
    }

    fn table_statement(&mut self) -> String {
        let Some(table) = self.pick(&self.own.tables.clone()) else { return "(nop)".to_owned() };
        let at = self.below(table.len - 1);
        match self.below(4) {
            0 if self.passive[1] > 0 && !self.one_in(6) => {
                format!("(table.init ${} 0 (i32.const {at}) (i32.const 0) (i32.const 2))", table.name)
            }
            1 if self.passive[1] > 0 && self.one_in(3) => "(elem.drop 0)".to_owned(),
            2 => format!("(table.set ${} (i32.const {at}) (ref.func $m{}_f0))", table.name, self.number),
            3 => format!("(drop (table.grow ${} (ref.null func) (i32.const 1)))", table.name),
            _ => format!("(table.set ${} (i32.const {at}) (ref.null func))", table.name),
        }
    }

    /// A call of a function before number `end`.
    fn call(&mut self, end: usize) -> Option<String> {
        let callable = self.own.functions[..end].to_vec();
        let Function { name, signature } = self.pick(&callable)?;
        let constant = self.below(50);
        Some(match signature {
            0 => format!("(call ${name})"),
            1 => format!("(call ${name} (i32.const {constant}))"),
            _ => format!("(call ${name} (i64.const {constant}) (i32.const 3))"),
        })
    }

    /// An `i32`.
    fn value(&mut self, end: usize) -> String {
        let constant = self.below(1000);
        match self.below(8) {
            0 | 1 => match self.pick(&self.own.globals.clone()) {
                Some(Global { name, ty: "i32", .. }) => format!("(global.get ${name})"),
                Some(Global { name, ty: "i64", .. }) => format!("(i32.wrap_i64 (global.get ${name}))"),
                Some(Global { name, .. }) => format!("(ref.is_null (global.get ${name}))"),
                None => format!("(i32.const {constant})"),
            },
            2 if self.own.has_memory => format!("(i32.load (i32.const {}))", constant % BYTES),
            3 => match self.pick(&self.own.tables.clone()) {
                Some(table) => {
                    let at = constant % table.len;
                    let call = format!(
                        "(call_indirect ${} {} (i32.const 5) (i32.const {at}))",
                        table.name, SIGNATURES[IN_TABLES].0
                    );
                    format!(
                        "(if (result i32) (ref.is_null (table.get ${} (i32.const {at}))) \
                         (then (i32.const 9)) (else {call}))",
                        table.name
                    )
                }
                None => format!("(i32.const {constant})"),
            },
            4 => match self.pick(&self.own.tables.clone()) {
                Some(table) => format!("(table.size ${})", table.name),
                None => format!("(i32.const {constant})"),
            },
            5 if self.own.has_memory => "(memory.size)".to_owned(),
            6 => match self.call(end) {
                Some(call) if call.contains("i64.const") => format!("(i32.wrap_i64 {call})"),
                Some(call) => call,
                None => format!("(i32.const {constant})"),
            },
            _ => format!("(i32.const {constant})"),
        }
    }
}
