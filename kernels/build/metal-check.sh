#!/bin/bash
# Type-checks the feature `metal` on a machine without a Mac. Nothing can be linked or run this way.
#     kernels/build/metal-check.sh [check|clippy] [arguments of cargo]
#
# The crates that speak Objective-C refuse to be compiled elsewhere, so copies of them from cargo's registry, of the
# versions in Cargo.lock, are changed in a folder of their own: objc2 and block2 take GNUstep's runtime, and objc2-metal does
# not ask for Apple's framework. The tree, the registry and Cargo.lock stay as they are. All of it goes to
# ${CHEHRA_METAL_TARGET:-target/metal-check}.
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
scratch=${CHEHRA_METAL_TARGET:-$tree/target/metal-check}
rm -rf "$scratch/tree"
mkdir -p "$scratch/tree"
cargo fetch --quiet --locked --manifest-path "$tree/Cargo.toml"

# A copy of a locked package, changed as a script for sed says, which must change something.
copy() {
    local name=$1 file=$2 change=$3 version
    version=$(sed -n "/^name = \"$name\"$/{n;s/version = \"\(.*\)\"/\1/p;}" "$tree/Cargo.lock")
    local from to=$scratch/$name-$version
    from=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -name "$name-$version" | head -n 1)
    echo "$name.path = '$to'" >>"$scratch/tree/.cargo/config.toml"
    [ -e "$to" ] && return
    rm -rf "$to.part"
    cp -r "$from" "$to.part"
    chmod -R u+w "$to.part"
    sed -i "$change" "$to.part/$file"
    if cmp -s "$from/$file" "$to.part/$file"; then
        echo "$name $version: $file is not as expected" >&2
        exit 1
    fi
    mv "$to.part" "$to"
}
# In a file, for cargo does not hand --config on to clippy.
mkdir "$scratch/tree/.cargo"
echo '[patch.crates-io]' >"$scratch/tree/.cargo/config.toml"
copy objc2 Cargo.toml 's/^default = \["std"\]/default = ["std", "gnustep-2-1"]/'
copy block2 Cargo.toml 's/^alloc = \[/alloc = ["gnustep-2-1"/'
copy objc2-metal src/generated/mod.rs '/link(name = "Metal", kind = "framework")/d'

# The tree by links, so that cargo may write another Cargo.lock.
for entry in "$tree"/*; do
    case $(basename "$entry") in
    target) ;;
    Cargo.toml | Cargo.lock) cp "$entry" "$scratch/tree/" ;;
    *) ln -s "$entry" "$scratch/tree/" ;;
    esac
done
cd "$scratch/tree"
command=${1:-check}
[ $# -gt 0 ] && shift
CARGO_TARGET_DIR=$scratch cargo "$command" --release --features metal "$@"
