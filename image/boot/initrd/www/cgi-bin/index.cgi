#!/bin/sh
# The recovery page: what failed, why, and what can be done about it.

# shellcheck source=image/boot/initrd/leyden/page.sh
. "${LEYDEN:-/leyden}/page.sh"
visited
page_begin

cat <<'END'
<h1>Recovery</h1>
<p>Neither of the two systems on this card could be started. What you see comes from memory; settings
and records on the data partition are not touched by anything here.</p>
END

if [ -e "$RECORDS/recovery/job" ]; then
	job_section
else
	slots_section
	bundles_section
fi

cat <<'END'
<h2>If nothing helps</h2>
<p>Take the card out, keep a copy of it, and write it anew with Leyden's image: the manual says how, in
the chapter "When it does not start". Records can be copied from the card's fourth partition before, by
any computer that reads ext4.</p>
END
page_end
