# The data partition: grown to the card, checked, repaired, made anew where nothing else helps.
# shellcheck shell=sh disable=SC2034 # what was done is written down in words.sh
#
# No marker says what was done: each step compares what is with what should be, so a power cut at any
# moment leaves work for the next start and nothing else.

DATA='' DATA_KEPT=false DATA_GROWN=false DATA_REMADE=false DATA_RESET=false DATA_FSCK=not-needed
WORTH_GROWING=8192 # sectors of 512 bytes, 4 MiB: less is not worth writing a partition table
SLACK=2048         # sectors, 1 MiB: partitions end on whole MiB, file systems on whole blocks
SECOND_BACKUP='-b 98304 -B 4096' # blocks of 4 KiB with copies of the superblock, beyond the first
THIRD_BACKUP='-b 163840 -B 4096'
DATA_OPTIONS=rw,noatime,nosuid,nodev,errors=remount-ro,noinit_itable

# Leaves something writable at MOUNTPOINT, whatever the state of the card.
data_prepare() { # MOUNTPOINT
	DATA=$(part 4)
	if [ -z "$DATA" ] || [ "$(block_number "$DATA" size)" -lt "$SLACK" ]; then
		data_volatile "$1" "The card has no room for data: it is smaller than the image that was \
written to it, or its partition table is damaged. Nothing will be kept over a restart."
	elif [ "$(block_number "$DATA" ro)" = 1 ]; then
		data_protected "$1"
	else
		data_grow_partition
		data_reset_or_open "$1" || data_volatile "$1" "$DATA_TROUBLE Nothing will be kept over a restart."
	fi
}

data_reset_or_open() { # MOUNTPOINT
	DATA_TROUBLE="The data partition ($DATA) can neither be used nor made anew: the card is worn out or \
damaged."
	if [ "$RESET" = yes ]; then
		data_make discard && data_mount "$1" || return 1
		DATA_RESET=true
		note info factory-reset "Factory reset is done, as asked for by a file on the boot partition: \
settings, passwords and records are gone."
		finish_reset
	else
		data_open "$1" || return 1
	fi
	DATA_KEPT=true
	data_grow_filesystem
}

# Mounts the file system as it is, else repaired, else new.
#
# The order of repairs: what loses nothing; whatever it takes; that again, since with a superblock from
# a backup e2fsck replays the journal, stops and wants to be started anew; the same with the second and
# third backup, since a power cut while the kernel grows the file system can tear the superblock and its
# first backup at once. What is found to be without a fault and still cannot be mounted is left alone:
# it is not the data that is wrong.
data_open() { # MOUNTPOINT
	ext4_look "$DEV/$DATA"
	if [ "$FS_STATE" = sound ]; then
		data_mount "$1" && return 0
	fi
	for courage in -p -y -y "-y $SECOND_BACKUP" -y "-y $THIRD_BACKUP" -y; do
		data_repair "$courage" || continue
		data_mount "$1" && return 0
		if [ "$DATA_FSCK" = clean ]; then
			DATA_TROUBLE="The data partition ($DATA) is without a fault, but this version cannot mount it; \
it has been left as it is."
			return 1
		fi
	done
	DATA_FSCK=failed
	data_make nodiscard && data_mount "$1" || return 1
	DATA_REMADE=true
	note error data-remade "The data partition was damaged beyond repair and has been made anew: \
settings, passwords and records are gone, and the appliance starts as on its first day."
}

data_mount() { # MOUNTPOINT
	mount -t ext4 -o "$DATA_OPTIONS" "$DEV/$DATA" "$1"
}

# Reads the superblock, which begins at byte 1024: Linux, Documentation/filesystems/ext4/super.rst.
# Sets FS_STATE to sound, suspect or none, and FS_SECTORS to the size in sectors of 512 bytes.
#
# Sound is also what has a journal to be replayed after a power cut: the kernel does that while
# mounting. Suspect is what the kernel has met errors in (bit 1 of s_state).
ext4_look() { # DEVICE
	FS_STATE=none FS_SECTORS=0
	# 32-bit words: 1 is s_blocks_count_lo, 6 s_log_block_size, 14 s_magic and, above it, s_state.
	# shellcheck disable=SC2046
	set -- $(od -An -v -tu4 -j 1024 -N 60 "$1" 2> /dev/null)
	[ $# -eq 15 ] && [ $((${15} & 0xffff)) -eq $((0xef53)) ] || return 0
	FS_STATE=sound
	[ $((${15} >> 16 & 2)) -eq 0 ] || FS_STATE=suspect
	# A block is 1024 << s_log_block_size bytes; more than 64 KiB is nothing that can be mounted.
	[ "$7" -le 6 ] && FS_SECTORS=$(($2 * (2 << $7)))
}

# Checks all of it, whatever the superblock says of itself: this is only reached when something is wrong.
data_repair() { # COURAGE
	alive_for 3600
	# shellcheck disable=SC2086 # courage is words
	in_root /sbin/e2fsck -f $1 "$DEV/$DATA" >> "$RECORDS/e2fsck.log" 2>&1
	result=$?
	alive_for 120
	# e2fsck(8): 1 is corrected, 4 is left uncorrected, 8 and more is not done at all.
	[ "$result" -lt 4 ] || return 1
	DATA_FSCK=clean
	[ "$result" -eq 0 ] && return
	DATA_FSCK=repaired
	if [ "$1" != -p ]; then
		note warning data-repaired "The data partition was damaged and has been repaired; what lost its \
name is in /data/lost+found. Some of what was last written may be missing."
	else
		note info data-repaired "The data partition was checked and put right without a loss."
	fi
}

# Makes an empty file system, with the options the image was built with.
data_make() { # discard|nodiscard
	alive_for 3600
	{ read -r plain && read -r extended; } < /leyden/data-options
	# shellcheck disable=SC2086 # options are words
	in_root /sbin/mke2fs -q -F -t ext4 $plain -E "$extended,$1" "$DEV/$DATA" \
		>> "$RECORDS/mke2fs.log" 2>&1
	made=$?
	alive_for 120
	return $made
}

# Lets the partition end where the card ends: one sector of the card is written.
data_grow_partition() {
	size=$(block_number "$DATA" size)
	end=$(($(block_number "$DATA" start) + size))
	disk=$(block_number "$CARD" size)
	[ $((disk - end)) -ge "$WORTH_GROWING" ] || return 0
	printf ', +\n' | in_root /sbin/sfdisk -q --no-reread --no-tell-kernel -N 4 "$DEV/$CARD" \
		>> "$RECORDS/grow.log" 2>&1 &&
		in_root /usr/bin/partx -u --nr 4 "$DEV/$CARD" >> "$RECORDS/grow.log" 2>&1
	[ "$(block_number "$DATA" size)" -gt "$size" ] || note warning data-not-grown \
		"The data partition could not be grown to the size of the card; it stays at \
$((size / 2048)) MiB. $(tail -n 1 "$RECORDS/grow.log" 2> /dev/null)"
}

# Lets the mounted file system fill its partition; the kernel journals each step of it.
data_grow_filesystem() {
	ext4_look "$DEV/$DATA"
	size=$(block_number "$DATA" size)
	[ "$FS_SECTORS" -gt 0 ] && [ $((size - FS_SECTORS)) -ge "$SLACK" ] || return 0
	alive_for 1800
	if in_root /sbin/resize2fs "$DEV/$DATA" >> "$RECORDS/grow.log" 2>&1; then
		DATA_GROWN=true
		note info data-grown "The data partition has been grown to the size of the card: \
$((size / 2048)) MiB."
	else
		note warning data-not-grown "The file system for data could not be grown and stays at \
$((FS_SECTORS / 2048)) MiB: $(tail -n 1 "$RECORDS/grow.log" 2> /dev/null)"
	fi
	alive_for 120
}

# A card that refuses writing, by its switch or its age: what is on it can be read, and is covered.
data_protected() { # MOUNTPOINT
	mkdir -p "$RECORDS/data"
	if ! mount -t ext4 -o ro,noload,nosuid,nodev "$DEV/$DATA" "$RECORDS/data"; then
		data_volatile "$1" "The card is write-protected and its data cannot be read. Nothing will be \
kept over a restart."
		return
	fi
	mkdir -p "$RECORDS/overlay/data" "$RECORDS/overlay/data-work"
	cover="lowerdir=$RECORDS/data,upperdir=$RECORDS/overlay/data,workdir=$RECORDS/overlay/data-work"
	mount -t overlay -o "$cover" overlay "$1"
	note error data-protected "The card is write-protected, by its switch or because it is worn out: \
settings and records are read from it, but nothing new will be kept over a restart."
}

data_volatile() { # MOUNTPOINT TEXT
	mount -t tmpfs -o nosuid,nodev,mode=0755,size=25% tmpfs "$1"
	note error data-volatile "$2"
}
