# Which block devices are ours: the disk with our identity, and its partitions by number.
# shellcheck shell=sh

SYS=${SYS:-/sys}
DEV=${DEV:-/dev}
CARD=''

# Waits for the card; sets CARD to its disk, `mmcblk0`.
find_card() { # DISK_ID SECONDS
	tries=$(($2 * 20))
	until card_present "$1"; do
		[ "$tries" -gt 0 ] || return 1
		tries=$((tries - 1))
		sleep 0.05
		plug
	done
}

# Two cards of ours in one machine carry the same identity: the SD card is taken first, as the Pi's
# own boot order does, then what QEMU gives, then USB.
card_present() { # DISK_ID
	for kind in mmcblk vd ''; do
		for uevent in "$SYS/class/block/$kind"*/uevent; do
			grep -qs "^PARTUUID=$1-01\$" "$uevent" || continue
			partition=$(readlink -f "${uevent%/uevent}")
			CARD=${partition%/*}
			CARD=${CARD##*/}
			return 0
		done
	done
	return 1
}

# The name of a partition of the card, `mmcblk0p2`; nothing when there is none.
part() { # NUMBER
	[ -n "$CARD" ] || return 0
	for entry in "$SYS/class/block/$CARD/$CARD"*/partition; do
		[ -e "$entry" ] || continue
		read -r number < "$entry"
		[ "$number" = "$1" ] || continue
		entry=${entry%/partition}
		echo "${entry##*/}"
	done
}

# Attribute of a block device, sectors for `start` and `size`; 0 when it is not there.
block_number() { # NAME ATTRIBUTE
	number=0
	[ ! -e "$SYS/class/block/$1/$2" ] || read -r number < "$SYS/class/block/$1/$2"
	echo "$number"
}

disks_in_words() {
	found=''
	for disk in "$SYS/class/block"/*; do
		[ -e "$disk/device" ] && found="$found${found:+, }${disk##*/}"
	done
	echo "${found:-no disk at all}"
}
