#!/bin/sh
# Starts a process of Shopfloor: ExecStart=/opt/shopfloor/launch agent --site …
#
# Lies beside the venvs and belongs to none of them: it decides also when the one that is on trial
# cannot be imported. A start of that one is counted on the disk before it is made; after three of
# the same command the trial is over, and what was good runs again. The agent makes `trial` and
# takes `failed` away (shopfloor_edge.slots.applications).
set -u
home=${0%/*}
trial=$home/trial
most=3

app=$(readlink -f "$home/current")
if [ -d "$trial" ]; then
    new=$(readlink -f "$trial/app")
    starts=$trial/starts.$(printf '%s' "$*" | cksum | cut -d ' ' -f 1)
    count=$(wc -l 2>/dev/null <"$starts" || echo 0)
    if [ "$count" -ge "$most" ]; then
        printf '%s ended badly %s times\n' "$1" "$count" >"$trial/reason" && sync "$trial/reason"
        mv -T "$trial" "$home/failed" && sync "$home"
    elif printf '%s\n' "$1" >>"$starts" && sync "$starts" "$trial"; then
        app=$new
    fi
fi
# Says to the process that its end brings the venv that is wanted then.
SHOPFLOOR_LAUNCHER=$0
export SHOPFLOOR_LAUNCHER
exec "$app/bin/python" -I -m shopfloor_edge.main "$@"
