#!/bin/sh
# Audits one night: that of the date given (YYYY-MM-DD), else the one that has just ended.
#
# Made for a timer or cron, which may start it too early or twice: 75 says "not yet, try again", and a night that is done
# stays as it is. 65 says that a folder cannot be looked into, which no later try changes. All other exit codes are those of
# `chehra audit`.
set -eu

# The earlier half of a day still belongs to the night before.
night=${1:-$(date -d '12 hours ago' +%F)}
dumps=${CHEHRA_NIGHTLY_DUMPS:-/srv/chehra/dumps}
runs=${CHEHRA_NIGHTLY_RUNS:-/srv/chehra/runs}
mark=${CHEHRA_NIGHTLY_MARK-_SUCCESS}
chehra=${CHEHRA_NIGHTLY_PROGRAM:-chehra}

case $night in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
    *) echo "nightly: '$night' is no date; write it as 2026-11-21" >&2; exit 64 ;;
esac
# One that was stopped while it cleaned up has left its note: the same command does the rest, where the dump is still there.
if [ -f "$runs/$night/run.json" ] && { [ ! -e "$runs/.$night.partial/committed" ] || [ ! -d "$dumps/$night" ]; }; then
    echo "nightly: $runs/$night is done" >&2
    exit 0
fi
# "Not there yet" must not be said of what is there and closed.
for folder in "$dumps" "$dumps/$night"; do
    if [ -e "$folder" ] && { [ ! -d "$folder" ] || [ ! -r "$folder" ] || [ ! -x "$folder" ]; }; then
        echo "nightly: $folder cannot be looked into: check that it is a folder, whose it is, and its rights" >&2
        exit 65
    fi
done
if [ ! -d "$dumps" ]; then
    echo "nightly: $dumps is not there: check CHEHRA_NIGHTLY_DUMPS, and whether its disk is mounted" >&2
    exit 65
fi
if [ ! -d "$dumps/$night" ] || { [ -n "$mark" ] && [ ! -e "$dumps/$night/$mark" ]; }; then
    echo "nightly: $dumps/$night${mark:+/$mark} is not there yet" >&2
    exit 75
fi
mkdir -p "$runs"
# These are for this script alone; the program would ask what they mean.
unset CHEHRA_NIGHTLY_DUMPS CHEHRA_NIGHTLY_RUNS CHEHRA_NIGHTLY_MARK CHEHRA_NIGHTLY_PROGRAM
# The same command as the last time goes on where that was stopped; the store lets one audit in at a time.
exec "$chehra" audit "$dumps/$night" --out "$runs/$night"
