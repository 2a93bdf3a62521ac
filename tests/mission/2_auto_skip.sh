#!/bin/sh
# Integration test 2: auto-skip works (phase 2). On FAT through fusefat.
. "$(dirname "$0")/lib.sh"
need fusefat sqlite3
medium=f95834a4b718f54edc7b549ca854aef8
make_partial_floppy $medium.img
ntt ingest $medium.img --engine mount --enumerate-only >/dev/null || true
ino=$(ino_of AliciaMainList.xls)

for round in 1 2; do
    status=0
    ./ntt-copier --medium-hash $medium --diagnostics skip --config ntt.toml 2>copier.log >/dev/null || status=$?
    [ $status = 3 ] || fail "exit code $status, not 3"

    # Check logs
    grep "SKIPPED" copier.log | grep -q "ino=$ino reason=beyond_eof retry=10" || fail "round $round: not skipped at retry 10"
    ! grep -q "MAX RETRIES" copier.log || fail "tried on after the skip"

    # Verify database
    [ "$(sql "SELECT copied, claimed_by FROM inode WHERE medium_hash='$medium' AND ino=$ino")" = "1|DIAGNOSTIC_SKIP:BEYOND_EOF" ] || fail "the row does not say so"
    [ "$(sql "SELECT status, missing_bytes, partial_blobid IS NOT NULL, blobid IS NULL FROM inode WHERE ino=$ino")" = "damaged|619008|1|1" ] ||
        fail "what can be had is not salvaged, or passes for the whole"

    # After the mission's UPDATE statement it is done again
    sql "UPDATE inode SET copied=false, claimed_by=NULL WHERE medium_hash='$medium' AND ino=$ino"
done
# predict: the evidence is conclusive before the first try
tried=$(sql "SELECT json_array_length(errors) FROM inode WHERE ino=$ino")
./ntt-copier --medium-hash $medium --config ntt.toml 2>copier.log >/dev/null || true
! grep -q "CHECKPOINT" copier.log || fail "predict needed a checkpoint"
[ "$(sql "SELECT claimed_by, json_array_length(errors) FROM inode WHERE ino=$ino")" = "DIAGNOSTIC_SKIP:BEYOND_EOF|$tried" ] || fail "predict tried it"
partial=$(sql "SELECT partial_blobid FROM inode WHERE ino=$ino")
head -c 52736 alicia | cmp -s - "$NTT_HOME/partial/$(echo "$partial" | cut -c1-2)/$partial" 2>/dev/null ||
    cmp -s -n 52736 alicia "$NTT_HOME/partial/$(echo "$partial" | cut -c1-2)/$partial" || fail "the salvaged part is not the file's beginning"
