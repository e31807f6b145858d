#!/usr/bin/env bash
# Runs the targets of fuzz/ with libFuzzer, one after the other, and writes a table to target/fuzz/report.md.
#
#   fuzz.sh [--hours N] [--jobs J] [TARGET...]
#
# N is the time for all targets together (default 1; fractions are allowed), J the number of processes (default: one per
# processor). Targets are all of `cargo xtask seeds` unless some are named. The corpus of each target stays in
# target/fuzz/corpus, so the next run goes on from there. Findings are minimised and end in target/fuzz/findings; the script
# fails if there are any.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."

cargo_fuzz=0.13.2
hours=1
jobs=$(nproc)
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --hours) hours=${2:?hours} && shift 2 ;;
    --jobs) jobs=${2:?jobs} && shift 2 ;;
    -*) sed -n '2,9p' "$0" >&2 && exit 2 ;;
    *) targets+=("$1") && shift ;;
  esac
done
[ ${#targets[@]} -gt 0 ] || targets=(compile diff-pvm diff-thumb regalloc isa llvm float)

# Bytes of an input, and seconds and MiB that one may take.
most_bytes=16384
most_seconds=90
most_memory=4096
# Seconds to minimise a finding.
minimising=120

folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
mkdir -p "$folder"/{corpus,findings,logs,tools}

# Pinned, in a folder below the build's.
export PATH="$folder/tools/bin:$PATH"
[ "$(cargo fuzz --version 2>/dev/null || true)" = "cargo-fuzz $cargo_fuzz" ] ||
  cargo install --locked --version "$cargo_fuzz" --root "$folder/tools" cargo-fuzz

cargo run --quiet --locked --package xtask -- seeds "$folder/seeds"
# Coverage needs no sanitizer, and without one the stable compiler is enough.
build=(cargo fuzz build --sanitizer none --target-dir "$folder/build")
for target in "${targets[@]}"; do
  "${build[@]}" "$target"
done
bin=$folder/build/$(rustc -vV | sed -n 's/^host: //p')/release

seconds=$(awk -v hours="$hours" -v count=${#targets[@]} 'BEGIN { print int(hours * 3600 / count) }')
report=$folder/report.md
{
  echo "| target | seconds | CPU seconds | executions | edges | features | inputs | findings |"
  echo "|---|--:|--:|--:|--:|--:|--:|--:|"
} >"$report"

# Runs a target, and leaves the CPU time in logs/TARGET.cpu. Each process ends after some minutes, so that nothing
# accumulates, and findings don't end the run.
fuzz() {
  local target=$1 corpus=$folder/corpus/$1 found=$folder/findings/$1 log=$folder/logs/$1 TIMEFORMAT="%U %S"
  mkdir -p "$corpus" "$found"
  { time libfuzzer; } 2>"$log.cpu"
}

libfuzzer() {
  "$bin/$target" "$corpus" "$folder/seeds/$target" -fork="$jobs" -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
    -max_total_time="$seconds" -max_len=$most_bytes -timeout=$most_seconds -rss_limit_mb=$most_memory -use_value_profile=1 \
    -artifact_prefix="$found/" >"$log" 2>&1 || echo "$target ended with exit code $?" >>"$log"
}

# The smallest input with the same effect, beside the finding. One that takes too long stays as it is: every try would.
# One that passes now failed for another reason, such as a machine without memory, and goes to target/fuzz/passed.
minimise() {
  local target=$1 input limits=(-timeout=$most_seconds -rss_limit_mb=$most_memory)
  for input in "$folder/findings/$target"/{crash,oom,timeout}-*; do
    case $input in *.min) continue ;; esac
    [ -e "$input" ] && [ ! -e "$input.min" ] || continue
    if "$bin/$target" "${limits[@]}" "$input" >"$folder/logs/$target.again" 2>&1; then
      mkdir -p "$folder/passed/$target"
      mv "$input" "$folder/passed/$target"
      continue
    fi
    case $input in */timeout-*) ;; *)
      "$bin/$target" -minimize_crash=1 -max_total_time=$minimising "${limits[@]}" -exact_artifact_path="$input.min" \
        "$input" >"$folder/logs/$target.min" 2>&1 || true
      ;;
    esac
    [ -e "$input.min" ] || cp "$input" "$input.min"
  done
}

# A row of the table from the last line of progress: `#N: cov: E ft: F corp: C exec/s: S oom/timeout/crash: ...`.
row() {
  local target=$1 findings cpu
  cpu=$(awk '{ print int($1 + $2) }' "$folder/logs/$target.cpu")
  findings=$(find "$folder/findings/$target" -name '*.min' | wc -l)
  sed -n 's/^#\([0-9]*\): cov: \([0-9]*\) ft: \([0-9]*\) corp: \([0-9]*\) .*/\1 | \2 | \3 | \4/p' "$folder/logs/$target" |
    tail -1 | awk -v before="| $target | $seconds | $cpu" -v findings="$findings" '
      { print before " | " $0 " | " findings " |"; found = 1 }
      END { if (!found) print before " | none: see logs | | | | " findings " |" }'
}

for target in "${targets[@]}"; do
  echo "$target: $seconds seconds"
  fuzz "$target"
  minimise "$target"
  row "$target" >>"$report"
done
cat "$report"
if find "$folder/findings" -name '*.min' | grep -q .; then
  echo "findings, smallest form:" >&2
  find "$folder/findings" -name '*.min' >&2
  exit 1
fi
