"""Serial lines: one contract, met by the modelled line and by pyserial over a pseudo-terminal."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hal.parts import FarEnd, FrameChip, Options

from leyden.hal import BusError, BusLostError, BusMissingError, InUseError
from leyden.hal.linux.uart import open_uart
from leyden.hal.mock.rig import Rig
from leyden.hal.mock.uart import BUFFER, MockUart
from leyden.hal.mock.world import World
from leyden.hal.uart import RawUart
from leyden.kernel import NS, Clock, SimulatedExecutor, SystemClock


@dataclass
class Bench:
    """A line and its far end, whichever way the line is reached."""

    uart: RawUart
    clock: Clock
    say: Callable[[bytes], None]  # the far end sends
    heard: Callable[[], bytes]  # what the far end has received
    pull_out: Callable[[], object]
    wait_s: float  # long enough for a few bytes to arrive

    def read(self, limit: int = 64) -> bytes:
        until = self.clock.monotonic_ns() + round(self.wait_s * NS)
        return self.uart.read(limit, deadline=until)

    def read_all(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        return data


@pytest.fixture(params=["mock", "linux"])
def bench(request: pytest.FixtureRequest, executor: SimulatedExecutor) -> Iterator[Bench]:
    if request.param == "mock":
        world = World(executor.clock, seed=1)
        line = MockUart("uart0", executor, world)
        far = FarEnd(world, "dust", Options(), executor.clock)
        line.plug(far)
        yield Bench(
            line.open(),
            executor.clock,
            far.queue.append,
            lambda: far.heard,
            lambda: world.set("dust.fault", "uart_disconnect"),
            wait_s=1.0,
        )
        return
    pty = Pty()
    clock = SystemClock()
    uart = open_uart(pty.path, name="uart0", clock=clock)
    yield Bench(uart, clock, pty.say, pty.heard, pty.close, wait_s=0.5)
    uart.close()
    pty.close()


class Pty:
    """A pseudo-terminal; the test holds the far end."""

    def __init__(self) -> None:
        self._far, self._near = os.openpty()
        self.path = os.ttyname(self._near)
        self._open = True

    def say(self, data: bytes) -> None:
        os.write(self._far, data)

    def heard(self) -> bytes:
        ready, _, _ = select.select([self._far], [], [], 1.0)
        return os.read(self._far, 4096) if ready else b""

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._far)
            os.close(self._near)


def test_what_the_far_end_sends_arrives(bench: Bench) -> None:
    bench.say(b"T=21.5\n")
    assert bench.read_all(7) == b"T=21.5\n"


def test_no_more_than_asked_for_is_returned_and_the_rest_stays(bench: Bench) -> None:
    bench.say(b"abcdef")
    assert bench.read_all(4) == b"abcd"
    assert bench.read_all(2) == b"ef"


def test_a_partial_line_is_returned_as_it_is(bench: Bench) -> None:
    bench.say(b"T=21.")
    assert bench.read_all(5) == b"T=21."


def test_a_silent_line_gives_nothing_by_the_deadline(bench: Bench) -> None:
    before = bench.clock.monotonic_ns()
    until = before + 20_000_000
    assert bench.uart.read(10, deadline=until) == b""
    assert bench.clock.monotonic_ns() >= until


def test_a_deadline_that_is_over_returns_at_once_what_is_there(bench: Bench) -> None:
    assert bench.uart.read(10, deadline=0) == b""


def test_what_is_written_reaches_the_far_end(bench: Bench) -> None:
    bench.uart.write(b"\x42\x4d\xe1")
    assert bench.heard() == b"\x42\x4d\xe1"


def test_a_flush_forgets_what_has_arrived(bench: Bench) -> None:
    bench.say(b"old")
    assert bench.read_all(1) == b"o"
    bench.uart.flush_input()
    bench.say(b"new")
    assert bench.read_all(3) == b"new"


def test_an_adapter_pulled_out_is_lost(bench: Bench) -> None:
    bench.pull_out()
    with pytest.raises(BusLostError, match="uart0 went away"):
        bench.read()


# What is Linux's own.


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.close()


def test_a_line_is_held_by_one_program_only(pty: Pty) -> None:
    first = open_uart(pty.path, name="uart0", clock=SystemClock())
    with pytest.raises(InUseError, match="is used by another program"):
        open_uart(pty.path, name="uart0", clock=SystemClock())
    first.close()
    open_uart(pty.path, name="uart0", clock=SystemClock()).close()


def test_a_line_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BusMissingError, match="there is no .*ttyUSB0; plug the adapter in"):
        open_uart(str(tmp_path / "ttyUSB0"), name="uart0", clock=SystemClock())


def test_a_file_that_is_no_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.touch()
    with pytest.raises(BusError, match="could not be opened"):
        open_uart(str(path), name="uart0", clock=SystemClock())


def test_a_speed_that_cannot_be_is_refused(pty: Pty) -> None:
    with pytest.raises(BusError, match="could not be opened at -1 Bd"):
        open_uart(pty.path, name="uart0", clock=SystemClock(), speed_bd=-1)


@pytest.mark.parametrize("action", ["read", "write", "flush"])
def test_a_closed_line_is_lost_whatever_is_asked(pty: Pty, action: str) -> None:
    uart = open_uart(pty.path, name="uart0", clock=SystemClock())
    uart.close()
    actions = {
        "read": lambda: uart.read(1, deadline=0),
        "write": lambda: uart.write(b"x"),
        "flush": uart.flush_input,
    }
    with pytest.raises(BusLostError):
        actions[action]()


# What is the model's own: time on the wire.


@pytest.fixture
def line(rig: Rig) -> MockUart:
    rig.uart("uart0")
    rig.plug("uart0", FrameChip, "dust", Options())
    wire = rig.wires["uart0"]
    assert isinstance(wire, MockUart)
    return wire


def read_for(line: MockUart, clock: Clock, seconds: float) -> bytes:
    return line.read(1000, deadline=clock.monotonic_ns() + round(seconds * NS))


def test_a_frame_arrives_when_its_last_bit_has(line: MockUart, executor: SimulatedExecutor) -> None:
    clock = executor.clock
    frame = read_for(line, clock, 2.0)
    assert len(frame) == 8
    # half a second of start, then 8 bytes of 10 bits at 9600 Bd
    assert clock.monotonic_ns() == pytest.approx(0.5 * NS + 80 * NS / 9600, abs=100)


def test_a_frame_nobody_fetched_is_as_old_as_it_is(
    line: MockUart, executor: SimulatedExecutor
) -> None:
    executor.run_for(3.0)
    frames = read_for(line, executor.clock, 0.0)
    assert [frame[1] for frame in (frames[0:8], frames[8:16], frames[16:24])] == [1, 2, 3]
    assert int.from_bytes(frames[2:8]) == 0


def test_the_kernel_keeps_so_much_and_no_more(line: MockUart, executor: SimulatedExecutor) -> None:
    executor.run_for(1000.0)
    assert len(line.read(10_000, deadline=0)) == BUFFER
    assert line.lost == 1000 * 8 - BUFFER


def test_a_chip_answers_what_it_is_asked(rig: Rig, executor: SimulatedExecutor) -> None:
    uart = rig.uart("uart0")
    rig.plug("uart0", FarEnd, "dust", Options())
    uart.write(b"?abc")
    assert uart.read(10, deadline=NS) == b"cba?"
    assert executor.clock.monotonic_ns() > 8 * 10 * NS // 9600 - 10


def test_another_speed_is_nonsense_of_the_same_length(
    rig: Rig, executor: SimulatedExecutor
) -> None:
    uart = rig.uart("uart0", speed_bd=115_200)
    rig.plug("uart0", FrameChip, "dust", Options())
    nonsense = uart.read(1000, deadline=2 * NS)
    assert len(nonsense) == 8
    assert nonsense[:2] != b"\x42\x01"


def test_a_break_is_one_zero_then_silence(
    line: MockUart, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("dust.fault", "stuck_low")
    assert read_for(line, executor.clock, 2.0) == b"\x00"
    assert read_for(line, executor.clock, 3.0) == b""


def test_an_idle_line_is_silence(line: MockUart, rig: Rig, executor: SimulatedExecutor) -> None:
    rig.world.set("dust.fault", "stuck_high")
    assert read_for(line, executor.clock, 3.0) == b""


def test_frames_break_off_in_the_middle(
    line: MockUart, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("dust.fault", "partial_line")
    executor.run_for(20.0)
    data = line.read(1000, deadline=0)
    assert 0 < len(data) < 20 * 8


def test_a_slow_chip_speaks_late(line: MockUart, rig: Rig, executor: SimulatedExecutor) -> None:
    rig.world.set("dust.fault", "slow 200 ms")
    read_for(line, executor.clock, 2.0)
    assert executor.clock.monotonic_ns() > 0.7 * NS


def test_one_bit_of_each_frame_is_flipped(
    line: MockUart, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("dust.fault", "crc_error once")
    executor.run_for(1.0)
    spoilt = line.read(8, deadline=0)
    assert (int.from_bytes(spoilt) ^ int.from_bytes(b"\x42\x01" + bytes(6))).bit_count() == 1
    executor.run_for(1.0)
    assert line.read(2, deadline=0) == b"\x42\x02"


@pytest.mark.parametrize("fault", ["brown_out", "unplug"])
def test_after_a_loss_of_power_the_chip_begins_anew(
    line: MockUart, rig: Rig, executor: SimulatedExecutor, fault: str
) -> None:
    executor.run_for(3.2)
    line.read(1000, deadline=0)
    rig.world.set("dust.fault", fault)
    line.read(1000, deadline=0)
    rig.world.set("dust.fault", "none")
    frame = read_for(line, executor.clock, 2.0)
    assert frame[:2] == b"\x42\x01"


def test_a_chip_plugged_in_while_somebody_reads_is_heard(
    line: MockUart, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("dust.present", False)
    got: list[bytes] = []
    executor.start_lane("reader", lambda: got.append(read_for(line, executor.clock, 10.0)))
    executor.run_for(2.0)
    rig.world.set("dust.present", True)
    executor.run_for(1.0)
    assert [frame[:2] for frame in got] == [b"\x42\x01"]


def test_a_line_pulled_out_opens_again_when_it_is_back(
    rig: Rig, executor: SimulatedExecutor
) -> None:
    uart = rig.uart("uart0")
    rig.plug("uart0", FrameChip, "dust", Options())
    executor.run_for(1.6)
    assert uart.read(4, deadline=2 * NS) == b"\x42\x01\x00\x00"
    rig.world.set("dust.fault", "uart_disconnect")
    with pytest.raises(BusLostError, match="went away"):
        uart.read(100, deadline=3 * NS)
    with pytest.raises(BusMissingError, match="uart0 is not there; is its adapter plugged in"):
        uart.read(100, deadline=3 * NS)
    assert uart.status()["state"] == "closed"
    rig.world.set("dust.fault", "none")
    executor.run_for(1.0)
    # The frame that was cut short is gone; the next one begins with its own first byte.
    assert uart.read(100, deadline=9 * NS).startswith(b"\x42")
    assert uart.status()["state"] == "ok"
