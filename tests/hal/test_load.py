"""Bus load: busy time over a window that slides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal.load import WINDOW_S, LoadMeter
from leyden.kernel import ManualClock


@given(share=st.integers(1, 100), seconds=st.integers(1, 40))
def test_a_steady_load_is_what_it_is(share: int, seconds: int) -> None:
    clock = ManualClock()
    meter = LoadMeter(clock)
    for _ in range(seconds * 10):
        clock.advance(0.1)
        meter.add(share * 100, 100_000)  # that many thousandths of a second
    assert meter.load() == pytest.approx(share / 100, rel=0.12)


def test_a_burst_is_forgotten_after_the_window() -> None:
    clock = ManualClock()
    meter = LoadMeter(clock)
    meter.add(100_000, 100_000)
    clock.advance(2.0)
    assert meter.load() == pytest.approx(0.5)
    clock.advance(WINDOW_S)
    assert meter.load() == 0.0


def test_a_load_above_one_is_not_hidden() -> None:
    clock = ManualClock()
    meter = LoadMeter(clock)
    meter.add(300_000, 100_000)
    clock.advance(1.0)
    assert meter.load() == pytest.approx(3.0)
