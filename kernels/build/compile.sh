#!/bin/bash
# Compiles every CUDA kernel for sm_80 and sm_90 with the PTX for newer cards, and prints registers, spills and shared
# memory per entry as a Markdown table (benches/results/gpu.md). Needs nvcc 13.0: in $NVCC, $CUDA_HOME/bin or PATH.
#     kernels/build/compile.sh [FOLDER]      # keeps the fatbins in FOLDER
set -euo pipefail
cd "$(dirname "$0")/../cuda"
nvcc=${NVCC:-${CUDA_HOME:+$CUDA_HOME/bin/}nvcc}
out=${1:-$(mktemp -d)}
mkdir -p "$out"
echo "$("$nvcc" --version | tail -n 1)"
echo
echo '| entry | card | registers | spilled bytes, stores + loads | shared bytes |'
echo '|---|---|---|---|---|'
for source in *.cu; do
    "$nvcc" -O3 -std=c++17 -fmad=false -Xptxas -v -gencode=arch=compute_80,code=sm_80 \
        -gencode=arch=compute_90,code=sm_90 -gencode=arch=compute_80,code=compute_80 -fatbin \
        -o "$out/${source%.cu}.fatbin" "$source" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
    awk '
        /Compiling entry function/ { split($0, part, "\047"); name = part[2]; card = part[4] }
        /spill stores/ { stores = $5; loads = $9 }
        /Used .* registers/ {
            shared = "0"
            for (i = 1; i < NF; i++) if ($(i + 1) == "bytes" && $(i + 2) ~ /smem/) shared = $i
            printf "| `%s` | %s | %s | %s + %s | %s |\n", name, card, $5, stores, loads, shared
        }' "$out/log" | sort
done
