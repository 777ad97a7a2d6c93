#!/usr/bin/env bash
# One synthetic drive from dump to promise, as docs/promise.md tells it: every step with its command, its seconds by the
# clock and by the processor.
#
#   benches/drive.sh FACES OUT [ROWS]        # ROWS over three nights, 5000; CHEHRA names the program
#
# OUT/steps.tsv has a line for each step that is done, OUT/said what it printed. A step that stands there is not done again,
# so a drive that was stopped goes on where it was.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64; }
faces=$(realpath "$1"); out=$2; rows=${3:-5000}
chehra=$(realpath "$(command -v "${CHEHRA:-chehra}")")
mkdir -p "$out"/{said,runs,calls}
cd "$out"
touch steps.tsv
TIMEFORMAT='%R %U %S'

# step NAME COMMAND...: runs it and writes down what it took.
step() {
  local name=$1 seconds; shift
  grep -q "^$name	" steps.tsv && return
  echo "$name: chehra $*" >&2
  seconds=$({ time "$chehra" "$@" > "said/$name.txt" 2> "said/$name.err"; } 2>&1) || { cat "said/$name.err" >&2; exit 1; }
  read -r wall user system <<< "$seconds"
  printf '%s\t%s\t%s\tchehra %s\n' "$name" "$wall" "$(echo "$user + $system" | bc)" "$*" >> steps.tsv
}

# answers LIST TABLE: the rows of TABLE about members on LIST. The others were never asked.
answers() {
  awk -F, 'NR == FNR { listed[$2]; next } FNR == 1 || $1 in listed' "$1/callers.csv" "$2"
}

step synth synth --faces "$faces" --out drive --rows "$rows" --nights 3 --seed 22 --repeat-people
for n in 1 2 3; do
  step "audit-$n" audit "drive/night-$n" --store store --out "runs/n$n" --precision bf16
  step "release-$n" release "runs/n$n"
  earlier=()
  for m in $(seq 1 $((n - 1))); do earlier+=("runs/n$m.sample"); done
  step "sample-$n" sample "runs/n$n" --calls 220 --seed "3 1 4 1 5 $n" --earlier "${earlier[@]}"
  # The calls: in life by `chehra review runs/n1 --calls runs/n1.sample`, or by filling in callers.csv.
  answers "runs/n$n.sample" "drive/night-$n/answers.csv" > "calls/n$n.csv"
  step "assurance-$n" assurance runs/n?.sample --responses calls/n?.csv --at-most 0.02 --out "promise-$n"
done

# Those who did not answer are sampled once more, and visited.
for n in 1 2 3; do
  step "second-$n" sample "runs/n$n" --silent-of "runs/n$n.sample" --responses "calls/n$n.csv" --seed "9 2 6 $n" \
    --out "runs/n$n.second"
  answers "runs/n$n.second" "drive/night-$n/visits.csv" > "calls/visits-$n.csv"
done
step assurance-visits assurance runs/n?.sample runs/n?.second --responses calls/*.csv --at-most 0.02 --out promise
step report report runs/n3 --dump drive/night-3 --assurance promise/assurance.json
# What members answered by SMS goes into an audit.
step audit-answered audit drive/night-3 --store store --responses drive/night-{1,2,3}/replies.csv --out runs/n3-answered \
  --precision bf16

awk -F'\t' '{ printf "%-18s %8.1f s %8.1f s of processor   %s\n", $1, $2, $3, $4 }' steps.tsv
