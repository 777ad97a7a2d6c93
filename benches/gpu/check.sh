#!/usr/bin/env bash
# Is it right? On a machine with a card, with the kit of pack.sh, in 4 minutes: the devices; every parity test by itself, so that
# one fault hides no other; a night of 256 rows by both decoders beside the CPU's; the memory checker on the search. No Rust.
#     benches/gpu/check.sh [--kit ARCHIVE] [--device cuda] [--out FOLDER] [--seconds 240]
#     benches/gpu/check.sh --device cpu --quick         # that the script itself runs, where there is no card
# Leaves results.tgz and log.txt in --out ($OUT, else ./gpu-results), rewritten after each step. A step that fails hides no
# other: exit code 1 then. Without card, driver or libraries, or with a kit for another machine: 69.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=240
. "$here/lib.sh"
options "$@"
begin
machine

# Those of the device first; those of the CPU while there is time.
list() { "$tests" --list 2>"$results/tests.err" | sed -n 's/: test$//p'; }
case $device in cpu) first='^cpu::' ;; *) first='^cuda:' ;; esac
names=$(list)
[ -n "$names" ] || record tests "FAILED: $tests lists none" 0 "$tests --list"
for name in $(grep "$first" <<<"$names"; grep '^nvjpeg::' <<<"$names"; grep -v "$first\|^nvjpeg::\|^metal:" <<<"$names"); do
    step "test-${name//:/-}" 60 txt "$tests" --exact "$name"
done

rows=256
[ -n "$quick" ] && rows=24
make_dump $rows
# audit NAME FLAGS...: the night, its run folder kept for the comparison.
audit() {
    local name=$1
    shift
    step "audit-$name" 60 txt "$chehra" audit "$dump" --out "$work/run-$name" --no-report "$@"
}
audit cpu --device cpu --jpeg cpu
for decoder in cores card; do
    if [ "$device" = cpu ] && [ $decoder = card ]; then
        skip audit-card "no card"
        continue
    fi
    case $decoder in cores) jpeg=cpu ;; card) jpeg=gpu ;; esac
    audit $decoder --device "$device" --jpeg $jpeg &&
        step "diff-$decoder" 20 txt "$chehra" report --diff "$work/run-cpu" "$work/run-$decoder"
done

if [ "$device" = cpu ]; then
    skip memcheck "no card"
elif command -v compute-sanitizer >/dev/null; then
    # Races are what no other test can see: blocks share their limits, threads their lists.
    for check in memcheck-integer_scan racecheck-integer_scan memcheck-full_lists; do
        test=$(grep "^cuda:.*::${check#*-}\$" <<<"$names" | head -n 1)
        step "$check" 60 txt compute-sanitizer --tool "${check%-*}" --error-exitcode 9 "$tests" --exact "$test"
    done
else
    skip memcheck "no compute-sanitizer on the path"
fi
finish
