#!/usr/bin/env bash
# Builds the book in a clone: target/book/docs/index.html (needs mdbook). What its pages link to outside of docs/ is copied
# beside it, and stays Markdown.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v mdbook >/dev/null || { echo "docs: mdbook is missing (https://rust-lang.github.io/mdBook)" >&2; exit 69; }

to=target/book
rm -rf "$to"
mdbook build docs
mkdir -p "$to"/{benches/results,examples,fixtures,weights}
cp ARCHITECTURE.md CHANGELOG.md LICENSE "$to"
mkdir -p "$to/packaging/python" && cp packaging/python/README.md "$to/packaging/python"
cp benches/results/*.{md,svg} "$to/benches/results"
cp examples/*.py "$to/examples"
cp fixtures/report.png fixtures/CREDITS.md "$to/fixtures"
cp -R weights/LICENSES "$to/weights"
# mdbook takes every page for one of its own.
sed -i.html -E 's|href="(\.\./[^"#]*)\.html|href="\1.md|g' "$to"/docs/*.html
rm "$to"/docs/*.html.html
echo "$to/docs/index.html"
