"""`leyden probe`: what it prints and how it ends; the asking is tested in `tests/appliance`."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Call


def with_world(greenhouse: Path, folder: Path, *lines: str) -> Path:
    path = folder / "leyden.toml"
    path.write_text(greenhouse.read_text() + "\n" + "\n".join(lines) + "\n")
    return path


def test_a_sound_mock_is_told_device_by_device(leyden: Call, greenhouse: Path) -> None:
    result = leyden("probe", greenhouse, "--mock")
    assert (result.code, result.err) == (0, "")
    rows = [line.split() for line in result.lines[:6]]
    assert [row[0] for row in rows] == ["air", "soil", "dust", "door", "vent", "host"]
    assert rows[0][1:5] == ["bme280", "i2c1", "0x76", "found"]
    assert result.lines[-2:] == [
        "i2c1 (/dev/i2c-1): 1 address answers",
        "  0x76  device air",
    ]


def test_a_missing_device_ends_with_one(leyden: Call, greenhouse: Path, tmp_path: Path) -> None:
    path = with_world(greenhouse, tmp_path, '"air.present" = false')
    result = leyden("probe", path, "--mock")
    assert result.code == 1
    assert "absent   no answer from 0x76 on i2c1" in result.out
    assert result.lines[-1] == "  0x76  device air, absent"


def test_a_bus_that_hangs_is_told_and_the_other_devices_are_asked(
    leyden: Call, greenhouse: Path, tmp_path: Path
) -> None:
    path = with_world(greenhouse, tmp_path, '"i2c1.fault" = "hang"')
    result = leyden("probe", path, "--mock")
    assert result.code == 1
    assert "does not come back" in result.lines[0]
    assert "found" in result.lines[1]
    assert result.lines[-1].startswith("i2c1 (/dev/i2c-1): ")


def test_programs_get_everything(leyden: Call, greenhouse: Path) -> None:
    found = leyden("probe", greenhouse, "--mock", "--json").json
    assert found["devices"][0]["found"] == "found"
    (bus,) = found["buses"]
    assert (bus["name"], bus["path"], bus["error"]) == ("i2c1", "/dev/i2c-1", "")
    (address,) = bus["addresses"]
    assert (address["address"], address["device"]) == ("0x76", "air")


def test_a_bus_that_is_not_there_is_an_error_in_words(leyden: Call) -> None:
    result = leyden("probe", "--bus", "/dev/i2c-97")
    assert result.code == 1
    assert "there is no /dev/i2c-97; switch I2C on" in result.out
    found = leyden("probe", "--bus", "/dev/i2c-97", "--json")
    assert found.code == 1
    assert "there is no /dev/i2c-97" in found.json["buses"][0]["error"]


def test_arguments_that_contradict_each_other_are_refused(leyden: Call, greenhouse: Path) -> None:
    assert leyden("probe", greenhouse, "--bus", "/dev/i2c-1").code == 2
    assert leyden("probe", "--mock").code == 2


def test_a_wrong_configuration_is_refused(leyden: Call, tmp_path: Path) -> None:
    result = leyden("probe", tmp_path / "away.toml")
    assert (result.code, result.err) == (2, f"{tmp_path}/away.toml: no such file\n")
