#!/bin/sh
# Builds the programs of tests/fixtures/programs with the toolchains of the package registries, and records what a
# WebAssembly engine (node) makes of them. The results are committed, so this is only needed after a source has changed.
#
#   scripts/programs.sh            # installs the toolchains below $PROGRAMS_TOOLS, builds, records
#
# C, C++ and Rust come from Debian (as root); AssemblyScript from npm; Zig from PyPI.
set -eu
cd "$(dirname "$0")/.."
programs=$PWD/tests/fixtures/programs
tools=${PROGRAMS_TOOLS:-$PWD/target/programs}
llvm=22
mkdir -p "$tools"

apt-get install -y --no-install-recommends clang-$llvm lld-$llvm lld-14 wasi-libc libclang-rt-$llvm-dev-wasm32 \
    libc++-$llvm-dev-wasm32 rustc libstd-rust-dev-wasm32 nodejs
(cd "$tools" && npm install --no-save assemblyscript@0.28.20)
python3 -m venv "$tools/python"
"$tools/python/bin/pip" -q install ziglang==0.17.1

# Debian's libraries are in the folder of the old name of the target, which clang warns of.
c="--target=wasm32-wasi -Wno-deprecated -Oz -s"
clang-$llvm $c "$programs/c-hello/main.c" -o "$programs/c-hello/hello.wasm"
clang-$llvm $c "$programs/c-numbers/main.c" -o "$programs/c-numbers/numbers.wasm" -lm
clang-$llvm $c "$programs/c-files/main.c" -o "$programs/c-files/files.wasm"
clang++-$llvm $c -std=c++20 -fno-exceptions "$programs/cpp-streams/main.cpp" -o "$programs/cpp-streams/streams.wasm"

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
