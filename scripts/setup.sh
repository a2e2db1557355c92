#!/bin/sh
# Installs what is missing, and only that: the pinned Node (toolchain/) and the libraries.
# Needs a Node of version 20 or newer with npm. Prints nothing when there is nothing to do.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

fresh() { cmp -s "$1/package-lock.json" "$1/node_modules/.installed-lock" 2>/dev/null; }
fresh "$root/toolchain" && fresh "$root" && exit 0

fail() { echo "sluice: $*" >&2; exit 1; }
command -v npm >/dev/null 2>&1 || fail "npm was not found. Install Node.js 20 or newer with npm, then run this again."

# One installer at a time: a second one waits for the first, at most five minutes.
lock="$root/.installing"
tries=0
until mkdir "$lock" 2>/dev/null; do
  owner=$(cat "$lock/pid" 2>/dev/null || true)
  if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; continue; fi
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || fail "another installation holds $lock; remove it if none is running."
  sleep 1
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM

install() {
  fresh "$1" && return 0
  echo "sluice: installing $2 …" >&2
  out=$(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 2>&1) ||
    fail "npm ci failed in $1:
$out"
  cp "$1/package-lock.json" "$1/node_modules/.installed-lock"
}
install "$root/toolchain" "the pinned Node"
PATH="$root/toolchain/node_modules/.bin:$PATH" install "$root" "libraries"
