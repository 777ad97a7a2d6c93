#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["duckdb>=1.0", "polars>=1.0", "pyarrow>=15"]
# ///
"""Reads the tables of a run folder three ways and answers what people ask in the morning.

    uv run examples/read_tables.py out/night         # installs what the block above names
    python examples/read_tables.py out/night         # with duckdb, polars and pyarrow installed

- pyarrow reads the files as they are: types, lists and structs, and the counts of the night.
- DuckDB answers in SQL, on the files themselves: fraud by district, pairs across districts.
- polars answers lazily, column by column: workers who stand out, why members are asked to come again.
"""

import argparse
import json
import os
import pathlib
import sys

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

TABLES = ["verdicts", "pairs", "clusters", "review", "workers_audit"]


def heading(text):
    print(f"\n== {text}")


def the_night(run):
    """pyarrow: what the run was, and how many rows got which verdict."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    verdicts = pq.read_table(run / "verdicts.parquet", columns=["submission_id", "verdict", "reasons"])
    heading(f"pyarrow: {verdicts.num_rows} submissions, run {record['run_id'][:12]}")
    for row in verdicts.group_by("verdict").aggregate([("submission_id", "count")]).sort_by("verdict").to_pylist():
        print(f"{row['verdict']:<12} {row['submission_id_count']:>8}")
    heading("pyarrow: reasons (a submission may have several)")
    counts = pc.value_counts(pc.list_flatten(verdicts["reasons"])).to_pylist()
    for row in sorted(counts, key=lambda row: (-row["counts"], row["values"])):
        print(f"{row['values']:<24} {row['counts']:>8}")


def by_district(run):
    """DuckDB: where members are not what they seem. Views over the files; nothing is copied."""
    base = duckdb.connect()
    for table in TABLES:
        path = str(run / f"{table}.parquet").replace("'", "''")
        base.sql(f"CREATE VIEW {table} AS SELECT * FROM '{path}'")
    heading("DuckDB: fraud by district")
    fraud = ["photo_of_photo", "duplicate_member", "duplicate_selfie", "member_is_worker", "worker_absent"]
    print(
        base.sql(
            """
            SELECT district, count(*) AS submissions,
                   count(*) FILTER (list_has_any(reasons, $fraud)) AS suspicious,
                   round(100.0 * suspicious / submissions, 1) AS percent
            FROM verdicts GROUP BY district ORDER BY percent DESC, district LIMIT 15
            """,
            params={"fraud": fraud},
        ).pl()
    )
    heading("DuckDB: pairs across districts, surest first")
    print(
        base.sql(
            """
            SELECT p.submission_a, p.submission_b, p.district_a, p.district_b, p.worker_a = p.worker_b AS same_worker,
                   round(p.similarity, 3) AS similarity, p.expected_false_matches, p.probability_false
            FROM pairs p WHERE p.cross_district
            ORDER BY p.probability_false, p.similarity DESC LIMIT 10
            """
        ).pl()
    )
    heading("DuckDB: duplicates with the first membership beside them")
    print(
        base.sql(
            """
            SELECT v.submission_id, v.district, v.worker_id, v.duplicate_of, first.district AS first_district,
                   first.worker_id AS first_worker, round(v.similarity, 3) AS similarity
            FROM verdicts v LEFT JOIN verdicts first ON first.submission_id = v.duplicate_of AND first.row <> v.row
            WHERE list_contains(v.reasons, 'duplicate_member') ORDER BY v.row LIMIT 10
            """
        ).pl()
    )


def by_worker(run):
    """polars: lazy, so that only the columns in use are read."""
    heading("polars: workers by how much they stand out (among those flagged, a share q is expected to be false alarms)")
    workers = pl.scan_parquet(run / "workers_audit.parquet").filter(pl.col("unit") == "worker")
    print(
        workers.with_columns((pl.col("peer_count") / pl.col("peer_submissions")).alias("peer_rate"))
        .select("id", "district", "reason", "count", "submissions", "rate", "peer_rate", "q_value", "flagged")
        .sort("q_value", "id", "reason")
        .head(10)
        .collect()
    )
    heading("polars: why members are asked to come again, by worker")
    verdicts = pl.scan_parquet(run / "verdicts.parquet").filter(pl.col("verdict") == "retake")
    print(
        verdicts.select("worker_id", "reasons")
        .explode("reasons")
        .group_by("worker_id", "reasons")
        .len()
        .sort(["len", "worker_id", "reasons"], descending=[True, False, False])
        .head(10)
        .collect()
    )
    heading("polars: faces, their roles and liveness (a list of structs)")
    faces = pl.scan_parquet(run / "verdicts.parquet").select("submission_id", "faces").explode("faces").unnest("faces")
    print(
        faces.drop_nulls("role")
        .group_by("role")
        .agg(pl.len(), pl.col("liveness").mean().round(3), pl.col("quality").mean().round(3))
        .sort("role")
        .collect()
    )


def main():
    pl.Config.set_tbl_hide_dataframe_shape(True).set_tbl_rows(20).set_tbl_cols(12).set_tbl_width_chars(150)
    pl.Config.set_tbl_hide_column_data_types(True).set_tbl_formatting("ASCII_MARKDOWN")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="run folder of `chehra audit`")
    run = parser.parse_args().run
    missing = [name for name in [*(f"{t}.parquet" for t in TABLES), "run.json"] if not (run / name).is_file()]
    if missing:
        sys.exit(f"{run}: no run folder of `chehra audit`: {', '.join(missing)} missing")
    the_night(run)
    by_district(run)
    by_worker(run)


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
