"""A machine lives from reset to reset, and an emulator that breaks is the rig's trouble."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hil.parts import fake_emulator

from leyden_hil import emulator
from leyden_hil.board import Board, Start
from leyden_hil.emulator import Machine
from leyden_hil.errors import InfraError
from leyden_hil.lock import VARIABLE

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed"),
]
Make = Callable[..., Machine]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lock"))
    made: list[Machine] = []

    def make(*starts: dict[str, object]) -> Machine:
        def prepare(start: Start) -> Start:
            return replace(start, kernel=Path("/k"), initrd=Path("/i"))

        home = tmp_path / str(len(made))
        home.mkdir()
        program = fake_emulator(home, starts)
        card = tmp_path / "card.img"
        card.touch()
        folder = tmp_path / f"logs-{len(made)}"
        board = Board(machine="virt")
        made.append(Machine(board, card, folder, prepare, program=str(program), patience_s=0))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_reset_begins_the_next_life_with_a_log_of_its_own(machine: Make) -> None:
    box = machine(
        {"console": ["first"], "end": "guest-reset"},
        {"console": ["second"], "end": "guest-reset"},
        {"console": ["third"]},
    )
    box.on()
    life = box.wait_for_life(3, 30)
    assert life is not None
    life.console.wait_for("third", 10)
    assert box.ends == ("guest-reset", "guest-reset")
    assert [path.read_text() for path in sorted(box.folder.glob("*-console.log"))][:2] == [
        "first",
        "second",
    ]


def test_a_machine_that_switches_itself_off_stays_off(machine: Make) -> None:
    box = machine({"end": "guest-shutdown"})
    box.on()
    assert box.wait_for_end(1, 30) == "guest-shutdown"
    assert not box.is_on()
    assert box.trouble is None


def test_a_power_cut_is_no_trouble(machine: Make) -> None:
    box = machine({"console": ["up"]})
    box.on().console.wait_for("up", 10)
    box.cut()
    assert box.ends == ("killed",)
    assert box.trouble is None
    assert box.on().name == "boot-02"


def test_an_emulator_that_dies_is_trouble_for_whoever_looks(machine: Make) -> None:
    box = machine({"die": True})
    with pytest.raises(InfraError, match="out of memory"):
        _live_on(box)
    with pytest.raises(InfraError, match="ended by itself"):
        _ = box.life
    assert emulator.broken() is not None
    box.close()
    assert emulator.broken() is None


def test_an_emulator_that_is_killed_from_outside_is_trouble(machine: Make) -> None:
    box = machine({"console": ["up"]})
    life = box.on()
    life.console.wait_for("up", 10)
    life._process.kill()
    with pytest.raises(InfraError, match="ended by itself"):
        box.wait_for_end(1, 30)


def test_an_emulator_that_does_not_start_says_why(machine: Make) -> None:
    box = machine({"refuse": True})
    with pytest.raises(InfraError, match="no such machine"):
        box.on()
    assert not box.is_on()


def test_an_emulator_that_does_not_start_again_is_trouble(machine: Make) -> None:
    box = machine({"end": "guest-reset"}, {"refuse": True})
    with pytest.raises(InfraError, match="no such machine"):
        _live_on(box)


def _live_on(box: Machine) -> None:
    """Switch on and wait for a second life; the first may be over before `on` returns."""
    box.on()
    box.wait_for_life(2, 30)


def test_a_second_machine_waits_for_the_first(machine: Make) -> None:
    first, second = machine({"console": ["up"]}), machine({})
    first.on().console.wait_for("up", 10)
    with pytest.raises(InfraError, match="another run"):
        second.on()
    first.cut()
    assert second.on().alive()


def test_a_full_host_is_said_before_anything_starts(
    machine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=10 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InfraError, match="10 MB free"):
        machine({}).on()
    assert emulator.broken() is None


def test_ports_are_free_and_differ() -> None:
    ports = emulator.free_ports()
    assert len(set(ports.values())) == len(ports) == 3
