"""The Spark job on real clusters of one machine, held to one process; see test.sh."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

JOB = Path(__file__).with_name("chehra_see.py")
CHEHRA, DUMP = Path(sys.argv[1]), Path(sys.argv[2])
TABLES = ["verdicts", "pairs", "clusters", "review", "suspects", "workers_audit"]
QUICK = ["--conf", "spark.ui.enabled=false", "--conf", "spark.sql.files.maxPartitionBytes=4m",
         "--conf", "spark.sql.files.openCostInBytes=0"]


def job(master, out, *flags, binary=CHEHRA, conf=(), dump=DUMP):
    """The job, under way."""
    words = ["--master", master, *QUICK]
    for pair in conf:
        words += ["--conf", pair]
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": " ".join([*words, "pyspark-shell"]), "PYSPARK_PYTHON": sys.executable}
    log = open(f"{out}.log", "w+")
    command = [sys.executable, str(JOB), str(dump), "--out", str(out), "--binary", str(binary), *flags]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    process.log = log
    return process


def ended(process, seconds=1500):
    """Its exit code, and what it said."""
    code = process.wait(timeout=seconds)
    process.log.seek(0)
    return code, process.log.read()


def done(process):
    code, said = ended(process)
    assert code == 0, said[-6000:]
    return said


def audit(place, name, *words):
    out = place / name
    subprocess.run([CHEHRA, "-q", "audit", "--no-report", "--out", out, *words], check=True)
    return out


def audit_seen(place, seen):
    words = ["--seen", seen]
    if (workers := DUMP / "workers.parquet").exists():
        words += ["--workers", workers]
    return audit(place, seen.name + "-run", *words)


def assert_same(one, other):
    for table in TABLES:
        assert (one / f"{table}.parquet").read_bytes() == (other / f"{table}.parquet").read_bytes(), table


def seen_rows(folder):
    files = [path for path in folder.rglob("*.parquet") if {"selfie", "row"} <= set(pq.read_schema(path).names)]
    return pa.concat_tables([pq.read_table(path).drop(["dump"]) for path in files]).sort_by("row").to_pylist()


def descendants(pid):
    """(pid, command line) of all processes below one."""
    children, lines = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                lines[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        for child in children.get(left.pop(), []):
            found.append((child, lines[child]))
            left.append(child)
    return found


def kill_one(roots, words, process, seconds=300):
    """Kills a process below some of ours whose command line has all of these words."""
    begun = time.time()
    while time.time() - begun < seconds:
        assert process.poll() is None, f"the job ended before {words} was there"
        for root in roots:
            for pid, line in descendants(root):
                if all(word in line for word in words):
                    os.kill(pid, signal.SIGKILL)
                    return pid
        time.sleep(0.05)
    raise AssertionError(f"no {words} within {seconds} s")


def script(path, text):
    path.write_text(f"#!{sys.executable}\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_local_cluster(place, whole):
    seen = place / "local"
    said = done(job("local-cluster[2,1,2048]", seen))
    assert_same(whole, audit_seen(place, seen))
    assert (seen / "rows").stat().st_mode & 0o077 == 0, "SEEN is for its owner alone"
    assert seen_rows(seen) == seen_rows(place / "one-process")
    return [line for line in said.splitlines() if "chehra_see:" in line]


def test_killed(place, whole):
    """A standalone cluster of two workers: a `chehra worker`, then an executor, are killed in the middle."""
    import pyspark

    home = Path(pyspark.__file__).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_WORKER_DIR": str(place / "work"), "SPARK_LOCAL_IP": "127.0.0.1"}
    log = open(place / "cluster.log", "w")
    deploy = "org.apache.spark.deploy"

    def start(*words):
        return subprocess.Popen([str(home / "bin/spark-class"), *words], stdout=log, stderr=log, env=environment)

    cluster = [start(f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")]
    try:
        time.sleep(5)
        for _ in range(2):
            words = ["--cores", "1", "--memory", "2g", "--webui-port", "0", f"spark://127.0.0.1:{port}"]
            cluster.append(start(f"{deploy}.worker.Worker", *words))
        time.sleep(5)
        seen = place / "standalone"
        process = job(f"spark://127.0.0.1:{port}", seen, conf=["spark.executor.memory=1g"])
        roots = [node.pid for node in cluster]
        kill_one(roots, [str(CHEHRA), "worker", "--contract"], process)
        time.sleep(1)
        kill_one(roots, ["CoarseGrainedExecutorBackend"], process)
        done(process)
    finally:
        for node in cluster:
            node.kill()
        for node in cluster:
            node.wait()
    assert_same(whole, audit_seen(place, seen))


def test_poisoned(place, whole):
    """A row that kills whoever looks at it: everybody else is seen as ever, and the row says why it was not."""
    path = sorted(path for path in DUMP.glob("*.parquet") if path.name not in ("workers.parquet", "truth.parquet"))[0]
    table = pq.read_table(path, columns=["submission_id", "selfie"])
    row = next(at for at in range(2, table.num_rows) if len(table["selfie"][at].as_py() or b"") > 5000)
    mark = table["selfie"][row].as_py()[2000:2064]
    # The real worker, killed when this picture is on its way to it.
    poisoned = script(place / "poisoned", f"""
import os, signal, subprocess, sys
words = [{str(CHEHRA)!r}, *sys.argv[1:]]
if "worker" not in words:
    os.execv(words[0], words)
child = subprocess.Popen(words, stdin=subprocess.PIPE)
tail = b""
while piece := os.read(0, 1 << 16):
    tail = tail[-64:] + piece
    if {mark!r} in tail:
        child.kill()
        child.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    child.stdin.write(piece)
    child.stdin.flush()
child.stdin.close()
sys.exit(child.wait())
""")
    seen = place / "with-poison"
    done(job("local[2,4]", seen, binary=poisoned))
    plain, found = seen_rows(place / "one-process"), seen_rows(seen)
    assert found[row]["selfie"] is None and found[row]["selfie_reason"] == "unreadable_image", found[row]
    assert "signal 9 (SIGKILL)" in found[row]["selfie_detail"]
    assert found[row]["submission_id"] == plain[row]["submission_id"]
    assert [r for r in found if r["row"] != row] == [r for r in plain if r["row"] != row]
    run = audit_seen(place, seen)
    verdict = pq.read_table(run / "verdicts.parquet").slice(row, 1).to_pylist()[0]
    assert verdict["verdict"] == "unreadable" and "SIGKILL" in verdict["detail"], verdict
    # Were it every row, it would be the node.
    code, said = ended(job("local[2,1]", place / "all-poison", "--most-poisoned", "0", binary=poisoned))
    assert code == 65 and "that is no matter of single pictures" in said.replace("\n", " "), said[-4000:]


def test_other_weights(place, whole):
    """A node with other weights is refused before anything is read."""
    other = script(place / "other", f"""
import os, sys
words = [{str(CHEHRA)!r}, *sys.argv[1:]]
if os.getcwd().rstrip("/").endswith("/1"):
    words += ["--embedder", "mobilefacenet192"]
os.execv(words[0], words)
""")
    seen = place / "refused"
    code, said = ended(job("local-cluster[2,1,2048]", seen, binary=other))
    assert code == 65, said[-4000:]
    assert "these nodes are not as the driver" in said and "embedder: expected sface" in said, said[-4000:]
    assert not seen.exists()


def test_other_source(place, whole):
    """Rows that Spark reads of another format, under other names of columns."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    files = [str(p) for p in sorted(DUMP.glob("*.parquet")) if p.name not in ("workers.parquet", "truth.parquet")]
    frame = spark.read.parquet(*files).withColumnRenamed("submission_id", "id")
    frame.coalesce(1).write.orc(str(place / "orc"))
    spark.stop()
    seen = place / "from-orc"
    flags = ["--format", "orc", "--identity", "night@1", "--columns", "submission_id=id"]
    done(job("local[2,4]", seen, *flags, dump=place / "orc"))
    verdicts = [pq.read_table(run / "verdicts.parquet").drop(["run_id"]).sort_by("submission_id").column("submission_id")
                for run in (whole, audit_seen(place, seen))]
    assert verdicts[0].equals(verdicts[1])
    code, said = ended(job("local[1,1]", place / "no", "--columns", "epic=none", dump=DUMP))
    assert code == 65 and "no column `none`" in said, said[-3000:]


def main():
    place = Path(tempfile.mkdtemp(prefix="chehra-spark-"))
    chosen = os.environ.get("ONLY", "").split()
    failed = 0
    try:
        whole = audit(place, "whole", DUMP)
        subprocess.run([CHEHRA, "-q", "see", DUMP, "--out", place / "one-process"], check=True)
        for name, test in [(name, test) for name, test in globals().items() if name.startswith("test_")]:
            if chosen and name not in chosen:
                continue
            begun = time.time()
            try:
                for line in test(place, whole) or ():
                    print("   ", line)
                print(f"{name}: ok, {time.time() - begun:.0f} s", flush=True)
            except Exception as error:
                failed += 1
                print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
    finally:
        if os.environ.get("KEEP"):
            print(place)
        else:
            shutil.rmtree(place, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
