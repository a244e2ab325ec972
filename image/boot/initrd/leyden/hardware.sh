# Loads the kernel modules that the hardware asks for, again and again as more of it appears.
# shellcheck shell=sh

SYS=${SYS:-/sys}
PLUGGED=''

# What mounting needs, whatever the board; loaded while the card is still being found.
MOUNTING='ext4 loop squashfs overlay vfat nls_cp437 nls_ascii nls_iso8859-1'

# Loads modules for every device that is there and was not there the last time.
plug() {
	now=$(cat "$SYS"/bus/*/devices/*/modalias 2> /dev/null)
	[ "$now" != "$PLUGGED" ] || return 0
	PLUGGED=$now
	# shellcheck disable=SC2086 # one word a device
	modprobe -a -q -b $now 2> /dev/null
}

load_modules() {
	# shellcheck disable=SC2086
	modprobe -a -q $MOUNTING &
	plug
	wait $!
}
