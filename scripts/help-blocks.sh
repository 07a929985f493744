#!/bin/sh
# Prints FILE with every block between `<!-- COMMAND --help:begin -->` and `<!-- COMMAND --help:end -->` replaced by
# what COMMAND --help prints now, at 80 columns. COMMAND starts with hedui, which must be on the PATH.
# Usage: scripts/help-blocks.sh FILE
set -eu
COLUMNS=80 LC_ALL=C.UTF-8 LANG=C.UTF-8 PYTHONUTF8=1 NO_COLOR=1 TERM=dumb
export COLUMNS LC_ALL LANG PYTHONUTF8 NO_COLOR TERM
file=$1
inside=
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    '<!-- hedui'*' --help:begin -->' | '<!-- hedui --help:begin -->')
        if [ -n "$inside" ]; then echo "$file: '$inside' has no end marker" >&2; exit 1; fi
        command=${line#'<!-- '}
        inside=${command%' --help:begin -->'}
        printf '%s\n```text\n' "$line"
        $inside --help
        printf '```\n'
        ;;
    "<!-- $inside --help:end -->")
        inside=
        printf '%s\n' "$line"
        ;;
    *)
        if [ -z "$inside" ]; then printf '%s\n' "$line"; fi
        ;;
    esac
done <"$file"
if [ -n "$inside" ]; then echo "$file: '$inside' has no end marker" >&2; exit 1; fi
