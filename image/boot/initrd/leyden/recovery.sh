# When no slot can be started: says why, on console, card and a web page from memory, and helps.
# shellcheck shell=sh
#
# Nothing here needs the slots or the data partition. Who does nothing gets a new try of both slots
# after a quarter of an hour: what kept them from starting may have been the power supply.

# shellcheck source=image/boot/initrd/leyden/network.sh
. /leyden/network.sh
# shellcheck source=image/boot/initrd/leyden/slots.sh
. /leyden/slots.sh

BOOT=/boot
PATIENCE=${PATIENCE:-900} # seconds without a visitor until the slots are tried again
DIRECT=169.254.76.89      # an address that is always there, for a computer on the same cable

recover() {
	trap - EXIT # nothing behind this to give up for
	mkdir -p "$RECORDS/recovery" "$BOOT"
	say "Recovery: no slot could be started. Looking at the card …"
	load_modules
	watchdog_arm
	find_card "$CARD_ID" 20 || say "The card is not found any more; seen were: $(disks_in_words)."
	alive_for 600
	slots_examine > "$RECORDS/recovery/slots.txt"
	recovery_settings
	network_prepare "$DIRECT"
	httpd -p 80 -h /www
	explain
	stand_by
}

# What the pages need to know; each is a program of its own. The token makes sure that what asks for
# something has seen this page, and is not another site in the same browser.
recovery_settings() {
	cat > "$RECORDS/recovery/settings" <<-END
		CARD='$CARD'
		TOKEN='$(head -c 16 /dev/random | od -An -v -tx1 | tr -d ' \n')'
	END
}

# Goes round until somebody decides: plugs what is plugged in, keeps addresses, shows them.
stand_by() {
	shown=''
	while [ ! -e "$RECORDS/recovery/restart" ]; do
		alive_for 60
		plug
		network_follow
		addresses=$(network_addresses)
		if [ "$addresses" != "$shown" ]; then
			shown=$addresses
			explain
		fi
		patience_left || say "Nobody came: the slots are tried again now."
		sleep 1
	done
	cat "$RECORDS/recovery/restart" > "$CONSOLE"
	sync
	reboot -f
	while :; do sleep 60; done
}

# Fails, and asks for a restart, when nobody has opened the page for too long.
patience_left() {
	[ ! -e "$RECORDS/recovery/job" ] || return 0
	read -r up _ < /proc/uptime
	seen=0
	[ ! -e "$RECORDS/recovery/seen" ] || read -r seen < "$RECORDS/recovery/seen"
	[ $((${up%.*} - seen)) -lt "$PATIENCE" ] && return 0
	: > "$RECORDS/recovery/restart"
	return 1
}

# Says it on the console and, where it can be written, on the boot partition.
explain() {
	explanation > "$RECORDS/recovery/explanation.txt"
	sed 's/$/\r/' "$RECORDS/recovery/explanation.txt" > "$CONSOLE"
	[ -n "$CARD" ] || return 0
	mount -t vfat -o rw,nosuid,nodev,noexec "$DEV/$(part 1)" "$BOOT" 2> /dev/null || return 0
	sed 's/$/\r/' "$RECORDS/recovery/explanation.txt" > "$BOOT/RECOVERY.txt" 2> /dev/null ||
		say "The boot partition cannot be written; RECOVERY.txt is missing there."
	umount "$BOOT"
}

explanation() {
	cat <<-END

		LEYDEN RECOVERY

		Neither of the two systems on this card could be started:

		$(sed 's/^/  /' "$RECORDS/recovery/slots.txt")

		Open one of these addresses in a browser on the same network:

		$(network_addresses | sed 's|^|  http://|;s|$|/|')

		The page offers to try a slot again, and to write a slot anew from an update bundle
		(*.raucb) on a USB stick or on this card's boot partition. Settings and records on the
		data partition are not touched. If nobody opens the page, both slots are tried again
		after $((PATIENCE / 60)) minutes. If nothing helps, write the card anew.

	END
}
