#!/bin/sh
# Three hosts with addresses of their own (network namespaces), each with a store of its own and the images at its own path, on one
# PostgreSQL. One of them is cut off in mid-work, and joins again: its ranges are done by the others, what it commits too late is refused.
if [ -z "${NTT_OWN_NETWORK-}" ]; then
    if ! { [ "$(id -u)" = 0 ] && command -v ip >/dev/null && unshare --net --mount true 2>/dev/null; }; then
        echo "SKIPPED: needs root, ip and the right to make network namespaces"
        exit 77
    fi
    export NTT_OWN_NETWORK=1
    exec unshare --net --mount --propagation private sh "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
ip link set lo up
ip link add ntt type bridge 2>/dev/null || skip "needs bridges in the kernel"
ip address add 10.99.0.1/24 dev ntt
ip link set ntt up
export NTT_TEST_POSTGRES_ADDRESS=10.99.0.1/24
start_server
make_media 12 600

in_host() { host=$1; shift; nsenter --net="/proc/$(cat "host$host.pid")/ns/net" "$@"; }
for host in 1 2 3; do
    unshare --net sleep 600 &
    echo $! >host$host.pid
    while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
    ip link add v$host type veth peer name eth0 netns $! 2>/dev/null || skip "needs veth in the kernel"
    ip link set v$host master ntt up
    in_host $host ip address add 10.99.0.1$host/24 dev eth0
    in_host $host ip link set eth0 up
    ln -s images seen_by_$host
    cat >host$host.toml <<T
lease_seconds = 4
heartbeat_seconds = 1
lease_files = 20
[image_paths]
"$work/images" = "$work/seen_by_$host"
T
done
NTT_DB_URL="postgresql://ntt@/ntt?host=$(cat server)"
export NTT_DB_URL
ntt ingest --enumerate-only images/*.img --home home0 --no-progress >/dev/null 2>enumerate.log || [ $? = 4 ] || fail "enumeration"

worker() { # HOST N
    status=0
    in_host "$1" env NTT_HOME="$work/home$1" NTT_DB_URL=postgresql://ntt@10.99.0.1/ntt?tcp_user_timeout=3000 \
        ntt work --config "host$1.toml" --worker-id "host$1-$2" --jobs 1 --batch-size 2 --no-progress >"host$1-$2.log" 2>&1 || status=$?
    echo $status >"host$1-$2.status"
}
for host in 1 2 3; do for n in 1 2; do worker $host $n & done; done

until [ "$(sql "SELECT count(*) FROM lease WHERE owner LIKE 'host2-%' AND files > 0")" -gt 0 ]; do sleep 0.05; done
ip link set v2 down
sleep 6
[ "$(sql "SELECT count(*) FROM worker WHERE worker_id LIKE 'host2-%' AND heartbeat_at < clock_timestamp() - interval '4 s'")" -gt 0 ] ||
    fail "the host that is cut off still gives signs of life"
ip link set v2 up

left=120
for host in 1 2 3; do
    for n in 1 2; do
        while [ ! -s host$host-$n.status ]; do
            [ $left -gt 0 ] || fail "worker $n of host $host does not end"
            left=$((left - 1))
            sleep 1
        done
        [ "$(cat host$host-$n.status)" = 0 ] || fail "worker $n of host $host ended with $(cat host$host-$n.status)"
    done
done
NTT_HOME=$work/home1
export NTT_HOME
expect_all_stored
# Each store has what the catalog says of it.
for host in 2 3; do ntt verify --strict --home home$host >verify.log 2>&1 || fail "the store of host $host: $(cat verify.log)"; done
[ "$(sql "SELECT count(DISTINCT store_id) FROM blob_location")" = 3 ] || fail "not all hosts have stored something"
