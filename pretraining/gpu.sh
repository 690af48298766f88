#!/usr/bin/env bash
# Trains both bundled towers in parallel on one GPU: pretraining/gpu.sh PACK WORK [key=value ...]
set -uo pipefail
pack=$1 work=$2
shift 2
mkdir -p "$work"
jobs=()
for tower in visual language; do
    python3 -m pretraining train "pretraining/$tower.yaml" "$@" --pack "$pack" --work "$work" --device cuda \
        > "$work/$tower.log" 2>&1 &
    jobs+=($!)
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
for tower in visual language; do tail -n 4 "$work/$tower.log"; done
exit "$failed"
