#!/bin/sh
# Tests 1 and 2 where the kernel itself reports "attempt to access beyond end of device": ext4 on a loop device that became
# shorter than its filesystem, as a folder.
. "$(dirname "$0")/lib.sh"
need sqlite3 mke2fs losetup
[ -w /proc/sys/vm/drop_caches ] || skip "needs to drop the page cache"
mkdir tree mnt
for i in 1 2 3 4 5 6 7 8; do head -c 2000000 /dev/urandom >"tree/file$i"; done
truncate -s 40M medium.img
mke2fs -q -t ext4 -d tree medium.img
loop=$(losetup -f --show -r medium.img) || skip "needs a loop device"
mount -o ro,noload "$loop" mnt || skip "needs ext4"
ntt ingest mnt --name medium --enumerate-only >/dev/null || true
truncate -s 14M medium.img
losetup -c "$loop"
echo 3 >/proc/sys/vm/drop_caches

sleep 6  # until the kernel speaks again, if it has been talkative

status=0
./ntt-copier --medium-hash medium --diagnostics observe --config ntt.toml 2>copier.log >/dev/null || status=$?
[ $status = 4 ] || fail "exit code $status, not 4"
lost=$(sql "SELECT count(*) FROM inode WHERE fs_type='f' AND status='pending'")
[ "$lost" -gt 0 ] || fail "nothing lies beyond the end"
[ "$(grep -c "DIAGNOSTIC CHECKPOINT .*retry=10 .*detected_io_error" copier.log)" = "$lost" ] || fail "not one checkpoint for each"
[ "$(grep -c "MAX RETRIES REACHED .*retry=50 (WOULD SKIP" copier.log)" = "$lost" ] || fail "not one last retry for each"
if [ -r /dev/kmsg ]; then
    grep -q "dmesg:beyond_eof.*$(basename "$loop"): rw=.*limit=" copier.log || fail "the kernel's word is not in the evidence"
fi

status=0
./ntt-copier --medium-hash medium --diagnostics record --config ntt.toml 2>copier.log >/dev/null || status=$?
[ $status = 3 ] || fail "exit code $status, not 3"
[ "$(grep -c "SKIPPED ino=.* reason=beyond_eof retry=10" copier.log)" = "$lost" ] || fail "not each was skipped at retry 10"
[ "$(sql "SELECT count(*) FROM inode WHERE claimed_by='DIAGNOSTIC_SKIP:BEYOND_EOF' AND copied AND blobid IS NULL")" = "$lost" ] || fail "the rows do not say so"
[ "$(sql "SELECT count(*) FROM diagnostic_event WHERE action='skipped' AND cause='BEYOND_EOF' AND retry_count=10")" = "$lost" ] || fail "not an event for each"
[ "$(sql "SELECT json_extract(problems, '\$.diagnostic_events_total') FROM medium")" = "$lost" ] || fail "medium.problems does not have them"

# The SQL of docs/queries.md, over real events
queries=$(dirname "$0")/../../docs/queries.md
case $queries in /*) ;; *) queries=$OLDPWD/$queries ;; esac
awk '/^```sql/ { inside = 1; next } /^```/ { inside = 0 } inside' "$queries" >queries.sql
sqlite3 -bail "$NTT_HOME/catalog.db" <queries.sql >answers 2>&1 || fail "docs/queries.md: $(cat answers)"
grep -qx "skipped|$lost" answers || fail "the mission's count by action does not say so"

# predict: not one try where the evidence is conclusive
sql "UPDATE inode SET copied=false, claimed_by=NULL WHERE claimed_by='DIAGNOSTIC_SKIP:BEYOND_EOF'"
./ntt-copier --medium-hash medium --config ntt.toml 2>copier.log >/dev/null || true
! grep -q CHECKPOINT copier.log || fail "predict needed a checkpoint"
[ "$(sql "SELECT count(*) FROM inode WHERE claimed_by='DIAGNOSTIC_SKIP:BEYOND_EOF' AND copied")" = "$lost" ] || fail "predict did not decide"
