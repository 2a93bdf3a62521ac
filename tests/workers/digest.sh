#!/bin/sh
# Workers of one host read a large image once for its digest, however many they are, and read it again when it was written to.
. "$(dirname "$0")/lib.sh"
start_server
make_media 1 400 80M
NTT_HOME="$work/home" NTT_LOG_LEVEL=debug
NTT_DB_URL="postgresql://ntt@/ntt?host=$(cat server)"
export NTT_HOME NTT_LOG_LEVEL NTT_DB_URL
cat >ntt.toml <<'T'
lease_seconds = 6
heartbeat_seconds = 1
lease_files = 20
T
ntt ingest --enumerate-only images/1.img --no-progress >/dev/null 2>enumerate.log || [ $? = 4 ] || fail "enumeration"

worker() { ntt work --config ntt.toml --worker-id "$1" --jobs 1 --batch-size 2 --no-progress >"$1.log" 2>&1; }
readings() { cat ./*.log | grep -c 'is read for its digest' || true; }

for n in 1 2 3 4; do worker "w$n" & done
wait
expect_all_stored
[ "$(readings)" = 1 ] || fail "the image was read $(readings) times for its digest"
[ "$(sql 'SELECT count(*) FROM image_digest WHERE digest IS NOT NULL')" = 1 ] || fail "no digest is told"

# Whoever has the image open no more is not believed for longer than a lease lasts.
sql "UPDATE image_digest SET alive_at = clock_timestamp() - interval '7 s', digest = decode(repeat('00', 32), 'hex')" >/dev/null
sql "UPDATE inode SET copied = false, claimed_by = NULL WHERE fs_type = 'f'" >/dev/null
worker w0 || fail "w0 ended with $?"
[ "$(readings)" = 2 ] || fail "an old digest was believed"
expect_all_stored

# One that died at it is not waited for longer than a lease lasts.
sql "UPDATE image_digest SET digest = NULL, worker_id = 'dead', alive_at = clock_timestamp()" >/dev/null
sql "UPDATE inode SET copied = false, claimed_by = NULL WHERE fs_type = 'f'" >/dev/null
worker w5 || fail "w5 ended with $?"
grep -q 'another worker takes the digest' w5.log || fail "w5 did not wait for the dead one"
[ "$(readings)" = 3 ] || fail "the dead one's image was not read"
expect_all_stored

# The same size, and its time of writing set back: other bytes all the same.
cp -p images/1.img before
printf x | dd of=images/1.img bs=1 seek=70000000 conv=notrunc 2>/dev/null
touch -r before images/1.img
sql "UPDATE inode SET copied = false, claimed_by = NULL WHERE fs_type = 'f'" >/dev/null
worker w6 || true
[ "$(readings)" = 4 ] || fail "what was written to was not read again"
grep -q 'is not the image that medium' w6.log || fail "another image was taken for the one that was listed"
[ "$(sql "SELECT count(*) FROM inode WHERE fs_type = 'f' AND copied")" = 0 ] || fail "files of another image were copied"

# What a container cannot decode shows only to who reads it.
if command -v ewfacquirestream >/dev/null; then
    ewfacquirestream -q -t images/2 <images/1.img >ewf.log 2>&1 || fail "ewfacquirestream"
    ntt ingest --enumerate-only images/2.E01 --no-progress >/dev/null 2>enumerate2.log || [ $? = 4 ] || fail "enumeration of the container"
    rm images/1.img
    worker w7 || true
    [ "$(readings)" = 4 ] || fail "a container's digest was taken for others"
    [ "$(sql "SELECT count(*) FROM inode JOIN image USING (medium_hash) WHERE format = 'ewf' AND fs_type = 'f' AND status <> 'stored'")" = 0 ] || fail "the container was not copied"
else
    echo "without ewfacquirestream (Debian: ewf-tools) no container was tried"
fi
echo "done"
