#!/usr/bin/env bash
# The CUDA 13.0 toolkit from PyPI: what compiles and links the feature `cuda`, and nvJPEG, on a machine that has no card.
#     eval "$(kernels/build/toolkit.sh [FOLDER])"      # target/cuda-13.0 unless another is named; fetched once
# Prints the variables that the build reads. A CUDA_HOME that is set and holds nvcc 13.0 is taken as it is.
# Version 13.0 and no later one: a driver 580 refuses PTX of a newer compiler.
set -euo pipefail
folder=${1:-$(cd "$(dirname "$0")/../.." && pwd)/target/cuda-13.0}
python=${PYTHON:-python3}
packages=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
    nvidia-cuda-cccl==13.0.85 nvidia-nvjpeg==13.0.1.86)
# What cudarc's build script asks the linker for although the libraries are opened at run time: archives with nothing in them.
stubs=(cuda nvrtc curand cublas cublasLt cudnn)

fail() { printf 'toolkit.sh: %s\n' "$*" >&2; exit 1; }
is_13_0() { "$1/bin/nvcc" --version 2>/dev/null | grep -q 'release 13\.0'; }

fetch() {
    local wheels=$folder.wheels platforms=() platform
    command -v "$python" >/dev/null || fail "needs Python with pip to fetch CUDA from PyPI, or CUDA_HOME with nvcc 13.0"
    for platform in 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${platform}_x86_64"); done
    mkdir -p "$wheels"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
        "${platforms[@]}" --platform manylinux2014_x86_64 --dest "$wheels" "${packages[@]}" >&2 ||
        fail "pip could not fetch ${packages[*]}; a network is needed, or CUDA_HOME with nvcc 13.0"
    rm -rf "$folder.partial"
    # A wheel is a zip archive.
    "$python" - "$folder.partial" "$wheels"/*.whl <<'PY'
import sys, zipfile
for wheel in sys.argv[2:]:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(sys.argv[1])
PY
    local toolkit=$folder.partial/nvidia/cu13
    chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
    [ -e "$toolkit/lib64" ] || ln -s lib "$toolkit/lib64"
    [ -e "$toolkit/lib/libcudart.a" ] || ln -s libcudart_static.a "$toolkit/lib/libcudart.a"
    mkdir -p "$toolkit/lib/stubs"
    for stub in "${stubs[@]}"; do ar rcs "$toolkit/lib/stubs/lib$stub.a"; done
    rm -rf "$folder" "$wheels"
    mv "$toolkit" "$folder"
    rm -rf "$folder.partial"
}

if [ -n "${CUDA_HOME:-}" ]; then
    is_13_0 "$CUDA_HOME" || fail "CUDA_HOME=$CUDA_HOME has no nvcc 13.0: expected release 13.0 of $CUDA_HOME/bin/nvcc; unset it" \
        "to have 13.0 fetched from PyPI"
    folder=$CUDA_HOME
elif ! is_13_0 "$folder"; then
    fetch
    is_13_0 "$folder" || fail "$folder/bin/nvcc does not run or is not 13.0"
fi
for stub in cuda nvrtc curand cublas cublasLt; do
    [ -e "$folder/lib/stubs/lib$stub.a" ] || [ -e "$folder/lib64/stubs/lib$stub.so" ] ||
        fail "$folder has no lib/stubs/lib$stub.a to link with: ar rcs $folder/lib/stubs/lib$stub.a makes one"
done
# cudarc's build script runs the nvcc of the PATH unless it is told the version, and looks for libraries in CUDA_HOME.
# PTX for sm_80, which every later card takes; nvcc-slim leaves out kernels of candle's that are never called.
cat <<VARIABLES
export CUDA_HOME='$folder'
export CUDARC_CUDA_VERSION=13000
export CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-80}
export NVCC='$(cd "$(dirname "$0")" && pwd)/nvcc-slim'
export PATH='$folder/bin':"\$PATH"
VARIABLES
