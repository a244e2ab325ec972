"""Ties a process to the one that started it, so that no child outlives its supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
VARIABLE: Final = "LEYDEN_PARENT"


def die_with_parent(environment: Mapping[str, str] | None = None) -> None:
    """Be told to end (SIGTERM) when the process that `LEYDEN_PARENT` names ends, however it does.

    Exits at once if it has ended already; does nothing where the variable is not set.
    """
    parent = (os.environ if environment is None else environment).get(VARIABLE, "")
    if not parent:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:
        sys.exit(0)
