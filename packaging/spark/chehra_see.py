#!/usr/bin/env python3
"""See a dump on a Spark cluster: the first stage of `chehra audit`, many machines at a time.

Reads the dump with Spark, hands its rows to one `chehra worker` in each task, and writes a SEEN folder, which
`chehra audit --seen SEEN` turns into the night's tables on one machine. Needs PySpark 4 (with pyarrow) and the chehra
binary on every node, best by `--archives`; README.md beside this file has the spark-submit lines.

Before any work the contract of every node (version, networks, arithmetic, limits) is compared with the driver's. A row
that ends the worker that looks at it is found by halving its batch and becomes `unreadable_image` with the cause.

Exit codes: 0 done, 64 wrong usage, 65 a dump or a node that cannot be used, 75 the job failed and may be tried again.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading

USAGE, INPUT, TRY_AGAIN = 64, 65, 75
# Names that are no part of a dump when they are found in a folder, as `chehra` has it.
WORKERS = "workers.parquet"
BESIDE = (WORKERS, "truth.parquet")
# Set where spark-submit did not say otherwise.
DEFAULTS = {
    "spark.speculation": "false",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    # A picture has hundreds of kilobytes: a batch is bounded by its bytes, and small enough to halve quickly.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "128",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(64 << 20),
    # About 200 selfies a task: the start of a worker is a hundredth of that.
    "spark.sql.files.maxPartitionBytes": str(32 << 20),
    # SEEN holds templates of people: for its owner alone.
    "spark.hadoop.fs.permissions.umask-mode": "077",
    "spark.sql.parquet.compression.codec": "snappy",
}


class Refused(Exception):
    """What trying again does not mend."""

    def __init__(self, text, code=INPUT):
        super().__init__(text)
        self.code = code


class Died(Exception):
    """The worker ended before it had answered."""


class Worker:
    """One `chehra worker`: a batch in, a batch out, started anew after it has died."""

    def __init__(self, command, environment, seconds):
        self.command, self.environment, self.seconds = command, environment, seconds
        self.process = None
        self.starts = 0

    def start(self, schema):
        import pyarrow as pa

        # A file and no pipe: nobody reads along, and what the worker says must never block it.
        self.said = tempfile.TemporaryFile()
        pipe = subprocess.PIPE
        try:
            self.process = subprocess.Popen(
                self.command, stdin=pipe, stdout=pipe, stderr=self.said, env=self.environment
            )
        except OSError as error:
            raise Refused(f"{self.command[0]}: {error}") from None
        self.starts += 1
        self.writer = pa.ipc.new_stream(self.process.stdin, schema)
        self.reader = None

    def see(self, batch):
        """What was seen in the rows of a batch; `Died` where the worker ended instead of answering."""
        import pyarrow as pa

        if self.process is None:
            self.start(batch.schema)
        late = threading.Timer(self.seconds, self.process.kill)
        late.start()
        try:
            self.writer.write_batch(batch)
            self.process.stdin.flush()
            if self.reader is None:
                self.reader = pa.ipc.open_stream(self.process.stdout)
            seen = self.reader.read_next_batch()
        except (OSError, StopIteration, pa.ArrowInvalid, ValueError) as error:
            raise Died(self.bury(str(error), not late.is_alive())) from None
        finally:
            late.cancel()
        same = seen.num_rows == batch.num_rows and seen.column("row").equals(batch.column("row"))
        if not same:
            self.stop()
            raise Refused(f"{batch.num_rows} rows went into the worker and {seen.num_rows}, or others, came out")
        return seen

    def bury(self, error, was_late):
        """Why the worker has ended. What trying again does not mend is raised."""
        process, self.process = self.process, None
        for pipe in (process.stdin, process.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        try:
            code = process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else ""
        try:
            last = json.loads(last)["message"]
        except (ValueError, KeyError, TypeError):
            pass
        if was_late:
            return f"no answer within {self.seconds} seconds"
        if code < 0:
            return f"signal {-code} ({signal.Signals(-code).name})"
        if code in (64, 65, 69):
            raise Refused(last or f"the worker ended with exit code {code}")
        return f"exit code {code}: {last or error}"

    def stop(self):
        """Ends the worker, which must not complain."""
        if self.process is None:
            return
        process, self.process = self.process, None
        try:
            self.writer.close()
            process.stdin.close()
            process.stdout.read()
            code = process.wait(timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            code = process.wait()
        if code != 0:
            raise Died(f"the worker ended with exit code {code} after its last batch")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Task:
    """The batches of one partition. A batch that ends the worker is tried once more, then halved."""

    def __init__(self, worker, most_poisoned):
        self.worker, self.most_poisoned, self.poisoned = worker, most_poisoned, 0

    def see(self, batch):
        """Batches of what was seen, together the rows of the batch in their order."""
        try:
            return [self.worker.see(batch)]
        except Died:
            pass
        # What kills in passing (a full node, an operator) does not come twice.
        try:
            return [self.worker.see(batch)]
        except Died as error:
            return self.halve(batch, str(error))

    def halve(self, batch, cause):
        if batch.num_rows == 1:
            self.poisoned += 1
            if self.poisoned > self.most_poisoned:
                raise Refused(
                    f"{self.poisoned} rows of one task each ended the worker, the last one with {cause}: that is no matter "
                    "of single pictures; look at the node, or raise --most-poisoned"
                )
            return [self.worker.see(told(batch, f"the picture ended the process that looked at it, twice: {cause}"))]
        half = batch.num_rows // 2
        return self.see(batch.slice(0, half)) + self.see(batch.slice(half))


def told(batch, cause):
    """The batch with the reason why its rows must not be looked at, and without their pictures."""
    import pyarrow as pa

    columns = []
    for field, column in zip(batch.schema, batch.columns):
        if field.name == "unreadable":
            column = pa.array([cause] * batch.num_rows, field.type)
        elif field.name in ("selfie", "photo"):
            column = pa.nulls(batch.num_rows, field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def gpus():
    """Addresses of the GPUs that Spark gave to this task."""
    from pyspark import TaskContext

    context = TaskContext.get()
    given = context.resources().get("gpu") if context else None
    return list(given.addresses) if given else []


def environment():
    """The worker's environment: without the settings of somebody's shell, with the task's own GPUs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHEHRA_")}
    if addresses := gpus():
        kept["CUDA_VISIBLE_DEVICES"] = ",".join(addresses)
    return kept


def see_batches(command, seconds, most_poisoned):
    """The function that Spark calls with the batches of a partition."""

    def see(batches):
        worker = Worker(command, environment(), seconds)
        task = Task(worker, most_poisoned)
        rows_in = rows_out = 0
        try:
            for batch in batches:
                rows_in += batch.num_rows
                for seen in task.see(batch) if batch.num_rows else ():
                    rows_out += seen.num_rows
                    yield seen
            worker.stop()
        finally:
            worker.kill()
        if rows_in != rows_out:
            raise Refused(f"{rows_in} rows went in and {rows_out} came out")

    return see


def contract_of(binary, arguments, in_task=False):
    """What `chehra contract` prints here."""
    asked = [binary, "contract", *arguments]
    done = subprocess.run(asked, capture_output=True, text=True, env=environment() if in_task else None)
    if done.returncode != 0:
        raise Refused(f"{shlex.join(asked)}: exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def compared(binary, arguments, expected):
    """The function that looks at the contract of the node on which it runs, and says what differs."""

    def look(_):
        import socket

        host = socket.gethostname()
        try:
            here = contract_of(binary, arguments, in_task=True)
        except (Refused, OSError, ValueError) as error:
            yield host, str(error)
            return
        differs = [
            f"{name}: expected {expected.get(name)}, found {here.get(name)}"
            for name in expected
            if name != "digest" and here.get(name) != expected[name]
        ]
        yield host, "; ".join(differs)

    return look


def check_nodes(spark, binary, arguments, expected):
    """Compares every executor's contract with the driver's, before anything is read."""
    context = spark.sparkContext
    slots = max(1, context.defaultParallelism // int(context.getConf().get("spark.task.cpus", "1")))
    look = compared(binary, arguments, expected)
    nodes = context.parallelize(range(slots), slots)
    if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        # Executors come and go: those that come later are checked by each worker.
        told = nodes.mapPartitions(look).collect()
    else:
        # All at once, so that no slot is left out.
        told = nodes.barrier().mapPartitions(look).collect()
    wrong = sorted({f"{host}: {differs}" for host, differs in told if differs})
    if wrong:
        raise Refused("these nodes are not as the driver:\n  " + "\n  ".join(wrong))
    hosts = sorted({host for host, _ in told})
    say(f"{len(told)} slots on {', '.join(hosts)} have contract {expected['digest']}")


def say(text):
    print(f"chehra_see: {text}", file=sys.stderr, flush=True)


class Hadoop:
    """Files as the driver's Hadoop sees them: local, HDFS, S3A and whatever else is set up."""

    def __init__(self, spark):
        self.jvm, self.configuration = spark._jvm, spark._jsc.hadoopConfiguration()

    def path(self, text):
        return self.jvm.org.apache.hadoop.fs.Path(text)

    def system(self, path):
        return path.getFileSystem(self.configuration)

    def listed(self, root):
        """The Parquet files of a dump below a path, as `chehra` chooses them: (address, size)."""
        path = self.path(root)
        system = self.system(path)
        if not system.exists(path):
            raise Refused(f"{root}: nothing there")
        path = system.makeQualified(path)
        if system.getFileStatus(path).isFile():
            return [(path.toUri().toString(), system.getFileStatus(path).getLen())]
        found = []
        base = len(path.toUri().getPath().rstrip("/").split("/"))
        files = system.listFiles(path, True)
        while files.hasNext():
            status = files.next()
            uri = status.getPath().toUri()
            names = uri.getPath().split("/")[base:]
            hidden = any(name.startswith(("_", ".")) for name in names)
            if names[-1].lower().endswith(".parquet") and names[-1] not in BESIDE and not hidden:
                found.append((uri.toString(), status.getLen()))
        if not found:
            raise Refused(f"{root}: no Parquet file of a dump")
        return found

    def sha256(self, address):
        uri = self.jvm.java.net.URI(address)
        path = self.jvm.org.apache.hadoop.fs.Path(uri)
        stream = self.system(path).open(path)
        try:
            return self.jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream)
        finally:
            stream.close()


def workers_beside(spark, roots):
    """The table of workers in a folder of the dump, or beside a file of it: an audit without the dump must be given it."""
    hadoop = Hadoop(spark)
    for root in roots:
        path = hadoop.path(root)
        system = hadoop.system(path)
        folder = path.getParent() if system.getFileStatus(path).isFile() else path
        table = hadoop.path(f"{folder.toString().rstrip('/')}/{WORKERS}")
        if system.exists(table):
            return plain(system.makeQualified(table).toUri().toString())
    return None


def plain(address):
    """The path of a local file, else its address: what the record of a run names."""
    from urllib.parse import unquote, urlparse

    parts = urlparse(address)
    return unquote(parts.path) if parts.scheme in ("", "file") else address


def hashes(spark, addresses):
    """SHA-256 of the dump's files, read by the driver while the executors work; the record of the night needs them."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(4)
    return [pool.submit(Hadoop(spark).sha256, address) for address in addresses]


def columns_of(frame, names, contract):
    """Columns of the contract's names: (ours, theirs). The driver's chehra says which are needed."""
    there = {name.lower(): name for name in frame.columns}
    chosen = []
    for column in contract["input"]:
        ours = column["name"]
        if ours in ("row", "unreadable"):
            continue
        theirs = there.get(names.get(ours, ours).lower())
        if theirs is not None:
            chosen.append((ours, theirs))
        elif column["required"] or ours in names:
            raise Refused(f"no column `{names.get(ours, ours)}` in the dump; there are {', '.join(frame.columns)}")
    return chosen


def read_files(spark, roots, names, contract):
    """The rows of Parquet files with their position, the table of files, and hashes in the making."""
    from pyspark.sql import functions as F

    hadoop = Hadoop(spark)
    files = sorted({file for root in roots for file in hadoop.listed(root)}, key=lambda file: plain(file[0]).split("/"))
    addresses = [address for address, _ in files]
    reader = spark.read.option("mergeSchema", "true")
    if len(roots) == 1 and addresses != [hadoop.system(hadoop.path(roots[0])).makeQualified(hadoop.path(roots[0])).toUri().toString()]:
        # `district=Ujjain` folders below the dump are columns.
        reader = reader.option("basePath", roots[0])
    frame = reader.parquet(*[plain(address) for address in addresses])
    placed = frame.select("*", F.col("_metadata.file_path").alias("__file"), F.col("_metadata.row_index").alias("__at"))
    counted = {row["__file"]: row["count"] for row in placed.groupBy("__file").count().collect()}
    by_path = {plain(address): count for address, count in counted.items()}
    counts = [by_path.pop(plain(address), 0) for address in addresses]
    if by_path:
        raise Refused(f"rows of a file that is not in the list: {next(iter(by_path))}")
    first, offsets = 0, []
    written = {plain(address): address for address in counted}
    for address, count in zip(addresses, counts):
        if count:
            offsets.append((written[plain(address)], first))
        first += count
    starts = F.broadcast(spark.createDataFrame(offsets, "__file string, __first long"))
    rows = placed.join(starts, "__file").withColumn("row", F.col("__first") + F.col("__at"))
    chosen = columns_of(frame, names, contract)
    present = [ours for ours, _ in chosen]
    table = [(plain(address), size, count, present) for (address, size), count in zip(files, counts)]
    return rows, chosen, table, hashes(spark, addresses)


def read_other(spark, form, root, identity, names, contract):
    """The rows of any other source, in the order in which Spark hands them out."""
    from concurrent.futures import Future
    from hashlib import sha256

    from pyspark.sql import functions as F

    frame = spark.read.format(form).load(root)
    chosen = columns_of(frame, names, contract)
    # The number of a partition, and of a row in it, in one number.
    placed = frame.withColumn("__at", F.monotonically_increasing_id())
    place = F.shiftright("__at", 33)
    counts = placed.groupBy(place.alias("part")).count().orderBy("part").collect()
    first, starts = 0, []
    for row in counts:
        starts.append((row["part"], first))
        first += row["count"]
    starts = F.broadcast(spark.createDataFrame(starts, "__part long, __first long"))
    rows = placed.withColumn("__part", place).join(starts, "__part")
    rows = rows.withColumn("row", F.col("__first") + F.col("__at").bitwiseAND(F.lit((1 << 33) - 1)))
    done = Future()
    done.set_result(sha256(f"{form} {identity}".encode()).hexdigest())
    return rows, chosen, [(identity, 0, first, [ours for ours, _ in chosen])], [done]


def write(spark, options, contract):
    from hashlib import sha256

    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    names = dict(pair.split("=", 1) for pair in options.columns)
    if options.format == "parquet":
        rows, chosen, table, prints = read_files(spark, options.dump, names, contract)
    else:
        if len(options.dump) != 1 or not options.identity:
            raise Refused(f"--format {options.format} takes one DUMP and --identity, as 'members@v12'", USAGE)
        rows, chosen, table, prints = read_other(
            spark, options.format, options.dump[0], options.identity, names, contract
        )
    total = sum(count for _, _, count, _ in table)
    if total == 0:
        raise Refused("the dump has no rows")
    listed = json.dumps([(os.path.basename(path), size, count) for path, size, count, _ in table])
    dump = sha256(listed.encode()).hexdigest()[:24]
    wanted = [F.col("row"), F.lit(None).cast("string").alias("unreadable")]
    wanted += [F.col(f"`{theirs}`").alias(ours) for ours, theirs in chosen]
    rows = rows.select(*wanted)
    if options.repartition:
        rows = rows.repartition(options.repartition, "row")
    cores = spark.sparkContext.getConf().get("spark.task.cpus", "1")
    command = [options.binary, "--json", "--quiet", "--threads", cores, "worker", "--dump", dump]
    command += ["--contract", contract["digest"], *options.arguments]
    schema = from_arrow_schema(output_schema(options, dump, contract))
    say(f"dump {dump}: {total} rows in {len(table)} files, {rows.rdd.getNumPartitions()} tasks")
    seen = rows.mapInArrow(see_batches(command, options.seconds, options.most_poisoned), schema)
    out = options.out.rstrip("/")
    seen.write.mode("overwrite" if options.overwrite else "error").parquet(f"{out}/rows")

    workers = workers_beside(spark, options.dump) if options.format == "parquet" else None
    written = spark.read.parquet(f"{out}/rows").count()
    if written != total:
        raise Refused(f"{total} rows went in and {written} were written")
    files = [
        (contract["seen_version"], dump, at, len(table), path, size, count, present, workers, future.result())
        for at, ((path, size, count, present), future) in enumerate(zip(table, prints))
    ]
    files = spark.createDataFrame(
        files,
        "seen_version int, dump string, file int, files int, path string, bytes long, rows long, "
        "columns array<string>, workers string, sha256 string",
    )
    files.coalesce(1).write.mode("overwrite" if options.overwrite else "error").parquet(f"{out}/dump")
    say(f"{out}: {written} rows. Next: chehra audit --seen {out} --out RUN")


def output_schema(options, dump, contract):
    """The columns of what comes out, as the driver's worker says when nothing goes in."""
    import pyarrow as pa

    fields = [
        ("row", pa.int64()),
        ("submission_id", pa.string()),
        ("worker_id", pa.string()),
        ("district", pa.string()),
        ("captured_at", pa.timestamp("us", "UTC")),
        ("selfie", pa.binary()),
    ]
    worker = [options.binary, "--quiet", "worker", "--dump", dump, "--contract", contract["digest"], *options.arguments]
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, pa.schema(fields)).close()
    done = subprocess.run(worker, input=sink.getvalue().to_pybytes(), capture_output=True)
    if done.returncode != 0:
        raise Refused(done.stderr.decode(errors="replace").strip())
    return pa.ipc.open_stream(done.stdout).schema


def options_of(arguments):
    parser = argparse.ArgumentParser(
        description="See a dump on a Spark cluster, for chehra audit --seen.",
        epilog="What follows -- goes to `chehra worker` and `chehra contract`: -- --precision bf16 --policy policy.toml",
    )
    parser.add_argument("dump", nargs="+", metavar="DUMP", help="Parquet files or folders, or one table of another format")
    parser.add_argument("--out", required=True, metavar="SEEN", help="folder to write")
    parser.add_argument("--binary", default="chehra/bin/chehra", help="chehra on every node [default: %(default)s, of --archives]")
    parser.add_argument("--format", default="parquet", help="what Spark reads DUMP as: parquet, delta, orc ...")
    parser.add_argument("--identity", help="names the table and its version, where it is not Parquet")
    parser.add_argument("--columns", action="append", default=[], metavar="OURS=THEIRS", help="a column by another name")
    parser.add_argument("--repartition", type=int, metavar="N", help="spread the rows over N tasks first (moves every picture)")
    parser.add_argument("--seconds", type=float, default=900, help="longest wait for one batch [default: %(default)s]")
    parser.add_argument("--most-poisoned", type=int, default=8, metavar="N", help="most rows of a task that may end a worker")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier SEEN")
    own, rest = (arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]) if "--" in arguments else (arguments, [])
    options = parser.parse_args(own)
    options.arguments = rest
    if any("=" not in pair for pair in options.columns):
        parser.error("--columns wants OURS=THEIRS")
    return options


def main(arguments):
    try:
        options = options_of(arguments)
    except SystemExit as ended:
        return USAGE if ended.code else 0
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    # Only with the JVM there does a configuration know what spark-submit was told.
    SparkContext._ensure_initialized()
    given = SparkConf()
    builder = SparkSession.builder.appName("chehra see")
    for name, value in DEFAULTS.items():
        if not given.contains(name):
            builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        contract = contract_of(options.binary, options.arguments)
        check_nodes(spark, options.binary, options.arguments, contract)
        write(spark, options, contract)
    except Refused as refused:
        print(f"error: {refused}", file=sys.stderr)
        return refused.code
    except Exception as error:  # The cluster's: Spark has tried as often as it was told to.
        if "Refused: " in str(error):
            print("error: " + str(error).split("Refused: ", 1)[1].split("\n\n")[0].strip(), file=sys.stderr)
            return INPUT
        print(f"error: the job failed and may be tried again: {str(error).strip()[:4000]}", file=sys.stderr)
        return TRY_AGAIN
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
