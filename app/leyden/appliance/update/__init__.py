"""Updates: two slots on the card, of which one is known to work and the other may be replaced.

- `card`: where everything stands on the card
- `release`: which release something is, and which of two is older
- `slots`: the slot record, kept twice outside every file system
- `environment`: the boot loader's variables: which slot it starts, and how often it tries
- `history`: what became of every update, line by line
- `bundle`: what an update file says of itself, and why it may not be installed here
- `rauc`: the program that checks signatures and writes slots
- `fetch`: brings an update from a web server
- `install`: from a file to a slot that is started next, safe against a power cut anywhere
- `gate`: whether this start is a healthy one
- `trial`: what a start means for the slots: try, commit, or go back
- `status`: the slots in words, for people, programs and the panel
- `events`: what became of updates, in the stream of events
"""
