"""The boot loader's variables: the same bytes as U-Boot's own tools, and a copy that stands by."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.update.environment import (
    DEFAULTS,
    ENVIRONMENT_BYTES,
    Environment,
    EnvironmentStore,
    decode,
    encode,
)
from leyden.storage.raw import RawArea

PRIMARY, BACKUP = 1 << 20, 3 << 19
names = st.text(st.characters(codec="utf-8", exclude_characters="=\0\n"), min_size=1, max_size=12)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
environments = st.dictionaries(names, values, max_size=12).map(Environment)


def tool(name: str) -> str:
    path = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not on this machine: apt install u-boot-tools libubootenv-tool")
    return path


def a_card(folder: Path) -> Path:
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(2 << 20)
    return disk


def store_on(disk: Path) -> EnvironmentStore:
    areas = [RawArea(disk, place, ENVIRONMENT_BYTES) for place in (PRIMARY, BACKUP)]
    return EnvironmentStore(areas[0], areas[1])


@given(environments)
def test_what_is_written_is_read(environment: Environment) -> None:
    block = encode(environment)
    assert len(block) == ENVIRONMENT_BYTES
    assert decode(block) == environment


@given(environments, st.integers(0, ENVIRONMENT_BYTES - 1), st.integers(1, 255))
def test_a_single_changed_byte_is_noticed(environment: Environment, at: int, flip: int) -> None:
    block = bytearray(encode(environment))
    block[at] ^= flip
    with pytest.raises(ValueError, match="checksum"):
        decode(bytes(block))


def test_mkenvimage_makes_the_same_bytes(tmp_path: Path) -> None:
    text, made = tmp_path / "text", tmp_path / "made"
    text.write_text("".join(f"{name}={value}\n" for name, value in DEFAULTS.variables.items()))
    command = [tool("mkenvimage"), "-s", "0x2000", "-p", "0x00", "-o", str(made), str(text)]
    subprocess.run(command, check=True)
    assert made.read_bytes() == encode(DEFAULTS)
    filled = [tool("mkenvimage"), "-s", "0x2000", "-o", str(made), str(text)]
    subprocess.run(filled, check=True)
    assert decode(made.read_bytes()) == DEFAULTS  # whatever the rest is filled up with


def test_fw_setenv_and_we_read_each_other(tmp_path: Path) -> None:
    disk, config = a_card(tmp_path), tmp_path / "fw_env.config"
    store_on(disk).write(Environment({**DEFAULTS.variables, "serial#": "1000"}))
    config.write_text(f"{disk} {PRIMARY:#x} {ENVIRONMENT_BYTES:#x}\n")
    subprocess.run([tool("fw_setenv"), "-c", config, "BOOT_B_LEFT", "1"], check=True)
    found = store_on(disk).read()
    assert found.source == "primary"
    assert (found.environment.tries("B"), found.environment.variables["serial#"]) == (1, "1000")
    store_on(disk).write(found.environment.booting("B", "A"))
    shown = subprocess.run(
        [tool("fw_printenv"), "-c", config], check=True, capture_output=True, text=True
    ).stdout
    assert "BOOT_ORDER=B A\n" in shown
    assert "BOOT_B_LEFT=3\n" in shown
    assert "serial#=1000\n" in shown


def test_the_copy_stands_in_and_then_the_defaults_do(tmp_path: Path) -> None:
    disk = a_card(tmp_path)
    store = store_on(disk)
    store.write(DEFAULTS.booting("B"))
    RawArea(disk, PRIMARY, ENVIRONMENT_BYTES).write(b"torn")
    found = store.read()
    assert (found.source, found.environment.order) == ("backup", ("B",))
    assert "primary boot variables: its checksum does not fit" in found.problems[0]
    RawArea(disk, BACKUP, ENVIRONMENT_BYTES).write(b"torn")
    found = store.read()
    assert (found.source, found.environment) == ("defaults", DEFAULTS)
    assert len(found.problems) == 2


def test_a_slot_that_is_not_named_has_no_starts_left() -> None:
    alone = DEFAULTS.booting("B")
    assert (alone.order, alone.tries("A"), alone.tries("B"), alone.next) == (("B",), 0, 3, "B")
    assert Environment({"BOOT_ORDER": "A", "BOOT_A_LEFT": "nonsense"}).next is None


def test_too_many_variables_are_refused_before_anything_is_written() -> None:
    with pytest.raises(ValueError, match="bytes of boot variables"):
        encode(Environment({"x": "y" * ENVIRONMENT_BYTES}))
    with pytest.raises(ValueError, match="no boot variable"):
        encode(Environment({"a=b": "c"}))
