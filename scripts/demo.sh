#!/usr/bin/env bash
# The main job: set-up, then compile a real program (SHA-256, from C through WebAssembly) and run it on the PVM.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."
. scripts/setup.sh
cargo build --release --locked -p wasm-pvm
target=${CARGO_TARGET_DIR:-target}
program=tests/fixtures/kernels/wasm/O2/sha256.wasm
out=$target/demo.jam
"$target/release/wasm-pvm" compile "$program" -o "$out"
"$target/release/wasm-pvm" info "$out"
# The digest of "abc".
"$target/release/wasm-pvm" run "$out" --args 616263 | tee "$target/demo.txt"
grep -qx 'result: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' "$target/demo.txt"
