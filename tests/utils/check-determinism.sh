#!/usr/bin/env bash
# The same input gives the same bytes: for any number of threads, in any process, wherever it is started.
#
#   check-determinism.sh [BINARY]     default: release/wasm-pvm in the build folder
#
# Compiles every kernel and, where there is one, the smallest runtime of RUNTIMES_DIR at three levels for both
# versions of the Gray Paper, and the kernels built for size for Cortex-M: with 1 thread, with 2, and with the default
# number from another folder and in an empty environment. Every compilation is a process of its own, so addresses
# differ, too.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/../.."
binary=${1:-${CARGO_TARGET_DIR:-target}/release/wasm-pvm}
runtimes=${RUNTIMES_DIR:-../shared/corpus/runtimes}
[ -x "$binary" ] || { echo "check-determinism: no binary $binary: cargo build --release" >&2; exit 2; }
binary=$(readlink -f "$binary")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export binary work

# Prints one line: same, DIFFERS or FAILED, and the arguments, which are those of `compile`.
check() {
  local out sums distinct
  out=$(mktemp -d -p "$work")
  if "$binary" compile "$@" --threads 1 -o "$out/one" 2>"$out/errors" &&
    "$binary" compile "$@" --threads 2 -o "$out/two" 2>"$out/errors" &&
    (cd / && env -i "$binary" compile "$@" -o "$out/default" 2>"$out/errors") &&
    sums=$(sha256sum "$out/one" "$out/two" "$out/default" | cut -c1-64)
  then
    distinct=$(sort -u <<<"$sums" | wc -l)
    if [ "$distinct" = 1 ] && [ -s "$out/one" ]; then
      echo "same $*"
    else
      echo "DIFFERS $* (1 thread, 2 threads, default: $(cut -c1-12 <<<"$sums" | paste -sd' '))"
    fi
  else
    echo "FAILED $*: $(head -n 1 "$out/errors")"
  fi
  rm -rf "$out"
}
export -f check

# One line per compilation, its arguments separated by tabs.
cases() {
  local runtime
  # Only the smallest: the others take minutes and reach no other code.
  runtime=$(find -L "$runtimes" -maxdepth 1 -name '*.wasm' -printf '%s\t%p\n' 2>/dev/null | sort -n | head -n 1 | cut -f2-)
  if [ -n "$runtime" ]; then
    runtime=$(readlink -f "$runtime")
  else
    echo "check-determinism: no runtimes in $runtimes, kernels only" >&2
  fi
  for level in -O0 -O2 -Oz; do
    for gp in 0.7 0.8; do
      [ -z "$runtime" ] ||
        printf '%s\t--gp\t%s\t%s\t--names\tkeep\t--floats\ttrap\t--imports\tauto\n' "$level" "$gp" "$runtime"
      printf -- "$level\t--gp\t$gp\t--names\tkeep\t%s\n" "$PWD"/tests/fixtures/kernels/wasm/*/*.wasm
    done
    printf -- "$level\t--target\tthumbv7m\t--memory\tsymbol\t%s\n" "$PWD"/tests/fixtures/kernels/wasm/Os/*.wasm
  done
}

start=$SECONDS
cases >"$work/cases"
# shellcheck disable=SC2016  # expanded by the inner shell
xargs -d '\n' -P 2 -n 1 bash -c 'IFS=$'"'\t'"' read -ra args <<<"$1"; check "${args[@]}"' _ <"$work/cases" >"$work/results"
grep -v '^same ' "$work/results" | sort || true
total=$(wc -l <"$work/cases")
same=$(grep -c '^same ' "$work/results" || true)
echo "$same of $total compilations give the same bytes with 1, 2 and default threads in 3 processes ($((SECONDS - start)) s)"
[ "$total" -gt 0 ] && [ "$same" = "$total" ]
