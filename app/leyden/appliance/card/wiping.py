"""Wiping: takes the secrets out of a preseed where they lie, byte for byte as long as before.

The file is overwritten in place, so that no old sector keeps a password, and no name or table of a
file system without a journal changes. A power cut in the middle leaves a mixture of old and new
sectors; what is known of both tells such a file from one that a person has changed since.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from leyden.appliance.card.preseed import Preseed
from leyden.appliance.card.statements import Statement, key_of
from leyden.appliance.card.text_file import TextFile

SECTOR: Final = 512  # bytes; a card writes one whole or not at all
_SHORTEST: Final = 4  # characters of a secret that is looked for in what is left
_WIPED: Final = "# {key}: wiped"
_ALL_WIPED: Final = "# This file was read and wiped.\n"


class Unfinished(msgspec.Struct, frozen=True):
    """What a wipe has begun: how the file ends up, and what it was, as hashes of its sectors."""

    after: bytes
    before: tuple[str, ...]

    @classmethod
    def of(cls, before: bytes, after: bytes) -> Unfinished:
        """Return what to remember before the first byte is changed."""
        return cls(after, tuple(_digests(before)))

    def matches(self, data: bytes) -> bool:
        """Whether a file is what was to be wiped, however far that came."""
        if len(data) != len(self.after):
            return False
        pairs = zip(self.before, _digests(self.after), _digests(data), strict=True)
        return all(now in (old, new) for old, new, now in pairs)


def wiped(preseed: Preseed, data: bytes) -> bytes:
    """Return a preseed's bytes without its secrets, as many as before.

    Comments stand where the secrets stood. Where a file is written so strangely that this leaves
    one behind, nothing of it stays.
    """
    file = preseed.file
    if file is None or not preseed.secrets:
        return data
    lines = file.lines
    for each in preseed.secrets:
        lines[each.first - 1 : each.last] = _blanked(file, each)
    result = file.encode("".join(lines))
    if len(result) != len(data) or _left(preseed, "".join(lines)):
        return blank(file, len(data))
    return result


def blank(file: TextFile, size: int) -> bytes:
    """Return a file of `size` bytes that says nothing but that it was read."""
    text = file.encode(_ALL_WIPED)
    filler = file.measure(" ")
    rest = size - len(text)
    if rest < 0:
        return filler * (size // len(filler)) + b"\n" * (size % len(filler))
    return text + filler * (rest // len(filler)) + b"\n" * (rest % len(filler))


def _blanked(file: TextFile, statement: Statement) -> Iterator[str]:
    """Yield comments for a statement's lines, each as long as its line was."""
    lines = file.lines[statement.first - 1 : statement.last]
    words = _WIPED.format(key=key_of(lines[0]) or "this line")
    unit = len(file.measure(" "))
    for line in lines:
        body = line.rstrip("\r\n")
        room = len(file.measure(body)) // unit
        yield words[:room].ljust(room) + line[len(body) :]
        words = "#"


def _left(preseed: Preseed, text: str) -> bool:
    """Whether a text still holds a secret of the preseed."""
    secrets = set(_secret_texts(preseed))
    try:
        parsed = tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except (ValueError, RecursionError):
        parsed = {}
    return any(each in text for each in secrets) or bool(secrets & set(_texts(parsed)))


def _secret_texts(preseed: Preseed) -> Iterator[str]:
    wifi, panel = preseed.wishes.wifi, preseed.wishes.panel
    found = (wifi.password, wifi.psk, wifi.access_point_password, panel.password_hash)
    for each in found:
        # One that is no secret anywhere else, such as the network's own name, counts as wiped.
        if each is not None and len(each) >= _SHORTEST and each != wifi.ssid:
            yield each


def _texts(table: Any) -> Iterator[str]:
    waiting = [table]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here
        elif isinstance(here, str):
            yield here


def _digests(data: bytes) -> Sequence[str]:
    sectors = range(0, len(data), SECTOR)
    return [hashlib.sha256(data[i : i + SECTOR]).hexdigest() for i in sectors]
