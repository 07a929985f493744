#!/bin/sh
# Draws the secrets of compose.yaml into docker/secrets/: a passphrase and a database password a member, 256 bits each.
# What is there stays. Keep a copy of the passphrases elsewhere, apart from the backups.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 0700 secrets
draw() {
    [ -e "secrets/$1" ] && return
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/.$1"
    chmod 0444 "secrets/.$1" # inside a container the member's user reads it; on this machine the folder keeps others out
    mv "secrets/.$1" "secrets/$1"
}
draw postgres
while read -r member _; do
    draw "${member}_passphrase"
    draw "${member}_database"
done <members
