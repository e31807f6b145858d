//! What a program does.

use super::{CALLS, Callee, EXCEPTION_LOCALS, Expr, Handler, Kind, LOCALS, Program, Statement, TAGS};
use crate::executor::Trap;

/// The bodies by tag, and that for any other exception.
type Handlers<'a> = (&'a [(usize, Vec<Statement>)], &'a Option<Vec<Statement>>);

/// The end of a call of `main`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The result and the trace.
    Returned(i32),
    /// An exception that nothing caught, or a null reference.
    Trapped(Trap),
}

/// An exception: its tag and the number that its values are made of.
#[derive(Clone, Copy)]
struct Exception {
    tag: usize,
    arg: i32,
}

/// The reason why a statement isn't followed by the next one.
enum Exit {
    Leave(usize),
    Return(i32),
    Throw(Exception),
    /// An exception goes to the block with this label, or to the caller.
    Delegated(Exception, Option<usize>),
    TailCall(usize, i32),
    Null,
}

struct Machine<'a> {
    program: &'a Program,
    trace: i32,
    calls: u32,
}

/// The state of a function.
#[derive(Default)]
struct Frame {
    locals: [i32; LOCALS],
    references: [Option<Exception>; EXCEPTION_LOCALS],
    /// Exceptions of the handlers that are being executed, by label.
    handled: Vec<(usize, Exception)>,
}

pub fn run(program: &Program, arg: i32) -> Outcome {
    let mut machine = Machine { program, trace: 0, calls: CALLS };
    match machine.call(0, arg) {
        Ok(value) => Outcome::Returned(value.wrapping_mul(31) ^ machine.trace),
        Err(Exit::Throw(_)) => Outcome::Trapped(Trap::Exception),
        Err(_) => Outcome::Trapped(Trap::NullReference),
    }
}

/// The numbers that a handler makes of the values of an exception, in the order in which it pops them.
fn values(exception: Exception) -> impl Iterator<Item = i32> {
    let value = move |(n, kind): (usize, &Kind)| {
        let number = exception.arg.wrapping_add(n as i32);
        match kind {
            Kind::I32 | Kind::F32 => number,
            Kind::I64 => {
                let wide = i64::from(number).wrapping_mul(super::text::WIDE_FACTOR);
                wide as i32 ^ (wide as u64 >> 32) as i32
            }
        }
    };
    TAGS[exception.tag].iter().enumerate().rev().map(value)
}

impl Machine<'_> {
    fn call(&mut self, mut function: usize, mut arg: i32) -> Result<i32, Exit> {
        loop {
            if self.calls == 0 {
                return Ok(arg);
            }
            self.calls -= 1;
            let mut frame = Frame::default();
            frame.locals[0] = arg;
            match self.all(&self.program.functions[function], &mut frame) {
                Ok(()) => return Ok(frame.locals[1]),
                Err(Exit::Return(value)) => return Ok(value),
                Err(Exit::TailCall(callee, value)) => (function, arg) = (callee, value),
                Err(Exit::Delegated(exception, None)) => return Err(Exit::Throw(exception)),
                Err(exit) => return Err(exit),
            }
        }
    }

    fn all(&mut self, statements: &[Statement], frame: &mut Frame) -> Result<(), Exit> {
        statements.iter().try_for_each(|statement| self.one(statement, frame))
    }

    fn one(&mut self, statement: &Statement, frame: &mut Frame) -> Result<(), Exit> {
        match statement {
            Statement::Trace(event, local) => {
                self.trace = self.trace.wrapping_mul(31).wrapping_add(event ^ frame.locals[*local]);
            }
            Statement::Set(local, expr) => frame.locals[*local] = frame.value(*expr),
            Statement::Call { callee, arg, result } => {
                frame.locals[*result] = self.call(self.callee(*callee, frame), frame.value(*arg))?;
            }
            Statement::TailCall { callee, arg } => {
                return Err(Exit::TailCall(self.callee(*callee, frame), frame.value(*arg)));
            }
            Statement::Throw { tag, arg } => {
                return Err(Exit::Throw(Exception { tag: *tag, arg: frame.value(*arg) }));
            }
            Statement::ThrowReference(local) => {
                return Err(frame.references[*local].map_or(Exit::Null, Exit::Throw));
            }
            Statement::IsNull(local, reference) => {
                frame.locals[*local] = frame.references[*reference].is_none().into();
            }
            Statement::If { condition, then, otherwise } => {
                let branch = if frame.value(*condition) & 1 != 0 { then } else { otherwise };
                return self.all(branch, frame);
            }
            Statement::Loop { times, body, .. } => {
                for _ in 0..*times {
                    self.all(body, frame)?;
                }
            }
            Statement::Block { label, body } => {
                let exit = self.all(body, frame);
                return arrived(exit, *label);
            }
            Statement::Leave(label) => return Err(Exit::Leave(*label)),
            Statement::Return(expr) => return Err(Exit::Return(frame.value(*expr))),
            Statement::TryTable { label, body, handlers } => {
                // The label is that of a block around the handlers.
                let exit = self.all(body, frame);
                return arrived(self.try_table(exit, handlers, frame), *label);
            }
            Statement::Try { label, body, handlers, rest } => {
                let exit = arrived(self.all(body, frame), *label);
                let exit = self.handle(exit, *label, (handlers, rest), frame);
                return arrived(exit, *label);
            }
            Statement::Rethrow(label) => {
                let (_, exception) =
                    frame.handled.iter().rfind(|(of, _)| of == label).expect("in its handler");
                return Err(Exit::Throw(*exception));
            }
            Statement::Delegate { body, label } => {
                return self.all(body, frame).map_err(|exit| match exit {
                    Exit::Throw(exception) => Exit::Delegated(exception, *label),
                    exit => exit,
                });
            }
        }
        Ok(())
    }

    fn callee(&self, callee: Callee, frame: &Frame) -> usize {
        match callee {
            Callee::Direct(function) | Callee::Reference(function) => function,
            Callee::Table(index) => frame.value(index) as u32 as usize % self.program.functions.len(),
        }
    }

    /// The first handler that fits runs outside of the block.
    fn try_table(
        &mut self,
        exit: Result<(), Exit>,
        handlers: &[Handler],
        frame: &mut Frame,
    ) -> Result<(), Exit> {
        let Err(Exit::Throw(exception)) = exit else { return exit };
        let fits = |handler: &&Handler| handler.tag.is_none_or(|tag| tag == exception.tag);
        let Some(handler) = handlers.iter().find(fits) else { return Err(Exit::Throw(exception)) };
        if let Some(reference) = handler.reference {
            frame.references[reference] = Some(exception);
        }
        if handler.tag.is_some() {
            frame.take(exception);
        }
        self.all(&handler.body, frame)
    }

    fn handle(
        &mut self,
        exit: Result<(), Exit>,
        label: usize,
        (handlers, rest): Handlers<'_>,
        frame: &mut Frame,
    ) -> Result<(), Exit> {
        let Err(Exit::Throw(exception)) = exit else { return exit };
        let known = handlers.iter().find(|(tag, _)| *tag == exception.tag);
        let Some(body) = known.map(|(_, body)| body).or(rest.as_ref()) else {
            return Err(Exit::Throw(exception));
        };
        if known.is_some() {
            frame.take(exception);
        }
        frame.handled.push((label, exception));
        let exit = self.all(body, frame);
        frame.handled.pop();
        exit
    }
}

/// The end of a block with a label.
fn arrived(exit: Result<(), Exit>, label: usize) -> Result<(), Exit> {
    match exit {
        Err(Exit::Leave(to)) if to == label => Ok(()),
        Err(Exit::Delegated(exception, Some(to))) if to == label => Err(Exit::Throw(exception)),
        exit => exit,
    }
}

impl Frame {
    fn value(&self, expr: Expr) -> i32 {
        self.locals[expr.local].wrapping_mul(expr.factor).wrapping_add(expr.added)
    }

    /// Mixes the values of an exception into a local.
    fn take(&mut self, exception: Exception) {
        for value in values(exception) {
            self.locals[1] = self.locals[1].wrapping_mul(17) ^ value;
        }
    }
}
