"""Storage: the only code that writes to disk, in steps that a power cut can interrupt anywhere.

- `files`: the few calls on the file system that everything here uses, replaceable in tests
- `atomic`: replace a small file whole, or not at all
- `segment`: append whole lines to one file
- `segments`: the files of a log in a folder: their names, order, tails and sizes
- `raw`: a fixed stretch of a disk outside every file system
- `lock`: one process at a time in a data directory
- `space`: how much room a folder takes and has left
"""
