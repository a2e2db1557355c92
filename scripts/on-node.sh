#!/bin/sh
# Runs a command with the pinned Node and the project's tools first in PATH.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
sh "$root/scripts/setup.sh"
PATH="$root/toolchain/node_modules/.bin:$root/node_modules/.bin:$PATH"
export PATH
exec "$@"
