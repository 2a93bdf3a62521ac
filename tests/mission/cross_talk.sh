#!/bin/sh
# Two media at once, one of them failing with kernel messages by the hundred: the healthy one loses nothing and has no event.
. "$(dirname "$0")/lib.sh"
need sqlite3 mke2fs losetup b3sum
[ -w /proc/sys/vm/drop_caches ] || skip "needs to drop the page cache"
for medium in sick healthy; do
    mkdir $medium-tree $medium-mnt
    for i in $(seq 1 30); do head -c 300000 /dev/urandom >"$medium-tree/$medium$i"; done
    truncate -s 24M $medium.img
    mke2fs -q -t ext4 -d $medium-tree $medium.img
done
loop=$(losetup -f --show -r sick.img) || skip "needs loop devices"
healthy_loop=$(losetup -f --show -r healthy.img)
mount -o ro,noload "$loop" sick-mnt || skip "needs ext4"
mount -o ro,noload "$healthy_loop" healthy-mnt
untie() {
    umount -l sick-mnt healthy-mnt 2>/dev/null || true
    losetup -d "$healthy_loop" 2>/dev/null || true
    tidy
}
trap untie EXIT
ntt ingest sick-mnt --name sick --enumerate-only >/dev/null || true
ntt ingest healthy-mnt --name healthy --enumerate-only >/dev/null || true
truncate -s 6M sick.img
losetup -c "$loop"
echo 3 >/proc/sys/vm/drop_caches

./ntt-copier --medium-hash sick --diagnostics record --config ntt.toml 2>copier.log >/dev/null &
sick=$!
status=0
./ntt-copier --medium-hash healthy --diagnostics record --config ntt.toml 2>healthy.log >/dev/null || status=$?
wait $sick || true
[ $status = 0 ] || fail "the healthy medium ended with $status"
grep -q "SKIPPED" copier.log || fail "the sick medium did not fail"
hash=$(sql "SELECT medium_hash FROM medium WHERE medium_human='healthy'")
[ "$(sql "SELECT count(*) FROM inode WHERE medium_hash='$hash' AND status='stored'")" = 30 ] || fail "the healthy medium lost something"
[ "$(sql "SELECT count(*) FROM diagnostic_event WHERE medium_hash='$hash'")" = 0 ] || fail "the healthy medium has events"
[ ! -s healthy.log ] || fail "the healthy medium's log is not empty: $(cat healthy.log)"
expect_stored healthy-tree
