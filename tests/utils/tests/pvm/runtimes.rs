//! Whole Polkadot runtimes: compiled, run on the PVM, and compared with the reference engine.
//!
//! The runtimes are public data beside the repository; without them nothing is checked.

use testkit::runtimes::{call_reference, decompress, files, folder};
use wasm_pvm::run::{EntryPoint, Host, RunOptions, Status};
use wasm_pvm::{Floats, ImportMap, OptLevel, Options, PvmOptions};

#[test]
fn runtimes_answer_what_the_reference_engine_answers() {
    let files = files(&folder()).unwrap();
    if files.is_empty() {
        needs::skip("no runtimes in ../shared/corpus/runtimes");
    }
    for (name, path) in files {
        let wasm = decompress(&std::fs::read(path).unwrap()).unwrap();
        let pvm = PvmOptions { imports: ImportMap::default().with_auto(1000), ..PvmOptions::default() };
        let options = Options { floats: Some(Floats::Trap), level: OptLevel::Oz, ..Options::new(pvm) };
        let output = wasm_pvm::compile(&wasm, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (jam, ratio) = (output.bytes.len(), output.bytes.len() as f64 / wasm.len() as f64);
        println!("{name}: {} bytes of wasm, {jam} of JAM, {ratio:.3}", wasm.len());
        for entry in ["Core_version", "Metadata_metadata"] {
            let expected = call_reference(&wasm, entry, &[]).unwrap();
            let run = RunOptions {
                entry: EntryPoint::Name(entry.to_owned()),
                host: Host::Substrate,
                ..RunOptions::default()
            };
            let outcome = wasm_pvm::run::run(&output.bytes, &run).unwrap();
            assert_eq!(outcome.status, Status::Halt, "{name} {entry}");
            assert!(outcome.result == expected, "{name} {entry}: another result than the reference engine's");
        }
    }
}
