"""What a configuration becomes; what is refused, and how, is in `tests/scenarios/config`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from leyden.appliance.config import ConfigError, load
from leyden.appliance.plan import BusPlan, decode, encode

MANUAL = Path(__file__).parents[2] / "app" / "leyden" / "manual"
DRIVERS = Path(__file__).parents[2] / "drivers" / "leyden_drivers"
SAMPLES = sorted(DRIVERS.glob("*/sample.toml"))

HEAD = """
[appliance]
name = "greenhouse"
[bus.i2c1]
kind = "i2c"
[device.air]
driver = "bme280"
bus = "i2c1"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "leyden.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value.problems


def test_the_greenhouse_has_everything_it_says() -> None:
    plan = load(MANUAL / "greenhouse.toml", mock=True)
    assert (plan.name, plan.label, plan.mock) == ("greenhouse", "Greenhouse", True)
    assert [bus.name for bus in plan.buses] == ["i2c1", "spi0", "uart0", "header"]
    assert [d.id for d in plan.devices] == ["air", "soil", "dust", "door", "vent", "host"]
    assert [route.source for route in plan.routes] == ["air.temperature", "dust.pm2_5"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.parent.name)
def test_every_drivers_sample_is_a_configuration(sample: Path) -> None:
    assert load(sample, mock=True).devices


def test_quantities_become_numbers_of_the_unit_that_counts(tmp_path: Path) -> None:
    text = HEAD + 'every = "500 ms"\nstandby = "62.5 ms"\nnormal.temperature = ["59 °F", "28 °C"]\n'
    device = load(written(tmp_path, text)).devices[0]
    assert device.period_s == 0.5
    assert device.options["standby"] == pytest.approx(0.0625)
    assert device.normal["temperature"] == pytest.approx((15.0, 28.0))


def test_quantities_inside_tables_of_options_become_numbers_too() -> None:
    plan = load(MANUAL / "greenhouse.toml")
    by_id = {device.id: device.options for device in plan.devices}
    assert by_id["door"]["lines"]["open"]["debounce"] == pytest.approx(0.02)
    assert by_id["soil"]["inputs"]["moisture_1"]["low"] == pytest.approx(2.8)


def test_what_is_left_out_has_the_defaults_of_the_manual(tmp_path: Path) -> None:
    plan = load(written(tmp_path, HEAD))
    device = plan.devices[0]
    assert plan.buses == (BusPlan("i2c1", "i2c", "/dev/i2c-1"),)
    assert (device.period_s, device.check_s, device.if_absent) == (1.0, 10.0, "retry")
    assert (device.label, device.options["address"]) == ("Air", 0x76)
    assert plan.log.limit_bytes == 2_000_000_000


def test_the_witness_is_never_asked_more_often_than_the_device_is_read(tmp_path: Path) -> None:
    assert load(written(tmp_path, HEAD + 'every = "1 min"\n')).devices[0].check_s == 60.0


def test_a_route_comes_after_those_it_needs_however_they_are_written(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
[route.calmest]
from = "calmer"
[route.gated]
from = "air.humidity"
through = [{ resistor = { gate = "flow.calmest" } }]
[route.calmer]
from = "air.temperature"
through = [{ resistor = { deadband = "1 K" } }]
"""
    )
    routes = load(written(tmp_path, text)).routes
    order = [route.name for route in routes]
    assert order.index("calmer") < order.index("calmest") < order.index("gated")
    assert {route.name: route.source for route in routes}["calmest"] == "flow.calmer"


def test_a_route_may_be_named_with_its_first_word(tmp_path: Path) -> None:
    text = HEAD + '[route.a]\nfrom = "air.temperature"\n[route.b]\nfrom = "flow.a"\n'
    assert [route.source for route in load(written(tmp_path, text)).routes] == [
        "air.temperature",
        "flow.a",
    ]


def test_a_plan_travels_to_another_process_unchanged() -> None:
    plan = load(MANUAL / "greenhouse.toml", mock=True)
    assert decode(encode(plan)) == plan


def test_a_plan_is_plain_data() -> None:
    plan = load(MANUAL / "greenhouse.toml")
    assert msgspec.json.decode(encode(plan))["devices"][0]["options"]["address"] == 0x76


def test_a_missing_file_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    written(tmp_path, HEAD)
    found = problems(tmp_path / "layden.toml")
    assert found == (
        f'{tmp_path}/layden.toml: no such file; did you mean "{tmp_path}/leyden.toml"?',
    )


def test_a_file_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path / "away" / "leyden.toml")
    assert found == (f"{tmp_path}/away/leyden.toml: no such file; {tmp_path}/away is no folder",)


def test_a_folder_is_refused_with_the_files_in_it(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD)
    assert problems(tmp_path) == (
        f"{tmp_path}: is a folder, expected a file; did you mean {path}?",
    )


def test_a_file_that_cannot_be_read_is_refused_with_the_systems_words(tmp_path: Path) -> None:
    # A link onto itself: unreadable for everybody, whereas root reads any file's content.
    path = tmp_path / "leyden.toml"
    path.symlink_to(path)
    assert problems(path) == (f"{path}: cannot be read: Too many levels of symbolic links",)


def test_a_file_of_another_encoding_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "leyden.toml"
    path.write_bytes('[appliance]\nname = "grün"\n'.encode("latin-1"))
    assert problems(path) == (f"{path}: line 2 is not UTF-8; save the file as UTF-8",)


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    (line,) = problems(Path("/dev/zero"))
    assert line == "/dev/zero: is a pipe or a device, expected a file"
    (line,) = problems(written(tmp_path, "#" * 2_000_000))
    assert "is longer than 1 MiB" in line


def test_a_file_nested_without_reason_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "world = " + "[" * 5000)
    (found,) = problems(path)
    assert found.startswith(f"{path}: is n")  # no TOML, or nested too deeply
    path = written(tmp_path, ".".join(["world"] * 20_000) + " = 1")
    assert problems(path) == (f"{path}: is nested too deeply",)


def test_every_problem_is_told_and_each_once(tmp_path: Path) -> None:
    text = '[appliance]\nname = "a"\nnmae = "b"\n[log]\nlimit = 5\n[bus.x]\nkind = "i2s"\n'
    found = problems(written(tmp_path, text))
    assert len(found) == len(set(found)) == 3
    assert [line.split(": ")[1] for line in found] == ["appliance.nmae", "bus.x.kind", "log.limit"]


def test_a_long_list_of_what_is_possible_is_cut_short(tmp_path: Path) -> None:
    inputs = "\n".join(f"input_{pin} = {{ pin = {pin} }}" for pin in range(8))
    soils = "".join(
        f'[device.soil_{i}]\ndriver = "mcp3008"\nbus = "spi0"\nchip_select = {i}\n'
        f"[device.soil_{i}.inputs]\n{inputs}\n"
        for i in range(3)
    )
    text = '[appliance]\nname = "a"\n[bus.spi0]\nkind = "spi"\n' + soils
    (line,) = problems(written(tmp_path, text + '[route.r]\nfrom = "soil_1.inptu_1"\n'))
    assert "… (24 in all)" in line
    assert line.endswith('; did you mean "soil_1.input_1"?')


def test_a_name_with_a_dot_cannot_break_out_of_its_table(tmp_path: Path) -> None:
    (line,) = problems(written(tmp_path, HEAD + '[device."a.b"]\ndriver = "host"\n'))
    assert 'found "a.b", expected a name' in line


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    assert problems(pipe) == (f"{pipe}: is a pipe or a device, expected a file",)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    file = tmp_path / "bom.toml"
    file.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load(file).name
