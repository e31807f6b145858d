//! The exceptions that may leave a function.
//!
//! One walk over the operators with a stack of control frames. A frame has the sources of exceptions in it that it has
//! not caught: `throw` and calls. At its end they go to the frame around it, unless the frame catches all tags of the
//! module. The smaller of two lists is appended to the larger one, so this is fast for any nesting.

use wasmparser::{Catch, Operator};

use crate::error::Error;
use crate::module_info::ModuleInfo;

/// What of a function matters for exceptions.
#[derive(Default)]
pub struct Escapes {
    /// An exception that it throws itself may leave it.
    pub throws: bool,
    /// Functions whose exceptions may leave it.
    pub calls: Vec<u32>,
    /// Types of indirect calls whose exceptions may leave it.
    pub indirect_calls: Vec<u32>,
    /// Functions that replace it.
    pub tail_calls: Vec<u32>,
    /// Types of indirect calls that replace it.
    pub indirect_tail_calls: Vec<u32>,
    /// Functions that it makes references to.
    pub references: Vec<u32>,
    /// An operator traps because of an exception or of a null reference.
    pub traps: bool,
}

/// A source of exceptions.
#[derive(Clone, Copy)]
enum Source {
    Throw,
    Call(u32),
    CallOfType(u32),
}

/// An open control frame.
#[derive(Default)]
struct Frame {
    /// Sources that are not caught yet.
    sources: Vec<Source>,
    /// Those of a `try` whose handlers have begun.
    body: Option<Vec<Source>>,
    /// Numbers of the tags that it catches.
    caught: Vec<u32>,
    catches_all: bool,
    is_try_table: bool,
}

/// Walks a function.
///
/// # Errors
/// None for a validated module.
pub fn of_function(info: &ModuleInfo, wasm: &[u8], function: u32, numbers: &[u32]) -> Result<Escapes, Error> {
    let mut walk = Walk { numbers, frames: vec![Frame::default()], escapes: Escapes::default() };
    for op in info.body(wasm, function).get_operators_reader()? {
        walk.operator(&op?);
    }
    Ok(walk.escapes)
}

struct Walk<'a> {
    numbers: &'a [u32],
    frames: Vec<Frame>,
    escapes: Escapes,
}

impl Walk<'_> {
    fn operator(&mut self, op: &Operator<'_>) {
        match *op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::Try { .. } => {
                self.frames.push(Frame::default());
            }
            Operator::TryTable { ref try_table } => self.try_table(&try_table.catches),
            Operator::Catch { tag_index } => {
                let number = self.numbers[tag_index as usize];
                let frame = self.handler();
                frame.caught.push(number);
            }
            Operator::CatchAll => self.handler().catches_all = true,
            Operator::End => self.end(),
            Operator::Delegate { relative_depth } => self.delegate(relative_depth),
            Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
                self.source(Source::Throw);
                self.escapes.traps = true;
            }
            Operator::Call { function_index } => self.source(Source::Call(function_index)),
            Operator::RefAsNonNull => self.escapes.traps = true,
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => {
                self.escapes.traps |= matches!(op, Operator::CallRef { .. });
                self.source(Source::CallOfType(type_index));
            }
            Operator::ReturnCall { function_index } => self.escapes.tail_calls.push(function_index),
            Operator::ReturnCallIndirect { type_index, .. } | Operator::ReturnCallRef { type_index } => {
                self.escapes.traps |= matches!(op, Operator::ReturnCallRef { .. });
                self.escapes.indirect_tail_calls.push(type_index);
            }
            Operator::RefFunc { function_index } => self.escapes.references.push(function_index),
            _ => {}
        }
    }

    fn top(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("validated: a frame is open")
    }

    fn source(&mut self, source: Source) {
        self.top().sources.push(source);
    }

    fn try_table(&mut self, catches: &[Catch]) {
        let mut frame = Frame { is_try_table: true, ..Frame::default() };
        for catch in catches {
            match *catch {
                Catch::One { tag, .. } | Catch::OneRef { tag, .. } => {
                    frame.caught.push(self.numbers[tag as usize]);
                }
                Catch::All { .. } | Catch::AllRef { .. } => frame.catches_all = true,
            }
        }
        self.frames.push(frame);
    }

    /// The frame of a `try`, whose next handler begins.
    fn handler(&mut self) -> &mut Frame {
        let frame = self.top();
        if frame.body.is_none() {
            frame.body = Some(std::mem::take(&mut frame.sources));
        }
        frame
    }

    fn end(&mut self) {
        let mut frame = self.frames.pop().expect("validated: a frame is open");
        frame.caught.sort_unstable();
        frame.caught.dedup();
        let all = self.numbers.iter().max().map_or(0, |&most| most as usize);
        let catches = frame.catches_all || (all > 0 && frame.caught.len() == all);
        let (inside, handlers) = match frame.body {
            Some(body) => (body, frame.sources),
            None if frame.is_try_table => (frame.sources, Vec::new()),
            None => (Vec::new(), frame.sources),
        };
        let rest = if catches { handlers } else { joined(inside, handlers) };
        match self.frames.last_mut() {
            Some(outer) => outer.sources = joined(std::mem::take(&mut outer.sources), rest),
            None => self.leave(rest),
        }
    }

    /// The exceptions of a `try` go on as if they were thrown in an outer frame.
    fn delegate(&mut self, depth: u32) {
        let frame = self.frames.pop().expect("validated: a frame is open");
        let at = self.frames.len() - 1 - depth as usize;
        let outer = &mut self.frames[at];
        outer.sources = joined(std::mem::take(&mut outer.sources), frame.sources);
    }

    fn leave(&mut self, sources: Vec<Source>) {
        for source in sources {
            match source {
                Source::Throw => self.escapes.throws = true,
                Source::Call(function) => self.escapes.calls.push(function),
                Source::CallOfType(ty) => self.escapes.indirect_calls.push(ty),
            }
        }
    }
}

/// Both lists.
fn joined(mut one: Vec<Source>, mut other: Vec<Source>) -> Vec<Source> {
    if one.len() < other.len() {
        std::mem::swap(&mut one, &mut other);
    }
    one.append(&mut other);
    one
}
