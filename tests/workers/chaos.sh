#!/bin/sh
# Eight workers over many media on one PostgreSQL: every few seconds one is killed, one is stopped past its lease and continued, and the
# database is restarted in the middle as after a crash. Every file is stored once, the totals are right, nobody waits for ever.
. "$(dirname "$0")/lib.sh"
media=${1:-60} files=${2:-600}
start_server
export NTT_HOME="$work/home"
NTT_DB_URL="postgresql://ntt@/ntt?host=$(cat server)"
export NTT_DB_URL
# Small ranges and short leases: a test does not wait a minute for a dead worker.
cat >ntt.toml <<'T'
lease_seconds = 4
heartbeat_seconds = 1
lease_files = 20
T
make_media "$media" "$files"
ntt ingest --enumerate-only images/*.img --no-progress >/dev/null 2>enumerate.log || [ $? = 4 ] || fail "enumeration"

worker() { # N: until it ends by itself; one that was killed is started again, as a service would be
    tries=0
    while :; do
        status=0
        ntt work --config ntt.toml --worker-id "w$1" --jobs 1 --batch-size 2 --no-progress >>"w$1.log" 2>&1 &
        echo $! >"w$1.pid"
        wait $! 2>/dev/null || status=$?
        [ $status = 137 ] || break
        tries=$((tries + 1))
        echo killed >>killed
    done
    echo "$status" >"w$1.status"
}
for n in 1 2 3 4 5 6 7 8; do worker $n & done

# One of them is stopped for longer than a lease lasts, with a lease in its hands, while others go on.
until [ "$(sql "SELECT count(*) FROM lease WHERE owner='w8' AND files > 0" 2>/dev/null)" = 1 ]; do sleep 0.05; done
stopped=$(cat w8.pid)
kill -STOP "$stopped"
step=0
while [ "$(sql "SELECT count(*) FROM inode WHERE NOT copied" 2>/dev/null || echo 1)" != 0 ] && [ $step -lt 120 ]; do
    step=$((step + 1))
    victim=$((step % 7 + 1))
    kill -9 "$(cat w$victim.pid)" 2>/dev/null || true
    [ $step != 6 ] || "$NTT_POSTGRES" restart "$work/server" || fail "restart"
    [ $step != 4 ] || kill -CONT "$stopped"
    sleep 2
done
kill -CONT "$stopped" 2>/dev/null || true
[ -s killed ] || fail "nobody was killed: there was too little to do"

left=120
for n in 1 2 3 4 5 6 7 8; do
    while [ ! -s w$n.status ]; do
        [ $left -gt 0 ] || fail "worker $n does not end"
        left=$((left - 1))
        sleep 1
    done
    [ "$(cat w$n.status)" = 0 ] || fail "worker $n ended with $(cat w$n.status)"
done
rm -f ./*.pid
[ "$(sql "SELECT count(*) FROM worker WHERE heartbeat_at > clock_timestamp() - interval '10 s'")" = 0 ] || fail "a worker is still told of"
expect_all_stored
echo "$(wc -l <killed) workers were killed; $(grep -c 'ran out' w*.log | awk -F: '{ sum += $2 } END { print sum }') late commits were refused"
