#!/bin/sh
# A PostgreSQL server for the tests: its own cluster in a temporary folder, run by an unprivileged user, reached over a Unix socket only.
#   postgres_server.sh start FILE [PID]   prints and writes to FILE the folder of its socket; ends by itself with process PID
#   postgres_server.sh stop FILE          ends it and removes its folder
#   postgres_server.sh restart FILE       as a crash would (pg_ctl restart -m immediate)
# NTT_TEST_POSTGRES_ADDRESS=A/N: listens there too, to that network. Exit 77 where PostgreSQL is not installed.
set -eu
verb=$1 file=$2 address=${NTT_TEST_POSTGRES_ADDRESS:-}

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -x "$programs/initdb" ] || programs=$(dirname "$(command -v initdb || echo /none/initdb)")
[ -x "$programs/initdb" ] || { echo "PostgreSQL is not installed" >&2; exit 77; }

# The server refuses to run as root.
unprivileged() {
    if [ "$(id -u)" -ne 0 ]; then "$@"; else setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups env HOME=/ "$@"; fi
}
owner=$(id -un)
if [ "$(id -u)" -eq 0 ]; then owner=postgres; id -u $owner >/dev/null 2>&1 || owner=nobody; fi

case $verb in
start)
    folder=$(mktemp -d "${TMPDIR:-/tmp}/ntt-pg-XXXXXX")
    chmod 755 "$folder"
    [ "$(id -u)" -ne 0 ] || chown "$owner" "$folder"
    if ! unprivileged test -w "$folder"; then  # a folder above it is closed to others
        rmdir "$folder"
        folder=$(mktemp -d /tmp/ntt-pg-XXXXXX)
        chmod 755 "$folder"
        chown "$owner" "$folder"
    fi
    cd "$folder"
    # Commits that survive a power loss are the server's business, not that of these tests.
    { unprivileged "$programs/initdb" -D "$folder/data" -U ntt -A trust -E UTF8 --locale=C.UTF-8 --no-sync &&
      { [ -z "$address" ] || echo "host all all $address trust" >>"$folder/data/pg_hba.conf"; } &&
      unprivileged "$programs/pg_ctl" -D "$folder/data" -w -t 120 -l "$folder/log" \
          -o "-k $folder -c listen_addresses=${address%/*} -c fsync=off -c max_connections=200 -c shared_buffers=256MB" start; } >"$folder/setup" 2>&1 ||
        { cat "$folder/setup" "$folder/log" >&2; exit 1; }
    unprivileged "$programs/psql" -qX -h "$folder" -U ntt -d postgres -c 'CREATE DATABASE ntt' >&2
    echo "$folder" >"$file"
    echo "$folder"
    if [ $# -gt 2 ]; then
        # shellcheck disable=SC2094
        (while kill -0 "$3" 2>/dev/null && [ "$(cat "$file" 2>/dev/null)" = "$folder" ]; do sleep 2; done; "$0" stop "$file") >/dev/null 2>&1 </dev/null &
    fi
    ;;
stop)
    folder=$(cat "$file" 2>/dev/null) || exit 0
    cd /
    unprivileged "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder" "$file"
    ;;
restart)
    folder=$(cat "$file")
    cd "$folder"
    unprivileged "$programs/pg_ctl" -D "$folder/data" -w -t 120 -l "$folder/log" -m immediate \
        -o "-k $folder -c listen_addresses=${address%/*} -c fsync=off -c max_connections=200 -c shared_buffers=256MB" restart >/dev/null
    ;;
*)
    echo "postgres_server.sh: start, stop or restart" >&2
    exit 2
    ;;
esac
