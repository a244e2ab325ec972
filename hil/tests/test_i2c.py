"""Real bus drivers and emulated chips: what the chip senses is what the panel says, or says not."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any, Final

import pytest

from leyden.testing import drift, tier
from leyden_hil.appliance import Appliance
from leyden_hil.plugin import Measure

pytestmark = pytest.mark.lg_feature("i2c-chips")

AIR: Final = "/machine/peripheral/air"
FOLLOWS_S: Final = 3.0  # from the change at the chip to the value in the panel
BUS: Final = "/dev/i2c-1"
OPTIONS: Final = {
    "lm75": {"address": 0x48, "part": "tmp105"},
    "at24": {"address": 0x50, "part": "24c32"},
    "ds1307": {"address": 0x68, "part": "ds1338"},
}


def _warm(appliance: Appliance, celsius: float) -> None:
    appliance.life.monitor.set(AIR, "temperature", round(celsius * 1000))


def _says(appliance: Appliance, celsius: float) -> bool:
    row = appliance.panel.latest("air.temperature")
    return bool(row["quality"] == "good" and abs(row["value"] - celsius) <= 0.0625)


@pytest.mark.parametrize("celsius", [23.5, -10.25, 60.25, 0.0, 120.0, 21.0])
def test_the_value_follows_the_chip(appliance: Appliance, measure: Measure, celsius: float) -> None:
    appliance.until(
        lambda: appliance.panel.latest("air.temperature")["quality"] == "good",
        60,
        "the thermometer is good",
    )
    began = time.monotonic()
    _warm(appliance, celsius)
    appliance.until(lambda: _says(appliance, celsius), 15, f"the panel says {celsius}")
    measure("from chip to panel", time.monotonic() - began, "s", f"<= {FOLLOWS_S:g}")


def test_a_part_that_is_not_there_is_bad_in_words(appliance: Appliance) -> None:
    """A real kernel driver's NACK: nobody has the address 0x49."""
    row = appliance.panel.latest("nobody.temperature")
    assert row["quality"] == "bad"
    assert row["value"] is None
    devices = appliance.panel.data("/api/v1/devices")["devices"]
    nobody = next(device for device in devices if device["id"] == "nobody")
    assert nobody["state"] in ("absent", "offline")
    assert "0x49" in nobody["error"]["detail"], nobody
    assert nobody["error"]["detail"].count(" ") >= 3


def test_a_kernel_driver_that_holds_the_chip_is_named(appliance: Appliance) -> None:
    shell = appliance.shell
    shell.ask("echo tmp105 0x48 > /sys/bus/i2c/devices/i2c-1/new_device")
    try:
        appliance.until(
            lambda: appliance.panel.latest("air.temperature")["quality"] == "bad",
            30,
            "a chip that somebody else holds is bad",
        )
        devices = appliance.panel.data("/api/v1/devices")["devices"]
        air = next(device for device in devices if device["id"] == "air")
        assert air["error"]["detail"], air
    finally:
        shell.ask("echo 0x48 > /sys/bus/i2c/devices/i2c-1/delete_device")
    appliance.until(
        lambda: appliance.panel.latest("air.temperature")["quality"] == "good",
        60,
        "the chip is good again once it is free",
    )


@pytest.mark.parametrize("driver", sorted(OPTIONS))
def test_model_and_emulated_chip_do_the_same(
    appliance: Appliance, artefacts: Path, measure: Measure, driver: str
) -> None:
    """One conformance suite, on the modelled bus and on the emulated Pi's; the drift between."""

    def stimulate(channel: str, value: Any) -> None:
        if (driver, channel) != ("lm75", "temperature"):
            raise tier.CannotError(f"the emulator has no property for {channel} of a {driver}")
        _warm(appliance, float(value))

    appliance.shell.ask("systemctl stop leyden-runtime.service", limit_s=120)
    try:
        results = _on_the_card(appliance, driver, stimulate)
    finally:
        appliance.shell.ask("systemctl start leyden-runtime.service", limit_s=120)
    options = {key: value for key, value in OPTIONS[driver].items() if key != "address"}
    tiers = {"mock": tier.run_modelled(driver, options=options), "qemu-raspi3b": results}
    (artefacts / "drift.txt").write_text(drift.table(tiers))
    failed = [result for result in results if result.outcome == "fail"]
    measure("steps", len(results), "", ">= 5")
    measure("steps that failed on the emulated part", len(failed), "", "== 0")
    measure("unexplained differences", len(list(drift.unexplained(tiers))), "", "== 0")


def _on_the_card(appliance: Appliance, driver: str, stimulate: Any) -> Any:
    options = dict(OPTIONS[driver])
    address = options.pop("address")
    words = " ".join(f"--option '{key}=\"{value}\"'" for key, value in options.items())
    command = f"exec python3 -u -m leyden.testing.tier --driver {driver} --bus {BUS} "
    command += f"--address {address:#x} {words} --name qemu-raspi3b --json"
    process = appliance.shell.talk(command)
    assert isinstance(process.stdin, io.TextIOWrapper)
    assert isinstance(process.stdout, io.TextIOWrapper)
    try:
        return tier.converse(process.stdin, process.stdout, stimulate)
    finally:
        process.terminate()
        process.wait(30)
