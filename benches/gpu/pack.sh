#!/usr/bin/env bash
# The kit for a machine that has a card and neither Rust nor network, in one command on a machine with both:
#     benches/gpu/pack.sh [--out FILE] [--limit MIB]      # target/gpu-kit.tar.xz; 64 MiB for tree and kit together
# It fetches the CUDA 13.0 toolkit from PyPI (once; a CUDA_HOME with nvcc 13.0 is taken instead), builds program and tests
# without the weights, for those travel in the tree, strips them, and adds nvJPEG. There, in the tree:
#     benches/gpu/check.sh        # parity and memory check, 4 minutes
#     benches/gpu/measure.sh      # figures, 7 minutes
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/gpu-kit.tar.xz limit=64
while [ $# -gt 0 ]; do
    case $1 in
    --out) out=${2:?a file} ;; --limit) limit=${2:?MiB} ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
    shift 2
done
say() { printf '=== %s (%s)\n' "$*" "$(date -u +%H:%M:%S)" >&2; }
fail() { printf 'pack.sh: %s\n' "$*" >&2; exit 1; }
for tool in cargo cc ar strip objdump tar xz git; do
    command -v "$tool" >/dev/null || fail "needs $tool, which is not on the path"
done

say "toolkit"
variables=$(kernels/build/toolkit.sh)
eval "$variables"
nvcc --version | tail -n 1 >&2

say "build"
CHEHRA_COMMIT=$(git describe --always --dirty)
export CHEHRA_COMMIT
built=$(cargo --config kernels/build/cuda.toml build --release --locked --no-default-features --features cuda \
    --bin chehra --test device --message-format=json-render-diagnostics)
binary() { sed -n 's/.*"name":"'"$1"'".*"executable":"\([^"]*\)".*/\1/p' <<<"$built" | tail -n 1; }
program=$(binary chehra) tests=$(binary device)
[ -x "$program" ] && [ -x "$tests" ] || fail "cargo named no binaries: '$program', '$tests'"

say "pack"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
kit=$place/gpu-kit
mkdir -p "$kit/lib" "$(dirname "$out")"
strip -o "$kit/chehra" "$program"
strip -o "$kit/device-tests" "$tests"
for folder in lib lib64 none; do
    [ $folder != none ] || fail "looked for libnvjpeg.so.13 in $CUDA_HOME/lib and lib64 and did not find it; unset CUDA_HOME to have it fetched"
    [ -e "$CUDA_HOME/$folder/libnvjpeg.so.13" ] && cp -L "$CUDA_HOME/$folder/libnvjpeg.so.13" "$kit/lib/" && break
done
# The newest version of the C library that a binary asks for: what the other machine must have at least.
glibc=$(objdump -T "$kit/chehra" "$kit/device-tests" "$kit/lib/libnvjpeg.so.13" | grep -o 'GLIBC_[0-9][0-9.]*' | sed 's/GLIBC_//' |
    sort -uV | tail -n 1)
cat >"$kit/KIT" <<FACTS
commit=$CHEHRA_COMMIT
glibc=$glibc
machine=$(uname -m)
cuda=13.0
packed=$(date -u +%FT%TZ)
FACTS
# Both binaries have the same kernels in them: a window as large as the archive finds them a second time.
tar -C "$place" -cf - gpu-kit | xz --threads=1 --lzma2=preset=6,dict=128MiB >"$out.partial"
mv "$out.partial" "$out"

mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f", bytes / 1048576 }'; }
size() { stat -c %s "$1"; }
tree=$(git ls-files -z --cached --others --exclude-standard | xargs -0 -r stat -c %s 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }')
for file in chehra device-tests lib/libnvjpeg.so.13; do
    printf '%-22s %6s MiB\n' "$file" "$(mib "$(size "$kit/$file")")"
done
printf '%-22s %6s MiB, packed\n' "$out" "$(mib "$(size "$out")")"
printf '%-22s %6s MiB, tracked files and those that git does not ignore\n' "the tree" "$(mib "$tree")"
both=$((tree + $(size "$out")))
printf '%-22s %6s MiB of %s; needs glibc %s\n' "together" "$(mib $both)" "$limit" "$glibc"
[ $both -le $((limit * 1048576)) ] || fail "tree and kit weigh $(mib $both) MiB, more than the $limit MiB that may travel (--limit)"
