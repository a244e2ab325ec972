"""What is loaded when: no bus library before a bus is opened, no model on the real path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leyden.hal import BusMissingError, MissingLibraryError, Read, Write
from leyden.hal.guard import AnyGuard
from leyden.hal.linux.rig import LinuxRig
from leyden.kernel import SimulatedExecutor, SystemExecutor

LIBRARIES = ("smbus2", "spidev", "serial", "gpiod", "gpiozero")


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after a statement."""
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return set(done.stdout.split())


def test_the_front_door_loads_neither_backend_nor_library() -> None:
    modules = loaded_by("import leyden.hal, leyden.hal.guard, leyden.hal.lease")
    assert not modules & {*LIBRARIES, "leyden.hal.linux", "leyden.hal.mock"}


def test_a_rig_of_real_buses_loads_no_library_before_one_is_opened() -> None:
    modules = loaded_by(
        "from leyden.hal.linux.rig import LinuxRig; from leyden.kernel import SystemExecutor; "
        "rig = LinuxRig(SystemExecutor()); rig.i2c('i2c1'); rig.gpio('gpio'); rig.close()"
    )
    assert not modules & {*LIBRARIES, "leyden.hal.mock"}


def test_a_rig_of_models_loads_no_library() -> None:
    modules = loaded_by("import leyden.hal.mock.rig")
    assert not modules & {*LIBRARIES, "leyden.hal.linux"}


@pytest.mark.parametrize(
    ("library", "use"),
    [
        ("smbus2", lambda rig: rig.i2c("i2c1").transfer(0x48, (Write(b"\x00"), Read(1)))),
        ("spidev", lambda rig: rig.spi("spi0").transfer(0, b"\x00", speed_hz=1_000_000)),
        ("serial", lambda rig: rig.uart("uart0").read(1)),
        ("gpiod", lambda rig: rig.gpio("gpio").input(4)),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, library: str, use: Callable[[LinuxRig], object]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    rig = LinuxRig(SystemExecutor())
    with pytest.raises(MissingLibraryError, match=rf"{library} cannot be loaded.*pip install"):
        use(rig)
    rig.close()


def test_real_buses_that_are_not_there_are_closed_and_say_so(tmp_path: Path) -> None:
    rig = LinuxRig(SimulatedExecutor())
    i2c = rig.i2c("i2c1", path=str(tmp_path / "i2c-1"))
    uart = rig.uart("uart0", path=str(tmp_path / "ttyUSB0"))
    buses: list[tuple[AnyGuard, Callable[[], object]]] = [
        (i2c, lambda: i2c.transfer(0x48, (Read(1),))),
        (uart, lambda: uart.read(1)),
    ]
    for bus, use in buses:
        with pytest.raises(BusMissingError, match="there is no"):
            use()
        status = bus.status()
        assert (status["state"], status["errors"]) == ("closed", 1)
        assert status["path"].startswith(str(tmp_path))
    rig.close()
