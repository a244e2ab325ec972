"""The plans that a runtime keeps between its starts: the judged one, and the last that ran.

A judged plan spares a start the second that judging takes. Its key is made of everything the
judgement rests on: the file's content and place, and the code. The last plan that ran takes over
when the configuration has been broken since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.plan import Plan
from leyden.storage.atomic import write_atomic

JUDGED: Final = "judged.json"
RAN: Final = "ran.json"
_LONGEST: Final = 8 << 20  # bytes; no plan comes near


class KeptPlan(msgspec.Struct, frozen=True):
    """A plan as it is kept; `key` says of which file and which code it is the judgement."""

    key: str
    file: str
    plan: Plan


def key_of(file: Path, content: bytes, code: str) -> str:
    """Return the key of a configuration's judgement by one version of the code."""
    digest = hashlib.sha256()
    for part in (code.encode(), str(file).encode(), content):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class PlanCache:
    """Keeps plans in a folder that only the runtime writes to.

    Whatever is damaged counts as absent, and a disk that takes nothing is reported and no more: a
    start without the cache is slower, never different.

    Args:
        folder: where they are; made when something is kept.
        report: takes one sentence when a plan cannot be kept.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._report = report

    def judged(self, key: str) -> Plan | None:
        """Return the plan that was judged under this key, or None."""
        kept = self._read(JUDGED)
        return kept.plan if kept is not None and kept.key == key else None

    def ran(self) -> KeptPlan | None:
        """Return the last plan that was seen to run, or None."""
        return self._read(RAN)

    def keep_judged(self, key: str, file: Path, plan: Plan) -> None:
        """Keep a plan as judged."""
        self._write(JUDGED, KeptPlan(key, str(file), plan))

    def keep_ran(self, key: str, file: Path, plan: Plan) -> None:
        """Keep a plan as one that ran; nothing is written when it is kept already."""
        kept = self._read(RAN)
        if kept is None or kept.key != key:
            self._write(RAN, KeptPlan(key, str(file), plan))

    def _read(self, name: str) -> KeptPlan | None:
        try:
            with (self._folder / name).open("rb") as file:
                return msgspec.json.decode(file.read(_LONGEST), type=KeptPlan)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _write(self, name: str, kept: KeptPlan) -> None:
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, msgspec.json.encode(kept), private=True)
        except OSError as error:
            self._report(f"the plan could not be kept in {path}: {error.strerror or error}")
