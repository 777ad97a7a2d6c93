#!/usr/bin/env bash
# Builds what a machine with a card needs and puts it into one folder, to be carried there: no Rust is needed on it.
#     benches/gpu/pack.sh [FOLDER]        # target/gpu-kit unless another is named; needs nvcc 13.0: CUDA_HOME or NVCC
# There, in that folder: ./run.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
kit=${1:-target/gpu-kit}
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80} # PTX for sm_80: every later card runs it
cargo=(cargo --config kernels/build/cuda.toml)
"${cargo[@]}" build --release --locked --features cuda
tests=$("${cargo[@]}" test --release --locked --features cuda --test device --no-run --message-format=json |
    sed -n 's/.*"name":"device".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$tests" ] || { echo "cargo named no test binary" >&2; exit 1; }
mkdir -p "$kit/photos"
strip -o "$kit/chehra" target/x86_64-unknown-linux-gnu/release/chehra
strip -o "$kit/device-tests" "$tests"
mkdir -p "$kit/fixtures"
cp -r fixtures/faces fixtures/photos "$kit/fixtures/"
cp benches/gpu/run.sh benches/gpu/peers.py benches/gpu/report.py "$kit/"
rmdir "$kit/photos"
du -sh "$kit"
