//! Random programs.

use random::Rng;

use super::{Callee, EXCEPTION_LOCALS, Expr, Handler, LOCALS, Program, Statement, TAGS};

/// Maximum number of statements in a row.
const LENGTH: usize = 4;
/// Maximum depth of blocks.
const DEPTH: usize = 5;

pub fn program(mut random: Rng) -> Program {
    let functions = 2 + random.below(5);
    // Most engines accept only one of the proposals in a module; this compiler takes both.
    let style = random.below(3);
    let body = |_| {
        let (legacy, standard) = (style != 0, style != 1);
        let mut maker = Maker {
            random: &mut random,
            functions,
            legacy,
            standard,
            labels: 0,
            open: Vec::new(),
            handling: Vec::new(),
        };
        maker.statements(0)
    };
    Program { functions: (0..functions).map(body).collect() }
}

struct Maker<'r> {
    random: &'r mut Rng,
    functions: usize,
    legacy: bool,
    standard: bool,
    labels: usize,
    /// Labels of the blocks around.
    open: Vec<usize>,
    /// Labels of the `try`s whose handlers are around.
    handling: Vec<usize>,
}

impl Maker<'_> {
    fn label(&mut self) -> usize {
        self.labels += 1;
        self.labels
    }

    fn local(&mut self) -> usize {
        self.random.below(LOCALS)
    }

    fn tag(&mut self) -> usize {
        self.random.below(TAGS.len())
    }

    fn number(&mut self) -> i32 {
        self.random.below(2000) as i32 - 1000
    }

    fn expr(&mut self) -> Expr {
        let factor = self.random.pick(&[0, 1, 1, 1, 3, -1]);
        Expr { local: self.local(), factor, added: self.number() }
    }

    fn callee(&mut self) -> Callee {
        let function = self.random.below(self.functions);
        match self.random.below(4) {
            0 => Callee::Table(self.expr()),
            1 => Callee::Reference(function),
            _ => Callee::Direct(function),
        }
    }

    fn statements(&mut self, depth: usize) -> Vec<Statement> {
        let count = 1 + self.random.below(LENGTH);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    fn inside(&mut self, label: usize, depth: usize) -> Vec<Statement> {
        self.open.push(label);
        let body = self.statements(depth + 1);
        self.open.pop();
        body
    }

    fn statement(&mut self, depth: usize) -> Statement {
        match self.random.below(if depth < DEPTH { 20 } else { 10 }) {
            0 | 1 => Statement::Trace(self.number(), self.local()),
            2 => Statement::Set(self.local(), self.expr()),
            3..=5 => Statement::Call { callee: self.callee(), arg: self.expr(), result: self.local() },
            6 => Statement::Throw { tag: self.tag(), arg: self.expr() },
            7 => self.reference(),
            8 => self.again(),
            9 => self.transfer(),
            10..=12 => Statement::If {
                condition: self.expr(),
                then: self.statements(depth + 1),
                otherwise: self.statements(depth + 1),
            },
            13 => {
                let (times, label) = (1 + self.random.below(3) as i32, self.label());
                Statement::Loop { times, label, body: self.statements(depth + 1) }
            }
            14 => {
                let label = self.label();
                Statement::Block { label, body: self.inside(label, depth) }
            }
            _ if self.legacy && (!self.standard || self.random.one_in(2)) => self.old(depth),
            _ => self.try_table(depth),
        }
    }

    /// A statement on a reference to an exception.
    fn reference(&mut self) -> Statement {
        let reference = self.random.below(EXCEPTION_LOCALS);
        match self.random.below(3) {
            0 => Statement::IsNull(self.local(), reference),
            _ if self.standard => Statement::ThrowReference(reference),
            _ => Statement::Throw { tag: self.tag(), arg: self.expr() },
        }
    }

    /// Throws the exception of a handler again.
    fn again(&mut self) -> Statement {
        match self.handling.is_empty() {
            true => Statement::Trace(self.number(), self.local()),
            false => Statement::Rethrow(self.random.pick(&self.handling)),
        }
    }

    fn transfer(&mut self) -> Statement {
        match self.random.below(4) {
            0 => Statement::Return(self.expr()),
            1 => Statement::TailCall { callee: self.callee(), arg: self.expr() },
            _ if self.open.is_empty() => Statement::Set(self.local(), self.expr()),
            _ => Statement::Leave(self.random.pick(&self.open)),
        }
    }

    fn try_table(&mut self, depth: usize) -> Statement {
        let label = self.label();
        let body = self.inside(label, depth);
        let count = self.random.below(4);
        let handler = |maker: &mut Self| Handler {
            tag: (!maker.random.one_in(4)).then(|| maker.tag()),
            reference: maker.random.one_in(2).then(|| maker.random.below(EXCEPTION_LOCALS)),
            body: maker.inside(label, depth),
        };
        let handlers = (0..count).map(|_| handler(self)).collect();
        Statement::TryTable { label, body, handlers }
    }

    fn old(&mut self, depth: usize) -> Statement {
        if self.random.one_in(4) {
            let outside = self.open.clone();
            let label = (!outside.is_empty() && !self.random.one_in(3)).then(|| self.random.pick(&outside));
            return Statement::Delegate { body: self.statements(depth + 1), label };
        }
        let label = self.label();
        let body = self.inside(label, depth);
        self.handling.push(label);
        let count = self.random.below(3);
        let mut handlers = Vec::new();
        for _ in 0..count {
            handlers.push((self.tag(), self.inside(label, depth)));
        }
        let rest = self.random.one_in(2).then(|| self.inside(label, depth));
        self.handling.pop();
        Statement::Try { label, body, handlers, rest }
    }
}
