#!/usr/bin/env python3
"""Fifty typical mistakes at the command line, and what each is told: benches/results/mistakes.md.

    benches/mistakes.py target/release/chehra [OLDER] > benches/results/mistakes.md

A mistake counts as well told when the message has the words that a person needs to go on (the third column of MISTAKES),
and the exit code is that of wrong usage (64) or wrong input (65), or of an answer (0, 2). With an older binary the table
says which of them it told well.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

NIGHT = pathlib.Path("fixtures/night").resolve()
PHOTO = next(iter(sorted(pathlib.Path("fixtures/faces").rglob("*.jpg"))), pathlib.Path("photo.jpg")).resolve()

# What was meant, the words typed, and what the message must say to be of use.
MISTAKES = [
    ("a flag with a letter missing", "audit NIGHT --ot x", ["--out"]),
    ("a flag with letters swapped", "audit NIGHT --stroe s --out x", ["--store"]),
    ("a flag of another command", "audit NIGHT --out x --port 80", ["--port"]),
    ("a command misspelt", "aduit NIGHT --out x", ["audit"]),
    ("no command", "", ["Usage"]),
    ("no --out", "audit NIGHT", ["--out"]),
    ("no dump", "audit --out x", ["DUMP"]),
    ("a dump that is not there", "audit /no/such/dump --out x", ["check the path"]),
    ("a glob that matches nothing", "audit NIGHT/*.parq --out x", ["no match"]),
    ("an empty folder", "audit empty --out x", ["*.parquet"]),
    ("CSV as a dump", "audit dump.csv --out x", ["read_csv"]),
    ("JSON as a dump", "audit dump.json --out x", ["read_json"]),
    ("an Excel workbook as a dump", "audit dump.xlsx --out x", ["save it as CSV"]),
    ("Feather as a dump", "audit dump.feather --out x", ["pyarrow"]),
    ("a ZIP file as a dump", "audit dump.zip --out x", ["unpack"]),
    ("an ORC file as a dump", "audit dump.orc --out x", ["Spark"]),
    ("a gzip file as a dump", "audit dump.parquet.gz --out x", ["unpack"]),
    ("an empty file as a dump", "audit empty.parquet --out x", ["0 bytes"]),
    ("a photo as a dump", "audit photo.jpg --out x", ["chehra inspect"]),
    ("a run folder as a dump", "audit run --out x", ["a run folder"]),
    ("a table of a run as a dump", "audit run/verdicts.parquet --out x", ["a table of a run folder"]),
    ("a dump cut off in copying", "audit cut.parquet --out x", ["cut off", "copy it again"]),
    ("a table of other columns as a dump", "audit NIGHT/workers.parquet --out x", ["submission_id", "[columns]"]),
    ("a run folder that exists", "audit NIGHT --out run", ["--force"]),
    ("--out inside the dump", "audit dumps --out dumps/out", ["lies in the dump"]),
    ("a policy that is not there", "audit NIGHT --out x --policy none.toml", ["chehra policy > policy.toml"]),
    ("a key of the policy misspelt", "audit NIGHT --out x --policy typo.toml", ["unknown field"]),
    ("a limit out of its range", "audit NIGHT --out x --policy range.toml", ["0 to 1"]),
    ("a percentage where a share is meant", "audit NIGHT --out x --policy percent.toml", ["0.5"]),
    ("a policy that is no TOML", "audit NIGHT --out x --policy photo.jpg", ["photo.jpg"]),
    ("a device that is not there", "audit NIGHT --out x --device cuda", ["--device"]),
    ("a device misspelt", "audit NIGHT --out x --device gpu", ["cuda"]),
    ("weights that are not there", "audit NIGHT --out x --weights /no/such", ["/no/such"]),
    ("an embedder that is not there", "audit NIGHT --out x --embedder arcface", ["arcface"]),
    ("a column to carry that is not there", "audit NIGHT --out x --carry app_versoin", ["app_version"]),
    ("booths without their column", "audit NIGHT --out x --booths dump.csv", ["booth_id"]),
    ("no threads", "audit NIGHT --out x --threads 0", ["1..=1024"]),
    ("a key of chehra.toml misspelt", "audit NIGHT --out x --config typo-chehra.toml", ["store"]),
    ("a time zone that is none", "audit NIGHT --out x --config zone.toml", ["Asia/Kolkata"]),
    ("a dump given to review", "review NIGHT", ["chehra audit"]),
    ("a dump given to report", "report NIGHT", ["chehra audit"]),
    ("a file of a run given to review", "review run/run.json", ["name the folder"]),
    ("the folder above the runs", "review runs", ["name one of them"]),
    ("a run that is not there", "release no-run", ["nothing at this path"]),
    ("a port beyond any", "review run --port 99999", ["65535"]),
    ("a filter that is no SQL", "dedup NIGHT --where \"district = Ujjain\"", ["Ujjain"]),
    ("a column in a filter that is not there", "dedup NIGHT --where \"distrct = 'a'\"", ["district"]),
    ("--against store without a store", "dedup NIGHT --against store", ["--store"]),
    ("a format that is none", "dedup NIGHT --format excel", ["xlsx"]),
    ("a store that is none", "gallery stats --store NIGHT", ["store"]),
    ("a photo that is none", "inspect dump.csv", ["dump.csv"]),
    ("one photo to compare", "compare photo.jpg", ["required"]),
]


def prepare(folder):
    def write(name, data):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    parquet = sorted(NIGHT.glob("submissions*.parquet"))[0].read_bytes()
    write("dump.csv", "submission_id,worker_id,district\n1,2,Ujjain\n")
    write("dump.json", '[{"submission_id": 1}]')
    write("dump.xlsx", b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml" + b"\0" * 40)
    write("dump.zip", b"PK\x03\x04" + b"\0" * 26 + b"dump.parquet" + b"\0" * 40)
    write("dump.feather", b"ARROW1" + b"\0" * 60)
    write("dump.orc", b"ORC" + b"\0" * 60)
    write("dump.parquet.gz", b"\x1f\x8b" + b"\0" * 60)
    write("empty.parquet", b"")
    write("cut.parquet", parquet[: len(parquet) // 2])
    write("dumps/night.parquet", parquet)
    write("photo.jpg", PHOTO.read_bytes())
    write("typo.toml", "[quality]\nmax_yow = 40\n")
    write("range.toml", "[liveness]\nreview_below = 1.5\n")
    write("percent.toml", "[matching]\nreview_false_share = 5\n")
    write("typo-chehra.toml", "stor = \"s\"\n")
    write("zone.toml", "time_zone = \"IST+5:30\"\n")
    for name in ["run", "runs/2026-11-21"]:
        write(name + "/run.json", "{}")
        write(name + "/verdicts.parquet", parquet)
    (folder / "empty").mkdir()


def words(line):
    return [re.sub('"', "", part).replace("NIGHT", str(NIGHT)) for part in re.findall(r'(?:"[^"]*"|[^\s"])+', line)]


def told(binary, line, folder):
    done = subprocess.run([binary, *words(line)], cwd=folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    text = (done.stderr or done.stdout).replace(str(folder) + "/", "").replace(str(NIGHT), "NIGHT")
    return done.returncode, text


def is_well_told(code, text, needed):
    flat = " ".join(text.split())
    return code in (0, 2, 64, 65, 69) and all(word in flat for word in needed)


def shown(text):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    lines = [line for line in lines if not line.startswith(("For more information", "Usage:"))]
    flat = " / ".join(lines)
    flat = flat if len(flat) <= 260 else flat[:257] + "..."
    return flat.replace("|", "\\|").replace("<", "&lt;")


def main():
    binaries = [str(pathlib.Path(name).resolve()) for name in sys.argv[1:3]]
    counts = [0] * len(binaries)
    rows = []
    for what, line, needed in MISTAKES:
        marks = []
        for at, binary in enumerate(binaries):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                prepare(folder)
                code, text = told(binary, line, folder)
            good = is_well_told(code, text, needed)
            counts[at] += good
            marks.append((good, code, text))
        good, code, text = marks[0]
        before = "" if len(marks) < 2 else " | " + ("yes" if marks[1][0] else "no")
        rows.append(f"| {what} | `chehra {line.replace('|', chr(92) + '|')}` | {code} | {'yes' if good else '**no**'}{before} | {shown(text)} |")
    print("# Typical mistakes, and what each is told\n")
    print("Made by `benches/mistakes.py`, which says for each mistake what a message must have to be of use: the right flag, what")
    print("the file is, or the command that goes on from there. NIGHT is the sample night. A message is shown from its beginning.\n")
    total = len(MISTAKES)
    print(f"**{counts[0]} of {total} are told well**" + (f"; of the version before, {counts[1]}." if len(counts) > 1 else ".") + "\n")
    more = " | before" if len(binaries) > 1 else ""
    print(f"| mistake | typed | exit | told well{more} | the message |")
    print("|---|---|---|---|" + ("---|" if more else "") + "---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
