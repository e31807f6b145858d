#!/usr/bin/env bash
# Passes the tests: set-up, formatting, lints, every test, the specification suite, determinism.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo build --release --locked --workspace
cargo xtask tidy
cargo test --workspace --locked
bash tests/utils/check-determinism.sh
