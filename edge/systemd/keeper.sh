#!/bin/sh
# Keeps a program running where no systemd does: keeper.sh LOG PIDFILE PROGRAM [ARGUMENT…]
# It ends with its program on TERM. It does not outlive a reboot: a real device has the units.
log=$1 pidfile=$2
shift 2
child=
trap 'trap "" TERM; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null; wait; rm -f "$pidfile"; exit 0' TERM INT
echo $$ >"$pidfile"
pause=1
while :; do
    # 10 MB twice: a program that complains for a year does not fill the disk.
    if [ "$(stat -c %s "$log" 2>/dev/null || echo 0)" -gt 10000000 ]; then mv -f "$log" "$log.1"; fi
    began=$(cut -d. -f1 /proc/uptime)
    "$@" >>"$log" 2>&1 </dev/null &
    child=$!
    wait "$child"
    code=$?
    child=
    lived=$(($(cut -d. -f1 /proc/uptime) - began))
    if [ "$lived" -gt 60 ]; then pause=1; fi
    echo "keeper: ended with $code after $lived s, again in $pause s" >>"$log"
    sleep "$pause" &
    wait $!
    if [ "$pause" -lt 60 ]; then pause=$((pause * 2)); fi
done
