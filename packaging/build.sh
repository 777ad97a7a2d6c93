#!/usr/bin/env bash
# Makes every package of a release on this machine, in dist/: archive, Debian package, wheel, image, list of components,
# sums. What needs a tool that is not here is left out, and said at the end.
#
#   packaging/build.sh [--binary FILE] [--out DIR] [--only NAME,...]      # NAME: archive deb wheel sbom image
#   packaging/build.sh --twice                                            # two builds from scratch, compared byte by byte
#
# Tools: cargo-deb and cargo-cyclonedx (cargo install), maturin (pip install), and docker, podman or buildah. --binary packs a
# program that is built already; the wheel is linked anew from the same build folder (CARGO_TARGET_DIR, else target).
set -euo pipefail
cd "$(dirname "$0")/.."

binary= out=dist only=archive,deb,wheel,sbom,image twice=
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --only) only=$2; shift 2 ;;
        --twice) twice=yes; shift ;;
        *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
done

export LC_ALL=C TZ=UTC
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
CHEHRA_COMMIT=${CHEHRA_COMMIT:-$(git rev-parse --short=12 HEAD)}
export CHEHRA_COMMIT

# Nothing of where it was built: neither the folders of the sources nor those of the compiler's crates.
build() {
    local home=${CARGO_HOME:-$HOME/.cargo}
    # Flags are parted by a character that no folder has in its name: RUSTFLAGS would break at a space.
    CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$1 \
        CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$PWD=/chehra"$'\x1f'"--remap-path-prefix=$home=/cargo" \
        cargo build --release --locked
    strip --strip-all -o "$1/stripped" "$1/release/chehra"
}

if [ -n "$twice" ]; then
    build target/once && build target/again
    sha256sum target/once/stripped target/again/stripped
    cmp target/once/stripped target/again/stripped && echo "two builds, the same bytes"
    exit
fi
if [ -z "$binary" ]; then
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/dist}
    build "$CARGO_TARGET_DIR"
    binary=$CARGO_TARGET_DIR/release/chehra
fi
binary=$(realpath "$binary")
mkdir -p "$out"
out=$(realpath "$out")
version=$("$binary" --version | cut -d' ' -f2)
missing=()
wanted() { [[ ",$only," == *",$1,"* ]]; }
# here TOOL WHAT: whether a tool is there; else what is left out is remembered.
here() {
    command -v "$1" >/dev/null && return
    missing+=("$2: no $1")
    return 1
}
timed() {
    local start=$SECONDS name=$1
    shift
    (set -euo pipefail; "$@") || { echo "build: $name FAILED" >&2; exit 1; }
    echo "build: $name, $((SECONDS - start)) s"
}

# target/package: what the Debian package takes. Paths are Debian's.
lay_out() {
    local to=target/package
    rm -rf "$to"
    mkdir -p "$to/systemd"
    strip --strip-all -o "$to/chehra" "$binary"
    local run=("$PWD/$to/chehra" --no-config --quiet)
    env -i "${run[@]}" man --out "$to/man1" >/dev/null
    env -i "${run[@]}" completions bash >"$to/chehra.bash"
    env -i "${run[@]}" completions zsh >"$to/_chehra"
    env -i "${run[@]}" completions fish >"$to/chehra.fish"
    env -i "${run[@]}" config init --out - >"$to/chehra.toml.sample"
    cp packaging/nightly.sh packaging/nightly.env "$to"
    local unit
    for unit in packaging/systemd/*; do
        sed 's|/usr/local/lib/chehra/|/usr/lib/chehra/|' "$unit" >"$to/systemd/${unit##*/}"
    done
    printf 'chehra (%s-1) stable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- The chehra authors <chehra@localhost>  %s\n' \
        "$version" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$to/changelog"
    python3 packaging/third_party.py "$(rustc -vV | sed -n 's/^host: //p')" >"$to/THIRD-PARTY.txt"
}

deb() {
    lay_out
    cargo deb --no-build --no-strip --locked --output "$out/chehra_${version}_$(dpkg --print-architecture).deb"
}

wheel() {
    # The C library of this machine decides on which others it runs; `--zig` and manylinux images are for releases.
    (cd packaging/python && maturin build --release --locked --strip --compatibility linux --out "$out")
}

sbom() {
    SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH cargo cyclonedx --format json --all --override-filename chehra.cdx
    mv chehra.cdx.json "$out/chehra-$version.cdx.json"
}

image() {
    mkdir -p dist
    strip --strip-all -o dist/chehra "$binary"
    local builder
    for builder in podman buildah docker; do command -v "$builder" >/dev/null && break; done
    local command=("$builder" build)
    "${command[@]}" --file packaging/Dockerfile --build-arg PROGRAM=binary --tag "chehra:$version" .
    [ "$builder" = buildah ] || "$builder" save --output "$out/chehra-$version-image.tar" "chehra:$version"
    rm dist/chehra
}

# A builder that can build: the client alone is of no use.
has_builder() {
    { command -v podman || command -v buildah; } >/dev/null && return
    command -v docker >/dev/null && docker info >/dev/null 2>&1
}

if wanted archive; then timed archive packaging/dist.sh --binary "$binary" --out "$out"; fi
if wanted deb && here cargo-deb deb && here dpkg deb; then timed deb deb; fi
if wanted wheel && here maturin wheel; then timed wheel wheel; fi
if wanted sbom && here cargo-cyclonedx sbom; then timed sbom sbom; fi
if wanted image; then
    if has_builder; then timed image image; else missing+=("image: no podman, buildah or running docker"); fi
fi
(cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs -d '\n' sha256sum >SHA256SUMS && cat SHA256SUMS)
for line in ${missing[@]+"${missing[@]}"}; do echo "build: left out, $line" >&2; done
