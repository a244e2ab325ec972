"""A serial port of the machine, with a modelled instrument at the other end of the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leyden_drivers.pms5003 import OPTIONS
from leyden_drivers.pms5003.chip import CHIP
from leyden_hil.appliance import Appliance
from leyden_hil.instrument import Instrument
from leyden_hil.plugin import Measure

pytestmark = pytest.mark.lg_feature("uart")


@pytest.fixture
def sensor(appliance: Appliance) -> Iterator[Instrument]:
    """A dust sensor with power, plugged into the header's port."""
    made = Instrument(appliance.life.lines["header"], CHIP, "dust", OPTIONS())
    yield made
    made.close()


def test_an_instrument_is_read_through_the_kernels_serial_driver(
    appliance: Appliance, sensor: Instrument, measure: Measure
) -> None:
    sensor.world.set("dust.pm2_5", 42.0)
    good = lambda: appliance.panel.latest("dust.pm2_5")["quality"] == "good"  # noqa: E731
    measure("warm and good", appliance.until(good, 120, "the dust sensor is good"), "s")
    appliance.until(lambda: appliance.panel.latest("dust.pm2_5")["value"] == 42, 15, "it says 42")
    sensor.world.set("dust.pm2_5", 7.0)
    took = appliance.until(
        lambda: appliance.panel.latest("dust.pm2_5")["value"] == 7, 15, "it says 7"
    )
    measure("from instrument to panel", took, "s", "<= 8")
    measure("frames sent", sensor.frames, "", ">= 10")
    silent = lambda: appliance.panel.latest("dust.pm2_5")["quality"] == "bad"  # noqa: E731
    sensor.silence()
    measure("silence is bad", appliance.until(silent, 60, "silence is bad"), "s", "<= 30")
    assert appliance.panel.latest("dust.pm2_5")["value"] is None
