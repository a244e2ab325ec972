"""`leyden identity`: this machine, for people and for programs."""

from __future__ import annotations

import msgspec
import pytest
from cli.conftest import Call

from leyden.appliance.identity import Identity, IdSource, Serial
from leyden.cli import identity as identity_module
from leyden.kernel import WallState

BOARD = Identity(
    "0123456789abcdef", IdSource.CPU_SERIAL, "keyed hash of the serial", "a3f5c27e",
    "Raspberry Pi 4", "box", "fedcba9876543210", "b", "Debian", "6.6", "0.1.0", "3.11",
    WallState.SYNCED, 4 << 30, (), ("/etc/os-release names no system",),
)  # fmt: skip


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_module, "discover", lambda: BOARD)
    serial = Serial("10000000a3f5c27e", "/proc/cpuinfo", ())
    monkeypatch.setattr(identity_module, "read_serial", lambda: serial)


@pytest.mark.usefixtures("board")
def test_people_get_words_and_problems(leyden: Call) -> None:
    result = leyden("identity")
    assert result.code == 0
    rows = {line[:14].strip(): line[14:].strip() for line in result.lines}
    assert rows["device id"] == "0123456789abcdef"
    assert rows["memory total"] == "4.00 GiB"
    assert rows["interfaces"] == "not known"
    assert rows["note"] == "/etc/os-release names no system"
    assert "10000000" not in result.out  # a whole serial is not shown unasked


@pytest.mark.usefixtures("board")
def test_programs_get_the_record(leyden: Call) -> None:
    assert msgspec.convert(leyden("identity", "--json").json, Identity) == BOARD


@pytest.mark.usefixtures("board")
def test_the_whole_serial_is_one_line(leyden: Call) -> None:
    assert leyden("identity", "--serial").out == "10000000a3f5c27e\n"
    assert leyden("identity", "--serial", "--json").json["path"] == "/proc/cpuinfo"


def test_a_machine_without_a_serial_says_why(leyden: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    serial = Serial("", "", ("the serial in /proc/cpuinfo is empty", "none was found"))
    monkeypatch.setattr(identity_module, "read_serial", lambda: serial)
    result = leyden("identity", "--serial")
    assert (result.code, result.out) == (1, "")
    assert result.err == ("leyden identity: the serial in /proc/cpuinfo is empty; none was found\n")


def test_the_real_machine_has_an_identity(leyden: Call) -> None:
    assert leyden("identity", "--json").json["python"]
