"""SPI: one contract, met by the modelled bus and by the Linux back end over a stand-in spidev."""

from __future__ import annotations

import errno
import importlib.util
import sys
from typing import Any

import pytest
from hal.parts import InvertingChip, Options
from hal.seams import SpidevModule

from leyden.hal import BusError, BusLostError, BusMissingError, MessageError, MissingLibraryError
from leyden.hal.linux.spi import open_spi
from leyden.hal.mock.spi import MockSpiBus
from leyden.hal.mock.world import World
from leyden.hal.spi import RawSpiBus
from leyden.kernel import SimulatedExecutor

HZ = 1_000_000


@pytest.fixture
def world(executor: SimulatedExecutor) -> World:
    return World(executor.clock, seed=1)


@pytest.fixture
def wire(executor: SimulatedExecutor, world: World) -> MockSpiBus:
    made = MockSpiBus("spi0", executor, world)
    made.plug(InvertingChip(world, "adc", Options(chip_select=1), executor.clock))
    return made


@pytest.fixture
def spidev(wire: MockSpiBus, monkeypatch: pytest.MonkeyPatch) -> SpidevModule:
    module = SpidevModule(wire)
    monkeypatch.setitem(sys.modules, "spidev", module)
    return module


@pytest.fixture(params=["mock", "linux"])
def bus(request: pytest.FixtureRequest, wire: MockSpiBus) -> RawSpiBus:
    if request.param == "mock":
        return wire.open()
    request.getfixturevalue("spidev")
    return open_spi("/dev/spidev0", name="spi0")


def test_as_many_bytes_come_in_as_go_out(bus: RawSpiBus) -> None:
    assert bus.transfer(1, b"\x01\x80\x00", speed_hz=HZ) == b"\xfe\x7f\xff"


def test_a_missing_chip_reads_as_zeros(bus: RawSpiBus, world: World) -> None:
    assert bus.transfer(0, b"\x01\x80\x00", speed_hz=HZ) == b"\x00\x00\x00"
    world.set("adc.present", False)
    assert bus.transfer(1, b"\x01\x80\x00", speed_hz=HZ) == b"\x00\x00\x00"


@pytest.mark.parametrize(("fault", "byte"), [("stuck_high", 0xFF), ("stuck_low", 0x00)])
def test_a_stuck_line_reads_as_itself(bus: RawSpiBus, world: World, fault: str, byte: int) -> None:
    world.set("adc.fault", fault)
    assert bus.transfer(1, b"\x01\x80\x00", speed_hz=HZ) == bytes((byte,)) * 3


def test_one_bit_is_flipped_at_each_read(bus: RawSpiBus, world: World) -> None:
    world.set("adc.fault", "crc_error")
    for _ in range(20):
        answer = bus.transfer(1, b"\x01\x80\x00", speed_hz=HZ)
        assert (int.from_bytes(answer) ^ 0xFE7FFF).bit_count() == 1


def test_a_mode_the_chip_does_not_speak_moves_every_bit(bus: RawSpiBus) -> None:
    assert bus.transfer(1, b"\x00\x00", speed_hz=HZ, mode=1) == b"\x7f\xff"


def test_a_clock_the_chip_cannot_follow_gives_nonsense(bus: RawSpiBus) -> None:
    assert bus.transfer(1, b"\xff\xff", speed_hz=5 * HZ) == b"\xff\xff"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": b""}, "found no bytes"),
        ({"mode": 4}, "found SPI mode 4"),
        ({"speed_hz": 0}, "found an SPI clock of 0 Hz"),
        ({"chip_select": -1}, "found chip select -1"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(
    bus: RawSpiBus, arguments: dict[str, Any], words: str
) -> None:
    whole: dict[str, Any] = {"chip_select": 1, "data": b"\x00", "speed_hz": HZ} | arguments
    select, data = whole.pop("chip_select"), whole.pop("data")
    with pytest.raises(MessageError, match=words):
        bus.transfer(select, data, **whole)


# What is Linux's own.


def test_each_chip_select_is_a_file_opened_once(spidev: SpidevModule) -> None:
    bus = open_spi("/dev/spidev0", name="spi0")
    for select in (1, 1, 0, 1):
        bus.transfer(select, b"\x00", speed_hz=HZ)
    assert spidev.opened == ["/dev/spidev0.1", "/dev/spidev0.0"]
    bus.close()
    assert spidev.closed == 2


def test_a_chip_select_that_is_not_there_names_the_remedy(spidev: SpidevModule) -> None:
    bus = open_spi("/dev/spidev7", name="spi7")
    with pytest.raises(BusMissingError, match=r"there is no /dev/spidev7.0; switch SPI on"):
        bus.transfer(0, b"\x00", speed_hz=HZ)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [(errno.EIO, BusError, "EIO 5"), (errno.ESHUTDOWN, BusLostError, "went away")],
)
def test_a_failed_transfer_says_why(
    spidev: SpidevModule, number: int, kind: type[Exception], words: str
) -> None:
    bus = open_spi("/dev/spidev0", name="spi0")
    spidev.failure = number
    with pytest.raises(kind, match=words):
        bus.transfer(1, b"\x00", speed_hz=HZ)


def test_more_than_the_kernel_takes_is_refused(spidev: SpidevModule) -> None:
    bus = open_spi("/dev/spidev0", name="spi0")
    with pytest.raises(MessageError, match="found 5000 bytes, expected at most 4096"):
        bus.transfer(1, bytes(5000), speed_hz=HZ)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spidev", None)
    with pytest.raises(MissingLibraryError, match=r"spidev cannot be loaded.*leyden\[spi\]"):
        open_spi("/dev/spidev0", name="spi0")


@pytest.mark.skipif(
    importlib.util.find_spec("spidev") is None,
    reason="spidev has to be compiled and is not installed, so the stand-in cannot be compared",
)
def test_the_stand_in_has_what_the_library_has() -> None:
    real = importlib.import_module("spidev").SpiDev
    for name in ("open_path", "xfer2", "close", "mode", "max_speed_hz"):
        assert hasattr(real, name)
