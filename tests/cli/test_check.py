"""`leyden check`: what it says of a configuration that can run; refusals are scenarios."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Call

from leyden.appliance import drivers


def test_a_sound_configuration_is_one_line(leyden: Call, greenhouse: Path) -> None:
    result = leyden("check", greenhouse)
    assert (result.code, result.err) == (0, "")
    (line,) = result.lines
    assert re.fullmatch(
        rf"{greenhouse}: fine: greenhouse with 4 buses, 6 devices, \d+ routes", line
    )


def test_programs_get_names(leyden: Call, greenhouse: Path) -> None:
    found = leyden("check", greenhouse, "--json").json
    assert (found["ok"], found["name"]) == (True, "greenhouse")
    assert found["devices"] == ["air", "soil", "dust", "door", "vent", "host"]
    assert {"air.temperature", "flow.air_temperature", "vent.state"} <= set(found["routes"])


def test_programs_get_problems_too(leyden: Call, tmp_path: Path) -> None:
    path = tmp_path / "leyden.toml"
    path.write_text("[appliance]\n")
    result = leyden("check", path, "--json")
    assert (result.code, result.err) == (2, "")
    assert result.json == {
        "ok": False,
        "problems": [f'{path}: appliance.name: missing; add it: name = "greenhouse"'],
    }


def test_checking_leaves_nothing_behind(leyden: Call, greenhouse: Path, tmp_path: Path) -> None:
    leyden("check", greenhouse)
    assert list(tmp_path.iterdir()) == []


def test_the_drawing_shows_devices_routes_and_stages(leyden: Call, greenhouse: Path) -> None:
    result = leyden("check", greenhouse, "--draw")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == "flowchart LR"
    labels = dict(re.findall(r"^ +(n\d+)[\[({]+\"(.*?)\"[\])}]+$", result.out, re.MULTILINE))
    names = {label: id for id, label in labels.items()}
    arrows = re.findall(r"^  (n\d+) <?-->(?:\|\"\w+\"\|)? (n\d+)$", result.out, re.MULTILINE)
    assert (names["air<br/>bme280 0x76"], names["air.temperature<br/>°C"]) in arrows
    assert (
        names["air.temperature<br/>°C"], names["resistor<br/>deadband 0.2 K"],
    ) in arrows  # fmt: skip
    assert (
        names["resistor<br/>deadband 0.2 K"], names["flow.air_temperature<br/>°C"],
    ) in arrows  # fmt: skip
    assert {end for arrow in arrows for end in arrow} <= labels.keys()


def test_an_output_is_drawn_both_ways_and_a_watchdogs_voice_by_name(
    leyden: Call, greenhouse: Path
) -> None:
    drawing = leyden("check", greenhouse, "--draw").out
    assert re.search(r"n\d+ <--> n\d+\n", drawing)
    assert re.search(r'-->\|"speaks"\| n\d+', drawing)


def test_a_drawing_keeps_quotes_of_a_path_apart_from_its_own(leyden: Call, tmp_path: Path) -> None:
    path = tmp_path / "leyden.toml"
    path.write_text(
        '[appliance]\nname = "a"\n[bus.i2c1]\nkind = "i2c"\npath = \'/dev/"i2c"#1\'\n'
        '[device.air]\ndriver = "bme280"\nbus = "i2c1"\n'
    )
    drawing = leyden("check", path, "--draw").out
    assert 'subgraph n1["i2c1 · /dev/#quot;i2c#quot;#35;1"]' in drawing


def test_a_drawing_for_programs(leyden: Call, greenhouse: Path) -> None:
    found = leyden("check", greenhouse, "--draw", "--json").json
    assert found["mermaid"].startswith("flowchart LR\n")


@pytest.fixture(params=["package", "module"])
def modelless(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A configuration with a driver from elsewhere that has no chip model."""
    text = "from leyden_drivers.bme280 import DEVICE, OPTIONS\n__all__ = ['DEVICE', 'OPTIONS']\n"
    if request.param == "package":
        (tmp_path / "modelless").mkdir()
        (tmp_path / "modelless" / "__init__.py").write_text(text)
    else:
        (tmp_path / "modelless.py").write_text(text)
    info = tmp_path / "modelless-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: modelless\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[leyden.drivers]\nmodelless = modelless\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "leyden.toml"
    path.write_text(
        '[appliance]\nname = "a"\n[bus.i2c1]\nkind = "i2c"\n'
        '[device.air]\ndriver = "modelless"\nbus = "i2c1"\n'
    )
    drivers._packages.cache_clear()
    yield path
    drivers._packages.cache_clear()
    sys.modules.pop("modelless", None)


def test_a_driver_without_a_model_is_refused_under_mock_alone(
    leyden: Call, modelless: Path
) -> None:
    assert leyden("check", modelless).code == 0
    result = leyden("check", modelless, "--mock")
    assert result.code == 2
    assert "has no chip model, so --mock cannot run it" in result.err
