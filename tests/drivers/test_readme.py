"""Tests that the driver written in drivers/README.md is a driver, as the page says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from leyden.testing import DriverConformance

PAGE = Path(__file__).parents[2] / "drivers" / "README.md"
# A file on the page: its name on a line of its own, then its text in a fence.
FILE = re.compile(r"^`(?P<name>[A-Za-z0-9_/]+\.\w+)`\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)


def files_on_the_page() -> dict[str, str]:
    return {match["name"]: match["text"] for match in FILE.finditer(PAGE.read_text("utf-8"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write the files of the page down, and make their package importable."""
    root = tmp_path_factory.mktemp("page")
    for name, text in files_on_the_page().items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.split(".")[0] == "sht40"]:
        del sys.modules[name]


def test_the_page_holds_a_whole_driver() -> None:
    assert set(files_on_the_page()) == {
        "sht40/__init__.py",
        "sht40/chip.py",
        "sht40/driver.py",
        "sht40/README.md",
        "sht40/sample.toml",
        "test_sht40.py",
    }


def test_its_crc_is_the_makers_example(folder: Path) -> None:
    from sht40.driver import crc8  # type: ignore[import-not-found]  # written down by the fixture

    assert crc8(bytes.fromhex("beef")) == 0x92  # SHT3x-DIS data sheet, table 20: the same CRC


def test_its_test_is_the_one_that_runs_here() -> None:
    text = files_on_the_page()["test_sht40.py"]
    assert "(DriverConformance)" in text
    assert f'package = "{TestTheDriverOnThePage.package}"' in text


@pytest.mark.usefixtures("folder")
class TestTheDriverOnThePage(DriverConformance):
    package: ClassVar[str] = "sht40"
