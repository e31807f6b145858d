//! The side table of a program: from positions in its code to byte offsets in the wasm module.
//!
//! It is made from the locations that instructions carry through the code generator, after addresses are known. So it
//! can't change the code. A place in inlined code leads to the call that was inlined, which may be in inlined code itself;
//! each such chain is in the table once.

use std::collections::BTreeMap;

use ssa::{EntityId as _, SourceLoc, SourceLocs};

/// A place in the wasm module.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Site {
    /// Byte offset of the operator.
    pub offset: u32,
    /// The site of the call, if the operator's function was inlined: an index in [`Sites::list`].
    pub inlined_at: Option<u32>,
}

/// Sites, each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sites {
    list: Vec<Site>,
    known: BTreeMap<Site, u32>,
}

/// Where the code of a program comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CodeLocations {
    /// All sites; those of calls are before the sites that were inlined at them.
    pub sites: Sites,
    /// Ascending positions, each with the site of the code from there on, or `None` for code that is not from the
    /// module.
    pub rows: Vec<(u32, Option<u32>)>,
}

impl Sites {
    /// The sites; those of calls are before the sites that were inlined at them.
    pub fn list(&self) -> &[Site] {
        &self.list
    }

    /// The index of a site, which is added if it is new.
    pub fn add(&mut self, site: Site) -> u32 {
        let list = &mut self.list;
        *self.known.entry(site).or_insert_with(|| {
            list.push(site);
            list.len() as u32 - 1
        })
    }

    /// The index of the site of a location in a function. Chains end, because a location is inlined at an older one.
    pub fn of_location(&mut self, source: &SourceLocs, loc: SourceLoc) -> u32 {
        let site = match source.inlined_at(loc) {
            Some(inlined) => {
                let inlined_at = Some(self.of_location(source, inlined.at));
                Site { offset: inlined.loc.index() as u32, inlined_at }
            }
            None => Site { offset: loc.index() as u32, inlined_at: None },
        };
        self.add(site)
    }
}

impl CodeLocations {
    /// A function begins.
    pub fn begin(&mut self, pc: u32) {
        self.row(pc, None);
    }

    /// The code from `pc` on has a location.
    pub fn add(&mut self, pc: u32, source: &SourceLocs, loc: SourceLoc) {
        let site = self.sites.of_location(source, loc);
        self.row(pc, Some(site));
    }

    fn row(&mut self, pc: u32, site: Option<u32>) {
        let rows = &mut self.rows;
        rows.pop_if(|(last, _)| *last == pc);
        if rows.last().is_none_or(|(_, last)| *last != site) {
            rows.push((pc, site));
        }
    }
}
