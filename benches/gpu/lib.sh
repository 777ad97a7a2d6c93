# What check.sh and measure.sh share; sourced, not run. A step has a time limit, leaves what it printed in a file, and never ends
# the script; after each step the results are written anew as one archive and one log, so that whatever stops the script later,
# or the machine, costs the step at hand and nothing before it.
#
# $results has NAME.txt (or .json) and NAME.err of each step, and steps.tsv: name, verdict, seconds, command.

kit=$root/target/gpu-kit.tar.xz device=cuda out=${OUT:-gpu-results} python=${PYTHON:-python3} quick=""
work="" results="" chehra="" tests="" failed=0

# Ends with the exit code of a device that is not available.
refuse() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 69
}
usage() {
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

# options WORDS...: reads the flags that both scripts have; $seconds is the script's own default.
options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) quick=1; shift; continue ;;
        --kit | --device | --out | --seconds) [ $# -ge 2 ] || usage ;;
        *) usage ;;
        esac
        case $1 in
        --kit) kit=$2 ;; --device) device=$2 ;; --out) out=$2 ;; --seconds) seconds=$2 ;;
        esac
        shift 2
    done
    case $device in cpu | cuda | cuda:[0-9]*) ;; *) usage ;; esac
}

# Opens the kit, and refuses one that cannot run here, before any work.
begin() {
    deadline=$((SECONDS + seconds))
    mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 75
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    results=$work/results
    mkdir "$results"
    open_kit
    check_kit
    chehra=$kit/chehra tests=$kit/device-tests
    # Weights and fixtures are those of the tree.
    export CHEHRA_WEIGHTS=$root/weights TEST_IN_THIS_PROCESS=1
    # What the driver compiles in one process, later ones find, whatever $HOME is.
    export CUDA_CACHE_PATH=$work/cuda-cache CUDA_CACHE_MAXSIZE=1073741824
    libraries
    cd "$root" || exit 75
    check_device
}

open_kit() {
    [ -e "$kit" ] || refuse "no kit: looked for $kit; make one with benches/gpu/pack.sh, or name one with --kit"
    if [ -f "$kit" ]; then
        # Python reads what a machine without xz cannot.
        tar -C "$work" -xJf "$kit" 2>"$work/tar.err" || "$python" -m tarfile -e "$kit" "$work" 2>>"$work/tar.err" ||
            refuse "$kit is no archive that tar or $python can read: $(tail -n 1 "$work/tar.err")"
        kit=$work/gpu-kit
    fi
    kit=$(cd "$kit" && pwd)
    local file
    for file in KIT chehra; do
        [ -s "$kit/$file" ] || refuse "$kit is no kit: it has no $file; make one with benches/gpu/pack.sh"
    done
}

fact() { sed -n "s/^$1=//p" "$kit/KIT"; }

check_kit() {
    local needed found
    needed=$(fact machine) found=$(uname -m)
    [ "$needed" = "$found" ] || refuse "the kit is for $needed and this machine is $found; pack it on a machine of this kind"
    needed=$(fact glibc) found=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/[^0-9]*//')
    [ -n "$found" ] || refuse "the kit needs glibc $needed, and getconf names none here; pack it on a machine of this kind"
    [ "$(printf '%s\n%s\n' "$needed" "$found" | sort -V | tail -n 1)" = "$found" ] ||
        refuse "the kit needs glibc $needed and this machine has $found; pack it on a machine with glibc $found or older"
}

# nvJPEG of the kit, and the CUDA libraries that came with Python packages.
libraries() {
    local found
    found=$("$python" -c 'import glob, nvidia
print(":".join(sorted({f for p in nvidia.__path__ for f in glob.glob(p + "/*/lib") + glob.glob(p + "/lib")})))' 2>/dev/null)
    export CHEHRA_CUDA_LIBS=$kit/lib${CHEHRA_CUDA_LIBS:+:$CHEHRA_CUDA_LIBS}${found:+:$found}
}

# The smallest thing that needs the device. Where the program refuses it, what it says is all that there is to say; any other fault
# is one of the search, and hides no other step.
check_device() {
    local code=0
    local first=("$chehra" --quiet bench --all-pairs 64 --dim 16 --runs 1 --device "$device")
    timeout --kill-after=5 60 "${first[@]}" >"$results/first-search.txt" 2>"$results/first-search.err" || code=$?
    case $code in
    69)
        cat "$results/first-search.err" >&2
        { date -u +%FT%TZ; cat "$results/first-search.err"; } >"$out/log.txt"
        exit 69
        ;;
    0) record first-search ok "$SECONDS" "${first[*]}" ;;
    *) record first-search "FAILED: exit $code" "$SECONDS" "${first[*]}" ;;
    esac
}

# step NAME LIMIT KIND COMMAND...: runs it; KIND is what it prints, txt or json. Succeeds where it did.
step() {
    local name=$1 limit=$2 kind=$3 start=$SECONDS code=0 verdict=ok left=$((deadline - SECONDS))
    shift 3
    if [ $left -lt 2 ]; then
        record "$name" "not run: no time left" 0 "$*"
        return 1
    fi
    [ "$limit" -le $left ] || limit=$left
    timeout --kill-after=5 "$limit" "$@" >"$results/$name.$kind" 2>"$results/$name.err" || code=$?
    case $code in
    0) ;;
    124 | 137) verdict="FAILED: ended after $limit s" ;;
    *) verdict="FAILED: exit $code" ;;
    esac
    # What a test harness leaves out is no result.
    grep -q '^test result: ok\. 0 passed; 0 failed; [1-9]' "$results/$name.txt" 2>/dev/null && verdict="not run: ignored"
    record "$name" "$verdict" $((SECONDS - start)) "$*"
    [ "$verdict" = ok ]
}

# skip NAME WHY: a step that has nothing to run on here.
skip() { record "$1" "not run: $2" 0 ""; }

record() {
    local name=$1 verdict=$2 spent=$3 command=${4//[$'\n\t']/ }
    printf '%s\t%s\t%s\t%s\n' "$name" "$verdict" "$spent" "${command//$work/WORK}" >>"$results/steps.tsv"
    printf '%-50s %4s s  %s\n' "$name" "$spent" "$verdict" >&2
    case $verdict in FAILED*) failed=$((failed + 1)) ;; esac
    keep
}

# Rewrites what comes back: one archive, one log, one table. What a failed step said stands in the log.
keep() {
    local name verdict spent command
    {
        date -u +%FT%TZ
        cat "$kit/KIT"
        while IFS=$'\t' read -r name verdict spent command; do
            printf '\n=== %s: %s (%s s)\n%s\n' "$name" "$verdict" "$spent" "$command"
            tail -qn 40 "$results/$name".txt "$results/$name".err 2>/dev/null | cut -c1-2000
        done <"$results/steps.tsv"
    } >"$work/log.txt"
    "$python" "$here/report.py" "$results" >"$results/gpu.md" 2>"$work/report.err" || cat "$work/report.err" >>"$work/log.txt"
    tar -C "$work" -czf "$work/results.tgz" results && put "$work/results.tgz"
    put "$work/log.txt"
}
put() { cp "$1" "$out/.new" && mv "$out/.new" "$out/$(basename "$1")"; }

machine() {
    step devices 30 json "$chehra" devices --json
    step machine 30 txt bash -c 'date -u +%FT%TZ; uname -srm; nproc; '"$chehra"' --version; nvidia-smi \
        --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"'
}

# Selfies of two people, 1280x960, from the portraits of the fixtures: dump ROWS. The generator wants more people, so each
# portrait stands for four: the dump shows what a night costs, and nothing about who is who.
make_dump() {
    local rows=$1 list=$work/people.csv face copy
    echo person,path >"$list"
    for face in "$root"/fixtures/faces/*.jpg; do
        for copy in 1 2 3 4; do
            echo "$(basename "$face" .jpg)-$copy,$face" >>"$list"
        done
    done
    printf 'long_side = 1280\nportrait_share = 0.0\nmembers_per_worker = 1000000\n' >"$work/plan.toml"
    step dump 90 txt "$chehra" --quiet synth --faces "$list" --plan "$work/plan.toml" --out "$work/dump" --rows "$rows" \
        --nights 1 --seed 5 --fraud 0 --repeat-people
    dump=$(ls -d "$work"/dump/night-* 2>/dev/null | head -n 1)
}

# Ends the script: the table, and what it comes to.
finish() {
    keep
    cat "$results/gpu.md"
    printf '\n%s and %s\n' "$out/results.tgz" "$out/log.txt" >&2
    [ $failed = 0 ] || { printf '%s steps FAILED\n' $failed >&2; exit 1; }
}
