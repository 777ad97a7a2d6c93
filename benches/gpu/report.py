#!/usr/bin/env python3
"""The table of what benches/gpu/run.sh left in a folder: `report.py FOLDER`. Standard library alone."""
import json
import re
import statistics
import sys
from pathlib import Path


def read(path):
    return json.loads(path.read_text()) if path.exists() else None


def median(values):
    values = list(values)
    return statistics.median(values) if values else float("nan")


def parity(folder):
    """What the tests said; ignored ones are named, for they showed nothing."""
    text = (folder / "parity.txt").read_text(errors="replace") if (folder / "parity.txt").exists() else ""
    # What a test prints stands between its name and its verdict.
    verdicts = re.findall(r"^test (\S+) +\.\.\. (?:.*?\n)??.*?(ok|FAILED|ignored)$", text, re.M | re.S)
    if not verdicts:
        return ["Parity: the tests left no verdict (`parity.txt`)."]
    lines = ["| parity test | |", "|---|---|"]
    return lines + [f"| `{name}` | {'**not run**: ignored' if verdict == 'ignored' else verdict} |" for name, verdict in verdicts]


def see(folder):
    rows = []
    for path in sorted(folder.glob("see-*.json")):
        report = read(path)
        runs, selfies = report["see"]["runs"], report["see"]["selfies"]
        wall = median(run["wall_s"] for run in runs) / selfies
        cpu = median(run["cpu_s"] for run in runs) / selfies
        gmac = report["see"]["gmac"] / selfies
        jpeg = report.get("jpeg") or {}
        audit = report.get("audit")
        night = f"{audit['selfies'] / median(run['wall_s'] for run in audit['runs']):.0f}" if audit else ""
        rows.append((path.stem.removeprefix("see-"), report, wall, cpu, gmac, jpeg, night))
    if not rows:
        return []
    lines = ["| networks | device | JPEGs by | selfies/s seen | selfies/s, whole audit | processor ms a selfie | Gmac a selfie | Tera-op/s |",
             "|---|---|---|---|---|---|---|---|"]
    for name, report, wall, cpu, gmac, jpeg, night in rows:
        who = jpeg.get("library") if jpeg.get("decoder") == "gpu" else "the cores"
        lines.append(f"| {name} | {report.get('device', '')} | {who} | {1 / wall:.1f} | {night} | {1000 * cpu:.2f} | {gmac:.2f} "
                     f"| {2 * gmac / wall / 1000:.2f} |")
    lines += ["", "Milliseconds a selfie by stage: the processor's, all threads; and, on a device, by the clock of the thread that "
                  "waits for it.", ""]
    stages = [name for name, _ in rows[0][1]["see"]["stages_cpu_s"]]
    lines += ["| networks | | " + " | ".join(stages) + " |", "|---|---|" + "---|" * len(stages)]
    for name, report, *_ in rows:
        for kind, key in (("processor", "stages_cpu_s"), ("clock", "stages_wall_s")):
            costs = dict(report["see"].get(key) or [])
            if any(costs.values()):
                selfies = report["see"]["selfies"]
                lines.append(f"| {name} | {kind} | " + " | ".join(f"{1000 * costs.get(s, 0) / selfies:.3f}" for s in stages) + " |")
    measured = [jpeg for *_, jpeg, _ in rows if jpeg.get("gpu_pictures_per_s")]
    if measured:
        jpeg = measured[0]
        lines += ["", f"Decoding alone, 1280x960: {jpeg['gpu_pictures_per_s']:.0f} pictures/s on the card ({jpeg['library']}), "
                      f"{jpeg['cpu_pictures_per_s']:.0f} on the cores."]
    return lines


def pairs(folder):
    found = [read(path) for path in sorted(folder.glob("pairs-*.json"))]
    if not found:
        return []
    found.sort(key=lambda r: (r["dim"], r["rows"]))
    lines = ["| all pairs of | values | seconds | pairs/s | Tera-op/s | of the matrix units | kernel |", "|---|---|---|---|---|---|---|"]
    for r in found:
        share = f"{100 * r['share_of_peak']:.0f} % of {r['peak_tera_ops_s']:.0f}" if r.get("share_of_peak") else ""
        lines.append(f"| {r['rows']:,} | {r['dim']} | {r['seconds']:.1f} | {r['pairs_per_s']:.3e} | {r['tera_ops_s']:.1f} | {share} "
                     f"| {r['kernel']} |")
    return lines


def peers(folder):
    report = read(folder / "peers.json")
    if not report:
        return []
    lines = ["| peer | what | rate | |", "|---|---|---|---|"]
    lines += [f"| {r['peer']} | {r['what']} | {r['rate']:.4g} {r['unit']} | {r.get('note', '')} |" for r in report["results"]]
    return lines + [f"\nNot measured: {text}." for text in report["left_out"]]


def main():
    folder = Path(sys.argv[1])
    machine = (folder / "machine.txt").read_text().strip().splitlines() if (folder / "machine.txt").exists() else []
    print("## Measured by `benches/gpu/run.sh`\n\n" + "; ".join(machine) + "\n")
    for part in (parity, see, pairs, peers):
        lines = part(folder)
        if lines:
            print("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
