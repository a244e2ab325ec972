"""Fixtures of the hardware layer's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leyden.hal.mock.rig import Rig
from leyden.kernel import SimulatedExecutor


@pytest.fixture
def executor() -> Iterator[SimulatedExecutor]:
    made = SimulatedExecutor()
    yield made
    made.close()


@pytest.fixture
def rig(executor: SimulatedExecutor) -> Iterator[Rig]:
    made = Rig(executor, seed=1)
    yield made
    made.close()
