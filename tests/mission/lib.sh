# What the mission's integration tests share. NTT_PROGRAMS: the folder of ntt, ntt-reader and ntt-mount-helper.
# Real kernel, real drivers, as root, in a mount namespace of the script's own. Exit code 77: skipped, with the reason.
set -eu

skip() {
    echo "SKIPPED: $1"
    exit 77
}

fail() {
    echo "FAILED: $1"
    [ ! -f copier.log ] || cat copier.log
    exit 1
}

need() {
    for tool in "$@"; do command -v "$tool" >/dev/null || skip "needs $tool"; done
}

[ "$(id -u)" = 0 ] || skip "needs root, to mount"
[ -e /dev/loop-control ] || skip "needs loop devices"
if [ -z "${NTT_OWN_MOUNTS-}" ]; then
    unshare --mount --propagation private true 2>/dev/null || skip "needs the right to make a mount namespace"
    export NTT_OWN_MOUNTS=1
    exec unshare --mount --propagation private sh "$0" "$@"
fi

PATH=$NTT_PROGRAMS:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/ntt-mission.XXXXXX")
mkdir -p /mnt/ntt
mount -t tmpfs -o mode=0755 none /mnt/ntt 2>/dev/null || skip "needs the right to mount"
loop=
tidy() {
    cd /
    umount -R -l /mnt/ntt 2>/dev/null || true
    ! mountpoint -q "$work/mnt" || umount -l "$work/mnt"
    [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
    rm -rf "$work"
}
trap tidy EXIT
cd "$work"
ln -s "$NTT_PROGRAMS/ntt" ntt-copier
export NTT_HOME=$work/home
# As configured by default but for the time between tries: a test does not wait three minutes for fifty of them.
echo 'retry_wait_max_ms = 20' >ntt.toml

sql() { sqlite3 "$NTT_HOME/catalog.db" "$1"; }

# A floppy of which ddrescue got the first 841 sectors: three files are whole, AliciaMainList.xls reaches beyond.
make_partial_floppy() {
    need mformat mcopy
    mformat -C -f 1440 -i "$1" ::
    for i in 1 2 3; do
        head -c 120000 /dev/urandom >"file$i"
        mcopy -i "$1" "file$i" "::FILE$i.DAT"
    done
    head -c 671744 /dev/urandom >alicia
    mcopy -i "$1" alicia ::AliciaMainList.xls
    truncate -s $((841 * 512)) "$1"
}

ino_of() { sql "SELECT ino FROM path WHERE CAST(path AS TEXT) = '$1'"; }

# Every content of a folder is in the store under its hash, whole.
expect_stored() {
    find "$1" -type f | while read -r file; do
        hash=$(b3sum --no-names "$file")
        cmp -s "$file" "$NTT_HOME/by-hash/$(echo "$hash" | cut -c1-2)/$hash" || fail "$file is not in the store as it is"
    done
}
