"""Peers that speak without being asked: a serial line and a bouncing contact, as plans in time."""


class Noise:
    """Bytes that look random and are the same for a seed (a 32-bit xorshift)."""

    def __init__(self, seed: int) -> None:
        self._state = (seed & 0xFFFFFFFF) or 1

    def byte(self) -> int:
        """Return the next of them."""
        state = self._state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        self._state = state
        return state & 0xFF

    def bytes(self, count: int) -> bytes:
        """Return the next few."""
        return bytes([self.byte() for _ in range(count)])


class Speaker:
    """What a serial peer says by itself: the same bytes again and again."""

    def __init__(self) -> None:
        self._data = b""
        self._every_ms = 0
        self._due_ms = 0

    def every(self, data: bytes, every_ms: int, now_ms: int) -> None:
        """Say `data` every so many milliseconds, the first time now."""
        self._data, self._every_ms, self._due_ms = data, every_ms, now_ms

    def silence(self) -> None:
        """Say nothing any more."""
        self._every_ms = 0

    def due(self, now_ms: int) -> bytes:
        """Return what is to be said now."""
        if not self._every_ms or now_ms < self._due_ms:
            return b""
        self._due_ms += self._every_ms
        if self._due_ms <= now_ms:  # it was late by more than one; do not catch up in a burst
            self._due_ms = now_ms + self._every_ms
        return self._data


def bounces(level: int, gaps_us: list[int]) -> list[tuple[int, int]]:
    """Return (level, microseconds) of a contact that goes to `level` and bounces on the way.

    The first gap is how long it is there before it jumps off again, and so on; it ends at `level`.
    """
    plan = []
    for index, gap in enumerate(gaps_us):
        plan.append((level if index % 2 == 0 else 1 - level, gap))
    if len(gaps_us) % 2:
        plan.append((1 - level, gaps_us[-1]))
    plan.append((level, 0))
    return plan
