#!/bin/sh
# The patterns of the mission through the mount engine, where a driver exists: 1 is tests 1 and 2; UFS (6) has none on Linux
# that may be counted on.
. "$(dirname "$0")/lib.sh"
need fusefat sqlite3 mformat mcopy
problem() { sql "SELECT json_extract(problems, '\$.$1') FROM medium WHERE medium_human='$2'"; }
floppy() {
    mformat -C -f 1440 -i "$1" ::
    head -c 5000 /dev/urandom >one
    head -c 9000 /dev/urandom >two
    mcopy -i "$1" one ::ONE.DAT
    mcopy -i "$1" two ::TWO.DAT
}

# 2: the boot sector is bad, by the rescue map. Mounting fails, and what it is is recorded.
floppy boot.img
dd if=/dev/zero of=boot.img bs=512 count=1 conv=notrunc 2>/dev/null
printf '0x0 + 1\n0x0 0x200 -\n0x200 0x167E00 +\n' >boot.img.map
status=0
ntt ingest boot.img --engine mount >/dev/null 2>copier.log || status=$?
[ $status = 3 ] || fail "pattern 2: exit code $status"
[ "$(problem boot_sector_corruption boot.img)" = 1 ] || fail "pattern 2 is not recorded"
[ "$(sql "SELECT count(*) > 0 FROM finding WHERE code='not_mounted'")" = 1 ] || fail "pattern 2: that it was not mounted is not said"

# 3: the chain of a file is broken in the FAT; the other is read.
floppy chain.img
cluster=$(python3 -c '
import sys
image = bytearray(open("chain.img", "rb").read())
at = image.find(b"TWO     DAT")
first = image[at + 26] | image[at + 27] << 8
for copy in (512, 512 + 9 * 512):
    o = copy + first * 3 // 2
    value = 0xFF7  # a bad cluster
    if first % 2: image[o] = image[o] & 0x0F | (value & 0xF) << 4; image[o + 1] = value >> 4
    else: image[o] = value & 0xFF; image[o + 1] = image[o + 1] & 0xF0 | value >> 8
open("chain.img", "wb").write(image)
print(first)' 2>/dev/null) || skip "needs python3"
status=0
ntt ingest chain.img --engine mount >/dev/null 2>copier.log || status=$?
[ $status = 3 ] || fail "pattern 3: exit code $status"
hash=$(sql "SELECT medium_hash FROM medium WHERE medium_human='chain.img'")
[ "$(sql "SELECT count(*) FROM inode WHERE medium_hash='$hash' AND claimed_by='FAT_ERROR_SKIP'")" = 1 ] || fail "pattern 3: no FAT_ERROR_SKIP"
[ "$(sql "SELECT count(*) FROM inode WHERE medium_hash='$hash' AND status='stored'")" = 1 ] || fail "pattern 3: the other file is not stored"

# 4: one name twice.
floppy double.img
python3 -c '
image = bytearray(open("double.img", "rb").read())
at = image.find(b"TWO     DAT")
image[at:at + 11] = b"ONE     DAT"
open("double.img", "wb").write(image)'
status=0
ntt ingest double.img --engine mount >/dev/null 2>copier.log || status=$?
[ $status -le 3 ] || fail "pattern 4: exit code $status"
[ "$(problem duplicate_paths.count double.img)" = 1 ] || fail "pattern 4 is not recorded"

# 5: an erased disk.
head -c 1474560 /dev/zero | tr '\000' '\366' >erased.img
status=0
ntt ingest erased.img --engine mount >/dev/null 2>copier.log || status=$?
[ $status = 3 ] || fail "pattern 5: exit code $status"
[ "$(problem erased_disk erased.img)" = 1 ] || fail "pattern 5 is not recorded"
