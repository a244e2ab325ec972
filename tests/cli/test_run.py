"""`leyden run`: what reaches the supervisor, and what is refused before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Call

from leyden.cli import run as run_module


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Each call of the supervisor, which runs nothing and ends with 7."""
    calls: list[dict[str, Any]] = []

    def supervise(plan: object, **options: Any) -> int:
        calls.append({"plan": plan, **options})
        return 7

    monkeypatch.setattr(run_module, "supervise", supervise)
    return calls


def test_a_configuration_is_run_with_the_defaults(
    leyden: Call, greenhouse: Path, supervised: list[dict[str, Any]]
) -> None:
    assert leyden("run", greenhouse, "--mock").code == 7
    (call,) = supervised
    assert call.pop("plan").mock is True
    assert call == {
        "data": Path("data"), "host": "127.0.0.1", "port": 8080, "panel": True, "console": False,
    }  # fmt: skip


def test_the_environment_says_where(
    leyden: Call, greenhouse: Path, supervised: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LEYDEN_DATA", "/var/lib/leyden")
    monkeypatch.setenv("LEYDEN_HOST", "0.0.0.0")  # noqa: S104 - nothing listens
    monkeypatch.setenv("LEYDEN_PORT", "9000")
    leyden("run", greenhouse)
    (call,) = supervised
    assert (call["data"], call["host"], call["port"]) == (
        Path("/var/lib/leyden"), "0.0.0.0", 9000,  # noqa: S104 - nothing listens
    )  # fmt: skip


def test_options_come_before_the_environment(
    leyden: Call, greenhouse: Path, supervised: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LEYDEN_PORT", "not a port")
    leyden("run", greenhouse, "--port", "0", "--data", "here", "--host", "::1", "--no-panel")
    (call,) = supervised
    assert (call["data"], call["host"], call["port"], call["panel"]) == (
        Path("here"), "::1", 0, False,
    )  # fmt: skip


def test_the_console_is_asked_for(
    leyden: Call, greenhouse: Path, supervised: list[dict[str, Any]]
) -> None:
    leyden("run", greenhouse, "--console")
    assert supervised[0]["console"] is True


@pytest.mark.parametrize("port", ["eighty", "-1", "65536", "80.5", "", "８０"])
def test_a_wrong_port_is_refused_with_where_it_came_from(
    port: str, leyden: Call, greenhouse: Path, supervised: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    result = leyden("run", greenhouse, f"--port={port}")
    assert result.code == 2
    assert result.err == (
        f'leyden run: --port: found "{port}", expected a port such as 8080; 0 takes any\n'
    )
    monkeypatch.setenv("LEYDEN_PORT", port)
    if port:
        assert "leyden run: LEYDEN_PORT: found" in leyden("run", greenhouse).err
    assert supervised == []


def test_a_wrong_configuration_starts_nothing(
    leyden: Call, tmp_path: Path, supervised: list[dict[str, Any]]
) -> None:
    path = tmp_path / "leyden.toml"
    path.write_text('[appliance]\nname = "a"\n[device.air]\ndriver = "bme208"\n')
    result = leyden("run", path)
    assert result.code == 2
    assert 'did you mean "bme280"?' in result.err
    assert supervised == []


def test_a_misspelt_signal_of_the_world_starts_nothing(
    leyden: Call, greenhouse: Path, tmp_path: Path, supervised: list[dict[str, Any]]
) -> None:
    path = tmp_path / "leyden.toml"
    path.write_text(greenhouse.read_text().replace('"air.humidity" =', '"air.humidty" ='))
    result = leyden("run", path, "--mock")
    assert result.code == 2
    assert 'did you mean "air.humidity"?' in result.err
    assert supervised == []
