# Update bundles on a stick or on the boot partition: found, looked into, written to a slot.
# shellcheck shell=sh
#
# A plain RAUC bundle is a squashfs with manifest and slot image, and a signature behind it. What can
# be checked here is that the image is the one of the manifest, and that it is meant for Leyden; the
# signature needs OpenSSL, which is not in memory. A person stands before the machine and chooses.

COMPATIBLE=leyden-arm64
FORGET=${FORGET:-/proc/sys/vm/drop_caches} # makes the kernel read the card, not its memory

# Lists bundles as lines of number, device, path, version, with tabs between.
bundles_find() {
	: > "$RECORDS/recovery/bundles"
	number=0
	mkdir -p "$RECORDS/recovery/stick" "$RECORDS/recovery/bundle"
	for device in $(stick_devices); do
		stick_mount "$device" || continue
		for path in "$RECORDS/recovery/stick"/*.raucb "$RECORDS/recovery/stick"/*/*.raucb; do
			[ -f "$path" ] || continue
			number=$((number + 1))
			printf '%s\t%s\t%s\t%s\n' "$number" "$device" "${path#"$RECORDS/recovery/stick/"}" \
				"$(bundle_version "$path")" >> "$RECORDS/recovery/bundles"
		done
		umount "$RECORDS/recovery/stick"
	done
}

# Every partition that may hold a bundle: our boot partition, and all of other disks.
stick_devices() {
	part 1
	for entry in "$SYS"/class/block/sd*; do
		[ -e "$entry" ] || continue
		case ${entry##*/} in "$CARD"*) continue ;; esac
		echo "${entry##*/}"
	done
}

stick_mount() { # DEVICE
	for kind in vfat exfat ext4; do
		mount -t "$kind" -o ro,nosuid,nodev,noexec "$DEV/$1" "$RECORDS/recovery/stick" \
			2> /dev/null && return 0
	done
	return 1
}

bundle_mount() { # PATH
	mount -t squashfs -o ro,loop "$1" "$RECORDS/recovery/bundle" 2> /dev/null
}

bundle_version() { # PATH
	bundle_mount "$1" || return 0
	manifest_value update version
	umount "$RECORDS/recovery/bundle"
}

# A value of the mounted bundle's manifest; the section is a pattern, since images have names.
manifest_value() { # SECTION NAME
	sed -n "/^\[$1\]/,/^\[/s/^$2=//p" "$RECORDS/recovery/bundle/manifest.raucm" | head -n 1
}

# Writes the image of a bundle to a slot, reads it back, and lets U-Boot try that slot first.
bundle_write() { # SLOT DEVICE PATH
	if stick_mount "$2" && bundle_mount "$RECORDS/recovery/stick/$3"; then
		bundle_write_mounted "$1"
	else
		echo "The bundle cannot be opened: the stick was unplugged, or the file is damaged."
	fi
	umount "$RECORDS/recovery/bundle" 2> /dev/null
	umount "$RECORDS/recovery/stick" 2> /dev/null
	: > "$RECORDS/recovery/job-done"
}

bundle_write_mounted() { # SLOT
	compatible=$(manifest_value update compatible)
	image=$RECORDS/recovery/bundle/$(manifest_value 'image\..*' filename)
	wanted=$(manifest_value 'image\..*' sha256)
	target=$DEV/$(part "$(slot_number "$1")")
	if [ "$compatible" != "$COMPATIBLE" ]; then
		echo "The bundle is for \"$compatible\", this appliance takes \"$COMPATIBLE\". Nothing written."
		return
	fi
	size=$(stat -c %s "$image") || return
	echo "Checking the bundle's image of $((size / 1048576)) MiB …"
	if [ "$(sha256_of "$image" "$size")" != "$wanted" ]; then
		echo "The image is not the one its manifest describes: the bundle is damaged. Nothing written."
		return
	fi
	echo "Writing it to slot $1 …"
	if ! dd if="$image" of="$target" bs=1M conv=fsync 2> /dev/null; then
		echo "The card refused it, or the slot is too small: slot $1 is now incomplete."
		return
	fi
	echo "Reading it back …"
	echo 3 > "$FORGET"
	if [ "$(sha256_of "$target" "$size")" != "$wanted" ]; then
		echo "What is on the card is not what was written: the card is worn out. Use a new one."
		return
	fi
	other=B
	[ "$1" = A ] || other=A
	environment_choose "$DEV/$CARD" "$1" "$other" &&
		echo "Slot $1 is whole. The appliance restarts and tries it." &&
		echo "Slot $1 was written anew and is tried." > "$RECORDS/recovery/restart"
}

sha256_of() { # FILE SIZE
	head -c "$2" "$1" | sha256sum | cut -d ' ' -f 1
}
