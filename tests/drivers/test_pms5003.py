"""Tests of the pms5003 driver: captured frames, broken streams, and a sensor that starts over."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.hal.mock.curves import Sine
from leyden.hal.mock.rig import Rig
from leyden.kernel import (
    NS,
    UNCERTAIN,
    ChecksumError,
    DeviceError,
    DeviceResetError,
    DeviceState,
    ManualClock,
    NoDataError,
    NotReadyError,
    SimulatedExecutor,
    WrongDeviceError,
)
from leyden.testing import Bench, load_kit
from leyden_drivers.pms5003.chip import Pms5003Chip
from leyden_drivers.pms5003.driver import PMS5003, Pms5003Options
from leyden_drivers.pms5003.frames import Frame, Splitter
from leyden_drivers.pms5003.registers import ACTIVE_MODE, PASSIVE_MODE, SLEEP, WAKE

# Frames captured from sensors, published with github.com/avaldebe/PyPMS.
DUSTY = bytes.fromhex("424d001c0005000d00160005000d001602fd00fc001d000f00060006970003c5")
INDOOR = bytes.fromhex("424d001c00000008000800000008000800d20046002d001e00000000970002c5")
JUST_ON = bytes.fromhex("424d001c000000000000000000000000000000000000000000000000000000ab")
JUST_AWAKE = bytes.fromhex("424d001c0000000a00200000000a002000000000000000000000000097000196")
OF_A_PMS5003T = bytes.fromhex("424d001c001700270029001600230029100804a90116000c00d400e09a0004aa")
OF_A_PMS5003ST = bytes.fromhex(
    "424d00240000000a00200000000a002000000000000000000000000000000000000000009700019e"
)
# In clean air, and the answer to "active mode": captured, as two firmware authors publish them.
CLEAN = bytes.fromhex("424d001c0000000000000000000000000024000700010001000100009700" + "0170")
ANSWER = bytes.fromhex("424d0004e1010175")
# Two bytes missing in the middle, as a user of forums.pimoroni.com found it (topic 15841).
TRUNCATED = bytes(
    (66, 77, 0, 28, 0, 4, 0, 5, 0, 5, 0, 4, 0, 5, 0, 3, 126, 0, 226, 0, 23, 0, 2, 0, 0, 0, 0, 151,
     0, 2)
)  # fmt: skip

DATA = [DUSTY, INDOOR, JUST_ON, JUST_AWAKE, CLEAN]


# Frames


def test_a_captured_frame_says_what_its_publisher_says() -> None:
    frame = Frame.from_bytes(DUSTY)
    assert frame.cf1 == (5, 13, 22)
    assert frame.atmospheric == (5, 13, 22)
    assert frame.counts == (765, 252, 29, 15, 6, 6)
    assert (frame.version, frame.error) == (0x97, 0)
    assert not frame.flaw()


@pytest.mark.parametrize("data", [*DATA, OF_A_PMS5003T, OF_A_PMS5003ST, ANSWER])
def test_every_captured_frame_is_whole(data: bytes) -> None:
    assert Splitter().feed(data) == [data]


def test_the_truncated_frame_is_none() -> None:
    splitter = Splitter()
    assert splitter.feed(TRUNCATED + DUSTY) == [DUSTY]
    assert splitter.damaged == 1


def test_clean_air_is_not_an_empty_frame() -> None:
    assert Frame.from_bytes(JUST_ON).empty()
    assert Frame.from_bytes(JUST_AWAKE).empty()
    assert not Frame.from_bytes(CLEAN).empty()


def test_a_pms5003t_contradicts_itself() -> None:
    assert "PMS5003T" in Frame.from_bytes(OF_A_PMS5003T).flaw()


@given(st.lists(st.sampled_from([*DATA, ANSWER]), min_size=1), st.data())
def test_it_does_not_matter_how_a_stream_is_cut(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    splitter = Splitter()
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [frame for piece in pieces for frame in splitter.feed(piece)] == frames


@given(st.binary(max_size=100), st.sampled_from(DATA))
def test_a_frame_is_found_after_any_garbage(garbage: bytes, frame: bytes) -> None:
    splitter = Splitter()
    # A second frame, since garbage may end in what looks like the beginning of one.
    found = splitter.feed(garbage + frame + frame)
    assert found[-1] == frame


@given(st.sampled_from([DUSTY, INDOOR, CLEAN]), st.integers(0, 32 * 8 - 1))
def test_no_single_flipped_bit_passes(frame: bytes, place: int) -> None:
    spoilt = bytearray(frame)
    spoilt[place // 8] ^= 1 << place % 8
    assert Splitter().feed(bytes(spoilt)) == []


@given(
    st.sampled_from([DUSTY, INDOOR]),
    st.sampled_from([DUSTY, INDOOR]),
    st.integers(1, 31),
    st.integers(1, 31),
)
def test_halves_of_two_frames_are_never_one(
    first: bytes, second: bytes, end: int, begin: int
) -> None:
    found = Splitter().feed(first[:end] + second[begin:])
    assert all(frame in (first, second) for frame in found)


# The driver, on a line that says what a test wants


class Line:
    """A serial line on which bytes arrive at once, when told."""

    name = "uart0"

    def __init__(self) -> None:
        self.arrived = b""
        self.sent: list[bytes] = []
        self.error: Exception | None = None

    def read(self, limit: int, *, deadline: int | None = None) -> bytes:
        if self.error is not None:
            raise self.error
        taken, self.arrived = self.arrived[:limit], self.arrived[limit:]
        return taken

    def write(self, data: bytes, *, deadline: int | None = None) -> None:
        self.sent.append(data)

    def flush_input(self) -> None:
        self.arrived = b""


class Setup:
    def __init__(self, *, counts: bool = False) -> None:
        self.line = Line()
        self.clock = ManualClock(start_ns=10**12)
        self.driver = PMS5003(self.line, Pms5003Options(counts=counts))
        self.driver.clock = self.clock
        self.line.arrived = INDOOR
        self.driver.probe()
        self.driver.start()
        self.driver.read()

    def hear(self, data: bytes, after_s: float = 1.0) -> None:
        self.clock.advance(after_s)
        self.line.arrived += data

    def values(self) -> list[object]:
        return list(self.driver.read().table.values())


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_reading_is_the_atmospheric_masses(setup: Setup) -> None:
    setup.hear(DUSTY)
    reading = setup.driver.read()
    assert reading.table == {"pm1_0": 5.0, "pm2_5": 13.0, "pm10": 22.0}
    assert not reading.doubts


def test_counts_come_when_they_are_wanted() -> None:
    setup = Setup(counts=True)
    setup.hear(DUSTY)
    assert setup.values() == [5, 13, 22, 765, 252, 29, 15, 6, 6]
    assert setup.driver.channels()[3].unit == "{count}/dL"


def test_the_newest_of_several_frames_wins(setup: Setup) -> None:
    setup.hear(INDOOR + CLEAN + DUSTY)
    assert setup.values() == [5, 13, 22]


def test_a_frame_is_read_once(setup: Setup) -> None:
    setup.hear(DUSTY)
    setup.driver.read()
    with pytest.raises(NotReadyError):
        setup.driver.read()


def test_a_frame_may_come_in_two_parts(setup: Setup) -> None:
    setup.hear(DUSTY[:20])
    with pytest.raises(NotReadyError):
        setup.driver.read()
    setup.hear(DUSTY[20:], after_s=0.02)
    assert setup.values() == [5, 13, 22]


def test_after_a_pause_what_comes_is_not_the_rest(setup: Setup) -> None:
    setup.hear(DUSTY[:20])
    with pytest.raises(NotReadyError):
        setup.driver.read()
    setup.hear(DUSTY[20:] + INDOOR, after_s=1.0)
    assert setup.values() == [0, 8, 8]


def test_after_a_failure_what_comes_is_not_the_rest(setup: Setup) -> None:
    setup.hear(DUSTY[:20])
    with pytest.raises(NotReadyError):
        setup.driver.read()
    setup.line.error = NoDataError("adapter pulled out")
    with pytest.raises(NoDataError):
        setup.driver.read()
    setup.line.error = None
    setup.hear(DUSTY[20:], after_s=0.01)
    with pytest.raises(NotReadyError):
        setup.driver.read()


def test_what_lay_in_the_buffer_for_long_is_not_new(setup: Setup) -> None:
    setup.hear(DUSTY, after_s=60.0)
    with pytest.raises(NotReadyError):
        setup.driver.read()


def test_silence_is_no_data(setup: Setup) -> None:
    setup.clock.advance(2.5)
    with pytest.raises(NotReadyError):
        setup.driver.read()
    setup.clock.advance(1.0)
    with pytest.raises(NoDataError, match="no frame for 4 s"):
        setup.driver.read()
    setup.clock.advance(3.0)
    with pytest.raises(NoDataError):
        setup.driver.check()


def test_garbage_is_called_garbage(setup: Setup) -> None:
    setup.hear(bytes(80))
    with pytest.raises(ChecksumError, match="80 bytes arrived and no whole frame"):
        setup.driver.read()


def test_one_torn_frame_is_no_garbage(setup: Setup) -> None:
    for half in (DUSTY[:16], DUSTY[16:]):
        setup.hear(half)
        with pytest.raises(NotReadyError):
            setup.driver.read()


def test_a_frame_with_a_wrong_sum_is_damage(setup: Setup) -> None:
    setup.hear(DUSTY[:-1] + b"\x00")
    with pytest.raises(ChecksumError):
        setup.driver.read()


def test_frames_after_a_long_silence_are_of_a_sensor_that_started_over(setup: Setup) -> None:
    for _ in range(4):
        setup.clock.advance(2.0)
        with pytest.raises((NoDataError, NotReadyError)):
            setup.driver.read()
    setup.hear(DUSTY)
    with pytest.raises(DeviceResetError, match="silence"):
        setup.driver.read()
    setup.driver.start()
    setup.hear(DUSTY)
    assert setup.values() == [5, 13, 22]


@pytest.mark.parametrize("frame", [JUST_ON, JUST_AWAKE])
def test_zeros_all_of_a_sudden_are_of_a_sensor_that_started_over(
    setup: Setup, frame: bytes
) -> None:
    setup.hear(DUSTY)
    setup.driver.read()
    setup.hear(frame)
    with pytest.raises(DeviceResetError, match="no particles"):
        setup.driver.read()


@pytest.mark.parametrize(("after_s", "reason"), [(1.0, "warming_up"), (31.0, "implausible")])
def test_zeros_from_the_start_are_uncertain(setup: Setup, after_s: float, reason: str) -> None:
    setup.driver.start()
    setup.hear(JUST_ON, after_s)
    setup.driver.check()
    setup.hear(JUST_ON)
    reading = setup.driver.read()
    assert {doubt.reason for doubt in reading.doubts.values()} == {reason}
    assert {doubt.quality for doubt in reading.doubts.values()} == {UNCERTAIN}


def test_a_frame_that_contradicts_itself_is_uncertain(setup: Setup) -> None:
    setup.hear(OF_A_PMS5003T)
    assert setup.driver.read().doubts["pm2_5"].reason == "implausible"


def sealed(body: str) -> bytes:
    data = bytes.fromhex("424d001c" + body)
    return data + sum(data).to_bytes(2, "big")


def test_an_error_code_is_an_error(setup: Setup) -> None:
    setup.hear(sealed("0005000d00160005000d001602fd00fc001d000f0006000697" + "04"))
    with pytest.raises(DeviceError, match="error 0x04"):
        setup.driver.read()


def test_above_its_specified_range_it_is_uncertain(setup: Setup) -> None:
    setup.hear(sealed("0005000d00160005000d025802fd00fc001d000f0006000697" + "00"))
    reading = setup.driver.read()
    assert reading.doubts["pm10"].reason == "saturated"
    assert "pm2_5" not in reading.doubts


def test_a_relative_is_refused_by_name() -> None:
    line = Line()
    driver = PMS5003(line, Pms5003Options())
    line.arrived = OF_A_PMS5003ST
    with pytest.raises(WrongDeviceError, match="PMS5003ST"):
        driver.probe()


def test_a_sensor_that_is_silent_is_asked_to_speak() -> None:
    line = Line()
    driver = PMS5003(line, Pms5003Options())
    with pytest.raises(NoDataError, match="no frame yet"):
        driver.probe()
    assert line.sent == [WAKE, ACTIVE_MODE]


# The model


class Modelled:
    def __init__(self) -> None:
        self.rig = Rig(SimulatedExecutor())
        self.uart = self.rig.uart("uart0")
        self.chip = self.rig.plug("uart0", Pms5003Chip, "dust", Pms5003Options())
        self.clock = self.rig.executor.clock

    def frames(self, seconds: float) -> list[bytes]:
        self.clock.sleep(seconds)
        data = self.uart.read(4096)
        return Splitter().feed(data)


def test_the_model_begins_with_zeros_and_rises_to_the_truth() -> None:
    model = Modelled()
    model.rig.world.set("dust.pm2_5", 100.0)
    early = model.frames(6.0)
    assert all(Frame.from_bytes(frame).empty() for frame in early)
    later = [Frame.from_bytes(frame).atmospheric[1] for frame in model.frames(30.0)]
    assert later == sorted(later)
    assert later[-1] == 100
    assert later[1] < 90


def test_the_model_speaks_slower_in_steady_air() -> None:
    model = Modelled()
    model.frames(60.0)
    assert 3 <= len(model.frames(10.0)) <= 5
    model.rig.world.set("dust.pm2_5", Sine(300.0, 250.0, 10.0))
    model.frames(3.0)
    assert len(model.frames(10.0)) >= 9


def test_the_model_keeps_quiet_until_asked_in_passive_mode() -> None:
    model = Modelled()
    model.frames(40.0)
    model.uart.write(PASSIVE_MODE)
    assert bytes.fromhex("424d0004e1000174") in model.frames(1.0)
    model.clock.sleep(5.0)
    assert model.uart.read(100, deadline=model.clock.monotonic_ns() + 1000) == b""
    model.uart.write(bytes.fromhex("424de200000171"))
    assert len(model.frames(0.5)) == 1


def test_a_sleeping_sensor_is_woken_by_the_probe() -> None:
    with Bench(load_kit("leyden_drivers.pms5003")) as bench:
        assert bench.settle()
        bench.bus.write(SLEEP)
        bench.run_for(10.0)
        assert bench.status().state is not DeviceState.ONLINE
        assert bench.settle(60.0)


@pytest.mark.parametrize("after_power_s", [1.1 + 0.1 * i for i in range(24)])
def test_the_first_value_after_the_warm_up_was_not_measured_during_it(after_power_s: float) -> None:
    model = Modelled()
    model.rig.world.set("dust.pm2_5", 300.0)
    device = PMS5003(model.uart, Pms5003Options())
    device.clock = model.clock
    model.clock.sleep(after_power_s)
    device.probe()
    device.start()
    over = model.clock.monotonic_ns() + round(device.warm_up_s * NS)
    while model.clock.monotonic_ns() < over:
        with suppress(NotReadyError):
            device.read()
        model.clock.sleep(min(3.0, max(0.001, (over - model.clock.monotonic_ns()) / NS)))
    with suppress(NotReadyError):
        value = device.read().values()["pm2_5"]
        assert value == 300.0


def test_sizes_nobody_sets_follow_pm2_5() -> None:
    model = Modelled()
    model.rig.world.set("dust.pm2_5", 50.0)
    model.frames(40.0)
    frame = Frame.from_bytes(model.frames(5.0)[-1])
    assert frame.atmospheric == (30, 50, 65)
    assert not frame.flaw()


def test_power_lost_for_a_moment_makes_it_warm_up_again() -> None:
    with Bench(load_kit("leyden_drivers.pms5003")) as bench:
        assert bench.settle()
        bench.fault("brown_out")
        bench.run_for(20.0)
        latest = bench.latest("pm2_5")
        assert latest is not None
        assert latest.quality is UNCERTAIN
        assert not bench.tally.wrong
        assert bench.settle(60.0)
