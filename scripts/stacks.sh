#!/usr/bin/env bash
# Real modules of packages with their C stack in memory and on the machine's stack: sizes, and results beside node's.
#
#   stacks.sh [-O LEVEL] [-m PATTERN]
#
#   -O LEVEL     optimisation level, s by default
#   -m PATTERN   only modules whose name matches this regular expression
#
# The packages are those of scripts/modules.txt, kept in target/modules as by scripts/modules.sh. Prints a row per module:
# bytes of wasm, bytes of code and of the JAM file with the stack in memory and with `--shadow-stack auto`, the ratio of the
# codes, and whether the work of scripts/stacks.mjs has the same results as on node. A module whose stack stays in memory has
# the reason instead. Needs npm, node and jq.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."

level=s pattern=.
while getopts O:m: option; do
  case $option in
    O) level=$OPTARG ;;
    m) pattern=$OPTARG ;;
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
  local package=$1 path=$2 version sha
  read -r version sha < <(awk -v p="$package" -v f="$path" '$1 == p && $3 == f { print $2, $4 }' scripts/modules.txt)
  file=$cache/$sha.wasm
  if [ ! -f "$file" ]; then
    (cd "$work" && npm pack --silent "$package@$version" >packed)
    tar -xzOf "$work/$(tail -n 1 "$work/packed")" "$path" >"$work/module"
    echo "$sha $work/module" | sha256sum --check --quiet
    mv "$work/module" "$file"
  fi
}

# Compiles the module with the stack at a place, and prints bytes of code and of the file.
sizes() {
  "$tool" compile "$file" -o "$work/out.jam" "-O$level" --bounds guard --imports trap --shadow-stack "$1" -v 2>"$work/log"
  echo "$("$tool" info --json "$work/out.jam" | jq .sizes.code) $(stat -c %s "$work/out.jam")"
}

bad=0
echo "| module | wasm | code, in memory | code, auto | auto / in memory | JAM, in memory | JAM, auto | results |"
echo "|---|--:|--:|--:|--:|--:|--:|---|"
while read -r name package path; do
  fetch "$package" "$path"
  read -r strict_code strict_file < <(sizes strict)
  read -r auto_code auto_file < <(sizes auto)
  if grep -q "lives on the machine stack" "$work/log"; then
    results=$(TMPDIR=$work node scripts/stacks.mjs "$tool" "$name" "$file" "-O$level" --bounds guard) || bad=1
  else
    results=$(sed -n 's/.*stays in linear memory.*reason="\([^"]*\)".*/in memory: \1/p' "$work/log")
  fi
  echo "| $name | $(stat -c %s "$file") | $strict_code | $auto_code |" \
    "$(awk "BEGIN { printf \"%.3f\", $auto_code / $strict_code }") | $strict_file | $auto_file | $results |"
done < <(grep -E "$pattern" <<'END'
argon2 argon2-browser package/dist/argon2.wasm
brotli brotli-wasm package/pkg.web/brotli_wasm_bg.wasm
quickjs @jitl/quickjs-wasmfile-release-sync package/dist/emscripten-module.wasm
rollup @rollup/wasm-node package/dist/wasm-node/bindings_wasm_bg.wasm
sqlite sql.js package/dist/sql-wasm.wasm
tiktoken tiktoken package/tiktoken_bg.wasm
END
)
exit "$bad"
