"""The link: how other processes read the runtime's stream and hand it intents.

Newline-delimited JSON over a Unix socket, one object a line each way. Readers pull, so the runtime
keeps nothing for them; what enters is an intent, capped by who the peer is.

Modules: `protocol` (every message as a record, validated at the door), `server` (in the runtime
process), `client` (in panel, command line and bridges), `peers` (which other users may connect),
`address` (socket paths of any length).
"""
