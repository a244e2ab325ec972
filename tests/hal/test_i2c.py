"""I2C: one contract, met by the modelled bus and by smbus2 over the modelled kernel."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from hal.parts import ADDRESS, Options, ThermoChip
from hal.seams import KernelI2c
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal import (
    BusLostError,
    BusMissingError,
    BusStuckError,
    InUseError,
    MessageError,
    NoAnswerError,
    Read,
    Write,
)
from leyden.hal.i2c import Message, RawI2cBus, bits_of, bytes_of
from leyden.hal.linux.i2c import open_i2c
from leyden.hal.mock.i2c import MockI2cBus
from leyden.hal.mock.world import World
from leyden.kernel import NS, SimulatedExecutor


@dataclass
class Bench:
    """A thermometer on a bus, whichever way the bus is reached."""

    bus: RawI2cBus
    chip: ThermoChip
    world: World
    executor: SimulatedExecutor
    wire: MockI2cBus
    reopen: Callable[[], RawI2cBus]
    kernel: KernelI2c | None = None


@pytest.fixture(params=["mock", "linux"])
def bench(
    request: pytest.FixtureRequest,
    executor: SimulatedExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    world = World(executor.clock, seed=1)
    wire = MockI2cBus("i2c9", executor, world)
    chip = ThermoChip(world, "air", Options(), executor.clock)
    wire.plug(chip)
    if request.param == "mock":
        yield Bench(wire.open(), chip, world, executor, wire, wire.open)
        return
    kernel = KernelI2c(wire, tmp_path, monkeypatch)

    def opened() -> RawI2cBus:
        return open_i2c(str(kernel.path), name="i2c9", sysfs=kernel.sysfs)

    bus = opened()
    yield Bench(bus, chip, world, executor, wire, opened, kernel)
    bus.close()


ID = (Write(b"\x0f"), Read(2))


def test_a_register_is_read_with_a_repeated_start(bench: Bench) -> None:
    assert bench.bus.transfer(ADDRESS, ID) == [b"\x01\x17"]


def test_what_is_written_is_in_the_chip(bench: Bench) -> None:
    assert bench.bus.transfer(ADDRESS, (Write(b"\x01\x0c\x20"),)) == []
    assert bench.chip.configuration == 0x0C20


def test_each_read_gives_its_bytes_in_order(bench: Bench) -> None:
    messages = (Write(b"\x0f"), Read(2), Write(b"\x01"), Read(2), Read(1))
    assert bench.bus.transfer(ADDRESS, messages) == [b"\x01\x17", b"\x02\x20", b"\x02"]


def test_a_bare_read_goes_on_at_the_pointer(bench: Bench) -> None:
    bench.bus.transfer(ADDRESS, (Write(b"\x0f"),))
    assert bench.bus.transfer(ADDRESS, (Read(2),)) == [b"\x01\x17"]


def test_nobody_at_an_address_is_no_answer(bench: Bench) -> None:
    with pytest.raises(NoAnswerError, match="no answer from 0x76 on i2c9; check its cable"):
        bench.bus.transfer(0x76, ID)


def test_an_unplugged_chip_is_no_answer_and_comes_back_reset(bench: Bench) -> None:
    bench.bus.transfer(ADDRESS, (Write(b"\x01\x0c\x20"),))
    bench.world.set("air.present", False)
    with pytest.raises(NoAnswerError):
        bench.bus.transfer(ADDRESS, ID)
    bench.world.set("air.present", True)
    assert bench.bus.transfer(ADDRESS, (Write(b"\x01"), Read(2))) == [b"\x02\x20"]


def test_a_held_line_is_a_stuck_bus_for_every_address(bench: Bench) -> None:
    bench.world.set("i2c9.fault", "stuck_low")
    for address in (ADDRESS, 0x76):
        with pytest.raises(BusStuckError, match="i2c9 did not move during a transfer to"):
            bench.bus.transfer(address, ID)


def test_a_chip_that_stretches_too_long_is_a_stuck_bus(bench: Bench) -> None:
    bench.world.set("air.fault", "slow 300 ms")
    before = bench.executor.clock.monotonic_ns()
    with pytest.raises(BusStuckError):
        bench.bus.transfer(ADDRESS, ID)
    assert bench.executor.clock.monotonic_ns() - before == NS // 10


def test_a_bus_that_goes_away_is_lost_and_opens_again(bench: Bench) -> None:
    bench.world.set("i2c9.fault", "unplug")
    with pytest.raises(BusLostError, match="went away"):
        bench.bus.transfer(ADDRESS, ID)
    bench.world.set("i2c9.fault", "none")
    assert bench.reopen().transfer(ADDRESS, ID) == [b"\x01\x17"]


@pytest.mark.parametrize(
    ("address", "messages", "words"),
    [
        (0xEC, ID, "found I2C address 0xec, expected 0x08 to 0x77"),
        (0x03, ID, "found I2C address 0x03"),
        (ADDRESS, (), "found no messages"),
        (ADDRESS, (Read(0),), "found a read of 0 bytes"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(
    bench: Bench, address: int, messages: tuple[Message, ...], words: str
) -> None:
    with pytest.raises(MessageError, match=words):
        bench.bus.transfer(address, messages)


@given(
    sizes=st.lists(st.tuples(st.booleans(), st.integers(1, 64)), min_size=1, max_size=6),
)
def test_bits_and_bytes_add_up(sizes: list[tuple[bool, int]]) -> None:
    messages = [Read(size) if read else Write(bytes(size)) for read, size in sizes]
    total = sum(size for _, size in sizes)
    assert bytes_of(messages) == total
    assert bits_of(messages) == 9 * total + 10 * len(sizes) + 1


# What is Linux's own.


@pytest.fixture
def kernel(
    executor: SimulatedExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KernelI2c:
    world = World(executor.clock)
    wire = MockI2cBus("i2c9", executor, world)
    wire.plug(ThermoChip(world, "air", Options(), executor.clock))
    return KernelI2c(wire, tmp_path, monkeypatch)


class Opener(Protocol):
    """Opens the bus of this test; what is opened is closed after it."""

    def __call__(self, *, speed_hz: int = 100_000, timeout_s: float = 0.1) -> RawI2cBus: ...


@pytest.fixture
def bus(kernel: KernelI2c) -> Iterator[Opener]:
    made: list[RawI2cBus] = []

    def opened(*, speed_hz: int = 100_000, timeout_s: float = 0.1) -> RawI2cBus:
        each = open_i2c(
            str(kernel.path),
            name="i2c9",
            speed_hz=speed_hz,
            timeout_s=timeout_s,
            sysfs=kernel.sysfs,
        )
        made.append(each)
        return each

    yield opened
    for each in made:
        each.close()


def test_the_kernels_time_out_is_set_at_open(kernel: KernelI2c, bus: Opener) -> None:
    bus(timeout_s=0.25)
    assert kernel.timeout == 25


def test_no_ioctl_holds_more_than_one_read_and_it_is_last(kernel: KernelI2c, bus: Opener) -> None:
    bus().transfer(ADDRESS, (Write(b"\x0f"), Read(2), Write(b"\x01"), Read(2), Write(b"\x00")))
    assert kernel.transfers == [["W", "R"], ["W", "R"], ["W"]]


def test_an_address_of_a_kernel_driver_is_left_alone(kernel: KernelI2c, bus: Opener) -> None:
    kernel.own(ADDRESS, "tmp102")
    with pytest.raises(InUseError, match="0x48 on i2c9 belongs to the kernel driver tmp102"):
        bus().transfer(ADDRESS, ID)
    assert kernel.transfers == []


def test_the_clock_of_the_device_tree_is_believed(kernel: KernelI2c, bus: Opener) -> None:
    assert bus(speed_hz=100_000).speed_hz == 100_000
    kernel.set_clock(400_000)
    assert bus(speed_hz=100_000).speed_hz == 400_000


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EREMOTEIO, NoAnswerError, "no answer from 0x48"),
        (errno.ENXIO, NoAnswerError, "no answer from 0x48"),
        (errno.ETIMEDOUT, BusStuckError, "did not move"),
        (errno.EAGAIN, BusStuckError, "did not move"),
        (errno.EBUSY, InUseError, "belongs to another driver"),
        (errno.ENODEV, BusLostError, "went away"),
        (errno.EIO, Exception, r"transfer to 0x48 on i2c9 failed: .*EIO 5"),
        (errno.EOPNOTSUPP, Exception, "EOPNOTSUPP|ENOTSUP"),
    ],
)
def test_each_errno_has_its_error(
    kernel: KernelI2c,
    bus: Opener,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    words: str,
) -> None:
    opened = bus()

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("smbus2.smbus2.ioctl", fail)
    with pytest.raises(kind, match=words):
        opened.transfer(ADDRESS, ID)


def test_a_closed_bus_says_so(bus: Opener) -> None:
    opened = bus()
    opened.close()
    with pytest.raises(BusLostError, match="went away"):
        opened.transfer(ADDRESS, ID)


def test_a_bus_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BusMissingError, match="there is no .*i2c-7; switch I2C on"):
        open_i2c(str(tmp_path / "i2c-7"), name="i2c7")


def test_a_file_that_is_no_bus_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "i2c-7"
    path.touch()
    before = open_files()
    with pytest.raises(Exception, match="could not be opened"):
        open_i2c(str(path), name="i2c7")
    assert open_files() == before


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
