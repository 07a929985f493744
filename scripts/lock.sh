#!/bin/sh
# Writes requirements/*.txt from pyproject.toml and requirements/*.in: exact versions with hashes, for
# Linux and macOS and every supported Python. Pins already there are kept; `scripts/lock.sh --upgrade` renews them.
# dev.txt is resolved first and binds the others, so that they agree.
# Usage: scripts/lock.sh UV [--upgrade]
set -eu
cd "$(dirname "$0")/.."
uv=$1
shift

lock() { # lock NAME CONSTRAINTS-OR-EMPTY SOURCE-AND-OPTIONS...
    out=requirements/$1.txt
    constraint=$2
    shift 2
    draft=$tmp/draft
    pins=$tmp/pins
    printf '# Written by "make lock" from pyproject.toml and requirements/*.in. Do not edit.\n' >"$draft"
    # uv keeps the pins it finds in its output file: it works on a copy, so that a failure changes nothing.
    if [ -f "$out" ]; then cp "$out" "$pins"; else : >"$pins"; fi
    if [ -n "$constraint" ]; then set -- "$@" --constraints "$constraint"; fi
    "$uv" pip compile --quiet --no-progress --universal --python-version "$python" --generate-hashes --no-header \
        --no-annotate --no-emit-index-url --no-emit-find-links -o "$pins" "$@" $upgrade
    cat "$pins" >>"$draft"
    if grep -nE '://|^--(extra-)?index|^--find-links|(^|[ "])/' "$draft"; then
        echo "lock: an index address or a path would have been written to $out (line above); nothing changed." >&2
        exit 1
    fi
    mv "$draft" "$out"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
upgrade=
python=3.11
if [ "${1:-}" = --upgrade ]; then upgrade=--upgrade; fi
lock dev "" pyproject.toml requirements/build.in --extra test --extra dev
lock runtime requirements/dev.txt pyproject.toml
lock test requirements/dev.txt pyproject.toml --extra test
lock build requirements/dev.txt requirements/build.in
lock interop requirements/dev.txt requirements/interop.in
lock foreign requirements/dev.txt requirements/foreign.in
python=3.12 # what its packages declare
lock foreign-witness "" requirements/foreign-witness.in --no-deps
