"""Sections: which lines of a preseed are the appliance's, and which may hold a secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from leyden.appliance.card.statements import Document, Kind, Statement, key_of
from leyden.appliance.card.text_file import TextFile
from leyden.appliance.card.wishes import APPLIANCE_TABLES, is_public

_PRIVATE_KEY: Final = "PRIVATE KEY"


def appliance_text(file: TextFile, document: Document) -> str:
    """Return the appliance's configuration alone, on the same lines as in the file."""
    if not any(key in document.table for key in APPLIANCE_TABLES):
        return ""
    lines = file.lines
    hosts = hosts_line(document)
    for each in document.statements:
        panel = hosts is not None and each.kind is Kind.TABLE and each.table == ("panel",)
        if not (of_appliance(each) or panel or each is hosts):
            lines[each.first - 1 : each.last] = ["\n"] * (each.last - each.first + 1)
    return "".join(lines).replace("\r\n", "\n").replace("\r", "\n")


def hosts_line(document: Document) -> Statement | None:
    """Return the statement that sets the panel's further names and nothing else."""
    wanted = (("panel", "hosts"),)
    return next((each for each in document.statements if each.paths == wanted), None)


def of_appliance(statement: Statement) -> bool:
    """Whether a statement belongs to an appliance's configuration."""
    tops = {path[0] for path in statement.paths} or set(statement.table[:1])
    return bool(tops) and tops <= set(APPLIANCE_TABLES)


def secret_statements(file: TextFile, document: Document) -> Iterator[Statement]:
    """Yield the statements that hold a secret, or may do so by mistake."""
    lines = file.lines
    for each in document.statements:
        if each.kind in (Kind.BLANK, Kind.TABLE):
            continue
        text = lines[each.first - 1 : each.last]
        paths = each.paths or ((*each.table, key_of(text[0])),)
        private = any(_PRIVATE_KEY in line for line in text)
        if private or not all(is_public(path) for path in paths):
            yield each
