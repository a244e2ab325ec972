"""Tests that come with the interfaces: what every driver has to stand, wherever it was written.

- `DriverConformance`: subclass it in a test file, name a driver's package; pytest does the rest.
- `Bench`: one driver with its chip model under the real kernel, in simulated time.
- `Kit`, `load_kit`, `folders`: what a driver's folder offers, and which folders there are.

It needs pytest and hypothesis, and nothing but tests imports it.
"""

from leyden.testing.bench import Bench, Tally
from leyden.testing.conformance import DriverConformance
from leyden.testing.kit import Kit, folders, load_kit

__all__ = ["Bench", "DriverConformance", "Kit", "Tally", "folders", "load_kit"]
