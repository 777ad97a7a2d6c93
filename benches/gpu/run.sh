#!/usr/bin/env bash
# Everything that is to be shown on a card, in one command: parity with the CPU, selfies a second end to end and by stage,
# exact search of all pairs, and PyTorch or ONNX Runtime on the same card. Leaves JSON and a Markdown table in --out.
#
#     ./run.sh                                    # in the folder that pack.sh made, on a machine with a card
#     benches/gpu/run.sh --chehra target/release/chehra --tests target/release/deps/device-* --device cpu --quick
#
# Needs no Rust. CUDA libraries that came with Python packages are found where `python3 -c 'import nvidia'` finds them;
# elsewhere CHEHRA_CUDA_LIBS names their folders. A step that fails is said and does not hide the others: exit code 1 then.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
chehra=$here/chehra tests=$here/device-tests device=cuda out=$PWD/gpu-results dump="" python=${PYTHON:-python3}
rows=4000 runs=3 pairs="1000000 5000000" dims="128 512" quick=""
while [ $# -gt 0 ]; do
    case $1 in
    --chehra) chehra=$2 ;; --tests) tests=$2 ;; --device) device=$2 ;; --out) out=$2 ;; --dump) dump=$2 ;;
    --rows) rows=$2 ;; --runs) runs=$2 ;; --pairs) pairs=$2 ;; --dims) dims=$2 ;;
    --quick) quick=1 rows=12 runs=1 pairs="20000" dims="128"; shift; continue ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift 2
done
# Fixtures lie beside the script in a kit, two folders up in the source.
fixtures=$here/fixtures
[ -d "$fixtures" ] || fixtures=$(cd "$here/../../fixtures" && pwd)
chehra=$(realpath "$chehra") tests=$(realpath "$tests")
mkdir -p "$out" && out=$(cd "$out" && pwd)
failed=()

libraries=$("$python" -c 'import glob, nvidia
print(":".join(sorted({f for p in nvidia.__path__ for f in glob.glob(p + "/*/lib") + glob.glob(p + "/lib")})))' 2>/dev/null)
export CHEHRA_CUDA_LIBS=${CHEHRA_CUDA_LIBS:-$libraries}

# step NAME COMMAND...: its output goes to NAME's file; it may fail without ending the rest.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '=== %s\n' "$name" >&2
    if "$@"; then
        printf '    %s s\n' $((SECONDS - start)) >&2
    else
        printf '    FAILED after %s s: %s\n' $((SECONDS - start)) "$*" >&2
        failed+=("$name")
    fi
}
# into FILE COMMAND...
into() {
    local file=$1
    shift
    "$@" >"$file.partial" && mv "$file.partial" "$file"
}

machine() {
    "$chehra" devices --json >"$out/devices.json" || return 1
    { date -u +%FT%TZ; uname -srm; nproc; nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit \
        --format=csv,noheader 2>/dev/null || echo 'no nvidia-smi'; } >"$out/machine.txt"
    "$chehra" --version >>"$out/machine.txt"
}
parity() { (cd "$(dirname "$fixtures")" && "$tests" --nocapture) >"$out/parity.txt" 2>&1; }
# Selfies of two people, 1280x960, from the seven portraits of the fixtures. The generator wants more people, so each portrait
# stands for four: the dump shows what a night costs, and nothing about who is who.
make_dump() {
    local list=$out/people.csv face copy
    echo person,path >"$list"
    for face in "$fixtures"/faces/*.jpg; do
        for copy in 1 2 3 4; do
            echo "$(basename "$face" .jpg)-$copy,$face" >>"$list"
        done
    done
    printf 'long_side = 1280\nportrait_share = 0.0\nmembers_per_worker = 1000000\n' >"$out/plan.toml"
    rm -rf "$out/dump"
    "$chehra" --quiet synth --faces "$list" --plan "$out/plan.toml" --out "$out/dump" --rows "$rows" --nights 1 --seed 5 \
        --fraud 0 --repeat-people >/dev/null
}
# bench NAME FLAGS...: the whole night with these flags.
bench() {
    local name=$1
    shift
    [ -n "$dump" ] || return 1
    into "$out/see-$name.json" "$chehra" --quiet bench "$dump" --rows "$rows" --runs "$runs" --device "$device" --json "$@"
}
all_pairs() {
    into "$out/pairs-$1x$2.json" "$chehra" --quiet bench --all-pairs "$1" --dim "$2" --runs "$runs" --device "$device" --json
}

step machine machine
step parity parity
if [ -z "$dump" ]; then
    step dump make_dump
    dump=$(ls -d "$out"/dump/night-* 2>/dev/null | head -n 1)
fi
if [ "$device" = cpu ]; then
    step sface-f32 bench sface-f32
else
    # The CPU of the same machine, for scale; then the card: by precision and by decoder.
    step sface-cpu into "$out/see-sface-cpu.json" "$chehra" --quiet bench "$dump" --stage see --rows $((rows / 8)) --runs 1 \
        --device cpu --json
    step sface-f32 bench sface-f32 --jpeg auto
    step sface-f16 bench sface-f16 --jpeg auto --precision f16
    step sface-f16-cores bench sface-f16-cores --jpeg cpu --precision f16 --stage see
    step sface-f16-nvjpeg bench sface-f16-nvjpeg --jpeg gpu --precision f16 --stage see
fi
# IResNet-100 with made-up weights: 12 Gmac a face, what users with a card bring.
if "$python" -c 'import numpy' 2>/dev/null; then
    weights=$out/weights
    if [ ! -d "$weights" ]; then
        layers=100
        [ -n "$quick" ] && layers=18
        step weights "$python" "$here/peers.py" --weights "$out/iresnet.safetensors" --layers $layers &&
            step add-weights "$chehra" --quiet weights add "$out/iresnet.safetensors" --name iresnet --into "$weights"
    fi
    if [ "$device" = cpu ]; then
        step iresnet-f32 bench iresnet-f32 --stage see --weights "$weights" --embedder iresnet
    else
        step iresnet-f32 bench iresnet-f32 --stage see --weights "$weights" --embedder iresnet
        step iresnet-f16 bench iresnet-f16 --stage see --weights "$weights" --embedder iresnet --precision f16
    fi
else
    echo "    no numpy in $python: no IResNet and no peers" >&2
fi
for dim in $dims; do
    for count in $pairs; do
        step "pairs-${count}x$dim" all_pairs "$count" "$dim"
    done
done
if "$python" -c 'import numpy' 2>/dev/null; then
    peers=("$python" "$here/peers.py" --device "$device" --weights "$out/iresnet.safetensors" --layers "${layers:-100}"
        --pairs "${pairs%% *}" --dim "${dims##* }" --dump "$dump")
    [ -n "$quick" ] && peers+=(--quick)
    step peers into "$out/peers.json" "${peers[@]}"
fi
rm -f "$out/gpu.md"
step report into "$out/gpu.md" "$python" "$here/report.py" "$out"
[ -s "$out/gpu.md" ] && cat "$out/gpu.md"
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}" >&2
    exit 1
fi
