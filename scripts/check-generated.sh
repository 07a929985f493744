#!/bin/sh
# Fails when a generated file is not what its source gives: gRPC stubs, the commands' help, message catalogues.
# Usage: scripts/check-generated.sh BIN      BIN: the virtual environment's bin folder
set -eu
bin=$1
here=$(pwd)
case $bin in /*) ;; *) bin=$here/$bin ;; esac
PATH=$bin:$PATH
export PATH
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
stale=0

scripts/proto.sh "$bin/python" "$tmp"
stubs() { (cd "$1" && find node protocols ledger keys adapters -name '*_pb2*.py*' -not -path '*/__pycache__/*' 2>/dev/null | LC_ALL=C sort); }
{ stubs .; stubs "$tmp"; } | LC_ALL=C sort -u >"$tmp/names"
while read -r name; do
    if [ ! -f "$name" ]; then echo "$name is missing"; stale=1
    elif [ ! -f "$tmp/$name" ]; then echo "$name has no .proto any more: remove it"; stale=1
    elif ! cmp -s "$name" "$tmp/$name"; then echo "$name is not current"; stale=1
    fi
done <"$tmp/names"

HEDUI_LANGUAGE=en
export HEDUI_LANGUAGE
if ! "$bin/python" scripts/commands.py --check; then stale=1; fi
if ! "$bin/python" scripts/messages.py --check; then stale=1; fi
if [ $stale -ne 0 ]; then
    echo "Generated files are not current: run 'make proto' (stubs), 'make readme' (help texts) or" >&2
    echo "'make messages' (catalogues; translate what is new in node/locale/*/LC_MESSAGES/hedui.po), and commit." >&2
    exit 1
fi
