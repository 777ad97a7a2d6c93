"""The module against the real program and the fixtures of the repository.

    CHEHRA_BINARY=target/release/chehra python -m pytest packaging/python
"""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

import chehra

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures"


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return chehra.audit(FIXTURES / "night2", tmp_path_factory.mktemp("runs") / "out", carry=["division", "sector"])


def test_the_run_is_what_the_program_left(run):
    assert run.record["rows"] == 10 and run.page.is_file()
    assert {"verdicts", "pairs", "clusters", "review"} <= set(run.tables())
    assert chehra.Run.open(run.path) == run


def test_progress_comes_line_by_line_and_the_result_after_it(tmp_path):
    running = chehra.start([FIXTURES / "night2"], tmp_path / "out", no_report=True, threads=1)
    events = list(running)
    assert any(event.stage == "see" and event.done == event.total == 10 for event in events), events
    assert all(event.time.endswith("Z") and event.level and event.message for event in events)
    run = running.result()
    assert not run.page.exists() and run.record["threads"] == 1


def test_tables_are_the_same_in_arrow_pandas_and_polars(run):
    pytest.importorskip("pyarrow", reason="tables need pyarrow")
    table = run.arrow("verdicts")
    assert table.num_rows == 10 and "division" in table.column_names and "sector" in table.column_names
    assert run.arrow("verdicts", ["verdict"]).column_names == ["verdict"]
    ids = table.column("submission_id").to_pylist()
    with pytest.raises(FileNotFoundError, match="clusters"):
        run.arrow("nonsense")
    pytest.importorskip("pandas", reason="DataFrames of pandas need pandas")
    assert list(run.pandas("verdicts")["submission_id"]) == ids
    pytest.importorskip("polars", reason="DataFrames of polars need polars")
    assert run.polars("verdicts")["submission_id"].to_list() == ids


def test_what_the_program_refuses_is_told_in_parts(tmp_path):
    with pytest.raises(chehra.Failed) as caught:
        chehra.audit(FIXTURES / "broken" / "truncated.parquet", tmp_path / "out")
    assert caught.value.exit_code == 65 and caught.value.parts["kind"] == "input"
    assert caught.value.parts["path"].endswith("truncated.parquet") and caught.value.parts["fix"]
    with pytest.raises(chehra.Failed) as caught:
        chehra.audit(FIXTURES / "night2", tmp_path / "out", presicion="bf16")
    assert caught.value.exit_code == 64 and "presicion" in str(caught.value)
    with pytest.raises(chehra.Failed) as caught:
        chehra.call("gallery", "stats", store=tmp_path / "none")
    assert caught.value.exit_code == 65 and caught.value.parts["kind"] == "input"
    assert not (tmp_path / "out").exists()


def test_a_picture_is_seen_compared_and_made_a_template():
    pictures = [(FIXTURES / "faces" / name).read_bytes() for name in ("macron_2014.jpg", "macron_2025.jpg", "obama.jpg")]
    seen = chehra.see(pictures[2])
    assert len(seen["faces"]) == 1 and seen["faces"][0]["liveness"] > 0.5
    same = chehra.compare(pictures[0], pictures[1])
    assert same["model"].startswith("sface:") and len(same["a"]["faces"]) == 1
    pytest.importorskip("pyarrow", reason="templates need pyarrow")
    a, b, c = chehra.templates(pictures)
    dot = lambda x, y: sum(p * q for p, q in zip(x, y))
    assert len(a) == 128 and abs(dot(a, a) - 1) < 1e-3
    assert dot(a, b) > 0.3 > dot(a, c), (dot(a, b), dot(a, c))
    # What is no picture has no template, and costs the others nothing.
    assert chehra.templates([b"nothing", pictures[2]])[0] is None
    assert chehra.templates([]) == []


def test_any_command_and_any_kind_of_option(tmp_path):
    policy = chehra.call("policy")
    assert policy["liveness"]["reject_below"] > 0
    store = tmp_path / "store"
    chehra.audit(FIXTURES / "night2", tmp_path / "out", store=store, no_report=True, crops=None, force=False)
    assert chehra.call("gallery", "stats", store=store)["live"] > 0
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_the_type_is_told_to_checkers():
    assert (pathlib.Path(chehra.__file__).parent / "py.typed").is_file()


def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("pandas", reason="the notebook needs pandas")
    script = FIXTURES.parent / "examples" / "notebook.py"
    # As in a notebook: the module is found the way this test found it.
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(chehra.__file__).parents[1])}
    words = [sys.executable, str(script), str(FIXTURES / "night"), str(tmp_path / "out")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("see: 38 of 38", "38 rows in", "duplicate_member", "eleven years apart 0.", "65 input -"):
        assert word in done.stdout, done.stdout
