# What the tests of many workers share. NTT_PROGRAMS: the folder of ntt and ntt-reader; NTT_POSTGRES: postgres_server.sh.
# A PostgreSQL server of the script's own, because it is restarted. Exit code 77: skipped, with the reason.
set -eu

skip() {
    echo "SKIPPED: $1"
    exit 77
}

fail() {
    echo "FAILED: $1"
    tail -n 5 "$work"/*.log 2>/dev/null || true
    exit 1
}

need() {
    for tool in "$@"; do command -v "$tool" >/dev/null || skip "needs $tool"; done
}

need psql mke2fs b3sum
PATH=$NTT_PROGRAMS:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/ntt-workers.XXXXXX")
tidy() {
    cd /
    # shellcheck disable=SC2046
    kill -9 $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null || true
    "$NTT_POSTGRES" stop "$work/server" 2>/dev/null || true
    rm -rf "$work"
}
trap tidy EXIT
cd "$work"
start_server() {
    status=0
    "$NTT_POSTGRES" start "$work/server" $$ >/dev/null || status=$?
    [ $status != 77 ] || skip "needs PostgreSQL (Debian: postgresql)"
    [ $status = 0 ] || fail "the server does not start"
}
sql() { psql -qXAt -v ON_ERROR_STOP=1 -d "$NTT_DB_URL" -c "$1"; }

# Media 1 to $1 as ext4 images of $3 (6M) below images/, each of $2 files: most its own, every tenth on all media.
make_media() {
    mkdir -p images
    medium=1
    while [ "$medium" -le "$1" ]; do
        mkdir tree
        awk -v medium="$medium" -v files="$2" 'BEGIN {
            srand(medium)
            for (file = 1; file <= files; ++file) {
                name = "tree/f" file
                text = file % 10 == 0 ? "shared " file : "medium " medium " file " file " " rand()
                for (line = 0; line < file % 50; ++line) print text, line > name
                print text > name
                close(name)
            }
        }'
        (cd tree && b3sum --no-names ./*) >>contents
        mke2fs -q -q -t ext4 -O ^has_journal -d tree "images/$medium.img" "${3-6M}" >/dev/null 2>&1 || skip "mke2fs -d does not work here"
        rm -r tree
        medium=$((medium + 1))
    done
}

# Everything is stored, once, and nothing is left behind.
expect_all_stored() {
    files=$(wc -l <contents) distinct=$(sort -u contents | wc -l)
    [ "$(sql "SELECT count(*) FROM inode WHERE status='stored'")" = "$files" ] || fail "$(sql "SELECT status, copied, count(*) FROM inode GROUP BY 1, 2") and not $files stored"
    [ "$(sql "SELECT count(*) FROM inode WHERE NOT copied")" = 0 ] || fail "files are pending"
    sql "SELECT DISTINCT blobid FROM inode WHERE status='stored' ORDER BY 1" >stored
    sort -u contents | cmp - stored || fail "other contents are stored than there are"
    [ "$(sql "SELECT count(*) FROM blob")" = "$distinct" ] || fail "blobs are not $distinct"
    [ "$(sql "SELECT count(*) FROM lease")" = 0 ] || fail "leases are left: $(sql "SELECT * FROM lease")"
    [ "$(sql "SELECT count(*) FROM medium WHERE copy_done IS NULL")" = 0 ] || fail "a medium is not concluded"
    ntt verify --strict >verify.log 2>&1 || fail "verify finds something"
}
