"""Tests of the host device, against file trees of machines, whole and damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leyden.kernel import (
    BAD,
    Device,
    DeviceError,
    ManualClock,
    NoDataError,
    TableReading,
    WrongDeviceError,
)
from leyden_drivers.host import DEVICE, OPTIONS, files
from leyden_drivers.host.driver import Host
from leyden_drivers.host.files import CpuTimes, Tree

TREES = Path(__file__).parent / "trees"
ALWAYS = ["load", "cpu_used", "memory_used", "disk_used", "uptime"]
FLAGS = ["under_voltage", "frequency_capped", "throttled", "temperature_limited"]


@dataclass(frozen=True)
class Disk:
    """What statvfs says, in blocks."""

    f_blocks: int = 1000
    f_bfree: int = 400
    f_bavail: int = 300


def host(tree: Path, disk: Disk | OSError = Disk()) -> Host:
    def statvfs(_: str) -> Disk:
        if isinstance(disk, OSError):
            raise disk
        return disk

    device = Host(None, OPTIONS(root=str(tree)), statvfs=statvfs)
    device.clock = ManualClock()
    return device


def copy(name: str, to: Path) -> Path:
    target = to / name
    shutil.copytree(TREES / name, target)
    return target


def tick(tree: Path, device: Host, seconds: float, line: str) -> None:
    """Let time pass and the processors count on, in the tree as in the clock."""
    stat = tree / "proc/stat"
    _, _, rest = stat.read_text().partition("\n")
    stat.write_text(f"cpu  {line}\n{rest}")
    assert isinstance(device.clock, ManualClock)
    device.clock.advance(seconds)


def good(reading: TableReading) -> dict[str, object]:
    return {name: value for name, value in reading.table.items() if name not in reading.doubts}


# What each machine has and says.


def test_the_module_exports_what_the_appliance_looks_for() -> None:
    assert issubclass(DEVICE, Device)
    assert DEVICE.bus_kind == "none"
    assert OPTIONS() == OPTIONS(root="/", disk_path="/")


@pytest.mark.parametrize(
    ("tree", "extra"),
    [
        ("pi4", ["cpu_temperature", *FLAGS]),
        ("pi5", ["cpu_temperature", "under_voltage"]),
        ("x86-laptop", ["cpu_temperature"]),
        ("x86-vm", []),
    ],
)
def test_channels_exist_only_where_the_machine_measures_them(tree: str, extra: list[str]) -> None:
    names = [channel.name for channel in host(TREES / tree).channels()]

    assert sorted(names) == sorted(ALWAYS + extra)
    assert len(set(names)) == len(names)


def test_a_raspberry_pi_4_reads_as_its_files_say() -> None:
    device = host(TREES / "pi4")
    device.probe()
    device.start()
    table = device.read().table

    assert table["load"] == 0.42
    assert table["cpu_temperature"] == 48.199
    assert table["memory_used"] == pytest.approx(100 * (3884240 - 3107392) / 3884240)
    assert table["disk_used"] == pytest.approx(100 * 600 / 900)
    assert table["uptime"] == 4790.61
    assert [table[name] for name in FLAGS] == [False] * 4


def test_a_raspberry_pi_5_tells_low_voltage_through_hwmon() -> None:
    reading = host(TREES / "pi5").read()

    assert reading.table["under_voltage"] is True
    assert reading.table["cpu_temperature"] == 61.65
    assert "throttled" not in reading.table


def test_a_laptop_is_measured_at_its_processor_not_at_a_board_or_disk_sensor() -> None:
    assert host(TREES / "x86-laptop").read().table["cpu_temperature"] == 71.0


def test_values_lie_in_the_range_that_their_channels_declare() -> None:
    for tree in ("pi4", "pi5", "x86-laptop", "x86-vm"):
        device = host(TREES / tree)
        values = good(device.read())
        for channel in device.channels():
            if channel.name in values and channel.minimum is not None:
                assert channel.maximum is not None
                value = values[channel.name]
                assert isinstance(value, int | float)
                assert channel.minimum <= value <= channel.maximum


def test_this_machine_reads_good_values_from_its_own_kernel() -> None:
    device = Host(None, OPTIONS())
    device.probe()
    device.start()
    reading = device.read()
    device.check()

    values = good(reading)
    assert {"load", "memory_used", "disk_used", "uptime"} <= set(values)
    assert values["uptime"] == pytest.approx(
        float(Path("/proc/uptime").read_text().split()[0]), abs=30
    )


# Processor share.


def test_processor_share_is_what_was_worked_between_two_looks(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.start()
    # 4 processors, 1 s: 400 ticks, of which 80 user, 15 system, 5 irq, 10 iowait, 290 idle.
    tick(tree, device, 1.0, "48290 120 20495 1843490 3910 0 615 0 0 0")

    assert device.read().table["cpu_used"] == pytest.approx(25.0)


def test_the_first_look_says_that_it_is_the_first() -> None:
    doubt = host(TREES / "pi4").read().doubts["cpu_used"]

    assert (doubt.quality, doubt.reason) == (BAD, "not_ready")


def test_a_share_is_not_repeated_when_no_tick_has_passed() -> None:
    device = host(TREES / "pi4")
    device.start()

    assert device.read().doubts["cpu_used"].reason == "not_ready"


def test_idle_time_may_fall_a_little_without_harm(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.start()
    tick(tree, device, 1.0, "48310 120 20480 1843500 3890 0 610 0 0 0")

    assert device.read().table["cpu_used"] == pytest.approx(25.0)


def test_counts_that_go_back_are_bad_once_and_then_a_new_start(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.start()
    tick(tree, device, 1.0, "100 0 100 5000 0 0 0 0 0 0")
    assert device.read().doubts["cpu_used"].reason == "out_of_range"

    tick(tree, device, 1.0, "200 0 100 5300 0 0 0 0 0 0")
    assert device.read().table["cpu_used"] == pytest.approx(25.0)


def test_more_time_than_has_passed_by_the_clock_is_bad(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.start()
    tick(tree, device, 1.0, "9948210 120 20480 1843500 3900 0 610 0 0 0")
    doubt = device.read().doubts["cpu_used"]

    assert doubt.reason == "out_of_range"
    assert "9900300 ticks where at most 800" in doubt.detail


def test_a_damaged_look_between_two_whole_ones_costs_two_readings(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.start()
    tick(tree, device, 1.0, "rubbish")
    assert device.read().doubts["cpu_used"].reason == "no_data"

    tick(tree, device, 1.0, "48310 120 20480 1843500 3900 0 610 0 0 0")
    assert device.read().doubts["cpu_used"].reason == "not_ready"

    tick(tree, device, 1.0, "48410 120 20480 1843800 3900 0 610 0 0 0")
    assert device.read().table["cpu_used"] == pytest.approx(25.0)


# Damage.

DAMAGED = [
    "damaged-truncated",
    "damaged-nul",
    "damaged-empty",
    "damaged-negative",
    "damaged-absurd",
]


@pytest.mark.parametrize("tree", DAMAGED)
def test_a_damaged_tree_yields_no_good_value_but_words(tree: str, tmp_path: Path) -> None:
    root = copy("pi4", tmp_path)
    device = host(root, OSError(5, "Input/output error"))
    device.start()
    shutil.copytree(TREES / tree, root, dirs_exist_ok=True)  # the damage comes while it runs
    reading = device.read()

    assert good(reading) == {}
    assert all(doubt.quality is BAD and len(doubt.detail) > 10 for doubt in reading.doubts.values())
    assert all(value is None for value in reading.table.values())


@pytest.mark.parametrize("tree", DAMAGED)
def test_a_device_made_on_a_damaged_tree_yields_no_good_value_either(tree: str) -> None:
    device = host(TREES / tree, OSError(5, "Input/output error"))
    device.start()

    assert good(device.read()) == {}


@pytest.mark.parametrize("tree", DAMAGED)
def test_the_witness_speaks_when_nothing_can_be_trusted(tree: str) -> None:
    with pytest.raises(NoDataError, match=r"nothing in .* can be trusted: "):
        host(TREES / tree).check()


def test_the_witness_is_content_with_a_whole_tree() -> None:
    for tree in ("pi4", "pi5", "x86-laptop", "x86-vm"):
        host(TREES / tree).check()


FILE_OF = {
    "load": "proc/loadavg",
    "cpu_used": "proc/stat",
    "memory_used": "proc/meminfo",
    "uptime": "proc/uptime",
    "cpu_temperature": "sys/class/thermal/thermal_zone0/temp",
    "under_voltage": "sys/class/hwmon/hwmon1/in0_lcrit_alarm",
    "throttled": "sys/devices/platform/soc/soc:firmware/get_throttled",
}


@pytest.mark.parametrize(("channel", "path"), FILE_OF.items())
def test_one_missing_file_makes_its_own_channel_bad_and_no_other(
    channel: str, path: str, tmp_path: Path
) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.start()
    tick(tree, device, 1.0, "48310 120 20480 1843500 3900 0 610 0 0 0")
    (tree / path).unlink()
    reading = device.read()

    lost = (
        {name for name in FLAGS if name != "under_voltage"} if channel == "throttled" else {channel}
    )
    assert set(reading.doubts) == lost
    assert f"cannot read /{path}: No such file" in reading.doubts[channel].detail


def test_a_file_that_cannot_be_read_is_said_in_words(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    (tree / "proc/uptime").unlink()
    (tree / "proc/uptime").mkdir()

    assert device.read().doubts["uptime"].detail == "cannot read /proc/uptime: Is a directory"


def test_a_sensor_that_became_another_is_not_believed(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    (tree / "sys/class/thermal/thermal_zone0/type").write_text("battery\n")
    doubt = device.read().doubts["cpu_temperature"]

    assert doubt.reason == "wrong_device"
    assert 'is "battery", was "cpu-thermal"' in doubt.detail


def test_time_since_start_that_goes_back_is_bad_once(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    device.read()
    (tree / "proc/uptime").write_text("12.00 40.00\n")

    assert device.read().doubts["uptime"].reason == "out_of_range"
    assert device.read().table["uptime"] == 12.0


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        (Disk(0, 0, 0), "out_of_range"),
        (Disk(100, 200, 50), "out_of_range"),
        (Disk(100, 50, -1), "out_of_range"),
        (OSError(116, "Stale file handle"), "no_data"),
    ],
)
def test_a_file_system_that_makes_no_sense_is_bad(disk: Disk | OSError, reason: str) -> None:
    assert host(TREES / "pi4", disk).read().doubts["disk_used"].reason == reason


def test_disk_use_counts_what_ordinary_users_can_have() -> None:
    """Blocks kept for root are neither used nor free, as `df` counts."""
    reading = host(TREES / "pi4", Disk(1000, 100, 50)).read()

    assert reading.table["disk_used"] == pytest.approx(100 * 900 / 950)


def test_a_place_without_proc_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(WrongDeviceError, match="is /proc mounted"):
        host(tmp_path).probe()


def test_firmware_bits_are_told_apart(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    device = host(tree)
    (tree / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("5000c\n")
    table = device.read().table

    assert [table[name] for name in FLAGS] == [False, False, True, True]


def test_without_hwmon_low_voltage_comes_from_the_firmware_bits(tmp_path: Path) -> None:
    tree = copy("pi4", tmp_path)
    shutil.rmtree(tree / "sys/class/hwmon/hwmon1")
    (tree / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("50001\n")

    assert host(tree).read().table["under_voltage"] is True


# Laws of the parsers.

PARSERS: list[tuple[Callable[[bytes], object], str, float, float]] = [
    (files.load, "proc/loadavg", 0.0, 1e9),
    (files.memory_used, "proc/meminfo", 0.0, 100.0),
    (files.uptime, "proc/uptime", 0.0, 1e12),
    (files.millidegrees, "sys/class/thermal/thermal_zone0/temp", -1e6, 1e6),
    (files.alarm, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", 0, 1),
    (files.throttle_flags, "sys/devices/platform/soc/soc:firmware/get_throttled", 0, 0xF000F),
]


@pytest.mark.parametrize(("parse", "path", "low", "high"), PARSERS)
@given(data=st.data())
def test_bytes_damaged_at_random_are_refused_or_parse_within_range(
    parse: Callable[[bytes], float], path: str, low: float, high: float, data: st.DataObject
) -> None:
    whole = (TREES / "pi4" / path).read_bytes()
    damaged = data.draw(damage(whole))
    value = accepted(parse, damaged)

    assert value is None or low <= value <= high


@pytest.mark.parametrize(("parse", "path", "low", "high"), PARSERS)
@given(rubbish=st.binary(max_size=200))
def test_rubbish_is_refused_or_parses_within_range(
    parse: Callable[[bytes], float], path: str, low: float, high: float, rubbish: bytes
) -> None:
    del path
    value = accepted(parse, rubbish)

    assert value is None or low <= value <= high


@pytest.mark.parametrize(
    ("path", "parse", "needed_until"),
    [
        ("proc/loadavg", files.load, b""),
        ("proc/uptime", files.uptime, b""),
        ("proc/stat", files.cpu_times, b"0 12100"),
        ("proc/meminfo", files.memory_used, b"Buffers"),
    ],
)
def test_a_file_cut_anywhere_in_its_needed_part_is_refused(
    path: str, parse: Callable[[bytes], object], needed_until: bytes
) -> None:
    whole = (TREES / "pi4" / path).read_bytes()
    last = whole.index(needed_until) if needed_until else len(whole)
    for length in range(last):
        with pytest.raises(DeviceError):
            parse(whole[:length])


def accepted(parse: Callable[[bytes], float], content: bytes) -> float | None:
    """The value that a parser takes from bytes; None when it refuses them."""
    try:
        return parse(content)
    except DeviceError:
        return None


def damage(whole: bytes) -> st.SearchStrategy[bytes]:
    """Bytes cut, flipped, blanked or doubled at a drawn place."""
    place = st.integers(0, len(whole) - 1)
    return st.one_of(
        place.map(lambda i: whole[:i]),
        place.map(lambda i: whole[:i] + b"\0" * (len(whole) - i)),
        st.tuples(place, st.integers(0, 255)).map(
            lambda at: whole[: at[0]] + bytes([at[1]]) + whole[at[0] + 1 :]
        ),
        place.map(lambda i: whole[:i] + whole),
        st.tuples(place, place).map(lambda at: whole[: at[0]] + b"9" * 40 + whole[at[1] :]),
    )


times = st.builds(
    CpuTimes,
    st.tuples(*[st.integers(0, 10**20)] * 6),
    st.tuples(*[st.integers(0, 10**20)] * 2),
    st.integers(1, 256),
)


@given(before=times, after=times, elapsed=st.floats(0, 1e9))
def test_a_processor_share_is_a_percentage_or_an_error(
    before: CpuTimes, after: CpuTimes, elapsed: float
) -> None:
    value = accepted(lambda _: files.cpu_used(before, after, elapsed), b"")

    assert value is None or 0.0 <= value <= 100.0


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose files a law may overwrite as often as it likes."""
    return copy("pi4", tmp_path_factory.mktemp("scratch"))


numbers = st.from_regex(rb"-?\d{1,12}(\.\d\d)?( \d{1,9}){0,9}\n", fullmatch=True)


@settings(deadline=None)  # writes files, on a disk that may be busy
@given(content=st.one_of(st.binary(max_size=80), numbers))
def test_whatever_the_files_hold_reading_does_not_raise_and_good_is_in_range(
    scratch: Path, content: bytes
) -> None:
    shutil.copytree(TREES / "pi4/sys/class", scratch / "sys/class", dirs_exist_ok=True)
    device = host(scratch)
    device.start()
    for path in FILE_OF.values():
        (scratch / path).write_bytes(content)
    reading = device.read()

    for channel in device.channels():
        value = reading.table[channel.name]
        if channel.name not in reading.doubts and channel.minimum is not None:
            assert channel.maximum is not None
            assert channel.minimum <= value <= channel.maximum


def test_a_runaway_file_is_read_in_part_only(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 200_000)

    assert len(Tree(tmp_path).read("big")) == 65_536


def test_hwmon_chips_are_searched_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 2):
        (tmp_path / f"hwmon{number}").mkdir()

    assert Tree(tmp_path).find("hwmon*") == ["hwmon2", "hwmon9", "hwmon10"]
