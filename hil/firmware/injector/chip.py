"""A part on I2C, seen from the wire: memory behind a pointer, and what can be wrong with it.

Its methods are called from an interrupt, byte by byte: nothing in them may allocate memory, which
is why they count with small integers and keep everything in arrays made beforehand.
"""

NONE = 0
FLIP = 1  # one bit of what is read is inverted
STICK = 2  # what is read is all zeros or all ones
RESET = 3  # in the middle of a read the part is back at its power-on state, and silent
STRETCH = 4  # it holds the clock before a byte
REFUSE = 5  # it does not acknowledge its address; for so many milliseconds, not transfers

KINDS = {
    "none": NONE,
    "flip": FLIP,
    "stick": STICK,
    "reset": RESET,
    "stretch": STRETCH,
    "nack": REFUSE,
}

EVERY_BYTE = -1
FOR_EVER = -1
RELEASED = 0xFF  # what a controller reads while nobody drives the line


class Chip:
    """Memory that a controller reads and writes.

    Args:
        size: bytes of memory.
        pointer_bytes: how many bytes of a write are the pointer: 1 or 2.
        word: 0 where the pointer counts bytes and moves on; else how many bytes stand at each
            value of the pointer, which then stays (as in an LM75).
        page: bytes within which a write rolls over; 0 for none.
    """

    def __init__(self, size: int, pointer_bytes: int = 1, word: int = 0, page: int = 0) -> None:
        self.memory = bytearray(size)
        self.power_on = bytearray(size)
        self.writable = bytearray(b"\xff" * size)  # bits that a controller may change
        self.pointer_bytes = pointer_bytes
        self.word = word
        self.page = page
        self.reads = 0
        self.writes = 0
        self.struck = 0  # transfers that met a fault
        self.stretch_us = 0  # what the board has to hold the clock before the byte just given
        self._pointer = 0
        self._place = 0  # in memory, of the next byte
        self._turn = 0  # byte within the transfer
        self._silent = False  # lost its power in the middle of a read
        self._kind = NONE
        self._byte = EVERY_BYTE
        self._value = 0
        self._left = 0

    # What the host sets

    def fault(
        self, kind: int, byte: int = EVERY_BYTE, value: int = 0, count: int = FOR_EVER
    ) -> None:
        """Be wrong from the next read on.

        Args:
            kind: one of KINDS.
            byte: of the read that it strikes, from 0; EVERY_BYTE for all. For RESET: the first that
                is not sent any more.
            value: FLIP: the bit, 0 to 7. STICK: 0x00 or 0xFF. STRETCH: microseconds.
            count: reads that it strikes, then all is well; FOR_EVER.
        """
        self._kind, self._byte, self._value, self._left = kind, byte, value, count

    def load(self, at: int, data: bytes) -> None:
        """Put bytes into memory, as power-on state too."""
        for index in range(len(data)):
            self.memory[at + index] = data[index]
            self.power_on[at + index] = data[index]

    def put(self, at: int, data: bytes) -> None:
        """Change bytes of memory, as the world does: a new measurement."""
        for index in range(len(data)):
            self.memory[at + index] = data[index]

    def protect(self, at: int, masks: bytes) -> None:
        """Say which bits of each byte a controller may change."""
        for index in range(len(masks)):
            self.writable[at + index] = masks[index]

    def lose_power(self) -> None:
        """Go back to the power-on state."""
        for index in range(len(self.memory)):
            self.memory[index] = self.power_on[index]
        self._pointer = self._place = 0

    # What the wire brings; called from an interrupt

    def begin_write(self) -> None:
        """The controller addressed the part to write."""
        self.writes += 1
        self._turn = 0
        self._silent = False

    def take(self, byte: int) -> None:
        """The controller sent a byte."""
        if self._turn < self.pointer_bytes:
            self._pointer = byte if self._turn == 0 else (self._pointer << 8 | byte) & 0xFFFF
            self._place = self._pointer * (self.word or 1) % len(self.memory)
        else:
            mask = self.writable[self._place]
            kept = self.memory[self._place] & (0xFF ^ mask)
            self.memory[self._place] = kept | (byte & mask)
            self._move(True)
        self._turn += 1

    def begin_read(self) -> None:
        """The controller addressed the part to read."""
        self.reads += 1
        self._turn = 0
        self._silent = False
        if self.word:
            self._place = self._pointer * self.word % len(self.memory)
        if self._kind != NONE and self._left != 0:
            self.struck += 1

    def give(self) -> int:
        """Return the byte that the controller reads now."""
        byte = self.memory[self._place]
        self._move(False)
        if self._kind != NONE and self._left != 0 and self._strikes():
            byte = self._spoilt(byte)
        self._turn += 1
        return RELEASED if self._silent else byte

    def end_read(self) -> None:
        """The controller is done with a read."""
        if self._kind != NONE and self._left > 0:
            self._left -= 1

    def _strikes(self) -> bool:
        if self._kind == RESET:
            return self._turn == self._byte
        # Not "in (…)", which would allocate.
        return self._byte == EVERY_BYTE or self._turn == self._byte  # noqa: PLR1714

    def _spoilt(self, byte: int) -> int:
        if self._kind == FLIP:
            return byte ^ (1 << (self._value & 7))
        if self._kind == STICK:
            return self._value & 0xFF
        if self._kind == STRETCH:
            self.stretch_us = self._value
        if self._kind == RESET:
            self.lose_power()
            self._silent = True
        return byte

    def _move(self, writing: bool) -> None:
        self._place += 1
        if self.word:
            if self._place % self.word == 0:  # round within the register
                self._place -= self.word
        elif writing and self.page:
            if self._place % self.page == 0:
                self._place -= self.page
        elif self._place >= len(self.memory):
            self._place = 0
