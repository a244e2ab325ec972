"""Fixtures of the flow tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flow.parts import World, simulated


@pytest.fixture
def world() -> Iterator[World]:
    with simulated() as made:
        yield made
