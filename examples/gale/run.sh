#!/usr/bin/env bash
# Compiles the kernel module, links it into firmware, runs that on an emulated board and compares what it prints.
#
#   WASM_PVM=PATH  the compiler; by default the one in target/release, which is built
#   OUT=FOLDER     where the results go; target/gale by default
#   CMAKE=FOLDER   build with CMake, by the CMakeLists.txt there, instead of the commands here
set -euo pipefail
unset CDPATH
here="$(cd "$(dirname "$0")" && pwd)"
out="${OUT:-$here/../../target/gale}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
if [ -z "${WASM_PVM:-}" ]; then
  # A relative CARGO_TARGET_DIR begins where cargo is called.
  release="$(
    unset CARGO_BUILD_TARGET
    cd "$here/../.." && cargo build -q --release --locked -p wasm-pvm >&2 &&
      cd "${CARGO_TARGET_DIR:-target}/release" && pwd
  )"
  WASM_PVM="$release/wasm-pvm"
fi

if [ -n "${CMAKE:-}" ]; then
  # CMake adds these to the flags of the firmware; they are meant for the machine it is built on.
  unset CFLAGS ASMFLAGS LDFLAGS
  cmake -S "$CMAKE" -B "$out/cmake" -DCMAKE_TOOLCHAIN_FILE="$here/firmware/toolchain.cmake" -DWASM_PVM="$WASM_PVM" >&2
  cmake --build "$out/cmake" >&2
  firmware="$out/cmake/firmware"
else
  "$WASM_PVM" compile "$here/kernel/sem.wat" --target thumbv7m -Oz --rename-file "$here/kernel/renames" -o "$out/sem.o"
  "$WASM_PVM" info "$out/sem.o" >&2
  target=(--target=thumbv7m-none-eabi -mcpu=cortex-m3)
  clang-22 "${target[@]}" -Os -ffreestanding -fno-unwind-tables -c "$here/firmware/main.c" -o "$out/main.o"
  clang-22 "${target[@]}" -c "$here/firmware/start.s" -o "$out/start.o"
  firmware="$out/firmware.elf"
  ld.lld-22 -T "$here/firmware/link.ld" --gc-sections "$out/start.o" "$out/main.o" "$out/sem.o" -o "$firmware"
fi

status=0
timeout 60 qemu-system-arm -M mps2-an385 -nographic -monitor none -serial none \
  -chardev stdio,id=out -semihosting-config enable=on,target=native,chardev=out \
  -kernel "$firmware" </dev/null | tee "$out/output.txt" || status=$?
[ "$status" = 0 ] || { echo "the firmware ends with status $status" >&2; exit 1; }
diff "$here/expected.txt" "$out/output.txt"
