#!/bin/sh
# The same ingest gives the same rows in SQLite and in PostgreSQL: the demonstration, and the corpus where it is there. Every table and view of
# the contract is asked for by each database's own shell, but for numbers and times that a run makes up.
. "$(dirname "$0")/lib.sh"
need sqlite3 jq gunzip mformat
start_server
server="postgresql://ntt@/ntt?host=$(cat server)"
mkdir images
"$NTT_SOURCE/packaging/make-demo" images >/dev/null
corpus=${NTT_TEST_CORPUS:-$NTT_SOURCE/../shared/corpus}
if [ -d "$corpus" ]; then
    for image in "$corpus"/*.gz; do gunzip -c "$image" >"images/$(basename "$image" .gz)"; done
    cp "$corpus"/*.E01 images/ 2>/dev/null || true
    rm -f images/*.001
else
    echo "without the corpus: $corpus is not there"
fi
tree() { mkdir -p folder/sub; echo one >folder/a; echo two >"folder/sub/b c"; ln -s a folder/link; ln folder/a folder/hard; }
tree
# A link that was read once is not marked as read again (relatime).
sleep 0.1
readlink folder/link >/dev/null
find images -maxdepth 1 -type f ! -name '*.map' | sort >sources
echo "$work/folder" >>sources
for kind in sqlite postgres; do
    url=sqlite:$work/catalog.db
    [ $kind = sqlite ] || url=$server
    status=0
    # shellcheck disable=SC2046
    xargs -d '\n' ntt ingest --home "$work/$kind" --catalog "$url" --json --no-progress <sources >$kind.json 2>$kind.log || status=$?
    [ $status -le 4 ] || [ $status = 123 ] || fail "$kind: exit code $status"
done
cmp sqlite.json postgres.json || fail "the summaries differ"

# TABLE COLUMN…: bytes are b:COLUMN, JSON j:COLUMN, truth t:COLUMN, lists l:COLUMN.
compare() {
    table=$1
    shift
    lite= post=
    for column in "$@"; do
        name=${column#?:}
        case $column in
        b:*) lite="$lite, lower(hex($name))" post="$post, encode($name, 'hex')" ;;
        j:*) lite="$lite, json($name)" post="$post, $name" ;;
        t:*) lite="$lite, $name" post="$post, $name::int" ;;
        l:*) lite="$lite, json($name)" post="$post, to_json($name)" ;;
        *) lite="$lite, $name" post="$post, $name" ;;
        esac
    done
    sqlite3 catalog.db "SELECT json_array(${lite#, }) FROM $table" | jq -cS . | LC_ALL=C sort >lite.rows
    psql -qXAt -d "$server" -c "SELECT json_build_array(${post#, })::text FROM $table" | jq -cS . | LC_ALL=C sort >post.rows
    [ -s lite.rows ] || [ -n "${may_be_empty-}" ] || fail "$table is empty: nothing was compared"
    diff lite.rows post.rows >difference || { head -n 10 difference; fail "$table differs"; }
    echo "$table: $(wc -l <lite.rows) rows"
}
# An absent blob of bytes is '' for SQLite's hex() and NULL for PostgreSQL: shown as the same.
compare medium medium_hash medium_human kind image_path map_path size_bytes hash_method health rescued_bytes message
compare image image_id medium_hash path format size_bytes digest map_path map_digest rescued_bytes
compare volume medium_hash volume image_id offset_bytes size_bytes view role fs_type label uuid outcome j:detail
compare inode medium_hash volume ino image_id fs_type fs_ino stream t:allocated dev nlink size mtime mtime_ns atime ctime crtime mode uid gid attributes \
    "b:coalesce(target, '')" first_offset "b:coalesce(extents, '')" status t:copied claimed_by blobid partial_blobid missing_bytes cause j:evidence error_type l:errors
compare path medium_hash volume entry ino b:path "b:coalesce(short_name, '')" exclude_reason
compare missing_range medium_hash volume ino file_offset length image_offset cause
compare finding medium_hash volume ino code message j:evidence
compare blob blobid kind size
compare diagnostic_event medium_hash volume ino retry_count j:checks action cause j:evidence exception_type exception_msg
