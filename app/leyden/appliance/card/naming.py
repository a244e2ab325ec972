"""Naming: what this appliance is called on its network."""

from __future__ import annotations

from typing import Final

from leyden.appliance.card.places import Card
from leyden.appliance.card.record import Settings
from leyden.appliance.identity import discover

_DIGITS: Final = 4  # hexadecimal; enough to tell the boards of a household apart


def own_name(card: Card) -> str:
    """Return the name that a board has by itself: "leyden-3f9a", from its device id."""
    device_id = discover(card.root).device_id
    return f"leyden-{device_id[-_DIGITS:]}" if device_id else "leyden"


def hostname_of(card: Card, settings: Settings) -> str:
    """Return the host name: the one that was wished for, else the board's own."""
    return settings.hostname or own_name(card)
