#!/usr/bin/env bash
# Runs interpreters inside of the PVM: `anan-as`, a PVM in AssemblyScript, runs one of our programs, and Lua evaluates a script
# with floats. The results must be those of the same modules in node. Prints bytes and gas.
#
# The modules come from packages of the npm registry at run time and are kept in target/interpreters.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."

tool=${WASM_PVM:-target/release/wasm-pvm}
[ -x "$tool" ] || cargo build --release --locked --package wasm-pvm
cache=$(realpath -m "${CARGO_TARGET_DIR:-target}/interpreters")
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Unpacks a package, whose module must have this SHA-256; sets $package to its folder.
fetch() {
  local name=$1 version=$2 path=$3 sha=$4
  package=$cache/${name//\//+}-$version
  if [ ! -d "$package" ]; then
    (cd "$work" && npm pack --silent "$name@$version" >packed)
    mkdir "$work/unpacked"
    tar -xzf "$work/$(tail -n 1 "$work/packed")" -C "$work/unpacked"
    mv "$work/unpacked/package" "$package"
    rmdir "$work/unpacked"
  fi
  echo "$sha $package/$path" | sha256sum --check --quiet
}

hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }

# Runs a program with argument bytes in hexadecimal, and compares its result with a file.
check() {
  local name=$1 args=$2 expected=$3
  "$tool" run "$work/$name.jam" --args "$args" --gas 100000000000 --json >"$work/$name.json"
  node -e '
    const [path, expected, program] = process.argv.slice(1);
    const fs = require("fs");
    const { status, result, gas } = JSON.parse(fs.readFileSync(path));
    if (status !== "halt" || result !== fs.readFileSync(expected, "hex")) {
      console.error(`${path}: ${status} ${result}`);
      process.exit(1);
    }
    console.log(`${fs.statSync(program).size} bytes, gas ${gas}, the result is that of node`);
  ' "$work/$name.json" "$expected" "$work/$name.jam"
}

echo "== anan-as 1.2.0"
fetch @fluffylabs/anan-as 1.2.0 dist/build/release.wasm b762b8dd1210939596a0ea0e56cd64e5bce12a628b25d862386655c92efe720e
# A kernel with doubles, and its input.
kernel=tests/fixtures/float-kernels/wasm/O2/nbody.wasm
args=6745230130000000
"$tool" compile "$kernel" --gp 0.7 --format spi -o "$work/kernel.spi"
"$tool" run "$work/kernel.spi" --gp 0.7 --gas 100000000 --args $args --json >"$work/kernel.json"
printf 'env.console.log = nop\n' >"$work/map"
"$tool" compile scripts/interpreters/anan-as.wat --adapter "$package/dist/build/release.wasm" \
  --imports "$work/map" --imports trap -o "$work/anan-as.jam"
node scripts/interpreters/judge.mjs anan-as "$package/dist/build/release.js" "$work/kernel.spi" $args >"$work/expected"
length=$(printf '%08x' "$(stat -c %s "$work/kernel.spi")" | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/')
check anan-as "$length$(hex "$work/kernel.spi")$args" "$work/expected"
# The interpreter's gas and result are those of our engine.
node -e '
  const [outer, inner] = process.argv.slice(1).map((path) => JSON.parse(require("fs").readFileSync(path)));
  const bytes = Buffer.from(outer.result, "hex");
  const gas = 100000000n - bytes.readBigInt64LE(8);
  if (gas !== BigInt(inner.gas) || bytes.toString("hex", 120) !== inner.result) {
    console.error(`gas ${gas} instead of ${inner.gas}, or another result`);
    process.exit(1);
  }
  console.log(`inside: gas ${gas}, the result is that of our engine; ${Math.round(outer.gas / inner.gas)} gas per gas inside`);
' "$work/anan-as.json" "$work/kernel.json"

echo "== Lua of wasmoon 1.16.0"
fetch wasmoon 1.16.0 dist/glue.wasm 95f3f19ddb740125883bc41d5ec670cd0828e7b58c8bdad385323cbff497b55c
"$tool" compile scripts/interpreters/lua.wat --adapter "$package/dist/glue.wasm" \
  --adapter scripts/interpreters/emscripten.wat --wasi --imports trap -o "$work/lua.jam"
node scripts/interpreters/judge.mjs lua "$package/dist/glue.wasm" scripts/interpreters/script.lua >"$work/expected"
check lua "$(hex scripts/interpreters/script.lua)" "$work/expected"
cat "$work/expected"
