"""Claiming: the code with which a new appliance is claimed, kept readable until that is done.

The panel keeps a hash of the code. The code itself lies beside the keys, for root alone, so that it
can be shown at every boot; it is worth nothing once the appliance is claimed, and removed.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from leyden.appliance.card.places import PANEL_USER, Card
from leyden.kernel import Clock
from leyden.panel.auth import fingerprint
from leyden.panel.claim import ALPHABET, LETTERS, ClaimRecord, new_code, normalise, write_claim
from leyden.storage.atomic import write_atomic

FILE: Final = "claim.json"
_CODE: Final = re.compile(rf"[{ALPHABET}]{{{LETTERS}}}")


def claimed(card: Card) -> bool:
    """Whether somebody has set a password."""
    return card.password.exists()


def ensure_code(card: Card, clock: Clock) -> str:
    """Return the code of an unclaimed appliance, made where there is none or it is damaged.

    Raises:
        AuthError: the panel's directory cannot be written.
        OSError: the code cannot be kept.
    """
    code = _known(card)
    if not code:
        code = new_code()
        write_atomic(card.claim_code, f"{code}\n".encode(), private=True)
    if not _hash_matches(card, code):
        write_claim(card.auth, code, clock)
    card.own(card.auth / FILE, 0o600, PANEL_USER)
    return code


def forget_code(card: Card) -> None:
    """Remove what a claim has made useless.

    Raises:
        OSError: it cannot be removed.
    """
    card.claim_code.unlink(missing_ok=True)
    (card.auth / FILE).unlink(missing_ok=True)


def _known(card: Card) -> str:
    try:
        text = card.claim_code.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if _CODE.fullmatch(normalise(text)) else ""


def _hash_matches(card: Card, code: str) -> bool:
    try:
        known = msgspec.json.decode((card.auth / FILE).read_bytes(), type=ClaimRecord)
    except (OSError, msgspec.MsgspecError):
        return False
    return known.hash == fingerprint(normalise(code))
