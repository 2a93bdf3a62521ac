#!/bin/sh
# Sectors that the rescue map calls unread read as zeros through a mount, without an error: they never pass for content.
. "$(dirname "$0")/lib.sh"
need sqlite3 mkfs.erofs fusefat mformat mcopy python3
# zero_and_map IMAGE FILE OFFSET LENGTH: loses that part of FILE's content in IMAGE, and says so in a map.
zero_and_map() {
    python3 - "$@" <<'P'
import sys
image, file, offset, length = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
data = bytearray(open(image, "rb").read())
at = data.find(open(file, "rb").read()[offset:offset + 512])
assert at >= 0
data[at:at + length] = bytes(length)
open(image, "wb").write(data)
rest = len(data) - at - length
open(image + ".map", "w").write("0x0 + 1\n0x0 0x%x +\n0x%x 0x%x -\n0x%x 0x%x +\n" % (at, at, length, at + length, rest))
P
}

# Nobody says where the files of EROFS lie
mkdir tree
head -c 300000 /dev/urandom >tree/big
mkfs.erofs erofs.img tree >/dev/null 2>&1
zero_and_map erofs.img tree/big 8192 4096
ntt ingest erofs.img --name erofs >/dev/null 2>copier.log || true
hash=$(sql "SELECT medium_hash FROM medium WHERE medium_human='erofs'")
if grep -q erofs /proc/filesystems; then
    [ "$(sql "SELECT status, cause FROM inode WHERE medium_hash='$hash' AND fs_type='f'")" = "unreadable|BAD_SECTOR" ] || fail "a file whose place is unknown is believed"
fi
[ "$(sql "SELECT count(*) FROM inode WHERE status='stored'")" = 0 ] || fail "zeros are stored as content"

# FAT through fusefat, listed as raw records and loaded with the image
medium=00112233445566778899aabbccddeeff
mformat -C -f 1440 -i fat.img ::
head -c 60000 /dev/urandom >file
mcopy -i fat.img file ::FILE.DAT
ntt enum fat.img $medium fat.raw --format ntt-raw >/dev/null
zero_and_map fat.img file 8192 4096
ntt load fat.raw $medium --image fat.img >/dev/null 2>copier.log || true
./ntt-copier --medium-hash $medium >/dev/null 2>copier.log || true
[ "$(sql "SELECT status, cause, missing_bytes FROM inode WHERE medium_hash='$medium'")" = "damaged|BAD_SECTOR|4096" ] || fail "loaded raw records do not meet the map"
