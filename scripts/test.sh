#!/usr/bin/env bash
# Passes the tests. At the end it prints the checks that were skipped, and why.
#
#   test.sh          everything: set-up, formatting, lints, every test, the specification suite, determinism
#   test.sh --fast   tests of the crates that need neither LLVM nor an emulator, and `cargo xtask tidy`
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."

SKIPPED_CHECKS=$(realpath -m "${CARGO_TARGET_DIR:-target}/skipped-checks")
export SKIPPED_CHECKS
mkdir -p "$(dirname "$SKIPPED_CHECKS")"
: >"$SKIPPED_CHECKS"

# A line per skipped check: reason, tab, name of the test.
summary() {
  local count
  count=$(wc -l <"$SKIPPED_CHECKS")
  if [ "$count" = 0 ]; then
    echo "no check was skipped"
  else
    echo "$count checks were skipped ($SKIPPED_CHECKS lists them):"
    cut -f1 "$SKIPPED_CHECKS" | sort | uniq -c
  fi
}
trap summary EXIT

if [ "${1:-}" = --fast ]; then
  crates=(needs random pvm-isa pvm-engine thumb-isa thumb-engine ssa prepare runtime progress codegen target-pvm target-thumb wasm-program)
  WITHOUT_TOOLS="qemu-system-arm llvm-mc-22" cargo test --locked "${crates[@]/#/--package=}"
  cargo run --quiet --locked --package xtask --no-default-features -- tidy
  exit
fi

. scripts/setup.sh
cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
# `pvm-isa` also serves browsers.
if rustup target add wasm32-unknown-unknown 2>/dev/null; then
  cargo check --locked -p pvm-isa --target wasm32-unknown-unknown
else
  printf 'no Rust target wasm32-unknown-unknown\tpvm-isa for browsers\n' >>"$SKIPPED_CHECKS"
fi
cargo build --release --locked --workspace
"${CARGO_TARGET_DIR:-target}/release/xtask" tidy
cargo test --workspace --locked
bash tests/utils/check-determinism.sh
