"""Intents and answers: the only way anything is asked of the runtime, and what came of it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from leyden.kernel.event import Value


class Role(StrEnum):
    """What a principal may do; each includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for viewer up to 3 for admin."""
        return list(Role).index(self)


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something asked of the runtime: typed, attributed, idempotent, expiring."""

    goal: str  # "device.write", "world.set", …
    payload: Value = None
    who: str = ""
    role: Role = Role.VIEWER
    key: str = ""  # idempotency: equal keys are carried out once
    seen: int = 0  # sequence number the sender had seen when it asked
    expires_s: float | None = None  # seconds from arrival


class Outcome(StrEnum):
    """What became of an intent."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of an intent, in a word and a sentence."""

    outcome: Outcome
    detail: str = ""
    result: Value = None
    n: int = 0  # sequence number of the event that records it
