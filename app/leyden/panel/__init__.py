"""The panel: what people see of an appliance, in a process of its own that knows only the link.

Started with `python -m leyden.panel.server`. It may crash, hang or be updated: sampling, logging
and outputs go on without it.

A request passes `door` (names, headers, the way to where it is encrypted), then `sockets` (the
live view) or Flask in `app`, where `guard` tells who asks and `api`, `pages` and `entry_pages`
answer by way of `replies`. `entrance` lets people in, by token (`auth`), by `passwords` or by the
`claim` of a new appliance, and counts their `attempts`; `sessions` remembers them. `live` and
`ring` carry the stream to browsers, `system` says how the machine does as an appliance. `assets`
are the panel's own files; `openapi` describes `api`; `server`, `listening`, `tls`, `worker` and
`settings` belong to the process; `errors` is what everything refuses with. `vendor` brings the
browser's libraries.
"""
