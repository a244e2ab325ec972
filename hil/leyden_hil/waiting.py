"""Waiting until something is so, with a limit, and knowing how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from leyden_hil.errors import TargetError

LOOK_S: Final = 0.5  # between two questions while something is waited for


def until(true: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait until something is so; return how long it took, in seconds.

    Raises:
        TargetError: it did not become so.
    """
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > limit_s:
            raise TargetError(f"not so after {limit_s:.0f} s: {what}")
        time.sleep(LOOK_S)
    return time.monotonic() - began
