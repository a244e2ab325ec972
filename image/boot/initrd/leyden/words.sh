# Words for people and records for programs: console, kernel log, /run/leyden-boot.
# shellcheck shell=sh

RECORDS=${RECORDS:-/run/leyden-boot}
CONSOLE=${CONSOLE:-/dev/console}
KERNEL_LOG=${KERNEL_LOG:-/dev/kmsg}
TIMES=''

# Tells the console, and the kernel's log for the journal. Level 5 stays below what `quiet` shows, so
# nothing appears twice.
say() { # TEXT
	printf 'Leyden: %s\r\n' "$1" > "$CONSOLE"
	printf '<5>leyden: %s\n' "$1" > "$KERNEL_LOG"
}

# Text that can stand between the quotes of a JSON string.
json_text() { # TEXT
	printf '%s' "$1" | tr '\n\t\r' '   ' | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g'
}

# Says something that the panel has to repeat.
note() { # LEVEL WHAT TEXT
	printf '{"level":"%s","what":"%s","text":"%s"}\n' "$1" "$2" "$(json_text "$3")" \
		>> "$RECORDS/notes.jsonl"
	say "$3"
}

# Remembers when a stage was over, in seconds since the kernel started.
stamp() { # STAGE
	read -r up _ < /proc/uptime
	TIMES="$TIMES${TIMES:+,}\"$1\":$up"
}

# What the initrd has found and done, for the panel and for whoever measures.
write_boot_record() {
	stamp handover
	cat > "$RECORDS/boot.json" <<-END
		{"slot":"$SLOT","card":"$CARD","release":$(slot_record),
		"data":{"device":"$DATA","kept":$DATA_KEPT,"grown":$DATA_GROWN,
		"remade":$DATA_REMADE,"reset":$DATA_RESET,"fsck":"$DATA_FSCK"},
		"watchdog":$WATCHDOG_ARMED,"seconds":{$TIMES}}
	END
}
