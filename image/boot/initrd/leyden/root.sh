# The slot's read-only root with a volatile layer above it, and the way into it.
# shellcheck shell=sh

OVERLAY_SHARE=${OVERLAY_SHARE:-25%} # of the memory, at most, for what programs write beside /data

# Puts the root of a slot together at ROOT.
root_prepare() { # PARTITION_NUMBER
	slot_part=$(part "$1")
	[ -n "$slot_part" ] || give_up "The card has no partition $1: its partition table is damaged."
	mkdir -p "$RECORDS/slot" "$RECORDS/lower" "$RECORDS/overlay"
	mount -t ext4 -o ro,noatime "$DEV/$slot_part" "$RECORDS/slot" ||
		give_up "The file system of slot $SLOT ($slot_part) cannot be mounted."
	mount -t squashfs -o ro,loop "$RECORDS/slot/root.squashfs" "$RECORDS/lower" ||
		give_up "/root.squashfs of slot $SLOT ($slot_part) cannot be mounted."
	mount -t tmpfs -o "mode=0755,size=$OVERLAY_SHARE" tmpfs "$RECORDS/overlay"
	mkdir "$RECORDS/overlay/upper" "$RECORDS/overlay/work"
	overlay="lowerdir=$RECORDS/lower,upperdir=$RECORDS/overlay/upper,workdir=$RECORDS/overlay/work"
	mount -t overlay -o "$overlay" overlay "$ROOT" ||
		give_up "The volatile layer cannot be put over the root of slot $SLOT."
	[ -x "$ROOT$INIT" ] || [ -L "$ROOT$INIT" ] || give_up "The root of slot $SLOT has no $INIT."
}

# slot.json as it stands, when it is one line of JSON; null otherwise.
slot_record() {
	tr -d '\n' 2> /dev/null < "$RECORDS/slot/slot.json" | grep '^{.*}$' || echo null
}

# Runs a tool of the root, which sees our devices. It is named by its path: busybox has applets of
# the same names, which it would take instead.
in_root() { # PATH ARGUMENT…
	for folder in dev proc sys; do
		mountpoint_of "$ROOT/$folder" || mount --bind "/$folder" "$ROOT/$folder"
	done
	chroot "$ROOT" "$@"
}

mountpoint_of() { # FOLDER
	grep -qs " $1 " /proc/mounts
}

# Mounts the boot partition read-only, and looks for what a person has asked for on it.
boot_partition_prepare() {
	RESET=no
	boot_part=$(part 1)
	if ! mount_boot_partition "$DEV/$boot_part"; then
		note warning boot-partition "The boot partition ($boot_part) cannot be mounted: requests and \
settings on it are not seen. Check the card in another computer."
		return
	fi
	BOOT=$ROOT/boot/firmware
	forget_recovery
	ask_for_reset
}

mount_boot_partition() { # DEVICE
	mount -t vfat -o ro,nosuid,nodev,noexec,umask=0077 "$1" "$ROOT/boot/firmware"
}

boot_writable() { mount -o remount,rw "$BOOT" && [ -w "$BOOT" ]; }
boot_readonly() {
	sync
	mount -o remount,ro "$BOOT"
}

# Recovery has left its explanation for people without a network; it is outdated by this start.
forget_recovery() {
	[ -e "$BOOT/RECOVERY.txt" ] || return 0
	note warning recovered "Before this start no slot could be started, and the recovery page was shown."
	boot_writable && rm -f "$BOOT/RECOVERY.txt"
	boot_readonly
}

# Sets RESET when factory-reset lies on the boot partition. The file is renamed first: if that is
# refused, removing it later would be too, and every start would wipe the data again.
ask_for_reset() {
	[ -e "$BOOT/factory-reset.doing" ] && RESET=yes
	for request in "$BOOT/factory-reset" "$BOOT/factory-reset.txt"; do
		[ -e "$request" ] || continue
		if boot_writable && mv "$request" "$BOOT/factory-reset.doing"; then
			RESET=yes
		else
			note error reset-refused "Factory reset was asked for, but the boot partition cannot be \
written, so it could not be asked for only once: nothing was reset."
		fi
		boot_readonly
	done
}

# Called when the data partition is new: the request is fulfilled.
finish_reset() {
	boot_writable && rm -f "$BOOT/factory-reset.doing"
	boot_readonly
}

# Gives this start the identity that the data partition keeps.
machine_identity() {
	kept=$ROOT/data/system/machine-id
	identity=''
	[ ! -s "$kept" ] || read -r identity < "$kept"
	case $identity in
	*[!0-9a-f]*) identity='' ;;
	esac
	if [ ${#identity} -ne 32 ]; then
		# From /dev/random, which waits until the kernel has gathered enough to be unlike others.
		identity=$(head -c 16 /dev/random | od -An -v -tx1 | tr -d ' \n')
		mkdir -p "$ROOT/data/system"
		printf '%s\n' "$identity" > "$kept.new" && sync "$kept.new" && mv "$kept.new" "$kept"
		sync "$ROOT/data/system"
	fi
	printf '%s\n' "$identity" > "$ROOT/etc/machine-id"
}

# Leaves the initrd for good.
root_enter() {
	for folder in dev proc sys; do
		mountpoint_of "$ROOT/$folder" && umount "$ROOT/$folder"
	done
	# The overlay holds on to what it is made of. Out of sight, nobody tries to unmount it at shutdown.
	umount -l "$RECORDS/overlay" "$RECORDS/lower" "$RECORDS/slot"
	rmdir "$RECORDS/overlay" "$RECORDS/lower" "$RECORDS/slot"
	watchdog_hand_over
	trap - EXIT
	for folder in dev sys run proc; do
		mount --move "/$folder" "$ROOT/$folder"
	done
	exec switch_root "$ROOT" "$INIT" "$@"
}
