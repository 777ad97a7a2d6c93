#!/usr/bin/env python3
"""Prints the licence texts of every crate and font that is built into the program, each text once.

    packaging/third_party.py TARGET > THIRD-PARTY.txt

Reads `cargo metadata` of the locked dependencies and the files that the crates bring (LICENSE, COPYING, NOTICE); a crate
that brings none is named with its licence and repository.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Fonts that are built into the program, and their licences.
FONTS = {"Noto Sans Devanagari": ("OFL-1.1", ROOT / "src/review/page/fonts/OFL.txt")}
NAMES = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)


def linked(metadata):
    """Ids of the packages that the program itself depends on: no test or build dependencies."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    todo, seen = [metadata["resolve"]["root"]], set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        for dep in nodes[at]["deps"]:
            if any(kind["kind"] is None for kind in dep["dep_kinds"]):
                todo.append(dep["pkg"])
    return seen - {metadata["resolve"]["root"]}


def main(target):
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    ids = linked(metadata)
    packages = sorted((p for p in metadata["packages"] if p["id"] in ids), key=lambda p: (p["name"], p["version"]))
    if not packages:
        sys.exit("third_party: no dependencies found")
    texts = {}
    print("Libraries linked into chehra, with their licences. The texts follow below, each once.\n")
    for package in packages:
        name = f"{package['name']} {package['version']}"
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(p for p in folder.iterdir() if p.is_file() and NAMES.match(p.name))
        print(f"{name:<40} {package['license'] or 'see the text below'}")
        if not files:
            print(f"{'':<40} {package['repository'] or package['homepage'] or ''}")
        for path in files:
            text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip()
            texts.setdefault(text, []).append(name)
    for name, (licence, path) in FONTS.items():
        print(f"{name:<40} {licence}")
        texts.setdefault(path.read_text(encoding="utf-8").strip(), []).append(name)
    for text, names in texts.items():
        print("\n" + "=" * 100 + "\n" + ", ".join(dict.fromkeys(names)) + "\n\n" + text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
