#!/usr/bin/env bash
# Ends the processes that start.sh started. usage: stop.sh DIRECTORY
set -euo pipefail

directory=${1:?the directory that was given to start.sh}
for name in rgw osd mon; do
    if [[ ! -f $directory/$name.id ]]; then continue; fi
    id=$(cat "$directory/$name.id")
    # All data are in memory, so nothing has to be written before the end.
    kill -KILL "$id" 2> /dev/null || true
    rm "$directory/$name.id"
done
