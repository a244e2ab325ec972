"""How big the image is, what of it is where, and whether that is too much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from leyden_image.progress import bytes_in_words
from leyden_image.recipe import Limits

_MB: Final = 10**6
_SHOWN: Final = 25
_NAMED: Final = 5


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes.

    Attributes:
        compressed: the file that is downloaded.
        raw: what is written to the card.
        slot: what an update writes.
        parts: of the slot and the boot partition, by name.
        owners: of the unpacked root, by who brought it.
        folders: of the unpacked root.
    """

    compressed: int
    raw: int
    slot: int
    parts: dict[str, int]
    owners: dict[str, int]
    folders: dict[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The size report of one build."""

    version: str
    commit: str
    limits: Limits
    sizes: Sizes
    files: dict[str, str]  # SHA-256 of each result


def over_limit(sizes: Sizes, limits: Limits) -> list[str]:
    """Return which limits are broken, each with what weighs most."""
    measured = (
        ("the compressed image", sizes.compressed, limits.compressed_mb),
        ("a slot", sizes.slot, limits.slot_mb),
        ("the card", sizes.raw, limits.raw_mb),
    )
    return [
        f"{what} has {size / _MB:.1f} MB, {limit} MB are allowed; {_biggest(sizes)}"
        for what, size, limit in measured
        if size > limit * _MB
    ]


def text(report: Report) -> str:
    """Return the report for people."""
    sizes, limits = report.sizes, report.limits
    lines = [
        f"Leyden {report.version}, commit {report.commit}",
        "",
        _line("compressed", sizes.compressed, limits.compressed_mb),
        _line("slot", sizes.slot, limits.slot_mb),
        _line("raw card", sizes.raw, limits.raw_mb),
        *_table("parts", sizes.parts),
        *_table("root, unpacked, by who brought it", sizes.owners),
        *_table("root, unpacked, by folder", sizes.folders),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, size: int, limit_mb: int) -> str:
    return f"{name:<12}{size / _MB:8.1f} MB  of {limit_mb} MB"


def _table(title: str, sizes: Mapping[str, int]) -> list[str]:
    rows = sorted(sizes.items(), key=lambda row: (-row[1], row[0]))
    rest = sum(size for _, size in rows[_SHOWN:])
    lines = ["", f"{title}: {bytes_in_words(sum(sizes.values()))}"]
    lines += [f"{size / _MB:10.2f} MB  {name}" for name, size in rows[:_SHOWN]]
    if rest:
        lines.append(f"{rest / _MB:10.2f} MB  {len(rows) - _SHOWN} others")
    return lines


def _biggest(sizes: Sizes) -> str:
    rows = sorted({**sizes.parts, **sizes.owners}.items(), key=lambda row: -row[1])[:_NAMED]
    return "the biggest: " + ", ".join(f"{name} {bytes_in_words(size)}" for name, size in rows)
