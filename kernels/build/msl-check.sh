#!/bin/bash
# Checks the text that a Mac compiles with clang as C++ for OpenCL, whose address spaces are Metal's: that a pointer says
# which memory it points into, and the right one. No substitute for Apple's compiler. Needs clang 14 or later ($CLANG, or
# the path; `zig clang` from the Python package ziglang will do).
#     kernels/build/msl-check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# As src/ops/gpu/msl.rs joins them.
parts=$(sed -n 's|.*include_str!("../../../\(kernels/.*\)").*|\1|p' src/ops/gpu/msl.rs)
[ "$(wc -w <<<"$parts")" = 10 ]
cat $parts | grep -v '^#include' >"$scratch/all.metal"

check() {
    ${CLANG:-clang} -x cl -cl-std=clc++2021 -cl-no-stdinc -target spir64 -fsyntax-only -Wno-unknown-attributes \
        -Wno-unknown-pragmas -include kernels/host/msl_spaces.h "$1"
}
check "$scratch/all.metal"
# The check can fail: one pointer into the wrong memory is found.
sed 's/FN Rgb warp_square(GLOBAL/FN Rgb warp_square(SHARED/' "$scratch/all.metal" >"$scratch/wrong.metal"
if check "$scratch/wrong.metal" 2>/dev/null; then
    echo "a wrong address space was not found" >&2
    exit 1
fi
echo "the Metal source passes"
