#!/bin/sh
# Integration test 3: auto-remount works (phase 3). On ext4 through the kernel, and on FAT through fusefat.
. "$(dirname "$0")/lib.sh"
need sqlite3 mke2fs b3sum
medium=00112233445566778899aabbccddeeff

mkdir tree
for i in $(seq 1 3000); do head -c 12000 /dev/urandom >"tree/file$i"; done
case ${1-ext4} in
ext4)
    truncate -s 80M medium.img
    mke2fs -q -t ext4 -N 4000 -d tree medium.img
    ;;
fat)
    need fusefat mformat mcopy
    truncate -s 60M medium.img
    mkfs.fat -F 16 medium.img >/dev/null
    mcopy -i medium.img -s tree ::
    ;;
esac
ntt ingest medium.img --engine mount --medium-hash $medium --enumerate-only >/dev/null || true

# Start copier on clean medium
./ntt-copier --medium-hash $medium --diagnostics remount --batch-size 8 --config ntt.toml 2>copier.log >/dev/null &
copier=$!

# Wait for batch processing to start
for i in $(seq 1 600); do
    [ -z "$(find home/by-hash -type f 2>/dev/null | head -n 1)" ] || break
    sleep 0.05
done

# Manually unmount
ntt-mount-helper unmount $medium >/dev/null

# Verify processing continues after remount
status=0
wait $copier || status=$?
[ $status = 0 ] || fail "exit code $status, not 0"
grep -q "🔄 Attempting remount for $medium" copier.log || fail "no remount was attempted"
grep -q "🔄 Remount succeeded, will retry" copier.log || fail "the remount did not succeed"
[ "$(sql "SELECT count(*) FROM inode WHERE status='stored'")" = 3000 ] || fail "not every file is stored"
expect_stored tree

# Whoever mounts unmounts
! grep -q "/mnt/ntt/$medium" /proc/self/mountinfo || fail "it is still mounted"
[ -z "$(losetup -j medium.img)" ] || fail "a loop device is left"
[ ! -e "home/mounts/$medium" ] || fail "the note of the mount is left"
