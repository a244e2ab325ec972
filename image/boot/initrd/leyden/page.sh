# The recovery page's forms and what they do; each request is a program of its own.
# shellcheck shell=sh

LEYDEN=${LEYDEN:-/leyden} # the folder of this file

# shellcheck source=image/boot/initrd/leyden/words.sh
. "$LEYDEN/words.sh"
# shellcheck source=image/boot/initrd/leyden/blocks.sh
. "$LEYDEN/blocks.sh"
# shellcheck source=image/boot/initrd/leyden/card.sh
. "$LEYDEN/card.sh"
# shellcheck source=image/boot/initrd/leyden/slots.sh
. "$LEYDEN/slots.sh"
# shellcheck source=image/boot/initrd/leyden/bundles.sh
. "$LEYDEN/bundles.sh"
# shellcheck source=/dev/null
. "$RECORDS/recovery/settings"

# Remembers that a person is there, so that the slots are not tried again under their hands.
visited() {
	read -r up _ < /proc/uptime
	echo "${up%.*}" > "$RECORDS/recovery/seen"
}

html() { sed 's/&/\&amp;/g;s/</\&lt;/g;s/>/\&gt;/g;s/"/\&quot;/g'; }

page_begin() { # [STATUS]
	printf 'Status: %s\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n' \
		"${1:-200 OK}"
	cat "$LEYDEN/page-head.html"
}

page_end() { echo '</main></html>'; }

refuse() { # WORDS
	page_begin "400 Bad Request"
	echo "<h1>Nothing was done</h1><p>$(printf '%s' "$1" | html).</p><p><a href=\"/\">Back</a></p>"
	page_end
}

# --- what the page shows

slots_section() {
	html < "$RECORDS/recovery/slots.txt" | awk '
		/^- / { print "<li>" substr($0, 3); next }
		{ if (open++) print "</ul>"; print "<h2>" $0 "</h2><ul>" }
		END { if (open) print "</ul>" }'
	echo '<p class=actions>'
	for slot in A B; do
		form try "$slot" '' "Try slot $slot again"
	done
	echo '</p>'
}

bundles_section() {
	echo '<h2>Write a slot anew</h2>'
	bundles_find
	if [ ! -s "$RECORDS/recovery/bundles" ]; then
		echo '<p>Put an update bundle (<code>*.raucb</code>) on a USB stick, plug it in and
<a href="/">look again</a>. The boot partition of this card is looked at as well.</p>'
		return
	fi
	echo '<p>A bundle from here is checked for being whole, not for who made it: use one you trust.</p>
<table>'
	while IFS='	' read -r number device path version; do
		printf '<tr><td>%s<td>version %s<td>%s<td>' "$(printf '%s' "$path" | html)" \
			"$(printf '%s' "${version:-unknown}" | html)" "$device"
		for slot in A B; do
			form write "$slot" "$number" "Write to slot $slot"
		done
	done < "$RECORDS/recovery/bundles"
	echo '</table>'
}

form() { # ACT SLOT BUNDLE LABEL
	printf '<form method=post action=/cgi-bin/act.cgi><input type=hidden name=token value="%s">' "$TOKEN"
	printf '<input type=hidden name=act value=%s><input type=hidden name=slot value=%s>' "$1" "$2"
	printf '<input type=hidden name=bundle value="%s"><button>%s</button></form>\n' "$3" "$4"
}

job_section() {
	echo '<h2>At work</h2><pre>'
	html < "$RECORDS/recovery/job"
	echo '</pre>'
	if [ -e "$RECORDS/recovery/job-done" ]; then
		rm -f "$RECORDS/recovery/job" "$RECORDS/recovery/job-done"
		echo '<p><a href="/">Back</a></p>'
	else
		echo '<meta http-equiv=refresh content=3><p>This page looks again every three seconds.</p>'
	fi
}

# --- what a form asks for

read_form() {
	length=${CONTENT_LENGTH:-0}
	[ "$length" -le 1000 ] 2> /dev/null || length=0
	FORM=$(head -c "$length")
}

# The value of a field, letters, digits and a few signs only: nothing else is ever sent by our forms.
field() { # NAME
	printf '%s' "$FORM" | tr '&' '\n' | sed -n "s/^$1=\([A-Za-z0-9.-]*\)\$/\1/p" | head -n 1
}

try_slot() { # SLOT
	case $1 in
	A) other=B ;;
	B) other=A ;;
	*)
		refuse "there is no slot $1"
		return
		;;
	esac
	if environment_choose "$DEV/$CARD" "$1" "$other"; then
		page_begin
		echo "<h1>Slot $1 is tried now</h1><p>The appliance restarts. If slot $1 starts, its own page
answers in a minute or two at the appliance's usual address; if neither slot does, this page comes back
after some minutes.</p>"
		page_end
		echo "Slot $1 is tried again, as asked for on the recovery page." > "$RECORDS/recovery/restart"
	else
		refuse "the card refuses writing, so the choice cannot be kept; write a new card"
	fi
}

write_slot() { # SLOT BUNDLE_NUMBER
	bundle=$(sed -n "s/^$2	//p" "$RECORDS/recovery/bundles" 2> /dev/null)
	if [ -z "$(slot_number "$1")" ] || [ -z "$bundle" ]; then
		refuse "there is no such slot or bundle any more; was the stick unplugged?"
	elif [ -e "$RECORDS/recovery/job" ]; then
		refuse "a slot is being written already"
	else
		echo "Slot $1 is going to be written …" > "$RECORDS/recovery/job"
		# `exec`, so that nothing of the web server's stays open and keeps the browser waiting.
		(
			exec >> "$RECORDS/recovery/job" 2>&1 < /dev/null
			bundle_write "$1" "${bundle%%	*}" "$(printf '%s' "$bundle" | cut -f 2)"
		) &
		printf 'Status: 303 See Other\r\nLocation: /\r\n\r\n'
	fi
}
