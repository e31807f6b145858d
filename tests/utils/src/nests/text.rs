//! The text of a program as a wasm module. Labels have names, so depths are the text parser's business.

use std::fmt::Write as _;

use super::{CALLS, Callee, EXCEPTION_LOCALS, Expr, Handler, Kind, LOCALS, Program, Statement, TAGS};

/// Values of 64 bits are numbers times this.
pub const WIDE_FACTOR: i64 = 0x1_0000_0003;

/// The module of a program.
pub fn module(program: &Program) -> String {
    let mut text = String::from("(module\n(type $function (func (param i32) (result i32)))\n");
    for (number, kinds) in TAGS.iter().enumerate() {
        let _ = writeln!(text, "(tag $t{number} (param{}))", names(kinds));
    }
    text.push_str("(global $trace (mut i32) (i32.const 0))\n");
    let _ = writeln!(text, "(global $calls (mut i32) (i32.const {CALLS}))");
    let all: Vec<String> = (0..program.functions.len()).map(|n| format!("$f{n}")).collect();
    let _ = writeln!(text, "(table funcref (elem {}))", all.join(" "));
    text.push_str("(func (export \"main\") (param i32) (result i32)\n(global.set $trace (i32.const 0))\n");
    let _ = writeln!(text, "(global.set $calls (i32.const {CALLS}))");
    text.push_str("(i32.xor (i32.mul (call $f0 (local.get 0)) (i32.const 31)) (global.get $trace)))\n");
    for (number, body) in program.functions.iter().enumerate() {
        let mut writer = Writer { text: String::new(), functions: program.functions.len(), counters: 0 };
        writer.all(body);
        let Writer { text: inside, counters, .. } = writer;
        let _ = writeln!(text, "(func $f{number} (type $function) (param $l0 i32) (result i32)");
        (1..LOCALS).for_each(|n| text.push_str(&format!("(local $l{n} i32)")));
        (0..EXCEPTION_LOCALS).for_each(|n| text.push_str(&format!("(local $x{n} exnref)")));
        (0..counters).for_each(|n| text.push_str(&format!("(local $c{n} i32)")));
        text.push_str("(local $word i32) (local $wide i64)\n");
        text.push_str("(if (i32.eqz (global.get $calls)) (then (return (local.get $l0))))\n");
        text.push_str("(global.set $calls (i32.sub (global.get $calls) (i32.const 1)))\n");
        let _ = write!(text, "block $function\n{inside}end\nlocal.get $l1)\n");
    }
    text.push(')');
    text
}

fn names(kinds: &[Kind]) -> String {
    let name = |kind: &Kind| match kind {
        Kind::I32 => " i32",
        Kind::I64 => " i64",
        Kind::F32 => " f32",
    };
    kinds.iter().map(name).collect()
}

fn expr(expr: Expr) -> String {
    let Expr { local, factor, added } = expr;
    format!("(i32.add (i32.mul (local.get $l{local}) (i32.const {factor})) (i32.const {added}))")
}

struct Writer {
    text: String,
    functions: usize,
    counters: usize,
}

impl Writer {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn all(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| self.one(statement));
    }

    fn one(&mut self, statement: &Statement) {
        match statement {
            Statement::Trace(event, local) => self.line(format!(
                "(global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 31)) \
                 (i32.xor (i32.const {event}) (local.get $l{local}))))"
            )),
            Statement::Set(local, value) => self.line(format!("(local.set $l{local} {})", expr(*value))),
            Statement::Call { callee, arg, result } => {
                self.call("", *callee, *arg);
                self.line(format!("local.set $l{result}"));
            }
            Statement::TailCall { callee, arg } => self.call("return_", *callee, *arg),
            Statement::Throw { tag, arg } => self.throw(*tag, *arg),
            Statement::ThrowReference(local) => self.line(format!("(throw_ref (local.get $x{local}))")),
            Statement::IsNull(local, reference) => {
                self.line(format!("(local.set $l{local} (ref.is_null (local.get $x{reference})))"));
            }
            Statement::If { condition, then, otherwise } => {
                self.line(format!("(i32.and {} (i32.const 1))\nif", expr(*condition)));
                self.all(then);
                self.line("else");
                self.all(otherwise);
                self.line("end");
            }
            Statement::Loop { times, label, body } => self.repeat(*times, *label, body),
            Statement::Block { label, body } => {
                self.line(format!("block $b{label}"));
                self.all(body);
                self.line("end");
            }
            Statement::Leave(label) => self.line(format!("br $b{label}")),
            Statement::Return(value) => self.line(format!("(return {})", expr(*value))),
            Statement::TryTable { label, body, handlers } => self.try_table(*label, body, handlers),
            Statement::Try { label, body, handlers, rest } => {
                self.line(format!("try $b{label}"));
                self.all(body);
                for (tag, body) in handlers {
                    self.line(format!("catch $t{tag}"));
                    self.take(*tag);
                    self.all(body);
                }
                if let Some(body) = rest {
                    self.line("catch_all");
                    self.all(body);
                }
                self.line("end");
            }
            Statement::Rethrow(label) => self.line(format!("rethrow $b{label}")),
            Statement::Delegate { body, label } => {
                self.line("try");
                self.all(body);
                self.line(
                    label.map_or("delegate $function".to_owned(), |label| format!("delegate $b{label}")),
                );
            }
        }
    }

    fn call(&mut self, prefix: &str, callee: Callee, arg: Expr) {
        let arg = expr(arg);
        let functions = self.functions;
        self.line(match callee {
            Callee::Direct(function) => format!("({prefix}call $f{function} {arg})"),
            Callee::Table(index) => format!(
                "({prefix}call_indirect (type $function) {arg} (i32.rem_u {} (i32.const {functions})))",
                expr(index)
            ),
            Callee::Reference(function) => {
                format!("({prefix}call_ref $function {arg} (ref.func $f{function}))")
            }
        });
    }

    fn throw(&mut self, tag: usize, arg: Expr) {
        for (n, kind) in TAGS[tag].iter().enumerate() {
            let number = format!("(i32.add {} (i32.const {n}))", expr(arg));
            self.line(match kind {
                Kind::I32 => number,
                Kind::I64 => format!("(i64.mul (i64.extend_i32_s {number}) (i64.const {WIDE_FACTOR}))"),
                Kind::F32 => format!("(f32.reinterpret_i32 {number})"),
            });
        }
        self.line(format!("throw $t{tag}"));
    }

    /// Mixes the values of an exception on the stack into a local.
    fn take(&mut self, tag: usize) {
        for kind in TAGS[tag].iter().rev() {
            self.line(match kind {
                Kind::I32 => "local.set $word",
                Kind::F32 => "i32.reinterpret_f32\nlocal.set $word",
                Kind::I64 => {
                    "local.set $wide\n(local.set $word (i32.xor (i32.wrap_i64 (local.get $wide)) \
                     (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 32)))))"
                }
            });
            self.line("(local.set $l1 (i32.xor (i32.mul (local.get $l1) (i32.const 17)) (local.get $word)))");
        }
    }

    fn repeat(&mut self, times: i32, label: usize, body: &[Statement]) {
        let counter = self.counters;
        self.counters += 1;
        self.line(format!("(local.set $c{counter} (i32.const {times}))\nloop $again{label}"));
        self.all(body);
        self.line(format!(
            "(br_if $again{label} (local.tee $c{counter} (i32.sub (local.get $c{counter}) (i32.const 1))))\nend"
        ));
    }

    /// A handler follows the block that the exception's values come out of.
    fn try_table(&mut self, label: usize, body: &[Statement], handlers: &[Handler]) {
        self.line(format!("block $b{label}"));
        for (n, handler) in handlers.iter().enumerate().rev() {
            let values = handler.tag.map(|tag| names(TAGS[tag])).unwrap_or_default();
            let reference = if handler.reference.is_some() { " exnref" } else { "" };
            self.line(format!("block $h{label}_{n} (result{values}{reference})"));
        }
        let catch = |(n, handler): (usize, &Handler)| {
            let suffix = if handler.reference.is_some() { "_ref" } else { "" };
            match handler.tag {
                Some(tag) => format!("(catch{suffix} $t{tag} $h{label}_{n})"),
                None => format!("(catch_all{suffix} $h{label}_{n})"),
            }
        };
        let catches: Vec<String> = handlers.iter().enumerate().map(catch).collect();
        self.line(format!("try_table {}", catches.join(" ")));
        self.all(body);
        self.line(format!("end\nbr $b{label}"));
        for handler in handlers {
            self.line("end");
            if let Some(reference) = handler.reference {
                self.line(format!("local.set $x{reference}"));
            }
            if let Some(tag) = handler.tag {
                self.take(tag);
            }
            self.all(&handler.body);
            self.line(format!("br $b{label}"));
        }
        self.line("end");
    }
}
