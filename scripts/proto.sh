#!/bin/sh
# Writes the stubs of every .proto of the packages: beside it, or under another folder.
# Files without a service get no *_pb2_grpc. Run from the repository's root with the venv's bin first on the PATH.
# Usage: scripts/proto.sh PYTHON [FOLDER]
set -eu
python=$1
out=${2:-.}
protos=$(find node protocols ledger keys adapters -name '*.proto' | LC_ALL=C sort)
if [ -z "$protos" ]; then exit 0; fi
services=$(grep -lE '^service ' $protos || true)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() { "$python" -m grpc_tools.protoc -I. "$@" 2>"$log" || { cat "$log" >&2; exit 1; }; }
run --python_out="$out" --mypy_out="$out" $protos
if [ -n "$services" ]; then run --grpc_python_out="$out" --mypy_grpc_out="$out" $services; fi
grep -vE '^Writing mypy to ' "$log" >&2 || true
