"""Tests of the bench and the kit: a driver that lies is caught, an incomplete folder is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from leyden.kernel import ComponentError, DeviceState
from leyden.testing import Bench, Kit, folders, load_kit
from leyden_drivers.bme280.driver import BME280, Climate
from leyden_drivers.mcp3008.driver import Input
from leyden_drivers.mcp3008.driver import Mcp3008Options as Options


@pytest.fixture
def kit() -> Kit:
    return load_kit("leyden_drivers.bme280")


class OffByALittle(BME280):
    def read(self) -> Climate:
        true = super().read()
        return dataclasses.replace(true, pressure=true.pressure + 3)  # type: ignore[arg-type]  # a lie


class Frozen(BME280):
    first: Climate | None = None

    def read(self) -> Climate:
        self.first = self.first or super().read()
        return self.first


def test_a_true_driver_is_believed(kit: Kit) -> None:
    with Bench(kit) as bench:
        assert bench.settle()
        bench.set("temperature", 30.0)
        bench.run_reads(10)
    assert bench.tally.good
    assert not bench.tally.wrong


def test_a_driver_that_is_off_by_a_little_is_caught(kit: Kit) -> None:
    with Bench(dataclasses.replace(kit, driver=OffByALittle)) as bench:
        bench.run_reads(5)
    assert bench.tally.wrong
    assert all(text.startswith("air.pressure") for text in bench.tally.wrong)


def test_a_driver_that_repeats_itself_is_caught(kit: Kit) -> None:
    with Bench(dataclasses.replace(kit, driver=Frozen)) as bench:
        assert bench.settle()
        assert not bench.tally.wrong
        bench.set("temperature", 30.0)
        bench.run_reads(5)
    assert any(text.startswith("air.temperature = 21.5") for text in bench.tally.wrong)


def test_a_value_from_just_before_a_change_is_no_lie(kit: Kit) -> None:
    with Bench(kit) as bench:
        assert bench.settle()
        for turn in range(30):
            bench.set("temperature", 20.0 + turn)
            bench.run_for(0.33)
    assert not bench.tally.wrong


def test_what_follows_from_a_change_is_true_as_well() -> None:
    with Bench(load_kit("leyden_drivers.pms5003")) as bench:
        assert bench.settle()
        bench.set("pm2_5", 100.0)
        assert bench.truth("pm10") == pytest.approx(130.0)
        bench.run_reads(5)
    assert not bench.tally.wrong


def test_faults_are_set_and_taken_away(kit: Kit) -> None:
    with Bench(kit) as bench:
        assert bench.settle()
        bench.fault("nack")
        bench.run_reads(5)
        assert bench.status().state is DeviceState.OFFLINE
        bench.heal()
        assert bench.settle()


def test_a_bench_without_a_part_is_never_good(kit: Kit) -> None:
    with Bench(kit, plug=None) as bench:
        assert not bench.settle(5.0)


def test_the_folders_of_a_package_are_its_drivers() -> None:
    names = {name.rpartition(".")[2] for name in folders("leyden_drivers")}
    assert {"bme280", "mcp3008", "pms5003"} <= names


def test_a_kit_has_the_options_of_its_sample() -> None:
    options = load_kit("leyden_drivers.mcp3008").options()
    assert options == Options(
        {"moisture_1": Input(0, "Bed 1", "%", 2.8, 1.2), "battery": Input(3, "Battery")}
    )


def test_a_kit_names_the_file_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_a_driver").mkdir()
    (tmp_path / "half_a_driver" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ComponentError, match=r"found no driver.py, sample.toml, README.md in"):
        load_kit("half_a_driver")


def test_a_kit_names_the_export_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "nameless_driver"
    folder.mkdir()
    for file in ("__init__.py", "driver.py", "README.md"):
        (folder / file).write_text("")
    (folder / "sample.toml").write_text('[device.x]\ndriver = "nameless_driver"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ComponentError, match="nameless_driver: found no DEVICE"):
        load_kit("nameless_driver")
