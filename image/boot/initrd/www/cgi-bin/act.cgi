#!/bin/sh
# Carries out what a person has chosen on the recovery page; only forms of that page are obeyed.

# shellcheck source=image/boot/initrd/leyden/page.sh
. "${LEYDEN:-/leyden}/page.sh"
visited
read_form

if [ "${REQUEST_METHOD:-}" != POST ] || [ "$(field token)" != "$TOKEN" ]; then
	page_begin "403 Forbidden"
	echo '<h1>Nothing was done</h1><p>This page has been restarted since, or the request came from
somewhere else. <a href="/">Look again</a>, then choose.</p>'
	page_end
	exit
fi

case $(field act) in
try) try_slot "$(field slot)" ;;
write) write_slot "$(field slot)" "$(field bundle)" ;;
*) refuse "the form asked for something that this page cannot do" ;;
esac
