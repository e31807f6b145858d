#!/usr/bin/env bash
# Installs the packages that the build and the tests need on a Debian-like machine, if one is missing.
set -euo pipefail
# Scripts look for binaries in cargo's folder of the host.
unset CARGO_BUILD_TARGET
packages=()
need() { # command or file, package
  command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || packages+=("$2")
}
need "${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}/include/llvm-c/Core.h" llvm-22-dev
# Judges Thumb-2 encodings in the tests.
need llvm-mc-22 llvm-22
# Link and run Cortex-M objects in the tests.
need clang-22 clang-22
need ld.lld-22 lld-22
need qemu-system-arm qemu-system-arm
# Builds the example firmware.
need cmake cmake
need make make
need arm-none-eabi-ld binutils-arm-none-eabi
# Debugs objects on the emulator.
need gdb-multiarch gdb-multiarch
# Its run-time library has the arithmetic of floats.
need arm-none-eabi-gcc gcc-arm-none-eabi
# Opens pages of `explore` in the tests.
need chromium chromium
# The linker, and the C++ library that LLVM needs.
need c++ g++
if [ ${#packages[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  for tool in apt-get $sudo; do
    command -v "$tool" >/dev/null 2>&1 || {
      echo "setup: no $tool here: install (Debian's names) ${packages[*]}" >&2
      exit 1
    }
  done
  $sudo apt-get update -q
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${packages[@]}" || {
    echo "setup: can't install ${packages[*]}; where the distribution has no LLVM 22, see https://apt.llvm.org" >&2
    exit 1
  }
fi
command -v cargo >/dev/null 2>&1 || { echo "setup: install Rust (https://rustup.rs) first" >&2; exit 1; }
# The second judge of random modules, in a folder below the build's. Where the package can't be had, the checks that need
# it are skipped; all others have the first judge.
wasmtime_version=50.0.1
python_packages=${CARGO_TARGET_DIR:-target}/python-packages
if [ ! -d "$python_packages/wasmtime-$wasmtime_version.dist-info" ]; then
  rm -rf "$python_packages"
  PIP_ROOT_USER_ACTION=ignore timeout 120 python3 -m pip install --quiet --disable-pip-version-check --target "$python_packages" \
    "wasmtime==$wasmtime_version" || {
    rm -rf "$python_packages"
    echo "setup: can't install wasmtime $wasmtime_version for python3: the checks that need it are skipped" >&2
  }
fi
# For the firmware in Rust. Not every installation of Rust can add a target; the check that needs it is skipped then.
if ! [ -d "$(rustc --print target-libdir --target thumbv7m-none-eabi 2>/dev/null)" ]; then
  timeout 120 rustup target add thumbv7m-none-eabi ||
    echo "setup: can't add the target thumbv7m-none-eabi to Rust: the firmware in Rust is not checked" >&2
fi
