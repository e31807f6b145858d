#!/usr/bin/env bash
# Installs what the build and the tests need on a Debian-like machine; does nothing when it is there already.
set -euo pipefail
packages=()
need() { # command package
  command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}
need llvm-config-22 llvm-22-dev
need llvm-mc-22 llvm-22
need clang-22 clang-22
need ld.lld-22 lld-22
need cc gcc
if [ ${#packages[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  $sudo apt-get update -q
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${packages[@]}"
fi
command -v cargo >/dev/null 2>&1 || { echo "setup: install Rust (rustup.rs) first" >&2; exit 1; }
