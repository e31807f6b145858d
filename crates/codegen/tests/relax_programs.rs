//! Relaxation against brute force, on adversarial chains, and on a large program.

use codegen::{Blocks, Code, CodeBuffer, Fixup, Fragment, Placement, Reference, relax};
use random::Rng;
use ssa::{EntityId, FuncId};

/// A fixup with arbitrary lengths and reaches; the last form reaches everything.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Toy {
    lens: Vec<u32>,
    reaches: Vec<i64>,
    /// Whether a form is padded by its address modulo 4, so that its length depends on its address.
    aligned: bool,
}

impl Toy {
    fn branch(lens: &[u32], reaches: &[i64]) -> Self {
        Self { lens: lens.to_vec(), reaches: reaches.to_vec(), aligned: false }
    }
}

impl Fixup for Toy {
    fn forms(&self) -> u8 {
        self.lens.len() as u8
    }

    fn len(&self, form: u8, from: i64) -> u32 {
        let padding = if self.aligned { from.rem_euclid(4) as u32 } else { 0 };
        self.lens[form as usize] + padding
    }

    fn reaches(&self, form: u8, from: i64, to: i64) -> bool {
        form as usize + 1 == self.lens.len() || (to - from).abs() <= self.reaches[form as usize]
    }

    fn may_end_block(&self) -> bool {
        self.lens[0] != 2
    }

    fn encode(&self, form: u8, from: i64, _to: i64, out: &mut Vec<u8>) {
        out.resize(out.len() + self.len(form, from) as usize, 0xf0 | form);
    }
}

const AT_ZERO: Placement = Placement { start: 0, align: 1, blocks: None };

fn index_of(func: FuncId) -> usize {
    func.index()
}

/// Fragments of a few fixups between bytes, referring to labels and to each other.
fn random_program(rng: &mut Rng, max_fixups: usize, aligned: bool) -> Vec<Fragment<Toy>> {
    let fragments = 1 + rng.below(3);
    (0..fragments).map(|_| random_fragment(rng, fragments, max_fixups / fragments, aligned)).collect()
}

fn random_fragment(rng: &mut Rng, fragments: usize, max_fixups: usize, aligned: bool) -> Fragment<Toy> {
    let mut buf = CodeBuffer::new(0);
    let fixups = rng.below(max_fixups + 1);
    let labels: Vec<_> = (0..4).map(|_| buf.new_label()).collect();
    let mut unbound = labels.clone();
    for _ in 0..fixups {
        random_bytes(rng, &mut buf);
        if rng.below(2) == 0
            && let Some(label) = unbound.pop()
        {
            buf.bind(label);
        }
        let target = match rng.below(6) {
            0 => Reference::Func(FuncId::new(rng.below(fragments))),
            1 => Reference::None,
            _ => Reference::Label(labels[rng.below(labels.len())]),
        };
        let short = 1 + rng.below(3) as u32;
        let mut fixup = Toy::branch(&[short, short + 1, short + 3], &[3 + rng.below(4) as i64, 10, 0]);
        fixup.aligned = aligned && rng.below(2) == 0;
        buf.fixup(fixup, target);
    }
    random_bytes(rng, &mut buf);
    for label in unbound {
        buf.bind(label);
    }
    buf.finish()
}

fn random_bytes(rng: &mut Rng, buf: &mut CodeBuffer<Toy>) {
    for _ in 0..rng.below(3) {
        let len = 1 + rng.below(3);
        buf.instruction(|out| out.resize(out.len() + len, 1));
    }
}

/// Addresses of fixups and of their targets, for given forms, computed byte by byte.
fn addresses(program: &[Fragment<Toy>], forms: &[u8], align: i64) -> Vec<(i64, Option<i64>)> {
    let mut at = 0;
    let mut n = 0;
    let mut fixups = Vec::new();
    let mut bases = Vec::new();
    let mut labels = Vec::new();
    for fragment in program {
        while at % align != 0 {
            at += 1;
        }
        bases.push(at);
        let mut places: Vec<Option<i64>> = vec![None; fragment.labels.len()];
        let mut passed = 0;
        for byte in 0..=fragment.bytes.len() {
            loop {
                for (label, place) in fragment.labels.iter() {
                    if (place.byte as usize, place.fixups) == (byte, passed) {
                        places[label.index()] = Some(at);
                    }
                }
                match fragment.fixups.get(passed as usize) {
                    Some(site) if site.at as usize == byte => {
                        fixups.push(at);
                        at += i64::from(site.fixup.len(forms[n], at));
                        n += 1;
                        passed += 1;
                    }
                    _ => break,
                }
            }
            at += i64::from(byte < fragment.bytes.len());
        }
        labels.push(places);
    }
    let mut fixups = fixups.into_iter();
    let mut result = Vec::new();
    for (index, fragment) in program.iter().enumerate() {
        for site in &fragment.fixups {
            let to = match site.target {
                Reference::Label(label) => Some(labels[index][label.index()].expect("labels are bound")),
                Reference::Func(func) => Some(bases[func.index()]),
                Reference::None => None,
            };
            result.push((fixups.next().expect("one address per fixup"), to));
        }
    }
    result
}

fn is_valid(program: &[Fragment<Toy>], forms: &[u8], align: i64) -> bool {
    let fixups = program.iter().flat_map(|fragment| &fragment.fixups);
    addresses(program, forms, align)
        .into_iter()
        .zip(fixups)
        .zip(forms)
        .all(|(((from, to), site), &form)| site.fixup.reaches(form, from, to.unwrap_or(from)))
}

fn forms(program: &[Fragment<Toy>], code: &Code) -> Vec<u8> {
    let all = program.iter().enumerate();
    all.flat_map(|(index, fragment)| (0..fragment.fixups.len()).map(move |n| code.form(index, n))).collect()
}

/// The smallest form of each fixup over all valid assignments; together they must be a valid assignment.
fn least_valid(program: &[Fragment<Toy>]) -> Vec<u8> {
    let fixups: usize = program.iter().map(|fragment| fragment.fixups.len()).sum();
    let mut least = vec![2; fixups];
    for code in 0..3usize.pow(fixups as u32) {
        let forms: Vec<u8> = (0..fixups).map(|n| (code / 3usize.pow(n as u32) % 3) as u8).collect();
        if is_valid(program, &forms, 1) {
            for (least, form) in least.iter_mut().zip(forms) {
                *least = form.min(*least);
            }
        }
    }
    assert!(is_valid(program, &least, 1), "valid assignments form a lattice");
    least
}

#[test]
fn result_is_the_least() {
    let mut rng = Rng::new(1);
    let mut widened = 0;
    for _ in 0..1500 {
        let program = random_program(&mut rng, 7, false);
        let code = relax(&program, AT_ZERO, &index_of);
        let found = forms(&program, &code);
        assert_eq!(found, least_valid(&program), "{program:?}");
        widened += found.iter().filter(|&&form| form > 0).count();
    }
    assert!(widened > 500, "the programs are worth relaxing: {widened}");
}

#[test]
fn addresses_are_those_of_the_bytes() {
    let mut rng = Rng::new(2);
    for align in [1, 2, 4] {
        for _ in 0..500 {
            let program = random_program(&mut rng, 60, true);
            let placement = Placement { align, ..AT_ZERO };
            let code = relax(&program, placement, &index_of);
            let found = forms(&program, &code);
            assert!(is_valid(&program, &found, i64::from(align)), "{program:?}");
            let expected = addresses(&program, &found, i64::from(align));
            let mut expected = expected.iter();
            let (bytes, starts) = code.flatten(&program, placement, &index_of);
            assert_eq!(bytes.len(), starts.len());
            for (index, fragment) in program.iter().enumerate() {
                assert_eq!(code.base(index) % i64::from(align), 0);
                for n in 0..fragment.fixups.len() {
                    let &(from, _) = expected.next().expect("one address per fixup");
                    let place = fragment.after_fixup(n);
                    let len = fragment.fixups[n].fixup.len(code.form(index, n), from);
                    assert_eq!(code.address(index, place), from + i64::from(len));
                    assert_eq!(bytes[from as usize], 0xf0 | code.form(index, n));
                    assert!(starts[from as usize]);
                }
            }
        }
    }
}

/// The byte of padding, with which no instruction begins.
const PADDING: u8 = 0xee;
const BLOCK: usize = 24;
const BLOCKS: Blocks = Blocks {
    bytes: BLOCK as u32,
    may_end: |bytes| bytes[0] % 2 == 1,
    pad: |len, out| out.resize(out.len() + len, PADDING),
};

/// Instructions of one to seven bytes, and labels and fixups between them.
fn program_for_blocks(rng: &mut Rng) -> Vec<Fragment<Toy>> {
    let mut buf = CodeBuffer::new(0);
    let labels: Vec<_> = (0..40).map(|_| buf.new_label()).collect();
    for &label in &labels {
        for _ in 0..rng.below(4) {
            let (first, len) = (rng.below(200) as u8, 1 + rng.below(7));
            buf.instruction(|out| out.extend((0..len).map(|_| first)));
        }
        buf.bind(label);
        let short = 1 + rng.below(3) as u32;
        let target = Reference::Label(labels[rng.below(labels.len())]);
        buf.fixup(Toy::branch(&[short, short + 1, short + 3], &[20, 100, 0]), target);
    }
    vec![buf.finish()]
}

#[test]
fn no_instruction_crosses_blocks() {
    let mut rng = Rng::new(5);
    let (mut padded, mut full) = (0, 0);
    for round in 0..500 {
        let program = program_for_blocks(&mut rng);
        let placement = Placement { start: round % 50, blocks: Some(BLOCKS), ..AT_ZERO };
        let code = relax(&program, placement, &index_of);
        let (bytes, starts) = code.flatten(&program, placement, &index_of);
        let fixups = &program[0].fixups;
        for (n, site) in fixups.iter().enumerate() {
            let end = (code.address(0, program[0].after_fixup(n)) - placement.start) as usize;
            let is_next = starts.get(end).is_none_or(|&starts| starts);
            assert!(is_next && bytes.get(end) != Some(&PADDING), "places are after their padding: {site:?}");
        }
        let all: Vec<usize> = (0..bytes.len()).filter(|&at| starts[at]).collect();
        let mut next_fixup = 0;
        for (n, &at) in all.iter().enumerate() {
            let until = all.get(n + 1).map_or(bytes.len(), |&next| next);
            let len = bytes[at..until].iter().take_while(|&&byte| byte != PADDING).count();
            let may_end = if bytes[at] >= 0xf0 {
                next_fixup += 1;
                fixups[next_fixup - 1].fixup.may_end_block()
            } else {
                (BLOCKS.may_end)(&bytes[at..at + len])
            };
            let start = at + placement.start as usize;
            let block_end = (start / BLOCK + 1) * BLOCK;
            assert!(start + len + usize::from(!may_end) <= block_end, "{start} + {len} in {block_end}");
            if at + len < until {
                assert_eq!(until + placement.start as usize, block_end, "padding goes to the end of a block");
                padded += 1;
            }
            full += usize::from(start + len == block_end);
        }
        assert_eq!(next_fixup, fixups.len());
    }
    assert!(padded > 1000 && full > 1000, "{padded}, {full}");
}

#[test]
fn start_address_moves_everything() {
    let mut rng = Rng::new(3);
    for _ in 0..200 {
        let program = random_program(&mut rng, 20, false);
        let low = relax(&program, AT_ZERO, &index_of);
        let moved = Placement { start: -1000, ..AT_ZERO };
        let high = relax(&program, moved, &index_of);
        assert_eq!(forms(&program, &low), forms(&program, &high));
        let (low_code, high_code) =
            (low.flatten(&program, AT_ZERO, &index_of), high.flatten(&program, moved, &index_of));
        assert_eq!(low_code, high_code);
        assert_eq!(low.base(program.len() - 1) - 1000, high.base(program.len() - 1));
    }
}

/// A program in which every branch is in reach of its target until the next one is widened.
fn domino(fixups: usize) -> Fragment<Toy> {
    let mut buf = CodeBuffer::new(0);
    let labels: Vec<_> = (0..=fixups).map(|_| buf.new_label()).collect();
    for n in 0..fixups {
        // Reaches over the next branch as long as that is short; the last one misses.
        let slack = if n + 1 == fixups { 1 } else { 4 };
        buf.fixup(Toy::branch(&[2, 4], &[slack, 0]), Reference::Label(labels[(n + 2).min(fixups)]));
        buf.bind(labels[n + 1]);
    }
    buf.bind(labels[0]);
    buf.finish()
}

#[test]
fn dominoes_fall_in_few_rounds() {
    let few = [domino(20)];
    assert!(forms(&few, &relax(&few, AT_ZERO, &index_of)).iter().all(|&form| form == 1));
    let many = [domino(1_000_000)];
    let code = relax(&many, AT_ZERO, &index_of);
    assert!(forms(&many, &code).iter().all(|&form| form == 1));
    assert_eq!(code.flatten(&many, AT_ZERO, &index_of).0.len(), code.size());
}

#[test]
fn large_programs_are_relaxed_at_once() {
    let mut rng = Rng::new(4);
    let functions = 5_000;
    let program: Vec<Fragment<Toy>> = (0..functions).map(|_| large_fragment(&mut rng, functions)).collect();
    let code = relax(&program, AT_ZERO, &index_of);
    let (bytes, starts) = code.flatten(&program, AT_ZERO, &index_of);
    assert!(bytes.len() > 5_000_000);
    assert_eq!(starts.len(), bytes.len());
}

fn large_fragment(rng: &mut Rng, functions: usize) -> Fragment<Toy> {
    let mut buf = CodeBuffer::new(0);
    let labels: Vec<_> = (0..100).map(|_| buf.new_label()).collect();
    for (n, &label) in labels.iter().enumerate() {
        for _ in 0..3 {
            buf.instruction(|out| out.extend([0; 3]));
        }
        buf.bind(label);
        let target = match rng.below(4) {
            0 => Reference::Func(FuncId::new(rng.below(functions))),
            1 => Reference::Label(labels[rng.below(labels.len())]),
            _ => Reference::Label(labels[(n + rng.below(12)).min(labels.len() - 1)]),
        };
        buf.fixup(Toy::branch(&[3, 4, 5, 6], &[127, 32_767, 8_000_000, 0]), target);
    }
    buf.finish()
}

#[test]
#[should_panic(expected = "used and not bound")]
fn an_unbound_label_is_a_bug() {
    let mut buf = CodeBuffer::new(1);
    let label = buf.new_label();
    buf.fixup(Toy::branch(&[1], &[0]), Reference::Label(label));
    buf.finish();
}
