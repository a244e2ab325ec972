"""The panel: what people see of an appliance, in a process of its own that knows only the link.

Started with `python -m leyden.panel.server`. It may crash, hang or be updated: sampling, logging
and outputs go on without it.

A request passes `door` (names, headers), then `sockets` (the live view) or Flask in `app`, where
`guard` tells who asks and `api` and `pages` answer. `live` and `ring` carry the stream to browsers;
`auth` and `sessions` keep secrets; `assets` the panel's own files; `openapi` describes `api`;
`worker` and `settings` belong to the process; `errors` is what everything refuses with. `vendor`
brings the browser's libraries.
"""
