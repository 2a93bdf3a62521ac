#!/bin/sh
# Whoever was killed and runs again at once gets all of it done: the rerun waits for the range that the dead one still has. A limit
# gives back what it did not get to, so that another finds it.
. "$(dirname "$0")/lib.sh"
start_server
make_media 1 60
cat >ntt.toml <<T
lease_seconds = 3
heartbeat_seconds = 1
T
NTT_DB_URL="postgresql://ntt@/ntt?host=$(cat server)"
export NTT_DB_URL

status=0
NTT_KILL_AT=copy.committed:2 ntt ingest images/*.img --home home --config ntt.toml --batch-size 5 --no-progress >killed.log 2>&1 || status=$?
[ $status = 137 ] || fail "it was to be killed: $status"
[ "$(sql 'SELECT count(*) FROM lease')" = 1 ] || fail "the dead one has no lease"

ntt ingest images/*.img --home home --config ntt.toml --no-progress >rerun.log 2>&1 || { cat rerun.log; fail "the rerun ended with $?"; }
grep -q "in the hands of other workers; waiting" rerun.log || fail "the rerun says nothing of its wait"
[ "$(sql "SELECT count(*) FROM inode WHERE fs_type = 'f' AND status <> 'stored'")" = 0 ] || fail "files are left"
[ "$(sql 'SELECT count(*) FROM lease')" = 0 ] || fail "a lease is left"
ntt verify --home home --no-progress >verify.log 2>&1 || { cat verify.log; fail "verify ended with $?"; }

# A worker that began before the limited one did finds what that one left.
sql "UPDATE inode SET copied = false, claimed_by = NULL WHERE fs_type = 'f'" >/dev/null
hash=$(sql 'SELECT medium_hash FROM medium')
status=0
ntt copy --medium-hash "$hash" --limit 7 --home home --config ntt.toml --no-progress >limited.log 2>&1 || status=$?
[ $status = 4 ] || fail "the limited run ended with $status"
[ "$(sql 'SELECT count(*) FROM lease WHERE expires_at <= clock_timestamp()')" = 1 ] || fail "the limited run kept or finished its range"
ntt work --home home --config ntt.toml --no-progress >work.log 2>&1 || { cat work.log; fail "work ended with $?"; }
[ "$(sql "SELECT count(*) FROM inode WHERE fs_type = 'f' AND (NOT copied OR status <> 'stored')")" = 0 ] || fail "files are left by the limited run"
[ "$(sql 'SELECT count(*) FROM lease')" = 0 ] || fail "a lease is left at the end"
echo "done"
