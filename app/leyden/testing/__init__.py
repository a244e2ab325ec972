"""Tests that come with the interfaces: what every driver has to stand, wherever it was written.

- `DriverConformance`: subclass it in a test file, name a driver's package; pytest does the rest.
- `Bench`: one driver with its chip model under the real kernel, in simulated time.
- `Kit`, `load_kit`, `folders`: what a driver's folder offers, and which folders there are.
- `tier`, `drift`: a driver's steps in front of a modelled, an emulated or a real part, and the
  table that lays them side by side.

Nothing but tests imports it. `DriverConformance` needs pytest and hypothesis and is loaded when it
is asked for: an appliance, which has neither, can still run `tier`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leyden.testing.bench import Bench, Tally
    from leyden.testing.conformance import DriverConformance
    from leyden.testing.kit import Kit, folders, load_kit

_HOMES = {
    "Bench": "bench",
    "DriverConformance": "conformance",
    "Kit": "kit",
    "Tally": "bench",
    "folders": "kit",
    "load_kit": "kit",
}

__all__ = ["Bench", "DriverConformance", "Kit", "Tally", "folders", "load_kit"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
