"""The guard: deadlines kept, turns told apart, trouble counted, named and climbed out of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from hal.parts import ADDRESS, FarEnd, InvertingChip, Options, Switch, ThermoChip, ThermoPort

from leyden.hal import (
    AbandonedError,
    BusError,
    BusHungError,
    BusLostError,
    BusMissingError,
    BusStuckError,
    BusTurnError,
    MessageError,
    NoAnswerError,
    Read,
    Write,
)
from leyden.hal.guard import GuardedI2c, Rung
from leyden.hal.i2c import Message
from leyden.hal.mock.i2c import MockI2cBus
from leyden.hal.mock.rig import Rig
from leyden.kernel import NS, DeadlineError, NoDataError, SimulatedExecutor, Transport

ID = (Write(b"\x0f"), Read(2))
MS = 1_000_000


@pytest.fixture
def bus(rig: Rig) -> GuardedI2c:
    made = rig.i2c("i2c1")
    rig.plug("i2c1", ThermoChip, "air", Options())
    return made


class Script:
    """A raw bus that does one scripted thing after another."""

    speed_hz = 100_000

    def __init__(self, *steps: bytes | Exception) -> None:
        self.name = "i2c1"
        self.steps = list(steps)
        self.opens = self.closes = 0

    def open(self) -> Script:
        self.opens += 1
        return self

    def close(self) -> None:
        self.closes += 1

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return [step]


def guarded(script: Script, executor: SimulatedExecutor, *rungs: Rung) -> GuardedI2c:
    return GuardedI2c("i2c1", script.open, executor.clock, path="/dev/i2c-1", recovery=rungs)


def nack() -> NoAnswerError:
    return NoAnswerError("no answer")


def stuck() -> BusStuckError:
    return BusStuckError("did not move")


# Deadlines


def test_a_guard_is_the_transport_of_the_kernel(bus: GuardedI2c) -> None:
    transport: Transport = bus
    transport.allow("air", NS)
    transport.release()
    assert transport.status()["state"] == "closed"


def test_within_the_time_allowed_transfers_go_through(
    bus: GuardedI2c, executor: SimulatedExecutor
) -> None:
    bus.allow("air", executor.clock.monotonic_ns() + 250 * MS)
    assert bus.transfer(ADDRESS, ID) == [b"\x01\x17"]


def test_after_the_time_allowed_transfers_are_refused(
    bus: GuardedI2c, executor: SimulatedExecutor
) -> None:
    bus.allow("air", executor.clock.monotonic_ns() + 250 * MS)
    executor.run_for(0.25)
    with pytest.raises(DeadlineError, match="time allowed to air on i2c1 was over before the"):
        bus.transfer(ADDRESS, ID)
    assert bus.transfers == 0


def test_an_answer_that_came_too_late_does_not_count(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("air.fault", "slow 90 ms")
    bus.allow("air", executor.clock.monotonic_ns() + 50 * MS)
    with pytest.raises(DeadlineError, match="was over when the transfer to 0x48 came back"):
        bus.transfer(ADDRESS, ID)
    assert bus.errors == 1


def test_a_driver_that_polls_for_ever_is_ended_by_its_deadline(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    port = ThermoPort(bus, ADDRESS)
    rig.world.set("air.fault", "slow 1 ms")

    def poll() -> None:
        while not port.data_ready:
            pass

    bus.allow("air", executor.clock.monotonic_ns() + 100 * MS)
    with pytest.raises(NoDataError):
        poll()
    assert 99 <= bus.transfers <= 101
    bus.release()
    assert port.device_id == 0x0117


@pytest.mark.parametrize(("explicit", "ambient"), [(10, 500), (500, 10)])
def test_the_earlier_of_two_deadlines_counts(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor, explicit: int, ambient: int
) -> None:
    rig.world.set("air.fault", "slow 50 ms")
    now = executor.clock.monotonic_ns()
    bus.allow("air", now + ambient * MS)
    with pytest.raises(DeadlineError):
        bus.transfer(ADDRESS, ID, deadline=now + explicit * MS)


def test_after_release_nobodys_time_counts(bus: GuardedI2c, executor: SimulatedExecutor) -> None:
    bus.allow("air", executor.clock.monotonic_ns())
    bus.release()
    assert bus.transfer(ADDRESS, ID) == [b"\x01\x17"]


def test_retries_end_at_the_deadline(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    script = Script(nack(), b"late")
    guard = guarded(script, executor)
    original = script.transfer

    def slow(
        address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        executor.clock.sleep(0.1)
        return original(address, messages, deadline=deadline)

    script.transfer = slow  # type: ignore[method-assign]  # this script is slow
    with pytest.raises(NoAnswerError):
        guard.transfer(ADDRESS, ID, deadline=executor.clock.monotonic_ns() + 50 * MS)
    assert guard.retries == 0


def test_a_stuck_bus_is_left_alone_when_there_is_no_time(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("i2c1.fault", "stuck_low")
    with pytest.raises(BusStuckError):
        bus.transfer(ADDRESS, ID, deadline=executor.clock.monotonic_ns() + 50 * MS)
    assert bus.transfers == 1


# Not acknowledged


@pytest.mark.parametrize(("nacks", "retries"), [(0, 0), (1, 1), (2, 2)])
def test_a_nack_is_tried_again_and_counted(
    executor: SimulatedExecutor, nacks: int, retries: int
) -> None:
    guard = guarded(Script(*[nack() for _ in range(nacks)], b"ok"), executor)
    assert guard.transfer(ADDRESS, ID) == [b"ok"]
    assert (guard.retries, guard.errors, guard.transfers) == (retries, nacks, nacks + 1)


def test_a_third_nack_is_the_answer(executor: SimulatedExecutor) -> None:
    script = Script(nack(), nack(), nack(), b"ok")
    guard = guarded(script, executor)
    with pytest.raises(NoAnswerError):
        guard.transfer(ADDRESS, ID)
    assert script.steps == [b"ok"]
    assert guard.status()["state"] == "ok"  # silence at one address is not a broken bus


def test_other_errors_are_not_tried_again(executor: SimulatedExecutor) -> None:
    guard = guarded(Script(BusError("EIO"), b"ok"), executor)
    with pytest.raises(BusError):
        guard.transfer(ADDRESS, ID)
    assert guard.retries == 0


# A stuck bus


def test_a_stuck_bus_climbs_one_rung_a_transfer(executor: SimulatedExecutor) -> None:
    helped: list[str] = []
    rail = Rung("power", helped.append)
    script = Script(*[stuck() for _ in range(6)], b"ok")
    guard = guarded(script, executor, rail)
    opens = []
    for _ in range(3):
        with pytest.raises(BusStuckError):
            guard.transfer(ADDRESS, ID)
        opens.append(script.opens)
    assert opens == [1, 2, 2]  # tried again, opened again, power cycled
    assert helped == ["transfer to 0x48"]
    assert guard.status()["state"] == "stuck"
    assert guard.status()["suspect"] == "transfer to 0x48"

    assert guard.transfer(ADDRESS, ID) == [b"ok"]
    assert guard.status()["state"] == "ok"
    assert guard.status()["suspect"] == ""


@pytest.mark.parametrize(("failures", "rung"), [(1, "retry"), (3, "reopen"), (5, "power")])
def test_the_rung_that_helped_is_counted(
    executor: SimulatedExecutor, failures: int, rung: str
) -> None:
    guard = guarded(
        Script(*[stuck() for _ in range(failures)], b"ok"), executor, Rung("power", lambda _: None)
    )
    for _ in range(failures // 2):
        with pytest.raises(BusStuckError):
            guard.transfer(ADDRESS, ID)
    assert guard.transfer(ADDRESS, ID) == [b"ok"]
    assert guard.status()["recovered"] == {rung: 1}


def test_a_rung_that_fails_is_an_error_and_the_next_one_follows(
    executor: SimulatedExecutor,
) -> None:
    def broken(_: str) -> None:
        raise BusError("the load switch does not answer")

    guard = guarded(Script(*[stuck() for _ in range(5)], b"ok"), executor, Rung("power", broken))
    for expected in (BusStuckError, BusStuckError, BusError):
        with pytest.raises(expected):
            guard.transfer(ADDRESS, ID)
    assert guard.transfer(ADDRESS, ID) == [b"ok"]
    assert guard.status()["recovered"] == {}


def test_on_the_wire_a_stuck_bus_is_named_and_comes_back(bus: GuardedI2c, rig: Rig) -> None:
    rig.world.set("i2c1.fault", "stuck_low")
    with pytest.raises(BusStuckError):
        bus.transfer(ADDRESS, ID)
    assert bus.status()["suspect"] == "transfer to 0x48"
    rig.world.set("i2c1.fault", "none")
    bus.transfer(ADDRESS, ID)
    assert bus.status()["state"] == "ok"


# A lost bus


def test_a_bus_is_opened_when_it_is_needed_and_not_before(executor: SimulatedExecutor) -> None:
    script = Script(b"ok", b"ok")
    guard = guarded(script, executor)
    assert (script.opens, guard.status()["state"]) == (0, "closed")
    guard.transfer(ADDRESS, ID)
    guard.transfer(ADDRESS, ID)
    assert script.opens == 1


def test_a_lost_bus_is_closed_and_opened_by_the_next_transfer(executor: SimulatedExecutor) -> None:
    script = Script(BusLostError("went away"), b"ok")
    guard = guarded(script, executor)
    with pytest.raises(BusLostError):
        guard.transfer(ADDRESS, ID)
    assert (script.closes, guard.status()["state"]) == (1, "closed")
    assert guard.transfer(ADDRESS, ID) == [b"ok"]
    assert guard.status()["opened"] == 2


def test_a_bus_that_cannot_be_opened_says_why_each_time(executor: SimulatedExecutor) -> None:
    def missing() -> MockI2cBus:
        raise BusMissingError("there is no /dev/i2c-1")

    guard = GuardedI2c("i2c1", missing, executor.clock)
    for _ in range(2):
        with pytest.raises(BusMissingError, match="there is no /dev/i2c-1"):
            guard.transfer(ADDRESS, ID)
    assert (guard.errors, guard.transfers, guard.status()["state"]) == (2, 0, "closed")


def test_closing_gives_the_bus_back_once(executor: SimulatedExecutor) -> None:
    script = Script(b"ok")
    guard = guarded(script, executor)
    guard.transfer(ADDRESS, ID)
    guard.close()
    guard.close()
    assert script.closes == 1


# A hung call


def hang(rig: Rig, bus: GuardedI2c, executor: SimulatedExecutor) -> list[BaseException]:
    """Let a lane hang in a transfer; return where its error will be."""
    rig.world.set("air.fault", "hang")
    errors: list[BaseException] = []

    def lane() -> None:
        bus.allow("air", executor.clock.monotonic_ns() + 250 * MS)
        for attempt in (bus.transfer, bus.transfer):
            try:
                attempt(ADDRESS, ID)
            except AbandonedError as error:
                errors.append(error)
        try:
            bus.allow("air", executor.clock.monotonic_ns() + 250 * MS)
        except AbandonedError as error:
            errors.append(error)

    executor.start_lane("bus.i2c1", lane)
    executor.run_for(1.0)
    return errors


def test_a_call_past_its_deadline_shows_as_a_hung_bus(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    hang(rig, bus, executor)
    assert bus.status()["state"] == "hung"


def test_a_hung_call_is_abandoned_by_name_and_the_next_caller_gets_a_new_bus(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    errors = hang(rig, bus, executor)
    assert bus.abandon() == "transfer to 0x48"
    assert bus.status()["suspect"] == "transfer to 0x48"
    rig.plug("i2c1", ThermoChip, "soil", Options(address=0x49))

    assert bus.transfer(0x49, ID) == [b"\x01\x17"]
    assert (bus.status()["state"], bus.opened, errors) == ("ok", 2, [])


def test_the_old_caller_is_refused_for_good_when_its_call_comes_back(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    errors = hang(rig, bus, executor)
    bus.abandon()
    bus.allow("soil", executor.clock.monotonic_ns() + 10 * NS)
    rig.world.set("air.fault", "none")
    executor.run_for(1.0)

    assert len(errors) == 3
    assert "came back after it was given up" in str(errors[0])
    assert "was taken from bus.i2c1" in str(errors[1])
    assert bus.transfer(ADDRESS, ID, deadline=20 * NS) == [b"\x01\x17"]  # soil's time still runs


def test_the_old_handle_is_closed_by_the_one_who_used_it(executor: SimulatedExecutor) -> None:
    released = executor.signal()

    class Hanging(Script):
        def transfer(
            self, address: int, messages: Sequence[Message], *, deadline: int | None = None
        ) -> list[bytes]:
            released.wait()
            return [b"late"]

    script = Hanging()
    guard = guarded(script, executor)
    lane = executor.start_lane("bus.i2c1", lambda: _swallow(lambda: guard.transfer(ADDRESS, ID)))
    executor.run_for(1.0)
    guard.abandon()
    assert script.closes == 0
    released.set()
    executor.run_for(1.0)
    assert script.closes == 1
    assert not lane.alive()


def _swallow(call: Callable[[], object]) -> None:
    with pytest.raises(AbandonedError):
        call()


def test_a_lane_that_hangs_outside_a_transfer_is_refused_too(
    bus: GuardedI2c, executor: SimulatedExecutor
) -> None:
    refused: list[str] = []

    def lane() -> None:
        bus.allow("air", executor.clock.monotonic_ns() + 250 * MS)
        executor.clock.sleep(5.0)  # in the driver itself, not on the wire
        try:
            bus.transfer(ADDRESS, ID)
        except AbandonedError as error:
            refused.append(str(error))

    executor.start_lane("bus.i2c1", lane)
    executor.run_for(1.0)
    assert bus.abandon() == "i2c1, with no transfer under way"
    assert bus.transfer(ADDRESS, ID) == [b"\x01\x17"]
    executor.run_for(10.0)
    assert len(refused) == 1


def test_a_second_lane_on_a_hung_bus_is_told_so(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    hang(rig, bus, executor)
    bus.allow("soil", executor.clock.monotonic_ns() + NS)
    with pytest.raises(BusHungError, match=r"i2c1 hangs in the transfer to 0x48 by bus\.i2c1"):
        bus.transfer(ADDRESS, ID)


def test_two_lanes_on_one_bus_that_does_not_hang_are_told_so(
    bus: GuardedI2c, rig: Rig, executor: SimulatedExecutor
) -> None:
    rig.world.set("air.fault", "slow 90 ms")

    def lane() -> None:
        bus.transfer(ADDRESS, ID)

    executor.start_lane("bus.i2c1", lane)
    executor.run_for(0.01)
    with pytest.raises(BusTurnError, match=r"used by two lanes at once: the transfer to 0x48 by"):
        bus.transfer(ADDRESS, ID)


def test_real_threads_are_told_apart_too(executor: SimulatedExecutor) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Script):
        def transfer(
            self, address: int, messages: Sequence[Message], *, deadline: int | None = None
        ) -> list[bytes]:
            entered.set()
            leave.wait(5.0)
            return [b"ok"]

    guard = guarded(Slow(), executor)
    thread = threading.Thread(target=lambda: guard.transfer(ADDRESS, ID))
    thread.start()
    assert entered.wait(5.0)
    with pytest.raises(BusTurnError):
        guard.transfer(ADDRESS, ID)
    leave.set()
    thread.join(5.0)
    assert guard.transfer(ADDRESS, ID) == [b"ok"]


# Figures


def test_the_figures_of_the_devices_page_are_there(bus: GuardedI2c) -> None:
    bus.transfer(ADDRESS, ID)
    status = bus.status()
    assert {"name", "kind", "path", "state", "load", "transfers", "errors", "suspect"} <= set(
        status
    )
    assert (status["kind"], status["transfers"], status["bytes"]) == ("i2c", 1, 3)


def test_bus_load_is_bits_by_clock(bus: GuardedI2c, executor: SimulatedExecutor) -> None:
    # 3 bytes and two addresses: 2 starts, 5 x 9 clocks, 1 stop = 48 bits, 0.48 ms at 100 kHz
    for _ in range(100):
        bus.transfer(ADDRESS, ID)
        executor.run_for(0.1)
    assert bus.status()["load"] == pytest.approx(0.0048, rel=0.05)
    executor.run_for(20.0)
    assert bus.status()["load"] == 0.0


def test_spi_and_uart_are_guarded_alike(rig: Rig, executor: SimulatedExecutor) -> None:
    spi, uart = rig.spi("spi0"), rig.uart("uart0")
    rig.plug("spi0", InvertingChip, "adc", Options())
    far = rig.plug("uart0", FarEnd, "dust", Options())
    past = executor.clock.monotonic_ns()
    for use in (
        lambda: spi.transfer(0, b"\x00", speed_hz=1_000_000, deadline=past),
        lambda: uart.read(1, deadline=past),
        lambda: uart.write(b"x", deadline=past),
    ):
        with pytest.raises(DeadlineError):
            use()
    assert spi.transfer(0, b"\x00", speed_hz=1_000_000) == b"\xff"
    uart.write(b"abc")
    uart.flush_input()
    assert far.heard == b"abc"
    assert (spi.status()["bytes"], uart.status()["bytes"]) == (1, 3)


def test_a_read_of_a_line_ends_at_the_ambient_deadline(
    rig: Rig, executor: SimulatedExecutor
) -> None:
    uart = rig.uart("uart0")
    rig.plug("uart0", FarEnd, "dust", Options())
    uart.allow("dust", executor.clock.monotonic_ns() + 300 * MS)
    assert uart.read(10, deadline=10 * NS) == b""
    assert executor.clock.monotonic_ns() == 300 * MS
    with pytest.raises(DeadlineError):
        uart.read(10)


def test_a_read_without_any_deadline_waits_a_second(rig: Rig, executor: SimulatedExecutor) -> None:
    uart = rig.uart("uart0")
    assert uart.read(10) == b""
    assert executor.clock.monotonic_ns() == NS


def test_gpio_is_guarded_alike(rig: Rig, executor: SimulatedExecutor) -> None:
    gpio = rig.gpio("gpio")
    rig.plug("gpio", Switch, "door", Options())
    line = gpio.input(17)
    gpio.allow("door", executor.clock.monotonic_ns() + 100 * MS)
    assert line.value() is False
    executor.run_for(0.2)
    with pytest.raises(DeadlineError):
        line.value()
    assert gpio.status()["transfers"] == 2


def test_a_given_up_gpio_chip_goes_on_with_its_lines(rig: Rig, executor: SimulatedExecutor) -> None:
    gpio = rig.gpio("gpio")
    rig.plug("gpio", Switch, "door", Options())
    door, other = gpio.input(17), gpio.input(4)
    rig.world.set("door.fault", "hang")
    executor.start_lane("bus.gpio", lambda: _swallow(door.value))
    executor.run_for(1.0)
    assert gpio.abandon() == "read of line 17"
    assert other.value() is False
    rig.world.set("door.fault", "none")
    executor.run_for(1.0)
    assert door.value() is False


def test_a_rig_takes_each_name_once_and_each_model_where_it_fits(rig: Rig) -> None:
    rig.i2c("i2c1")
    with pytest.raises(ValueError, match="two buses called i2c1"):
        rig.spi("i2c1")
    with pytest.raises(ValueError, match="adc is a model for spi, i2c1 is i2c"):
        rig.plug("i2c1", InvertingChip, "adc", Options())
    rig.plug("i2c1", ThermoChip, "air", Options())
    with pytest.raises(ValueError, match="soil and air are both at 0x48 on i2c1"):
        rig.plug("i2c1", ThermoChip, "soil", Options())


def test_nonsense_is_not_counted_against_the_bus(bus: GuardedI2c) -> None:
    with pytest.raises(MessageError):
        bus.transfer(0xEC, ID)
    assert bus.errors == 0
