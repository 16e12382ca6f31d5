#!/usr/bin/env bash
# Starts a Ceph cluster for tests on this machine, all in memory: a monitor, one object store, and the S3 gateway.
# usage: start.sh DIRECTORY PORT ACCESS_KEY SECRET_KEY
# Needs the Debian packages ceph-mon, ceph-osd, ceph-common and radosgw. DIRECTORY is created; stop.sh ends everything.
set -euo pipefail

if (($# != 4)); then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
mkdir -p "$1"
directory=$(cd "$1" && pwd)
port=$2 access_key=$3 secret_key=$4
monitor="v1:127.0.0.1:$((port + 1))"
cluster=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF=$directory/ceph.conf

mkdir -p "$directory"/{mon,osd,run,log}
cat > "$CEPH_CONF" <<CONF
[global]
fsid = $cluster
mon host = $monitor
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
# Only this machine can reach these processes, so the S3 gateway alone authenticates its clients.
auth cluster required = none
auth service required = none
auth client required = none
run dir = $directory/run
admin socket = $directory/run/\$name.asok
pid file = $directory/run/\$name.pid
log file = $directory/log/\$name.log
# One object store keeps the only copy. The disk may be nearly full, because nothing is stored there.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush update on start = false
osd class update on start = false
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
# A cluster of one monitor has no peers to wait for.
paxos propose interval = 0.02
paxos min wait = 0.01
[mon.a]
mon data = $directory/mon
[osd.0]
osd data = $directory/osd
osd objectstore = memstore
memstore device bytes = 8589934592
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port
rgw enable usage log = false
# Deleted objects free their memory at once, not after hours.
rgw gc obj min wait = 1
rgw gc processor period = 1
rgw gc processor max time = 1
keyring =
CONF

# Repeats a command until it succeeds, for at most half a minute.
eventually() {
    local what=$1
    shift
    for _ in {1..600}; do
        if "$@" &> /dev/null; then return; fi
        sleep 0.05
    done
    echo "still waiting after 30 seconds: $what; see $directory/log" >&2
    exit 1
}

# Starts a process that outlives this script, and writes its id to a file for stop.sh.
start() {
    local name=$1
    shift
    setsid "$@" > "$directory/log/$name.out" 2>&1 < /dev/null &
    echo $! > "$directory/$name.id"
}

store_is_up() { ceph osd stat | grep -q ' 1 up'; }
gateway_answers() { curl --silent --output /dev/null "http://127.0.0.1:$port/"; }

monmaptool --create --addv a "[$monitor]" --fsid "$cluster" "$directory/monmap" > /dev/null
ceph-mon --mkfs -i a --monmap "$directory/monmap"
start mon ceph-mon -i a -f
eventually "the monitor answers" ceph --connect-timeout 1 osd dump

store=$(cat /proc/sys/kernel/random/uuid)
ceph osd new "$store" > /dev/null
ceph osd crush add osd.0 1.0 root=default host=tests 2> /dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$store" > "$directory/log/mkfs.out" 2>&1
start osd ceph-osd -i 0 -f
eventually "the object store is up" store_is_up

start rgw radosgw -n client.rgw -f
eventually "the gateway answers" gateway_answers
radosgw-admin -n client.rgw user create --uid=tams --display-name=tams \
    --access-key="$access_key" --secret="$secret_key" > "$directory/log/user.out"
echo "http://127.0.0.1:$port"
