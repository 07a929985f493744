#!/bin/sh
# Creates a virtual environment with a Python that fits, or says why there is none.
# Usage: scripts/make-venv.sh FOLDER [PYTHON]      PYTHON: the only interpreter to try, if given
set -eu
folder=$1
fits='import sys; sys.exit(0 if sys.version_info >= (3, 11) and sys.implementation.name == "cpython" else 1)'
without_venv=

for python in ${2:-python3.13 python3.12 python3.11 python3}; do
    # Run it: a name on the PATH may be a shim for a version that is not installed.
    "$python" -c "$fits" >/dev/null 2>&1 || continue
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        without_venv="$without_venv $python"
        continue
    fi
    echo "Creating $folder with $("$python" -c 'import platform; print("Python", platform.python_version())')"
    exec "$python" -m venv --clear "$folder"
done

{
    echo "hedui needs CPython 3.11, 3.12 or 3.13 with the venv module; tried: ${2:-python3.13 python3.12 python3.11 python3}."
    if [ -n "$without_venv" ]; then
        echo "Found without venv:$without_venv. On Debian and Ubuntu: apt-get install python3-venv"
    else
        echo "Install one (Debian: apt-get install python3-venv, macOS: brew install python@3.13),"
        echo "or name one: make PYTHON=/path/to/python3.13"
    fi
} >&2
exit 1
