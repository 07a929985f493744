#!/bin/sh
# Run once by the PostgreSQL image when its volume is empty: a database and a role a member, the password from its secret.
set -eu
for file in /run/secrets/*_database; do
    member=$(basename "$file" _database)
    # The password is 64 hexadecimal characters; it goes in through standard input, not the arguments.
    psql --quiet --set ON_ERROR_STOP=1 --username postgres <<SQL
CREATE ROLE "$member" LOGIN PASSWORD '$(cat "$file")';
CREATE DATABASE "$member" OWNER "$member";
REVOKE ALL ON DATABASE "$member" FROM PUBLIC;
SQL
done
