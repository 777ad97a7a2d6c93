#!/usr/bin/env bash
# Builds the release archive: dist/chehra-VERSION-TARGET.tar.gz, and dist/SHA256SUMS beside it.
#
#   packaging/dist.sh [--binary FILE] [--out DIR]
#
# --binary packs a program that is built already. The same commit and binary give the same bytes: names sorted, owner 0,
# one time (SOURCE_DATE_EPOCH, else that of the commit), no time in the gzip header.
set -euo pipefail
cd "$(dirname "$0")/.."

binary= out=dist
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
done
for tool in tar gzip strip sha256sum python3; do
    command -v "$tool" >/dev/null || { echo "dist: $tool is missing" >&2; exit 69; }
done
if [ -z "$binary" ]; then
    # Incremental builds differ from clean ones.
    CARGO_INCREMENTAL=0 CHEHRA_COMMIT=$(git rev-parse --short=12 HEAD) cargo build --release --locked
    binary=${CARGO_TARGET_DIR:-target}/release/chehra
fi

export LC_ALL=C TZ=UTC
umask 022
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
target=$(rustc -vV | sed -n 's/^host: //p')
version=$("$binary" --version | cut -d' ' -f2)
name=chehra-$version-$target

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
to=$work/$name
mkdir -p "$to"/{bin,completions,docs,examples,man/man1,packaging/{systemd,prometheus,python,kubernetes},weights}

strip --strip-all -o "$to/bin/chehra" "$binary"
chmod 755 "$to/bin/chehra"
chehra() { (cd "$work" && env -i "$to/bin/chehra" --no-config "$@"); }
chehra man --quiet --out "$to/man/man1" >/dev/null
chehra completions bash >"$to/completions/chehra.bash"
chehra completions zsh >"$to/completions/_chehra"
chehra completions fish >"$to/completions/chehra.fish"
chehra completions powershell >"$to/completions/_chehra.ps1"
chehra completions elvish >"$to/completions/chehra.elv"
chehra config init --out - >"$to/chehra.toml.sample"
chehra policy >"$to/policy.toml.sample"

cp LICENSE README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md SECURITY.md CODE_OF_CONDUCT.md CITATION.cff "$to"
cp docs/*.md "$to/docs"
# The networks are in the program; their terms and passports go with it.
cp -R weights/LICENSES weights/manifest.toml "$to/weights"
python3 packaging/third_party.py "$target" >"$to/THIRD-PARTY.txt"
cp packaging/nightly.sh packaging/nightly.env packaging/cron "$to/packaging"
cp packaging/systemd/* "$to/packaging/systemd"
cp packaging/prometheus/* "$to/packaging/prometheus"
cp packaging/kubernetes/* "$to/packaging/kubernetes"
cp packaging/python/README.md "$to/packaging/python"
cp examples/*.py "$to/examples"

# Nothing hidden, nothing of Python's, no face: what is packed was named above.
find "$to" -name '.*' -o -name '__pycache__' | grep -q . && { echo "dist: a hidden file got in" >&2; exit 70; }
(cd "$to" && find . -type f ! -name SHA256SUMS | sort | sed 's|^\./||' | xargs -d '\n' sha256sum >SHA256SUMS)
find "$to" -exec touch -h -d "@$epoch" {} +

mkdir -p "$out"
tar --create --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w --mtime="@$epoch" \
    --format=posix --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' "$name" |
    gzip --no-name --best >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >SHA256SUMS)
echo "$out/$name.tar.gz"
