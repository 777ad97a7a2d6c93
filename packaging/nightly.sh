#!/bin/sh
# Audits one night: that of the date given (YYYY-MM-DD), else the one that has just ended.
#
# Made for a timer or cron, which may start it too early or twice: 75 says "not yet, try again", and a night that is done
# stays as it is. All other exit codes are those of `chehra audit`.
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
if [ -f "$runs/$night/run.json" ]; then
    echo "nightly: $runs/$night is done" >&2
    exit 0
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
