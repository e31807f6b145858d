//! The functions and call paths that the run of a program goes through, for engines that record each instruction.
//!
//! An engine knows its machine: which instruction calls, and where a call continues afterwards. [`Functions`] tells the
//! function of an address, and [`CallPaths`] follows calls, returns and tail calls.
//!
//! Memory is bounded by the number of different call paths. Paths deeper than [`MAX_DEPTH`] count to their ancestor at that
//! depth.

mod functions;

use std::collections::{BTreeMap, HashMap};

pub use functions::Functions;

/// Maximum depth of a call path.
pub const MAX_DEPTH: usize = 1000;

/// A call of a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Call {
    /// The address of the calling instruction; `None` for the entry.
    pub at: Option<u32>,
    /// The start of the function that is called, if it is known.
    pub function: Option<u32>,
}

/// The number of a call path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(u32);

/// A call, and the path that it was made on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Link {
    parent: Option<PathId>,
    call: Call,
}

/// An active call and the place where it continues: `None` for the entry.
struct Frame<P> {
    path: PathId,
    continues: Option<P>,
}

/// All call paths, and the calls that are active. A place of type `P` is where a call continues: an address, and whatever
/// else an engine compares to recognise a return.
pub struct CallPaths<P> {
    links: Vec<(Link, usize)>,
    known: HashMap<Link, PathId>,
    active: Vec<Frame<P>>,
    entered: BTreeMap<u32, u64>,
}

impl<P> Default for CallPaths<P> {
    fn default() -> Self {
        Self { links: Vec::new(), known: HashMap::new(), active: Vec::new(), entered: BTreeMap::new() }
    }
}

impl<P: PartialEq> CallPaths<P> {
    /// A run begins: no call is active.
    pub fn begin(&mut self) {
        self.active.clear();
    }

    /// A run enters a function.
    pub fn enter(&mut self, function: Option<u32>) {
        self.push(Call { at: None, function }, None);
    }

    /// The instruction at `at` calls a function and continues at a place.
    pub fn call(&mut self, at: u32, function: Option<u32>, continues: P) {
        self.push(Call { at: Some(at), function }, Some(continues));
    }

    fn push(&mut self, call: Call, continues: Option<P>) {
        let parent = self.active.last().map(|frame| frame.path);
        let path = self.path(Link { parent, call });
        self.active.push(Frame { path, continues });
    }

    /// Ends the innermost call if it continues at this place. Tells whether it does.
    pub fn is_return(&mut self, place: P) -> bool {
        let returns = self.active.last().is_some_and(|frame| frame.continues.as_ref() == Some(&place));
        if returns {
            self.active.pop();
        }
        returns
    }

    /// The innermost call continues in another function.
    pub fn tail_call(&mut self, function: Option<u32>) {
        let Some(frame) = self.active.last() else { return };
        let (Link { parent, call }, _) = self.links[frame.path.0 as usize];
        let path = self.path(Link { parent, call: Call { function, ..call } });
        if let Some(frame) = self.active.last_mut() {
            frame.path = path;
        }
    }

    /// The number of a path.
    fn path(&mut self, link: Link) -> PathId {
        if let Some(function) = link.call.function {
            *self.entered.entry(function).or_default() += 1;
        }
        let depth = link.parent.map_or(0, |parent| self.links[parent.0 as usize].1 + 1);
        if let Some(parent) = link.parent.filter(|_| depth > MAX_DEPTH) {
            return parent;
        }
        let links = &mut self.links;
        *self.known.entry(link).or_insert_with(|| {
            links.push((link, depth));
            PathId(links.len() as u32 - 1)
        })
    }

    /// The path of the innermost call; `None` where no call is active.
    pub fn current(&self) -> Option<PathId> {
        self.active.last().map(|frame| frame.path)
    }

    /// The calls of a path, outermost first.
    pub fn calls(&self, path: PathId) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut next = Some(path);
        while let Some(path) = next {
            let (link, _) = self.links[path.0 as usize];
            calls.push(link.call);
            next = link.parent;
        }
        calls.reverse();
        calls
    }

    /// The active calls, outermost first.
    pub fn active(&self) -> Vec<Call> {
        self.current().map_or_else(Vec::new, |path| self.calls(path))
    }

    /// Number of calls of each function, by its start. A tail call is one, too.
    pub const fn entered(&self) -> &BTreeMap<u32, u64> {
        &self.entered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn call(at: Option<u32>, function: u32) -> Call {
        Call { at, function: Some(function) }
    }

    #[test]
    fn calls_end_where_they_continue() {
        let mut paths = CallPaths::default();
        paths.enter(Some(0));
        paths.call(4, Some(100), 8);
        assert_eq!(paths.active(), [call(None, 0), call(Some(4), 100)]);
        assert!(!paths.is_return(12));
        assert!(paths.is_return(8));
        assert_eq!(paths.active(), [call(None, 0)]);
        // The entry doesn't continue.
        assert!(!paths.is_return(8));
    }

    #[test]
    fn a_tail_call_replaces_the_innermost_call() {
        let mut paths = CallPaths::default();
        paths.enter(Some(0));
        paths.call(4, Some(100), 8);
        paths.tail_call(Some(200));
        assert_eq!(paths.active(), [call(None, 0), call(Some(4), 200)]);
        assert!(paths.is_return(8));
        assert_eq!(paths.entered().iter().collect::<Vec<_>>(), [(&0, &1), (&100, &1), (&200, &1)]);
    }

    #[test]
    fn the_same_calls_have_the_same_path() {
        let mut paths = CallPaths::default();
        let mut run = |at| {
            paths.begin();
            paths.enter(Some(0));
            paths.call(at, Some(100), at + 4);
            paths.current()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(8));
    }

    #[test]
    fn deep_paths_count_to_their_ancestor() {
        let mut paths = CallPaths::default();
        paths.enter(Some(0));
        for at in 0..3 * MAX_DEPTH as u32 {
            paths.call(at, Some(0), at);
        }
        assert_eq!(paths.active().len(), MAX_DEPTH + 1);
        for at in (0..3 * MAX_DEPTH as u32).rev() {
            assert!(paths.is_return(at));
        }
        assert_eq!(paths.active(), [call(None, 0)]);
    }
}
