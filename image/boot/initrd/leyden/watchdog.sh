# The hardware watchdog from the first second: petted while a stage is within its time, else it bites.
# shellcheck shell=sh

WATCHDOG_DEVICE=${WATCHDOG_DEVICE:-/dev/watchdog0}
CONSOLE_LEVEL=${CONSOLE_LEVEL:-/proc/sys/kernel/printk}
WATCHDOG_ARMED=false
WATCHDOG_PID=''

# Allows the present stage this long; nothing is petted after that.
alive_for() { # SECONDS
	read -r up _ < /proc/uptime
	echo $((${up%.*} + $1)) > "$RECORDS/alive-until"
}

# Opens the watchdog and pets it from a process of its own, every 3 s; the Pi's own bites after 15 s.
watchdog_arm() {
	[ "$WATCHDOG" = yes ] && [ -c "$WATCHDOG_DEVICE" ] || return 0
	alive_for 120
	watchdog_pet &
	WATCHDOG_PID=$!
	WATCHDOG_ARMED=true
}

watchdog_pet() {
	trap - EXIT
	exec 9> "$WATCHDOG_DEVICE"
	while read -r up _ < /proc/uptime && read -r limit < "$RECORDS/alive-until" &&
		[ "${up%.*}" -lt "$limit" ]; do
		printf . >&9
		sleep 3
	done
	# Held open and silent: closing it here could be read as a farewell.
	while :; do sleep 60; done
}

# Leaves the watchdog running: systemd opens it within its first second and pets it from then on.
# The kernel calls that critical, since nobody took leave of the watchdog; the console is spared it.
watchdog_hand_over() {
	rm -f "$RECORDS/alive-until"
	[ -n "$WATCHDOG_PID" ] || return 0
	read -r shown _ < "$CONSOLE_LEVEL"
	echo 1 > "$CONSOLE_LEVEL"
	kill -9 "$WATCHDOG_PID"
	wait "$WATCHDOG_PID" 2> /dev/null
	echo "$shown" > "$CONSOLE_LEVEL"
}
