#!/bin/sh
# Runs a command with what the image's tests need: buildah, and a base system as a tar file named in HEDUI_TEST_IMAGE_BASE.
# The base is Debian bookworm with its Python 3.11, made once by debootstrap and kept in the user's cache (two minutes,
# 100 MB), since a registry may be out of reach. As root on Debian or Ubuntu it installs both tools when they are missing.
# With --if-ready nothing is installed or made: the command runs without the address unless all is there already.
# Usage: scripts/with-builder.sh [--if-ready] COMMAND...
set -eu

note() { echo "with-builder: $*" >&2; }
if_ready=no
if [ "$1" = --if-ready ]; then
    if_ready=yes
    shift
fi
base=${XDG_CACHE_HOME:-$HOME/.cache}/hedui/image-base.tar
ready() { [ "$(id -u)" = 0 ] && command -v buildah >/dev/null && [ -s "$base" ]; }
without() {
    note "$1; the tests marked 'image' are SKIPPED, all others run."
    shift
    exec "$@"
}

if [ -n "${HEDUI_TEST_IMAGE_BASE:-}" ]; then exec "$@"; fi
if ! ready; then
    [ $if_ready = no ] || exec "$@" # pytest's head says what is left out
    [ "$(id -u)" = 0 ] || without "building without an engine needs root here" "$@"
    for tool in buildah debootstrap; do
        command -v $tool >/dev/null && continue
        command -v apt-get >/dev/null || without "there is no $tool here" "$@"
        note "installing Debian's $tool"
        DEBIAN_FRONTEND=noninteractive
        export DEBIAN_FRONTEND
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends $tool; } >/dev/null ||
            without "apt-get could not install $tool" "$@"
    done
    note "making the base system"
    mkdir -p "$(dirname "$base")"
    folder=$(mktemp -d "$(dirname "$base")/base.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    packages=python3,python3-venv,ca-certificates
    if ! debootstrap --variant=minbase --include=$packages bookworm "$folder/root" >"$folder/log" 2>&1; then
        tail -5 "$folder/log" >&2
        rm -rf "$folder"
        without "debootstrap failed (its last lines are above)" "$@"
    fi
    tar -C "$folder/root" -cf "$folder/tar" .
    mv "$folder/tar" "$base"
    rm -rf "$folder"
    trap - EXIT
fi
HEDUI_TEST_IMAGE_BASE=$base
export HEDUI_TEST_IMAGE_BASE
exec "$@"
