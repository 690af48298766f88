#!/usr/bin/env bash
# Trains both bundled towers at once on one GPU: pretraining/gpu.sh PACK WORK [key=value ...]
set -uo pipefail
pack=$1 work=$2
shift 2
mkdir -p "$work"
for tower in visual language; do
    python3 -m pretraining train "pretraining/$tower.yaml" "$@" --pack "$pack" --work "$work" --device cuda \
        > "$work/$tower.log" 2>&1 &
done
wait
tail -n 4 "$work"/visual.log "$work"/language.log
