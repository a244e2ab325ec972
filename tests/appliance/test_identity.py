"""Tests of the machine's identity, against file trees of machines, whole and damaged."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leyden.appliance.identity import (
    ROUTE,
    IdentityService,
    IdSource,
    NetworkInterface,
    changes,
    discover,
    read_serial,
)
from leyden.kernel import Event, ManualClock, Runtime, SimulatedExecutor, WallState, freeze

TREES = Path(__file__).parents[1] / "drivers/trees"
DT, SOC, CPUINFO = (
    "proc/device-tree/serial-number",
    "sys/devices/soc0/serial_number",
    "proc/cpuinfo",
)
PI4 = "10000000a3f5c27e"


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TREES / "pi4", tmp_path / "pi4"))


def write(tree: Path, path: str, data: bytes) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_bytes(data)


# The serial and the id.


def test_a_raspberry_pi_is_known_by_the_serial_in_its_device_tree() -> None:
    identity = discover(TREES / "pi4", clock=ManualClock())

    assert identity.id_source is IdSource.CPU_SERIAL
    assert identity.id_detail == "keyed hash of the serial in /proc/device-tree/serial-number"
    assert identity.device_id == "1743c633c79818c3"
    assert identity.serial_tail == "a3f5c27e"
    assert identity.problems == ()


def test_the_id_is_the_one_that_openssl_computes() -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl belongs to every machine that runs these tests"
    digest = subprocess.run(
        [openssl, "dgst", "-r", "-sha256", "-hmac", "leyden device id v1"],
        input=PI4.encode(),
        capture_output=True,
        check=True,
    ).stdout

    assert discover(TREES / "pi4").device_id == digest[:16].decode()


def test_two_boards_have_two_ids() -> None:
    assert discover(TREES / "pi4").device_id != discover(TREES / "pi5").device_id


def test_the_id_stays_when_everything_but_the_board_changes(pi4: Path) -> None:
    before = discover(pi4).device_id
    write(pi4, "etc/machine-id", b"ffffffffffffffff0000000000000000\n")
    write(pi4, "proc/sys/kernel/hostname", b"other\n")
    write(pi4, "etc/os-release", b'PRETTY_NAME="Another system"\n')

    assert discover(pi4).device_id == before


@pytest.mark.parametrize("missing", [[DT], [DT, SOC]])
def test_each_place_of_the_serial_gives_the_same_id(pi4: Path, missing: list[str]) -> None:
    for path in missing:
        (pi4 / path).unlink()
    found = discover(pi4)

    assert found.device_id == "1743c633c79818c3"
    assert found.id_detail.endswith(f"/{SOC}" if missing == [DT] else f"/{CPUINFO}")


def test_upper_and_lower_case_are_one_serial(pi4: Path) -> None:
    write(pi4, DT, PI4.upper().encode() + b"\0")

    assert read_serial(pi4).text == PI4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"0000000000000000\0", 'is all "0", which means that there is none'),
        (b"ffffffffffffffff\0", 'is all "f", which means that there is none'),
        (b"unknown\0", 'is "unknown", which is no serial'),
        (b"", "is empty"),
        (b"\0", "is empty"),
        (b"\0" * 17, "is empty"),
        (b"10000000a3f5c27e", "is damaged: 16 bytes that are no whole serial"),
        (b"1000\x0000a3f5c27e\0", "is damaged: 16 bytes that are no whole serial"),
        (b"10000000\xff\xfe\0", "is damaged: 11 bytes that are no whole serial"),
        (b"1" * 300 + b"2\0", "is damaged: 302 bytes that are no whole serial"),
    ],
)
def test_a_serial_that_is_none_is_passed_over_in_words(
    pi4: Path, content: bytes, words: str
) -> None:
    write(pi4, DT, content)
    found = read_serial(pi4)

    assert (found.text, found.path) == (PI4, f"/{SOC}")
    assert found.problems == (f"the serial in /{DT} {words}",)


def test_without_a_serial_the_machine_id_names_the_machine_and_it_says_so() -> None:
    identity = discover(TREES / "x86-laptop")

    assert identity.id_source is IdSource.MACHINE_ID
    assert "tells no serial" in identity.id_detail
    assert len(identity.device_id) == 16
    assert identity.serial_tail == ""
    assert "no serial number of the processor was found" in identity.problems


def test_a_change_of_machine_id_changes_the_id_only_where_there_is_no_serial(
    tmp_path: Path,
) -> None:
    tree = Path(shutil.copytree(TREES / "x86-laptop", tmp_path / "laptop"))
    before = discover(tree).device_id
    write(tree, "etc/machine-id", b"89abcdef0123456789abcdef01234567\n")

    assert discover(tree).device_id != before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"uninitialized\n", "/etc/machine-id is not set yet"),
        (b"", "/etc/machine-id is damaged"),
        (b"0" * 32 + b"\n", "/etc/machine-id is damaged"),
        (b"0123456789abcdef\n", "/etc/machine-id is damaged"),
    ],
)
def test_with_neither_it_has_no_id_and_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    write(tmp_path, "etc/machine-id", content)
    identity = discover(tmp_path)

    assert (identity.device_id, identity.id_source) == ("", IdSource.NONE)
    assert identity.id_detail.startswith("this machine has no stable id")
    assert words in identity.problems


# What is told, and what is not.


def test_neither_the_whole_serial_nor_the_machine_id_is_in_the_record() -> None:
    for tree in ("pi4", "pi5", "x86-laptop", "x86-vm"):
        text = msgspec.json.encode(discover(TREES / tree)).decode()
        machine = (TREES / tree / "etc/machine-id").read_text().strip()
        assert machine not in text
        for start in range(0, len(machine) - 12):
            assert machine[start : start + 12] not in text
        serial = read_serial(TREES / tree).text
        assert not serial or serial not in text


def test_a_damaged_serial_is_not_quoted_either(pi4: Path) -> None:
    for path in (DT, SOC):
        write(pi4, path, PI4.encode() + b"!")
    write(pi4, "etc/machine-id", b"4f6a0c2b9d1e4a7f8b3c5d6e7f80192")
    text = msgspec.json.encode(discover(pi4)).decode()

    assert PI4 not in text
    assert "4f6a0c2b9d1e" not in text


def test_the_hash_of_the_machine_id_differs_from_the_device_id_made_of_it() -> None:
    identity = discover(TREES / "x86-vm")

    assert identity.machine_id
    assert identity.machine_id != identity.device_id


def test_a_raspberry_pi_5_is_described_as_its_files_say() -> None:
    identity = discover(TREES / "pi5", clock=ManualClock())

    assert identity.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert identity.hostname == "leyden-8778"
    assert identity.boot_id == "b6b0e3a2-11f2-4a3b-8b4f-6d3c9a0e7d51"
    assert identity.os == "Debian GNU/Linux 13 (trixie)"
    assert identity.kernel == "6.12.47+rpt-rpi-2712"
    assert identity.memory_total == 8256432 * 1024
    assert identity.clock is WallState.SYNCED
    assert identity.interfaces == (
        NetworkInterface("eth0", "2c:cf:67:a5:96:87"),
        NetworkInterface("wlan0", "2c:cf:67:a5:96:88"),
    )


def test_a_pc_is_named_by_its_firmware_and_finds_its_system_in_the_other_place() -> None:
    identity = discover(TREES / "x86-laptop")

    assert identity.model == "LENOVO 20L6S00T00"
    assert identity.os == "Debian GNU/Linux 13 (trixie)"


def test_an_unsynchronised_clock_is_said() -> None:
    clock = ManualClock()
    clock.set_wall(0, synchronised=False)

    assert discover(TREES / "pi4", clock=clock).clock is WallState.UNSYNCED


def test_this_machine_has_an_identity() -> None:
    identity = discover()

    assert identity.hostname
    assert identity.kernel
    assert identity.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert identity.memory_total
    assert identity.python.startswith("3.")


# Damage.


@pytest.mark.parametrize(
    "tree",
    ["damaged-truncated", "damaged-nul", "damaged-empty", "damaged-negative", "damaged-absurd"],
)
def test_a_damaged_tree_has_no_id_and_says_why(tree: str) -> None:
    identity = discover(TREES / tree)

    assert (identity.device_id, identity.id_source) == ("", IdSource.NONE)
    assert len(identity.problems) >= 4


def test_an_empty_root_is_described_as_one_that_tells_nothing(tmp_path: Path) -> None:
    identity = discover(tmp_path)

    assert identity.model == identity.hostname == identity.os == identity.boot_id == ""
    assert identity.memory_total is None
    assert "/proc/sys/kernel/hostname is missing" in identity.problems


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose files a law may overwrite as often as it likes."""
    return Path(shutil.copytree(TREES / "pi4", tmp_path_factory.mktemp("scratch") / "pi4"))


FILES = [
    DT, SOC, CPUINFO, "etc/machine-id", "etc/os-release", "proc/device-tree/model",
    "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease", "proc/meminfo",
    "proc/sys/kernel/random/boot_id", "sys/class/net/eth0/address",
]  # fmt: skip


@settings(deadline=None)  # writes files, on a disk that may be busy
@given(content=st.one_of(st.binary(max_size=120), st.text(max_size=40).map(str.encode)))
def test_whatever_the_files_hold_an_identity_comes_back_that_can_be_published(
    scratch: Path, content: bytes
) -> None:
    for path in FILES:
        (scratch / path).write_bytes(content)
    identity = discover(scratch)

    assert msgspec.json.decode(msgspec.json.encode(identity), type=type(identity)) == identity
    assert bool(identity.device_id) == (identity.id_source is not IdSource.NONE)
    assert identity.hostname.isprintable()


@settings(deadline=None)  # writes files, on a disk that may be busy
@given(cut=st.integers(0, len(PI4)))
def test_a_serial_cut_anywhere_never_makes_another_id(scratch: Path, cut: int) -> None:
    for path in (DT, SOC):
        (scratch / path).write_bytes(PI4[:cut].encode())
    (scratch / CPUINFO).write_bytes(b"Serial\t\t: " + PI4[:cut].encode())

    assert read_serial(scratch).text == ""


# The watcher.


def test_an_identity_is_a_payload_that_nobody_can_change() -> None:
    identity = discover(TREES / "pi4")

    assert freeze(identity) is identity
    with pytest.raises(AttributeError):
        identity.hostname = "x"  # frozen is what is tested


def test_changes_are_told_in_words(pi4: Path) -> None:
    before = discover(pi4)
    write(pi4, "proc/sys/kernel/hostname", b"shed\n")
    shutil.rmtree(pi4 / "sys/class/net/wlan0")

    assert changes(before, discover(pi4)) == "hostname: greenhouse → shed; interfaces changed"
    assert changes(None, before) == ""


def test_the_first_event_of_a_boot_is_the_identity_and_only_changes_follow(pi4: Path) -> None:
    executor = SimulatedExecutor()

    def look() -> object:
        return discover(pi4, clock=executor.clock)

    runtime = Runtime(executor=executor, identity=look)
    runtime.add_service(IdentityService(lambda: discover(pi4, clock=executor.clock)))
    seen: list[Event] = []
    runtime.events.subscribe(seen.append, name="test", prefix=ROUTE)
    runtime.boot()
    executor.run_for(95.0)
    first = [event.value.hostname for event in seen]
    write(pi4, "proc/sys/kernel/hostname", b"shed\n")
    executor.run_for(95.0)
    runtime.request_shutdown("test")
    executor.run_for(1.0)
    executor.close()

    assert first == ["greenhouse"]
    assert [event.value.hostname for event in seen] == ["greenhouse", "shed"]
    assert seen[1].detail == "hostname: greenhouse → shed"
    assert seen[1].source == "service.identity"
