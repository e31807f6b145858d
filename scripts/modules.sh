#!/usr/bin/env bash
# Compiles real modules of packages, for the PVM and for Cortex-M, with `--imports trap` and nothing else.
#
#   modules.sh [-O LEVEL] [-m PATTERN] [-t SECONDS]
#
#   -O LEVEL     optimisation level, 0 by default
#   -m PATTERN   only modules whose line in the list matches this regular expression
#   -t SECONDS   limit of one compilation, 600 by default
#
# scripts/modules.txt lists package, version, path in the package, and SHA-256. Packages come from the npm registry at run
# time and are kept in target/modules. A row per module tells size and, per target, seconds and outcome: ok, refused (exit
# code 1), slow (a refusal that took more than a second), bug (any other exit code) or timeout. Refusals follow with their
# messages. The exit code is 1 if there was a bug, a timeout or a slow refusal.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."

level=0 pattern=. limit=600
while getopts O:m:t: option; do
  case $option in
    O) level=$OPTARG ;;
    m) pattern=$OPTARG ;;
    t) limit=$OPTARG ;;
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
  timeout "$limit" "$tool" compile "$file" -o "$work/out" "-O$level" --imports trap "$@" 2>"$work/log" || status=$?
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
    *) printf '%s, %s: %s\n' "$name" "$target" "$(sed -n "s#^error: $file: ##p" "$work/log" | head -n 1 | cut -c 1-400)" >>"$work/messages" ;;
  esac
  case $outcome in bug | timeout | slow) bad=1 ;; esac
  count[$target $outcome]=$((${count[$target $outcome]:-0} + 1))
  printf ' %4d.%d %-8s' $((tenths / 10)) $((tenths % 10)) "$outcome"
}

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
done < <(grep -v '^#' scripts/modules.txt | grep -E "$pattern")

cat "$work/messages"
for outcome in "${!count[@]}"; do
  echo "$outcome: ${count[$outcome]}"
done | sort
echo "ok for both: $both"
exit "$bad"
