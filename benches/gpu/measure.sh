#!/usr/bin/env bash
# How fast is it? On a machine with a card, with the kit of pack.sh, in 7 minutes, what matters most first: selfies a second of
# 4,000 rows by cores and by card in f16, and in f32; all pairs of 1 and 5 million templates; a whole audit; an IResNet-100 beside
# PyTorch's on the same card; a profile of the search and of a depthwise layer. Run check.sh before: figures of wrong answers are
# none.
#     benches/gpu/measure.sh [--kit ARCHIVE] [--device cuda] [--out FOLDER] [--seconds 420]
#     benches/gpu/measure.sh --device cpu --quick         # that the script itself runs, where there is no card
# Leaves results.tgz and log.txt in --out ($OUT, else ./gpu-results), rewritten after each step. A step that fails hides no
# other: exit code 1 then. Without card, driver or libraries, or with a kit for another machine: 69.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=420
. "$here/lib.sh"
options "$@"
begin
machine

rows=4000 runs=2 layers=100 faces=8192 batch=256 half=f16 pairs="1000000x128 5000000x128 1000000x512"
[ -n "$quick" ] && rows=24 runs=1 layers=18 faces=8 batch=4 pairs="20000x128 20000x512"
[ "$device" = cpu ] && half=f32
make_dump $rows
# see NAME FLAGS...: reading and seeing of the whole dump.
see() {
    local name=$1
    shift
    step "see-$name" 60 json "$chehra" --quiet bench "$dump" --rows $rows --runs $runs --device "$device" --stage see --json "$@"
}
see $half-cores --precision $half --jpeg cpu
if [ "$device" = cpu ]; then
    skip see-f16-card "no card"
else
    see f16-card --precision f16 --jpeg gpu
    see f32 --precision f32 --jpeg auto
fi
for pair in $pairs; do
    step "pairs-$pair" 90 json "$chehra" --quiet bench --all-pairs "${pair%x*}" --dim "${pair#*x}" --runs $runs --device "$device" --json
done
step audit 60 json "$chehra" --quiet bench "$dump" --rows $rows --runs 1 --device "$device" --precision $half --json

# 12 Gmac a face, what users with a card bring; made-up weights, the same for all.
if "$python" -c 'import numpy' 2>"$results/numpy.err"; then
    step weights 60 txt "$python" "$here/peers.py" --weights "$work/iresnet.safetensors" --layers $layers
    step add-weights 30 txt "$chehra" --quiet weights add "$work/iresnet.safetensors" --name iresnet --into "$work/weights"
    for precision in f16 f32; do
        [ "$device" = cpu ] && [ $precision = f16 ] && continue
        step "embed-iresnet-$precision" 60 json "$chehra" --quiet bench --embed $faces --batch $batch --runs $runs --device "$device" \
            --weights "$work/weights" --embedder iresnet --precision $precision --json
    done
    step peers 90 json "$python" "$here/peers.py" --device "$device" --weights "$work/iresnet.safetensors" --layers $layers \
        --pairs "$(cut -dx -f1 <<<"${pairs%% *}")" --dim 512 --dump "$dump" --batch $batch ${quick:+--quick}
    see iresnet-$half --precision $half --weights "$work/weights" --embedder iresnet
else
    skip peers "no numpy in $python, so no IResNet and no PyTorch"
fi

# profile NAME KERNEL SKIPPED COMMAND...: one launch of a kernel, late enough to be a full one. The clocks are left as they are.
profile() {
    local name=$1 kernel=$2 skipped=$3
    shift 3
    step "profile-$name" 60 txt ncu --clock-control none --kernel-name "$kernel" --launch-skip "$skipped" --launch-count 1 \
        --set basic --section SpeedOfLight --section MemoryWorkloadAnalysis --section WarpStateStats "$@"
}
if [ "$device" = cpu ]; then
    skip profile "no card"
elif command -v ncu >/dev/null; then
    profile search search_mma 2 "$chehra" --quiet bench --all-pairs 300000 --dim 128 --runs 1 --device "$device" --json
    profile depthwise regex:depthwise_f16 40 "$chehra" --quiet bench --embed 512 --batch 256 --runs 1 --device "$device" \
        --precision f16 --json
else
    skip profile "no ncu on the path"
fi
finish
