#!/bin/sh
# Tests of the Spark job on real clusters of this machine: test.sh PYTHON CHEHRA [DUMP]
# PYTHON has PySpark 4, pyarrow and pandas<3; DUMP is fixtures/night unless given. Needs Linux and Java 17.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$1" "$here/test_spark.py" "$(realpath "$2")" "$(realpath "${3:-$here/../../fixtures/night}")"
