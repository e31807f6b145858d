#!/usr/bin/env bash
# Compiles Polkadot runtimes to JAM programs and prints a table of sizes, time and memory.
#
#   compile.sh [NAME ...]      only runtimes with one of these texts in the file name
#
#   RUNTIMES_DIR   folder of *.wasm files; without it the fellowship's release is downloaded
#   RELEASE        release to download, such as v1.9.2; default: the latest
#   LEVEL          -O0, -O2, -Os or -Oz; default: -Oz
#   OUT            where programs, downloads and the table go; default: target/polkadot
#   WASM_PVM       compiler to use; default: build target/release/wasm-pvm
set -euo pipefail
export LC_ALL=C
start=$PWD
CDPATH="" cd "$(dirname "$0")/../.."
level=${LEVEL:--Oz}
out=${OUT:-target/polkadot}
releases=https://api.github.com/repos/polkadot-fellows/runtimes/releases

absolute() { case $1 in /*) echo "$1" ;; *) echo "$start/$1" ;; esac; }
fail() { echo "compile.sh: $*" >&2; exit 1; }

fetch() { # URL FILE; FILE appears complete or not at all
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --retry 3 --output "$2.part" "$1"
  elif command -v wget >/dev/null; then
    wget --quiet --tries 3 --output-document "$2.part" "$1"
  else
    fail "needs curl or wget to download, or RUNTIMES_DIR"
  fi && mv "$2.part" "$2"
}

# Downloads what is not there yet and prints the folder.
download() {
  local folder list url
  if [ -n "${RELEASE:-}" ]; then list="tags/$RELEASE"; else list=latest; fi
  mkdir -p "$out/downloads"
  fetch "$releases/$list" "$out/downloads/release.json" || fail "no release ${RELEASE:-latest} at $releases"
  folder=$out/downloads/$(grep -o '"tag_name": *"[^"]*"' "$out/downloads/release.json" | head -n 1 | cut -d'"' -f4)
  mkdir -p "$folder"
  for url in $(grep -o '"browser_download_url": *"[^"]*\.compact\.compressed\.wasm"' "$out/downloads/release.json" | cut -d'"' -f4); do
    wanted "${url##*/}" || continue
    [ -s "$folder/${url##*/}" ] || fetch "$url" "$folder/${url##*/}" || fail "can't download $url"
  done
  echo "$folder"
}

names=("$@")
wanted() { # whether a file name is asked for
  local name
  [ ${#names[@]} -gt 0 ] || return 0
  for name in "${names[@]}"; do case $1 in *"$name"*) return 0 ;; esac; done
  return 1
}

# Runs a command, sets `peak` to its largest resident size in KiB and `seconds` to its wall time.
measured() {
  local begin=$EPOCHREALTIME pid kib status=0
  peak=0
  "$@" &
  pid=$!
  # The kernel keeps the maximum; the last look is at most a twentieth of a second before the end.
  while kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null) && [ -n "$kib" ]; do
    peak=$kib
    sleep 0.05
  done
  wait "$pid" || status=$?
  seconds=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $begin }")
  return $status
}

number() { # FIELD REPORT
  sed -n "s/^ *\"$1\": \([0-9]*\),\{0,1\}\$/\1/p" "$2" | head -n 1
}

row() { # FILE
  local name=${1##*/} report=$out/report.json wasm jam
  name=${name%%.*}
  if ! measured "$compiler" compile "$1" -o "$out/$name.jam" "$level" --floats trap --imports auto --json \
    >"$report" 2>"$out/errors"; then
    echo "| $name | $(head -n 1 "$out/errors") |"
    return 1
  fi
  wasm=$(number wasm_bytes "$report")
  jam=$(number total "$report")
  printf '| %s | %d | %d | %s | %d | %d | %s | %d |\n' "$name" "$wasm" "$jam" \
    "$(awk "BEGIN { printf \"%.3f\", $jam / $wasm }")" "$(number code "$report")" "$(number instructions "$report")" \
    "$seconds" $((peak / 1024))
}

if [ -n "${WASM_PVM:-}" ]; then
  compiler=$(absolute "$WASM_PVM")
else
  . scripts/setup.sh
  cargo build --release --locked -p wasm-pvm
  compiler=${CARGO_TARGET_DIR:-target}/release/wasm-pvm
fi
[ -z "${OUT:-}" ] || out=$(absolute "$OUT")
mkdir -p "$out"
if [ -n "${RUNTIMES_DIR:-}" ]; then folder=$(absolute "$RUNTIMES_DIR"); else folder=$(download); fi

failed=0 count=0
{
  echo "| runtime | wasm bytes | JAM bytes | JAM / wasm | code bytes | instructions | seconds | MiB |"
  echo "|---|--:|--:|--:|--:|--:|--:|--:|"
} | tee "$out/table.md"
for file in "$folder"/*.wasm; do
  [ -f "$file" ] && wanted "${file##*/}" || continue
  count=$((count + 1))
  row "$file" >"$out/row" || failed=$((failed + 1))
  tee -a "$out/table.md" <"$out/row"
done
rm -f "$out/row" "$out/report.json" "$out/errors"
[ "$count" -gt 0 ] || fail "no runtimes in $folder"
[ "$failed" = 0 ] || fail "$failed of $count runtimes failed"
