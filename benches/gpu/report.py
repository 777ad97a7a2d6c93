#!/usr/bin/env python3
"""The tables of what check.sh or measure.sh left in a folder so far: `report.py FOLDER`. Standard library alone."""
import json
import statistics
import sys
from pathlib import Path


def read(path):
    """What a step printed; a step that was ended in the middle left nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def text(path):
    return path.read_text(errors="replace").strip() if path.exists() else ""


def median(values):
    values = list(values)
    return statistics.median(values) if values else float("nan")


def steps(folder):
    """Every step with what became of it; one that did not run shows nothing, and says so."""
    rows = [line.split("\t") for line in text(folder / "steps.tsv").splitlines()]
    lines = ["| step | | seconds |", "|---|---|---|"]
    return lines + [f"| `{name}` | {verdict if verdict == 'ok' else f'**{verdict}**'} | {spent} |" for name, verdict, spent, *_ in rows]


def nights(folder):
    """What whole nights differ in: the verdicts by the CPU and by the device."""
    found = [(path.stem.removeprefix("diff-"), text(path)) for path in sorted(folder.glob("diff-*.txt"))]
    told = lambda said: "; ".join(line.strip() for line in said.splitlines() if line[:1].isdigit())
    return [f"The night by the {name} beside the CPU's: {told(said)}." for name, said in found if said]


def see(folder):
    rows = []
    for path in sorted([*folder.glob("see-*.json"), *folder.glob("audit.json")]):
        report = read(path)
        if not report:
            continue
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
    found = [report for path in sorted(folder.glob("pairs-*.json")) if (report := read(path))]
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


def embed(folder):
    """The embedder alone, and what PyTorch made of the same network on the same device in the same run."""
    found = [report for path in sorted(folder.glob("embed-*.json")) if (report := read(path))]
    if not found:
        return []
    theirs = {}
    for r in (read(folder / "peers.json") or {}).get("results", []):
        kind = next((kind for kind in ("bf16", "f16", "f32") if f", {kind}, " in r["what"]), None)
        if r["peer"].startswith("PyTorch") and r["what"].startswith("IResNet") and kind:
            theirs[kind] = max(theirs.get(kind, 0.0), r["rate"])
    lines = ["| embedder | device | arithmetic | at a time | faces/s | Gmac a face | Tera-op/s | PyTorch's best faces/s | ours by PyTorch's |",
             "|---|---|---|---|---|---|---|---|---|"]
    for r in found:
        best = theirs.get(r["precision"])
        beside = f"{best:.1f} | {r['faces_per_s'] / best:.2f}" if best else "not measured | "
        lines.append(f"| {r['model']} | {r['device']} | {r['precision']} | {r['batch']} | {r['faces_per_s']:.1f} | {r['gmac']:.2f} "
                     f"| {r['tera_ops_s']:.2f} | {beside} |")
    return lines


def profiles(folder):
    lines = []
    for path in sorted(folder.glob("profile-*.txt")):
        kept = [line.rstrip() for line in text(path).splitlines() if any(word in line for word in PROFILED)]
        lines += [f"`{path.stem}`:", "```", *kept, "```"] if kept else []
    return lines


# Of a profile, what says where the time goes; the whole of it stands in the archive.
PROFILED = ("Duration", "Compute (SM) Throughput", "Memory Throughput", "DRAM Throughput", "L2 Hit Rate", "Registers Per Thread",
            "Achieved Occupancy", "Theoretical Occupancy", "Warp Cycles Per Issued Instruction")


def main():
    folder = Path(sys.argv[1])
    machine = text(folder / "machine.txt").splitlines()
    print("; ".join(machine) + "\n")
    for part in (steps, nights, see, pairs, embed, peers, profiles):
        try:
            lines = part(folder)
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            lines = [f"{part.__name__}: no table ({type(error).__name__}: {error})."]
        if lines:
            print("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
