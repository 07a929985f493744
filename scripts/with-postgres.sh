#!/bin/sh
# Runs a command with a throwaway PostgreSQL server on a Unix socket, its address in HEDUI_TEST_POSTGRES.
# As root on Debian or Ubuntu it installs PostgreSQL when missing. Where there is none, the command runs all the same,
# without the address, and what that leaves out is said here and by pytest.
# Usage: scripts/with-postgres.sh COMMAND...
set -eu

note() { echo "with-postgres: $*" >&2; }
without() {
    note "$1; the tests marked 'postgres' are SKIPPED, all others run."
    shift
    exec "$@"
}
find_bin() { # the newest server's folder; Debian keeps initdb off the PATH, Homebrew in a folder a version
    known=$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
        /usr/local/opt/postgresql@*/bin 2>/dev/null | sort -rV)
    for candidate in $known "$(dirname "$(command -v initdb || echo none)")"; do
        if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ]; then echo "$candidate"; return; fi
    done
}

if [ -n "${HEDUI_TEST_POSTGRES:-}" ]; then
    note "using the server named in HEDUI_TEST_POSTGRES"
    exec "$@"
fi
bin=$(find_bin)
if [ -z "$bin" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    note "installing Debian's postgresql"
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; } >/dev/null; then
        note "apt-get could not install it (its messages are above)"
    fi
    bin=$(find_bin)
fi
if [ -z "$bin" ]; then
    without "no PostgreSQL server here (Debian: apt-get install postgresql, macOS: brew install postgresql@17)" "$@"
fi
if [ "$(id -u)" = 0 ] && ! { id postgres && command -v runuser; } >/dev/null 2>&1; then
    without "PostgreSQL does not run as root, and there is no user 'postgres' (or no runuser) here" "$@"
fi

folder=$(mktemp -d /tmp/hedui-pg.XXXXXX)
if [ "$(id -u)" = 0 ]; then # initdb refuses root
    chown postgres "$folder"
    server() { runuser -u postgres -- "$@"; }
else
    server() { "$@"; }
fi
stop() {
    (cd / && server "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1) || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
start() {
    cd /
    server "$bin/initdb" -D "$folder/data" -U hedui --auth=trust -E UTF8 --locale=C --no-sync &&
        server "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 \
            -o "-c listen_addresses='' -c unix_socket_directories='$folder' -c fsync=off -c max_connections=200" start
}
if ! (start) >"$folder.out" 2>&1; then
    cat "$folder.out" "$folder/log" >&2 2>/dev/null || true
    rm -f "$folder.out"
    note "the server did not start (its messages are above)"
    exit 1
fi
rm -f "$folder.out"
HEDUI_TEST_POSTGRES="postgresql+psycopg://hedui@/postgres?host=$folder"
export HEDUI_TEST_POSTGRES
"$@"
