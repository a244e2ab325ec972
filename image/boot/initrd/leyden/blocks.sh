# Blocks of 8 KiB outside every file system: a CRC-32, then NAME=value texts, each ended by a NUL.
# shellcheck shell=sh
#
# This is U-Boot's own format for an environment, so U-Boot, fw_printenv and this file agree. Places,
# in blocks from the beginning of the card:

BLOCK=8192
ENVIRONMENT=128        # 1 MiB: order of the slots and tries left; written by U-Boot and Linux
ENVIRONMENT_BACKUP=192 # 1.5 MiB: its backup, written by Linux and by recovery
LAST_WORDS=384         # 3 MiB: why a start ended before the system was up

# The CRC-32 of what is read, four bytes, least first: a gzip stream ends with it, then the length.
crc32_bytes() {
	gzip -c | tail -c 8 | head -c 4
}

# Prints the NAME=value lines of a block; fails when its CRC does not fit.
block_read() { # DEVICE NUMBER
	block=$(mktemp) || return 1
	dd if="$1" of="$block" bs=$BLOCK skip="$2" count=1 2> /dev/null
	kept=$(head -c 4 "$block" | od -An -tx1)
	found=$(tail -c +5 "$block" | crc32_bytes | od -An -tx1)
	size=$(wc -c < "$block")
	# The texts end where a NUL follows a NUL; what lies behind is padding.
	lines=$(tail -c +5 "$block" | tr '\000' '\n' | sed '/^$/q')
	rm -f "$block"
	[ "$size" -eq $BLOCK ] && [ "$kept" = "$found" ] || return 1
	printf '%s\n' "$lines"
}

# Writes NAME=value lines from standard input, and waits until they are on the card.
block_write() { # DEVICE NUMBER
	text=$(mktemp) || return 1
	{
		sed '/^$/d' | tr '\n' '\000'
		dd if=/dev/zero bs=$BLOCK count=1 2> /dev/null
	} | head -c $((BLOCK - 4)) > "$text"
	{
		crc32_bytes < "$text"
		cat "$text"
	} | dd of="$1" bs=$BLOCK seek="$2" iflag=fullblock conv=notrunc,fsync 2> /dev/null
	written=$?
	rm -f "$text"
	return $written
}

block_clear() { # DEVICE NUMBER
	dd if=/dev/zero of="$1" bs=$BLOCK seek="$2" count=1 conv=notrunc,fsync 2> /dev/null
}

# The value of a name in NAME=value lines on standard input.
value_of() { # NAME
	sed -n "s/^$1=//p"
}

# Puts a slot first, with all its tries: what was in the environment besides is kept.
environment_choose() { # DEVICE SLOT OTHER
	kept=$(block_read "$1" $ENVIRONMENT | grep -v '^BOOT_')
	lines=$(printf 'BOOT_ORDER=%s %s\nBOOT_%s_LEFT=3\nBOOT_%s_LEFT=3\n%s\n' \
		"$2" "$3" "$2" "$3" "$kept")
	# The backup follows once the first is on the card: one of them is whole at any moment.
	printf '%s\n' "$lines" | block_write "$1" $ENVIRONMENT &&
		printf '%s\n' "$lines" | block_write "$1" $ENVIRONMENT_BACKUP
}

# Repeats what U-Boot had to do without.
environment_notes() {
	case $ENVIRONMENT_FROM in
	backup) note warning environment-damaged "The boot environment was damaged, for instance by a \
power cut while it was written; its backup has been used and the first copy written anew." ;;
	defaults) note warning environment-damaged "The boot environment and its backup were both damaged; \
the start went by the defaults: slot A first, three tries for each slot." ;;
	esac
}

# Keeps the reason of a start that failed, for the next one to tell.
words_leave() { # DEVICE SLOT TEXT
	printf 'slot=%s\ntext=%s\n' "$2" "$(printf '%s' "$3" | tr '\n' ' ' | cut -c 1-2000)" |
		block_write "$1" $LAST_WORDS
}

# Hands the reason of the last failed start to Linux, once: then the block is cleared.
words_hand_on() { # DEVICE
	# Nothing to tell is the rule, and cheap to see.
	[ "$(od -An -tu4 -j $((LAST_WORDS * BLOCK)) -N 4 "$1" | tr -d ' ')" != 0 ] || return 0
	last=$(block_read "$1" $LAST_WORDS) || return 0
	last_slot=$(printf '%s\n' "$last" | value_of slot)
	last_text=$(printf '%s\n' "$last" | value_of text)
	[ -n "$last_text" ] || return 0
	printf '{"slot":"%s","text":"%s"}\n' "$(json_text "$last_slot")" "$(json_text "$last_text")" \
		> "$RECORDS/last-words.json"
	note warning start-failed "An earlier start of slot $last_slot failed: $last_text"
	block_clear "$1" $LAST_WORDS
}
