#!/usr/bin/env bash
# Passes the tests: set-up, formatting, lints, every test, the specification suite, determinism.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."
. scripts/setup.sh
cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
# `pvm-isa` also serves browsers.
if rustup target add wasm32-unknown-unknown 2>/dev/null; then
  cargo check --locked -p pvm-isa --target wasm32-unknown-unknown
else
  echo "test.sh: no Rust target wasm32-unknown-unknown here, pvm-isa is not checked on it"
fi
cargo build --release --locked --workspace
cargo xtask tidy
cargo test --workspace --locked
bash tests/utils/check-determinism.sh
