//! Properties that hold for every program, checked on random ones.

use ssa::interp::{Interpreter, Options, Stop};
use ssa::testing::{Params, Rng, host, random_args, random_module};
use ssa::{DataKind, EntityId, FuncId, Module, Type};

/// Programs per property.
const CASES: u64 = 400;

fn params(seed: u64, canonical: bool) -> Params {
    let all = vec![Type::I32, Type::I64, Type::F32, Type::F64];
    let types = match seed % 4 {
        0 => all,
        1 => vec![Type::I32],
        _ => vec![Type::I32, Type::I64],
    };
    let size = [5, 30, 120][(seed / 4 % 3) as usize];
    Params {
        types,
        size,
        calls: !seed.is_multiple_of(5),
        memory: !seed.is_multiple_of(7),
        canonical,
        ..Params::default()
    }
}

fn case(seed: u64, canonical: bool) -> Module {
    random_module(&mut Rng::new(seed), &params(seed, canonical))
}

/// Results of a run, and the final contents of the memory that all ways to run a program agree on.
type Observed = (Result<Vec<u64>, Stop>, Vec<Vec<u8>>);

fn run(module: &Module, args: &[u64]) -> Observed {
    let options = Options { fuel: 200_000, reject_unspecified: true, ..Options::new(module) };
    let layout = options.layout.clone();
    let mut interpreter = Interpreter::new(module, options);
    let result = interpreter.call(FuncId::new(0), args, &mut *host(module));
    let contents = module.data.iter().filter(|(_, object)| !matches!(object.kind, DataKind::Table));
    let contents = contents.map(|(id, object)| {
        let bytes = interpreter.memory.region(layout.data[id]).expect("every object is a region");
        // Above it are dead frames.
        let shared = if object.size == 0 { ssa::testing::SCRATCH_BYTES as usize } else { bytes.len() };
        bytes[..shared].to_vec()
    });
    (result, contents.collect())
}

#[test]
fn generated_modules_verify() {
    for seed in 0..CASES {
        let module = case(seed, true);
        ssa::verify(&module).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{module}"));
    }
}

#[test]
fn text_round_trips() {
    for seed in 0..CASES {
        let module = case(seed, true);
        let text = module.to_string();
        let again = ssa::parse_module(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        assert_eq!(again, module, "seed {seed}");
        assert_eq!(again.to_string(), text, "seed {seed}");
        for func in module.functions.values().flatten() {
            let text = ssa::print_function(&module, func);
            assert_eq!(ssa::parse_function(&module, &text).as_ref(), Ok(func), "seed {seed}");
        }
    }
}

#[test]
fn programs_end_without_unspecified_results() {
    let mut ended = 0;
    let mut returned = 0;
    for seed in 0..CASES {
        let module = case(seed, true);
        let args = random_args(&mut Rng::new(seed), &module, FuncId::new(0));
        let (result, _) = run(&module, &args);
        ended += u64::from(result != Err(Stop::OutOfFuel));
        returned += u64::from(result.is_ok());
        assert!(!matches!(result, Err(Stop::Unspecified(_))), "seed {seed}: {result:?}\n{module}");
    }
    assert!(ended > CASES * 9 / 10, "only {ended} of {CASES} programs end within their fuel");
    assert!(returned > CASES / 2, "only {returned} of {CASES} programs return");
}

#[test]
fn canonical_form_means_the_same() {
    for seed in 0..CASES {
        let raw = case(seed, false);
        let mut canonical = raw.clone();
        for func in canonical.functions.values_mut().flatten() {
            ssa::canonicalize(func);
            ssa::estimate_frequencies(func);
        }
        ssa::verify(&canonical).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{raw}"));
        for n in 0..3 {
            let args = random_args(&mut Rng::new(seed + n), &raw, FuncId::new(0));
            let (before, after) = (run(&raw, &args), run(&canonical, &args));
            let unknown = Err(Stop::OutOfFuel);
            if before.0 != unknown && after.0 != unknown {
                assert_eq!(before, after, "seed {seed}\n{raw}\n{canonical}");
            }
        }
    }
}

#[test]
fn canonical_form_is_stable() {
    for seed in 0..CASES {
        let module = case(seed, true);
        for func in module.functions.values().flatten() {
            let mut again = func.clone();
            ssa::passes::compact(&mut again);
            assert_eq!(&again, func, "seed {seed}");
            ssa::canonicalize(&mut again);
            assert!(again.blocks.len() <= func.blocks.len(), "seed {seed}");
            assert!(again.insts.len() <= func.insts.len(), "seed {seed}");
        }
    }
}

#[test]
fn frequencies_are_sane() {
    for seed in 0..CASES {
        let module = case(seed, true);
        for func in module.functions.values().flatten() {
            assert_eq!(func.blocks[func.entry()].freq, 1.0);
            assert!(func.blocks.values().all(|block| block.freq > 0.0 && block.freq <= 1_048_576.0));
        }
    }
}

#[test]
fn damaged_text_is_refused_without_panic() {
    for seed in 0..CASES {
        let mut rng = Rng::new(seed);
        let mut text = case(seed % 20, true).to_string().into_bytes();
        for _ in 0..=rng.below(3) {
            let at = rng.below(text.len());
            match rng.below(3) {
                0 => text[at] = rng.pick(b"0v{}()[]:=,@$\"\n -b9"),
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text.truncate(at.max(1)),
            }
        }
        if let Ok(module) = ssa::parse_module(&String::from_utf8_lossy(&text)) {
            // The damaged text may still parse; the verifier and the printer must accept any module without panicking.
            let _ = ssa::verify(&module);
            let printed = module.to_string();
            assert_eq!(ssa::parse_module(&printed).map(|m| m.to_string()), Ok(printed), "seed {seed}");
        }
    }
}
