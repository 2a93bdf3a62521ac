#!/bin/sh
# Integration test 1: detection on a known BEYOND_EOF (phase 1). On FAT through fusefat.
. "$(dirname "$0")/lib.sh"
need fusefat sqlite3
medium=f95834a4b718f54edc7b549ca854aef8
make_partial_floppy $medium.img
ntt ingest $medium.img --engine mount --enumerate-only >/dev/null || true
ino=$(ino_of AliciaMainList.xls)

# Reset f95834a4 ino 3455
sql "UPDATE inode SET copied=false, claimed_by=NULL WHERE medium_hash='$medium' AND ino=$ino"

# Run copier (Phase 1)
status=0
./ntt-copier --medium-hash $medium --diagnostics observe --config ntt.toml 2>copier.log >/dev/null || status=$?

# Check logs
grep "DIAGNOSTIC CHECKPOINT" copier.log | grep -q "ino=$ino retry=10 findings=.*extent:beyond_eof" || fail "no checkpoint at retry 10"
grep "MAX RETRIES REACHED" copier.log | grep -q "ino=$ino retry=50 (WOULD SKIP IN FUTURE PHASE)" || fail "no word at retry 50"
[ "$(grep -c "DIAGNOSTIC CHECKPOINT" copier.log)" = 1 ] || fail "more than one checkpoint"

# Zero behaviour change: the inode is still to be done, the others are
[ $status = 4 ] || fail "exit code $status, not 4"
[ "$(sql "SELECT copied, claimed_by IS NULL FROM inode WHERE medium_hash='$medium' AND ino=$ino")" = "0|1" ] || fail "the inode is not pending"
[ "$(sql "SELECT count(*) FROM inode WHERE status='stored'")" = 3 ] || fail "the whole files are not stored"
[ "$(sql "SELECT count(*) FROM diagnostic_event")" = 0 ] || fail "observe keeps no events"

# Five recorded failures end it at the next start, and what can be read of it is kept
for run in 2 3 4 5; do
    ./ntt-copier --medium-hash $medium --diagnostics observe --config ntt.toml >/dev/null 2>&1 && fail "run $run: exit code 0"
done
[ "$(sql "SELECT copied, json_array_length(errors) FROM inode WHERE medium_hash='$medium' AND ino=$ino")" = "0|5" ] || fail "not five errors"
status=0
./ntt-copier --medium-hash $medium --diagnostics observe --config ntt.toml >/dev/null 2>&1 || status=$?
[ $status = 3 ] || fail "exit code $status at the end, not 3"
[ "$(sql "SELECT copied, claimed_by, status, missing_bytes FROM inode WHERE medium_hash='$medium' AND ino=$ino")" = "1|MAX_RETRIES_EXCEEDED|damaged|619008" ] ||
    fail "$(sql "SELECT copied, claimed_by, status, missing_bytes FROM inode WHERE medium_hash='$medium' AND ino=$ino")"
