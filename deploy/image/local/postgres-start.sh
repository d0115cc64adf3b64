#!/bin/sh
# Make the data directory once, then become the server: as root only until the password's file is read.
set -eu

if [ "$(id -u)" = 0 ]; then
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
        export POSTGRES_PASSWORD
        unset POSTGRES_PASSWORD_FILE
    fi
    chown postgres:postgres "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD}"
    secret=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" > "$secret"
    # The options are words on purpose.
    # shellcheck disable=SC2086
    initdb --username "$user" --pwfile "$secret" --auth-local trust --auth-host scram-sha-256 \
        ${POSTGRES_INITDB_ARGS:-} > /dev/null
    rm -f "$secret"
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    database=${POSTGRES_DB:-$user}
    if [ "$database" != postgres ]; then
        # The socket's folder is this container's own; nobody connects before the server below listens on TCP.
        pg_ctl --wait --silent --options "-c listen_addresses=''" start > /dev/null
        createdb --username "$user" --maintenance-db postgres "$database"
        pg_ctl --wait --silent --mode fast stop > /dev/null
    fi
fi
unset POSTGRES_PASSWORD
exec "$@" -c "listen_addresses=*"
