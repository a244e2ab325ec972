"""What the PMS5003 says and understands on its serial line; it has no registers.

Source: Plantower, "Digital universal particle concentration sensor PMS5003 series data manual"
version V2.3 (2016-06-01), appendix I and II. The manual calls the last word of a frame reserved;
captured frames carry a version in its upper byte (0x97) and an error code in its lower one, as the
manuals of the later parts of this family say. The short answers to commands are from captures.

    42 4D  00 1C  cf1 ×3  atmospheric ×3  counts ×6  version error  sum sum      32 bytes
    42 4D  00 04  command data  sum sum                                            8 bytes
"""

from __future__ import annotations

from typing import Final

START: Final = b"\x42\x4d"
HEADER_BYTES: Final = 4  # start characters and length
DATA_LENGTH: Final = 28  # 2 × 13 data bytes + 2 check bytes
ANSWER_LENGTH: Final = 4

# Lengths of relatives that speak alike, so that they can be named instead of being called noise.
RELATIVES: Final = {20: "a PMS3003", 36: "a PMS5003ST"}

# Commands, appendix II: start characters, command, two data bytes, sum of the five before.
WAKE: Final = bytes.fromhex("42 4d e4 00 01 01 74")
ACTIVE_MODE: Final = bytes.fromhex("42 4d e1 00 01 01 71")
PASSIVE_MODE: Final = bytes.fromhex("42 4d e1 00 00 01 70")
SLEEP: Final = bytes.fromhex("42 4d e4 00 00 01 73")

STABLE_PERIOD_S: Final = 2.3  # between frames while the air is steady; the longest there is
FAST_PERIOD_S: Final = 0.8  # between frames while it changes: 200 to 800 ms
WARM_UP_S: Final = 30.0  # "stable data … at least 30 seconds after wake-up", circuit attentions 4
SPEED_BD: Final = 9600  # 8N1
