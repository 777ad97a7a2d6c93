"""What the Spark job costs beside one process, in turns: python benches/spark.py CHEHRA DUMP OUT (PySpark 4, Linux, Java 17).

Seconds of the processor are those of a command and all its descendants, also of those that outlive their parent.
"""

import ctypes
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
CONF = "--conf spark.ui.enabled=false --conf spark.sql.files.maxPartitionBytes=12m --conf spark.sql.files.openCostInBytes=0"


def spent(command, **environment):
    """Seconds by the clock and of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    before, begun = used.ru_utime + used.ru_stime, time.time()
    subprocess.run(command, check=True, env={**os.environ, **environment})
    clock = time.time() - begun
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, used.ru_utime + used.ru_stime - before


def main(chehra, dump, out):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    job = Path(__file__).resolve().parent.parent / "packaging/spark/chehra_see.py"
    spark = {"PYSPARK_SUBMIT_ARGS": f"--master local-cluster[2,1,2048] {CONF} pyspark-shell", "PYSPARK_PYTHON": sys.executable}
    for turn in (1, 2):
        one = spent([chehra, "-q", "--threads", "2", "see", dump, "--out", f"{out}/one-{turn}"])
        many = spent([sys.executable, str(job), dump, "--out", f"{out}/spark-{turn}", "--binary", chehra], **spark)
        for name, (clock, processor) in (("one process", one), ("local-cluster[2,1,2048]", many)):
            print(f"{name}: {clock:.1f} s by the clock, {processor:.1f} s of the processor", flush=True)


if __name__ == "__main__":
    main(*[os.path.abspath(path) for path in sys.argv[1:4]])
