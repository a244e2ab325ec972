"""The slot record: which slot is known to work, and how far the trial of the other one is.

It stands twice on the card, outside every file system, as text that a rescue shell can read too:

    leyden-slots 1 00000000000000000042 8f3a11c2 00312
    {"committed":"A","trial":null,…}

and NUL bytes up to 4096. The copy with the higher counter is the newer one. A new state replaces
the older copy, so that whatever a power cut leaves of it, the other copy still says how it was.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec

from leyden.appliance.update.errors import UpdateError
from leyden.storage.raw import RawArea

NAMES: Final = ("A", "B")
COPY_BYTES: Final = 4096
_MAGIC: Final = "leyden-slots"
_FORMAT: Final = 1
_HEAD_BYTES: Final = len(f"{_MAGIC} {_FORMAT} {0:020d} {0:08x} {0:05d}\n")
_HEAD: Final = re.compile(rf"{_MAGIC} {_FORMAT} (\d{{20}}) ([0-9a-f]{{8}}) (\d{{5}})\n")
_WORDS: Final = 240  # bytes of a reason that the record keeps; the history has them all

State: TypeAlias = Literal["intent", "written", "verified", "tried", "healthy"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the history: what happened to which slot, when, and why."""

    n: int  # counts on, one an entry
    what: str  # installed trying healthy committed rolled-back refused failed recovered
    slot: str = ""
    version: str = ""
    from_version: str = ""
    code: str = ""  # the reason in one word, for programs
    reason: str = ""  # the reason in words
    detail: str = ""
    time: str = ""  # ISO 8601, UTC, as far as the machine knew
    clock: str = ""  # synced | unsynced
    boot: str = ""  # the kernel's id of the start in which it was written


class Before(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the appliance was when the update was installed: the gate asks for no more than that."""

    devices_down: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()  # of the panel, that answered: http, https
    network: bool = False  # whether it had an address


class Trial(msgspec.Struct, frozen=True, omit_defaults=False):
    """An update that is not committed yet."""

    slot: str
    version: str
    from_version: str = msgspec.field(name="from")
    state: State = "intent"
    boots: int = 0  # starts that reached user space
    code: str = ""
    reason: str = ""  # why it was given up, in words; empty while it was not
    n: int = 0  # number of the update, for those who read history and events
    epoch: int = 0
    boot: str = ""  # the kernel's id of the start in which the state was entered
    before: Before = Before()


class SlotFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a slot's contents."""

    version: str = ""
    epoch: int = 0
    state: Literal["good", "bad", "empty", "unknown"] = "unknown"
    detail: str = ""


class SlotRecord(msgspec.Struct, frozen=True):
    """The state of both slots. Keys are written in this order: shells look for them."""

    committed: str
    trial: Trial | None = None
    slots: dict[str, SlotFacts] = {}
    entry: Entry | None = None  # the newest of the history that belongs to this state

    def facts(self, slot: str) -> SlotFacts:
        """What is known of a slot."""
        return self.slots.get(slot, SlotFacts())

    def with_slot(self, slot: str, facts: SlotFacts) -> SlotRecord:
        """The same record with other facts of one slot."""
        return msgspec.structs.replace(self, slots={**self.slots, slot: facts})

    def with_trial(self, **changes: Any) -> SlotRecord:
        """The same record with its trial changed.

        Raises:
            UpdateError: there is no trial.
        """
        return msgspec.structs.replace(
            self, trial=msgspec.structs.replace(self.on_trial(), **changes)
        )

    def on_trial(self) -> Trial:
        """The trial under way, for whoever acts on one.

        Raises:
            UpdateError: there is none.
        """
        if self.trial is None:
            words = "the slot record names no update on trial; look at `leyden update status`"
            raise UpdateError("no-trial", words)
        return self.trial


def other(slot: str) -> str:
    """Return the name of the other slot."""
    return NAMES[1 - NAMES.index(slot)]


def brief(words: str) -> str:
    """Return words short enough for the record."""
    data = words.encode()
    return words if len(data) <= _WORDS else f"{data[: _WORDS - 3].decode('utf-8', 'ignore')}…"


@dataclass(frozen=True, slots=True)
class Found:
    """What the two copies say: the newest record, and what was wrong with a copy."""

    record: SlotRecord | None
    counter: int  # of the newest copy; 0 when there is none
    oldest: int  # index of the copy to replace next
    problems: tuple[str, ...]  # in words; none for a card on which nothing was ever written


class SlotStore:
    """Reads and writes the two copies."""

    def __init__(self, copies: tuple[RawArea, RawArea]) -> None:
        self._copies = copies

    def read(self) -> Found:
        """Return the newest state that can be read; raise nothing."""
        problems: list[str] = []
        found: list[tuple[int, SlotRecord | None]] = []
        for number, area in enumerate(self._copies, 1):
            try:
                found.append(decode(area.read()))
            except (OSError, ValueError) as error:
                problems.append(f"copy {number} of the slot record: {error}")
                found.append((0, None))
        newest = max((0, 1), key=lambda index: found[index][0])
        counter, record = found[newest]
        return Found(record, counter, 1 - newest, tuple(problems))

    def write(self, record: SlotRecord) -> None:
        """Make `record` the newest state; it is on the card on return.

        Raises:
            OSError: the card refused; the state is still the one before.
            ValueError: the record is too long for its place.
        """
        found = self.read()
        self._copies[found.oldest].write(encode(record, found.counter + 1))


def encode(record: SlotRecord, counter: int) -> bytes:
    """Return the bytes of one copy.

    Raises:
        ValueError: the record is too long for its place.
    """
    text = msgspec.json.encode(record)
    if len(text) > COPY_BYTES - _HEAD_BYTES - 1:
        raise ValueError(f"found a slot record of {len(text)} bytes, expected at most a block")
    head = f"{_MAGIC} {_FORMAT} {counter:020d} {_crc(counter, text):08x} {len(text):05d}\n"
    return (head.encode() + text + b"\n").ljust(COPY_BYTES, b"\0")


def decode(block: bytes) -> tuple[int, SlotRecord | None]:
    """Return counter and record of one copy; zero and None where nothing was ever written.

    Raises:
        ValueError: it is torn or damaged, with words that say how.
    """
    if not block.strip(b"\0"):
        return 0, None
    try:
        counter, crc, length = _head(block[:_HEAD_BYTES].decode("ascii"))
    except ValueError:
        raise ValueError("its first line is damaged") from None
    text = block[_HEAD_BYTES : _HEAD_BYTES + length]
    if _crc(counter, text) != crc or len(text) != length:
        raise ValueError("its checksum does not fit")
    try:
        record = msgspec.json.decode(text, type=SlotRecord)
    except msgspec.MsgspecError as error:
        raise ValueError(f"it is of another program's making: {error}") from None
    if record.committed not in NAMES or (record.trial and record.trial.slot not in NAMES):
        raise ValueError("it names a slot that there is not")
    return counter, record


def _head(line: str) -> tuple[int, int, int]:
    found = _HEAD.fullmatch(line)
    if found is None:
        raise ValueError(line)
    return int(found[1]), int(found[2], 16), int(found[3])


def _crc(counter: int, text: bytes) -> int:
    return zlib.crc32(f"{counter} {len(text)}\n".encode() + text)
