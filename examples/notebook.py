#!/usr/bin/env python3
"""A night in a notebook: audit, progress, tables, a look at single faces. The cells begin with `# %%` (VS Code, Jupytext).

    pip install 'chehra[pandas]' && python examples/notebook.py fixtures/night out/night
"""

# %% The night
import pathlib
import sys

import chehra

dump, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
night = chehra.start(dump, out, force=True)
for event in night:
    if event.stage:
        print(f"{event.stage}: {event.done} of {event.total}")
run = night.result()
print(f"{run.record['rows']} rows in {sum(stage['seconds'] for stage in run.record['stages']):.1f} s")

# %% Verdicts by district
verdicts = run.pandas("verdicts")
print(verdicts.groupby(["district", "verdict"]).size().unstack(fill_value=0))

# %% Which reasons stand together
reasons = verdicts[["submission_id", "reasons"]].explode("reasons")
print(reasons["reasons"].value_counts().head(5))

# %% The pairs that people should look at first
pairs = run.pandas("pairs")
print(pairs.sort_values("similarity", ascending=False).head(3).T)

# %% Are these two one person?
faces = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "faces"
a, b, other = chehra.templates([(faces / name).read_bytes() for name in ("macron_2014.jpg", "macron_2025.jpg", "obama.jpg")])
cosine = lambda x, y: sum(p * q for p, q in zip(x, y))
print(f"eleven years apart {cosine(a, b):.2f}, somebody else {cosine(a, other):.2f}")

# %% What went wrong, in parts that a program can use
try:
    chehra.audit(dump / "nothing-here", out.with_name("nothing"))
except chehra.Failed as failed:
    print(failed.exit_code, failed.parts["kind"], "-", failed.parts["fix"])
