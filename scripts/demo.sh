#!/usr/bin/env bash
# The main job: set-up, then compile a real program (SHA-256, from C through WebAssembly) and run it on the PVM.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
cargo build --release --locked -p wasm-pvm
program=tests/fixtures/kernels/wasm/O2/sha256.wasm
out=target/demo.jam
target/release/wasm-pvm compile "$program" -o "$out"
target/release/wasm-pvm info "$out"
target/release/wasm-pvm run "$out" --args 616263
