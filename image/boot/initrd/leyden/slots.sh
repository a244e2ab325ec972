# What can be said of both slots while neither runs: their files, their record, their last words.
# shellcheck shell=sh

SLOT_RECORD=512        # in blocks of 4096 bytes from the beginning of the card: LBA 4096 …
SLOT_RECORD_SECOND=640 # … and LBA 5120

# Two lines or more for each slot: its name and version, then one line a finding.
slots_examine() {
	slots_record=$(slot_record_newest)
	last_words=$(block_read "$DEV/$CARD" "$LAST_WORDS" 2> /dev/null)
	for slot in A B; do
		slot_mount "$slot" && version=$(slot_version) || version=''
		echo "Slot $slot${version:+, version $version}:"
		{
			slot_fault "$slot"
			slot_files
			slot_last_words "$slot"
			slot_reasons "$slot"
		} | sed '/^$/d;s/^/- /'
		umount "$RECORDS/recovery/slot" 2> /dev/null
	done
}

slot_number() { # SLOT
	case $1 in A) echo 2 ;; B) echo 3 ;; esac
}

slot_mount() { # SLOT
	mkdir -p "$RECORDS/recovery/slot"
	slot_part=$(part "$(slot_number "$1")")
	[ -n "$slot_part" ] || return 1
	mount -t ext4 -o ro "$DEV/$slot_part" "$RECORDS/recovery/slot" 2> /dev/null
}

slot_version() {
	json_value version 2> /dev/null < "$RECORDS/recovery/slot/slot.json"
}

# The text at a path, `slots.A.detail`, of the JSON on standard input; nothing when it is not there.
json_value() { # PATH
	awk -f "${JSON:-/leyden/json.awk}" | sed -n "s/^$1	//p"
}

# Why U-Boot passed the slot over: `A:no-tries-left,B:kernel-unreadable,` came with its arguments.
slot_fault() { # SLOT
	case ",$WHY" in
	*",$1:no-tries-left,"*) echo "was started as often as allowed and never got healthy" ;;
	*",$1:kernel-unreadable,"*) echo "its kernel, /vmlinuz.gz, cannot be read" ;;
	*",$1:kernel-damaged,"*) echo "its kernel, /vmlinuz.gz, is damaged" ;;
	*",$1:kernel-refused,"*) echo "its kernel, /vmlinuz.gz, is none that can be started here" ;;
	*",$1:initrd-unreadable,"*) echo "its /initrd.img cannot be read" ;;
	*",$1:initrd-damaged,"*) echo "its /initrd.img is damaged" ;;
	*) echo "was not tried: the boot environment does not name it" ;;
	esac
}

# What is wrong with the files of the mounted slot.
slot_files() {
	if ! mountpoint_of "$RECORDS/recovery/slot"; then
		echo "its file system cannot be mounted: it is empty or damaged"
		return
	fi
	for file in vmlinuz.gz initrd.img root.squashfs; do
		[ -s "$RECORDS/recovery/slot/$file" ] || echo "/$file is missing"
	done
	if [ -s "$RECORDS/recovery/slot/root.squashfs" ]; then
		mkdir -p "$RECORDS/recovery/root"
		if mount -t squashfs -o ro,loop "$RECORDS/recovery/slot/root.squashfs" \
			"$RECORDS/recovery/root" 2> /dev/null; then
			umount "$RECORDS/recovery/root"
		else
			echo "/root.squashfs is damaged"
		fi
	fi
}

# What the initrd of the slot said when it gave up.
slot_last_words() { # SLOT
	[ "$(printf '%s\n' "$last_words" | value_of slot)" = "$1" ] || return 0
	echo "its last words: $(printf '%s\n' "$last_words" | value_of text)"
}

# The reasons that Linux has written down while it ran, when there are any.
slot_reasons() { # SLOT
	record_value "slots\.$1\.detail"
	[ "$(record_value 'trial\.slot')" = "$1" ] || return 0
	reason=$(record_value 'trial\.reason')
	echo "it holds an update on trial, state $(record_value 'trial\.state')${reason:+: $reason}"
}

record_value() { # PATH
	printf '%s\n' "$slots_record" | json_value "$1"
}

# The JSON of the newer one of the two whole copies of the slot record; nothing where none is.
slot_record_newest() {
	for place in $SLOT_RECORD $SLOT_RECORD_SECOND; do
		dd if="$DEV/$CARD" bs=4096 skip="$place" count=1 2> /dev/null | slot_record_copy
	done | sort | tail -n 1 | sed 's/^[^{]*//'
}

# Prints counter and JSON of a copy, if it is whole. Its first line is `leyden-slots 1`, the counter
# filled up with zeros, a CRC-32 and the length of the second line, the JSON. The CRC is that of
# counter and length as plain numbers, a line's end, and the JSON.
slot_record_copy() {
	copy=$(tr -d '\000' | head -n 2)
	# shellcheck disable=SC2046
	set -- $(printf '%s\n' "$copy" | sed -n \
		'1s/^leyden-slots 1 0*\([0-9]*\) \([0-9a-f]*\) 0*\([0-9]*\)$/\1 \2 \3/p')
	[ $# -eq 3 ] || return 0
	text=$(printf '%s\n' "$copy" | sed -n 2p)
	sum=$(printf '%s %s\n%s' "$1" "$3" "$text" | crc32_bytes | od -An -tx4 | tr -d ' ')
	[ "$sum" != "$2" ] || printf '%020d %s\n' "$1" "$text"
}
