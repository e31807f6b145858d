//! The initial contents of linear memory as pieces: disjoint, ascending, with no zero at either end.

use ssa::{LinearMemory, Segment};

/// The first address after a piece.
pub fn end(piece: &Segment) -> u64 {
    u64::from(piece.offset) + piece.bytes.len() as u64
}

/// The combined contents of all segments, in pieces with fewer than `distance` zeros in a row.
///
/// Segments are overlaid first, as later ones overwrite earlier ones. Linear in the bytes of the segments and in
/// `distance` per piece, apart from sorting.
pub fn pieces(memory: &LinearMemory, distance: u32) -> Vec<Segment> {
    join(&areas(&memory.segments), distance)
}

/// The same contents with fewer than `distance` zeros in a row. `runs` are disjoint and ascending.
pub fn join(runs: &[Segment], distance: u32) -> Vec<Segment> {
    let mut pieces: Vec<Segment> = Vec::new();
    for run in runs {
        for (n, &byte) in run.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            let offset = run.offset + n as u32;
            match pieces.last_mut() {
                Some(last) if u64::from(offset) - end(last) < u64::from(distance) => {
                    last.bytes.resize((offset - last.offset) as usize, 0);
                    last.bytes.push(byte);
                }
                _ => pieces.push(Segment { offset, bytes: vec![byte] }),
            }
        }
    }
    pieces
}

/// Disjoint areas with the bytes of all segments.
fn areas(segments: &[Segment]) -> Vec<Segment> {
    let present = || segments.iter().filter(|segment| !segment.bytes.is_empty());
    let mut ranges: Vec<(u32, u64)> = present().map(|segment| (segment.offset, end(segment))).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u64)> = Vec::new();
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if u64::from(start) <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let area =
        |&(offset, end): &(u32, u64)| Segment { offset, bytes: vec![0; (end - u64::from(offset)) as usize] };
    let mut areas: Vec<Segment> = merged.iter().map(area).collect();
    for segment in present() {
        let area = areas.partition_point(|area| area.offset <= segment.offset) - 1;
        let at = (segment.offset - areas[area].offset) as usize;
        areas[area].bytes[at..at + segment.bytes.len()].copy_from_slice(&segment.bytes);
    }
    areas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(segments: &[(u32, &[u8])], distance: u32) -> Vec<(u32, Vec<u8>)> {
        let segments =
            segments.iter().map(|&(offset, bytes)| Segment { offset, bytes: bytes.to_vec() }).collect();
        let memory = LinearMemory { segments, ..LinearMemory::default() };
        pieces(&memory, distance).into_iter().map(|piece| (piece.offset, piece.bytes)).collect()
    }

    #[test]
    fn later_segments_win() {
        let segments: [(u32, &[u8]); 4] = [(10, &[1; 4]), (12, &[2; 5]), (11, &[3]), (11, &[])];
        assert_eq!(found(&segments, 1), [(10, vec![1, 3, 2, 2, 2, 2, 2])]);
        assert_eq!(found(&[(10, &[1, 2]), (10, &[0, 0])], 1), [], "a later zero wins as well");
    }

    #[test]
    fn zeros_cut_pieces_wherever_segments_end() {
        let segments: [(u32, &[u8]); 3] = [(9, &[7]), (4, &[5, 0, 0]), (5, &[0, 0, 0])];
        assert_eq!(found(&segments, 4), [(4, vec![5]), (9, vec![7])]);
        assert_eq!(found(&segments, 5), [(4, vec![5, 0, 0, 0, 0, 7])]);
        assert_eq!(found(&[(u32::MAX, &[1])], 5), [(u32::MAX, vec![1])]);
    }
}
