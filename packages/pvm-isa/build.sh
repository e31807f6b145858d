#!/usr/bin/env bash
# Builds the npm package into a folder; `npm pack` there makes the file to publish.
#
#   packages/pvm-isa/build.sh FOLDER
#
# Needed: Rust with the target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`).
set -euo pipefail
mkdir -p "$1"
folder=$(CDPATH="" cd "$1" && pwd)
CDPATH="" cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
cargo build --quiet --locked --package pvm-isa-wasm --profile browser --target wasm32-unknown-unknown --target-dir "$target"
cp "$target/wasm32-unknown-unknown/browser/pvm_isa_wasm.wasm" "$folder/pvm_isa.wasm"
cp packages/pvm-isa/{package.json,pvm-isa.js,pvm-isa.d.ts,README.md} LICENSE-APACHE LICENSE-MIT "$folder"
