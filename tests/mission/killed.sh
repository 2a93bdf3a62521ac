#!/bin/sh
# A worker that is killed anywhere leaves no mount, loop device or lock that the next run does not clear.
. "$(dirname "$0")/lib.sh"
need sqlite3 mke2fs b3sum
medium=00112233445566778899aabbccddeeff
mkdir tree
for i in $(seq 1 400); do head -c 20000 /dev/urandom >"tree/file$i"; done
truncate -s 20M medium.img
mke2fs -q -t ext4 -N 1000 -d tree medium.img
for wait in 0.02 0.05 0.1 0.15 0.2 0.3 0.4 0.5; do
    ntt ingest medium.img --engine mount --medium-hash $medium --batch-size 20 >/dev/null 2>copier.log &
    run=$!
    sleep $wait
    kill -KILL $run 2>/dev/null || true
    wait $run 2>/dev/null || true
done
# A helper that was on its way when its caller died ends by itself; the next run waits for its lock.
status=0
ntt ingest medium.img --engine mount --medium-hash $medium >/dev/null 2>copier.log || status=$?
[ $status = 0 ] || fail "the next run ended with $status"
[ "$(sql "SELECT count(*) FROM inode WHERE status='stored'")" = 400 ] || fail "not every file is stored"
expect_stored tree
! grep -q "/mnt/ntt/$medium" /proc/self/mountinfo || fail "a mount is left"
[ -z "$(losetup -j medium.img)" ] || fail "a loop device is left"
[ ! -e "home/mounts/$medium" ] || fail "a note is left"

# Somebody else's mount is used, and left.
sql "UPDATE inode SET copied=false, claimed_by=NULL WHERE fs_type='f'"
ntt-mount-helper mount $medium "$work/medium.img" >/dev/null
ntt copy --medium-hash $medium >/dev/null 2>copier.log || fail "it cannot use the mount it found"
ntt-mount-helper status $medium >/dev/null || fail "it took a mount away that was not its own"
