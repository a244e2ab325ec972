"""`leyden world`: the modelled world of a runtime, over the real link."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli.conftest import Call

from leyden.appliance.assemble import Appliance, assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.config import load
from leyden.appliance.folders import Folders
from leyden.kernel import SystemExecutor
from leyden.link.server import LinkServer


@contextmanager
def serving(config: Path, data: Path, *, mock: bool) -> Iterator[Appliance]:
    """An appliance that is reachable over the link and samples nothing."""
    executor = SystemExecutor()
    appliance = assemble(load(config, mock=mock), executor)
    backend = RuntimeBackend(appliance)
    folders = Folders(data)
    folders.make()
    server = LinkServer(folders.socket, backend, executor=executor)
    backend.start()
    server.start()
    try:
        yield appliance
    finally:
        backend.stop()
        server.stop()
        appliance.close()


@pytest.fixture
def mock(greenhouse: Path, tmp_path: Path) -> Iterator[Appliance]:
    with serving(greenhouse, tmp_path / "data", mock=True) as appliance:
        yield appliance


def test_all_signals_are_listed_with_units(mock: Appliance, leyden: Call) -> None:
    result = leyden("world", "list")
    assert (result.code, result.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in result.lines}
    assert rows["air.present"] == ["true", "bool"]
    assert rows["air.temperature"][1:] == ["°C", "number"]
    assert rows["i2c1.fault"] == ["none", "text"]


def test_programs_get_rows(mock: Appliance, leyden: Call) -> None:
    rows = {row["name"]: row for row in leyden("world", "list", "--json").json}
    assert rows["air.present"] == {
        "name": "air.present", "value": True, "unit": "1", "kind": "bool",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("air.temperature", "31.5", 31.5),
        ("air.temperature", "86 °F", 30.0),
        ("air.temperature", "-5", -5.0),
        ("air.present", "false", False),
        ("air.present", "no", False),
        ("air.fault", "nack", "nack"),
    ],
)
def test_a_signal_is_held_at_a_value(
    name: str, text: str, value: object, mock: Appliance, leyden: Call
) -> None:
    result = leyden("world", "set", name, text)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert mock.world is not None
    assert mock.world.get(name) == pytest.approx(value)


def test_programs_learn_the_number_of_the_event(mock: Appliance, leyden: Call) -> None:
    found = leyden("world", "set", "air.present", "false", "--json").json
    assert (found["name"], found["value"]) == ("air.present", False)
    assert found["n"] > 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("air.temprature", "3", 'did you mean "air.temperature"?'),
        ("air.temperature", "warm", 'found "warm"'),
        ("air.temperature", "3 Pa", "expected temperature"),
        ("air.humidity", "120", "expected 0.0 to 100.0 %"),
        ("air.present", "perhaps", "expected true or false"),
        ("air.fault", "nakc", "nack"),
    ],
)
def test_what_cannot_be_is_refused_in_the_worlds_words(
    name: str, text: str, words: str, mock: Appliance, leyden: Call
) -> None:
    result = leyden("world", "set", name, text)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("leyden world: ")
    assert words in result.err


@pytest.mark.parametrize("words", [("list",), ("set", "air.present", "false")])
def test_real_buses_have_no_world(
    words: tuple[str, ...], greenhouse: Path, tmp_path: Path, leyden: Call
) -> None:
    with serving(greenhouse, tmp_path / "data", mock=False):
        result = leyden("world", *words)
    assert (result.code, result.out) == (1, "")
    assert "runs on real buses" in result.err


@pytest.mark.parametrize("words", [("list",), ("set", "air.present", "false")])
def test_where_nothing_runs_the_remedy_is_told(
    words: tuple[str, ...], tmp_path: Path, leyden: Call
) -> None:
    result = leyden("world", *words, "--data", tmp_path / "away")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"leyden world: nothing runs on the data directory {tmp_path}/away; start it with "
        f"`leyden run CONFIG --mock --data {tmp_path}/away`, or name another with --data\n"
    )
