//! Compiles the kernel module to an object and lets the linker add it to the firmware.
//!
//! `WASM_PVM` is the compiler, by default the one in the search path.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let own = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let gale = Path::new(&own).parent().expect("the folder of the example");
    let (module, renames) = (gale.join("kernel/sem.wat"), gale.join("kernel/renames"));
    let script = gale.join("firmware/link.ld");
    let object = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("sem.o");

    let compiler = env::var("WASM_PVM").unwrap_or_else(|_| "wasm-pvm".to_owned());
    let mut command = Command::new(&compiler);
    command.arg("compile").arg(&module).args(["--target", "thumbv7m", "-Oz"]);
    command.arg("--rename-file").arg(&renames).arg("-o").arg(&object);
    let status = command.status().unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(status.success(), "{compiler} refuses {}", module.display());

    println!("cargo::rustc-link-arg={}", object.display());
    println!("cargo::rustc-link-arg=-T{}", script.display());
    println!("cargo::rerun-if-env-changed=WASM_PVM");
    for file in [&module, &renames, &script, &gale.join("firmware/start.s")] {
        println!("cargo::rerun-if-changed={}", file.display());
    }
}
