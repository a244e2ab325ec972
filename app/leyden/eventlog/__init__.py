"""The event log: everything that was published, on disk, in order, readable by any tool.

- `schema`: what a line is, and how records become lines and lines records
- `values`: how every kind of value survives JSON
- `recorder`: the store that the stream appends to; writes in a lane of its own
- `backlog`, `writer`, `disk`: what the recorder is made of: the queue from publisher to disk,
  blocks and segments, and what is known of the disk's health
- `recovery`: what is done to the segments of a boot that ended without saying so
- `numbers`: sequence numbers and boots, reserved on disk before they are used
- `reader`: reads the log by number and route, from disk alone, whether it is being written or not
- `blocks`: the blocks of one segment, checked
- `clocklog`: clock records, and the dates that follow from them
- `keeper`: the service that publishes clock records and looks after the disk
- `console`: events as JSON lines on a text stream, for a terminal or a journal
"""
