#!/usr/bin/env bash
# Makes the packages of a release, and tries each of them:
#
#   wasm-pvm               one binary, which runs on a Debian without LLVM
#   wasm-pvm-VERSION.tgz   an npm package with this binary
#   pvm-isa-VERSION.tgz    the npm package for browsers
#
#   scripts/package.sh [FOLDER]    target/package by default
#
# Needed besides the packages of scripts/setup.sh: zlib1g-dev, and npm for the npm packages. An image is made by
# packages/Dockerfile, here too if a Docker daemon runs or buildah is installed.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."
out=${1:-target/package}
mkdir -p "$out"
out=$(realpath "$out")
llvm=${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}
# The parts of LLVM that the compiler and its bindings name.
components="core passes arm riscv executionengine"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

fail() {
  echo "package: $1" >&2
  exit 1
}

# llvm-sys takes the static libraries if there is no shared one, and as many as `llvm-config` names. zstd is in the tool
# anyhow, by the crate `zstd-sys`, and Polly is an extension that nothing here uses.
write_llvm_config() {
  mkdir -p "$1/bin"
  cat >"$1/bin/llvm-config" <<END
#!/bin/sh
case " \$* " in
  *" --link-shared "*) exit 1 ;;
  *" --system-libs "*) echo "-lrt -ldl -lm -lz" ;;
  *" --libnames "*) "$llvm/bin/llvm-config" --link-static --libnames $components | sed 's/libPolly[A-Z]*\\.a//g' ;;
  *) exec "$llvm/bin/llvm-config" "\$@" ;;
esac
END
  chmod +x "$1/bin/llvm-config"
}

# A folder with static libraries only, so that the linker finds no shared ones first.
link_static_libraries() {
  mkdir -p "$1"
  local name file
  for name in libstdc++.a libz.a; do
    file=$(cc -print-file-name=$name)
    [ "$file" != $name ] || fail "no $name: install g++ and zlib1g-dev"
    ln -sf "$file" "$1/$name"
  done
}

build() {
  local stage=$PWD/target/package-build
  write_llvm_config "$stage/llvm"
  link_static_libraries "$stage/lib"
  LLVM_SYS_221_PREFIX=$stage/llvm RUSTFLAGS="-L native=$stage/lib" CARGO_PROFILE_RELEASE_DEBUG=0 \
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --locked --release -p wasm-pvm --target-dir "$stage/target"
  cp "$stage/target/release/wasm-pvm" "$out/wasm-pvm"
}

# Compiles and runs a program whose result is known: SHA-256 of "abc".
try() { # COMMAND...
  local module=$PWD/tests/fixtures/kernels/wasm/O2/sha256.wasm
  local expected="result: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  "$@" --version
  "$@" compile "$module" -o "$temporary/sha256.jam"
  "$@" run "$temporary/sha256.jam" --args 616263 | grep -qx "$expected" || fail "$1 has another result"
}

# Every Debian has these libraries.
check_libraries() {
  local others
  others=$(ldd "$out/wasm-pvm" | awk '{ print $1 }' |
    grep -vE '^(linux-vdso|lib(c|m|gcc_s)|/lib64/ld-linux-x86-64)\.so' || true)
  [ -z "$others" ] || fail "the binary needs $others"
}

# Runs it where no library of LLVM can be found, if this process may hide them.
try_without_llvm() {
  if ! unshare --mount true 2>/dev/null; then
    echo "package: can't hide LLVM's libraries here; the binary names none of them"
    try "$out/wasm-pvm"
    return
  fi
  export -f try fail
  export temporary
  unshare --mount bash -euc '
    mount -t tmpfs none "$1"
    for library in /usr/lib/*/libLLVM*.so* /usr/lib/*/libz3.so* /usr/lib/*/libstdc++.so*; do
      [ ! -f "$library" ] || mount --bind /dev/null "$library"
    done
    try "$2"' bash "$llvm" "$out/wasm-pvm"
}

pack() { # FOLDER
  (cd "$1" && npm pack --silent --pack-destination "$out")
}

npm_packages() {
  local wrapper=$temporary/wasm-pvm tarball
  mkdir -p "$wrapper/bin"
  cp packages/wasm-pvm/{package.json,README.md} LICENSE-APACHE LICENSE-MIT "$wrapper"
  cp "$out/wasm-pvm" "$wrapper/bin/wasm-pvm"
  tarball=$out/$(pack "$wrapper")
  try npx --yes --offline --package="$tarball" wasm-pvm
  rustup target add wasm32-unknown-unknown >/dev/null 2>&1 || true
  packages/pvm-isa/build.sh "$temporary/pvm-isa"
  tarball=$out/$(pack "$temporary/pvm-isa")
  mkdir "$temporary/user"
  (cd "$temporary/user" && npm install --silent --offline --no-save "$tarball" && node --input-type=module -e '
    import { load } from "pvm-isa";
    import { readFileSync } from "node:fs";
    process.stdout.write((await load()).disassemble(readFileSync(process.argv[1])));
  ' "$temporary/sha256.jam") >"$temporary/listing"
  "$out/wasm-pvm" disasm "$temporary/sha256.jam" | cmp - "$temporary/listing"
}

image() {
  if docker info >/dev/null 2>&1; then
    docker build --quiet -f packages/Dockerfile -t wasm-pvm "$out"
    docker run --rm wasm-pvm --version
  elif command -v buildah >/dev/null; then
    local container
    buildah build --quiet -f packages/Dockerfile -t wasm-pvm "$out"
    container=$(buildah from --pull=never localhost/wasm-pvm)
    buildah run "$container" wasm-pvm --version
    buildah rm "$container" >/dev/null
  else
    echo "package: neither a Docker daemon nor buildah here; packages/Dockerfile is not tried"
  fi
}

build
check_libraries
try_without_llvm
if command -v npm >/dev/null; then npm_packages; else echo "package: no npm here; the npm packages are not made"; fi
image
(cd "$out" && stat -c '%s bytes  %n' wasm-pvm *.tgz)
