"""The preseed: what a card's owner wrote in `leyden.toml` for the first boot, and its mistakes.

A field that is wrong is left out and said, with its line; the rest counts. Nothing here stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leyden.appliance.card.judging import Complaint, Judge
from leyden.appliance.card.sections import appliance_text, secret_statements
from leyden.appliance.card.statements import Document, Statement, read
from leyden.appliance.card.text_file import TextFile, UnreadableError, decode
from leyden.appliance.card.wishes import APPLIANCE_TABLES, Wishes

LONGEST: Final = 256 * 1024  # bytes; a whole appliance fits in many times over


@dataclass(frozen=True, slots=True)
class Preseed:
    """What a preseed says, after everything wrong was taken out."""

    wishes: Wishes
    complaints: tuple[Complaint, ...] = ()
    appliance: str = ""  # an appliance's configuration that stands in the file, as it was written
    file: TextFile | None = None
    document: Document | None = None
    secrets: tuple[Statement, ...] = ()  # statements that may hold one

    @property
    def empty(self) -> bool:
        """Whether nothing is wished for."""
        return self.wishes == Wishes() and not self.appliance


def read_preseed(data: bytes, *, name: str, zones: Path) -> Preseed:
    """Return what a preseed says; it never fails.

    Args:
        data: the file.
        name: how complaints call it.
        zones: the folder of the time zones there are.
    """
    if len(data) > LONGEST:
        words = f"has {len(data)} bytes, expected at most {LONGEST}; nothing in it was taken over"
        return Preseed(Wishes(), (Complaint(name, words),))
    try:
        file = decode(data)
    except UnreadableError as error:
        return Preseed(Wishes(), (Complaint(name, f"{error}; nothing in it was taken over"),))
    document = read(file.text)
    judge = Judge(name, document, zones)
    judge.name_broken(file.lines)
    own = {key: each for key, each in document.table.items() if key not in APPLIANCE_TABLES}
    wishes = judge.judged(own, inline=len(own) < len(document.table))
    appliance = appliance_text(file, document)
    secrets = tuple(secret_statements(file, document))
    judge.name_lost(secrets, wishes)
    return Preseed(wishes, judge.complaints, appliance, file, document, secrets)


def judge_wishes(table: Mapping[str, Any], *, name: str, zones: Path) -> Preseed:
    """Return what a table says that was not read from TOML, judged the same way."""
    judge = Judge(name, Document({}, (), whole=True), zones)
    wishes = judge.judged(table, inline=False)
    return Preseed(wishes, judge.complaints)
