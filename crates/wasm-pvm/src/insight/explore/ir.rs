//! The text of LLVM IR with the locations of its instructions.
//!
//! The translator numbers locations by byte offset: the line of a debug location is the offset plus one, and line 0 is none
//! ([`llvm_frontend`]). The printer writes ` !dbg !N` after an instruction and the location with this number at the
//! end of the module. Here both are read back. A location in inlined code names that of the call.

use std::collections::HashMap;

use codegen::{Site, Sites};

use super::Line;

/// The mark of an instruction's location.
const MARK: &str = "!dbg !";

/// A function in LLVM IR.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IrFunction {
    /// Its symbol.
    pub symbol: String,
    /// The wasm index in the symbol.
    pub index: Option<u32>,
    /// Its text.
    pub lines: Vec<Line>,
}

/// A debug location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Location {
    line: u32,
    inlined_at: Option<u32>,
}

/// The functions of a part that have their code there.
pub fn functions(part: &str, sites: &mut Sites) -> Vec<IrFunction> {
    let locations: HashMap<u32, Location> = part.lines().filter_map(location).collect();
    let mut lines = part.lines();
    let mut found = Vec::new();
    while let Some(head) = lines.next() {
        if !head.starts_with("define ") {
            continue;
        }
        let body = lines.by_ref().take_while(|line| *line != "}");
        // Copies for inlining only belong to another part.
        if head.contains(" available_externally ") {
            body.for_each(drop);
            continue;
        }
        let Some(symbol) = symbol(head) else { continue };
        let mut text: Vec<Line> =
            [head].into_iter().chain(body).map(|line| located(line, &locations, sites)).collect();
        text.push(Line { text: "}".to_owned(), site: None });
        spread(&mut text);
        let index = symbol.strip_prefix("f.").and_then(|rest| rest.split('.').next()?.parse().ok());
        found.push(IrFunction { symbol, index, lines: text });
    }
    found
}

/// The symbol that a function's first line defines.
fn symbol(head: &str) -> Option<String> {
    let (_, rest) = head.split_once('@')?;
    let (name, _) = rest.split_once('(')?;
    Some(name.trim_matches('"').to_owned())
}

/// The number and the contents of a line that defines a debug location.
fn location(line: &str) -> Option<(u32, Location)> {
    let (number, rest) = line.strip_prefix('!')?.split_once(" = ")?;
    let rest = rest.strip_prefix("distinct ").unwrap_or(rest).strip_prefix("!DILocation(")?;
    let field = |name: &str| {
        let (_, value) = rest.split_once(name)?;
        value.split([',', ')']).next()?.parse().ok()
    };
    let location = Location { line: field("line: ")?, inlined_at: field("inlinedAt: !") };
    Some((number.parse().ok()?, location))
}

/// A line without its mark.
fn located(line: &str, locations: &HashMap<u32, Location>, sites: &mut Sites) -> Line {
    let Some((before, after)) = line.split_once(MARK) else {
        return Line { text: without_metadata(line), site: None };
    };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (number, after) = after.split_at(digits);
    let text = without_metadata(&format!("{}{after}", before.trim_end().trim_end_matches(',')));
    let site = number.parse().ok().and_then(|number| site(number, locations, sites));
    Line { text, site }
}

/// A line without references to metadata at its end, which is not shown.
fn without_metadata(line: &str) -> String {
    let is_reference = |part: &str| {
        let (name, number) =
            part.strip_prefix('!').and_then(|part| part.split_once(" !")).unwrap_or_default();
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut line = line;
    while let Some((before, last)) = line.rsplit_once(", ") {
        if !is_reference(last) {
            break;
        }
        line = before;
    }
    line.to_owned()
}

/// The site of a location. One whose call has no location is not known, and neither is one without a line.
fn site(number: u32, locations: &HashMap<u32, Location>, sites: &mut Sites) -> Option<u32> {
    let mut chain = vec![locations.get(&number)?];
    while let Some(outer) = chain.last().and_then(|inner| inner.inlined_at) {
        chain.push(locations.get(&outer)?);
    }
    let mut inlined_at = None;
    for location in chain.iter().rev() {
        let offset = location.line.checked_sub(1)?;
        inlined_at = Some(sites.add(Site { offset, inlined_at }));
    }
    inlined_at
}

/// Gives the lines of an instruction that takes several the location of the last one, which has the mark.
fn spread(lines: &mut [Line]) {
    let mut start = None;
    for n in 0..lines.len() {
        if lines[n].text.ends_with('[') {
            start = Some(n);
        } else if lines[n].text.trim_start().starts_with(']')
            && let Some(start) = start.take()
        {
            let site = lines[n].site;
            lines[start..n].iter_mut().for_each(|line| line.site = site);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: &str = "\
define i32 @f.3(i32 %0) local_unnamed_addr #1 !dbg !7 {
  %2 = add i32 %0, 1, !dbg !8
  switch i32 %2, label %a [
    i32 1, label %b
  ], !dbg !9
  ret i32 %2, !dbg !8, !tbaa !10
}
define available_externally i32 @f.4() {
  ret i32 0
}
!8 = !DILocation(line: 21, scope: !7)
!9 = !DILocation(line: 31, scope: !6, inlinedAt: !11)
!11 = distinct !DILocation(line: 41, scope: !7)
";

    #[test]
    fn lines_have_the_offsets_of_their_locations() {
        let mut sites = Sites::default();
        let found = functions(PART, &mut sites);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].symbol.as_str(), found[0].index), ("f.3", Some(3)));
        let lines = &found[0].lines;
        let offset = |n: usize| lines[n].site.map(|site| sites.list()[site as usize]);
        assert_eq!(lines[1].text, "  %2 = add i32 %0, 1");
        assert_eq!(offset(1), Some(Site { offset: 20, inlined_at: None }));
        let inlined = offset(3).expect("a site");
        let call = inlined.inlined_at.map(|call| sites.list()[call as usize].offset);
        assert_eq!((offset(2), inlined.offset, call), (offset(4), 30, Some(40)));
        assert_eq!(lines[5].text, "  ret i32 %2");
        assert_eq!(lines[0].site, None);
    }
}
