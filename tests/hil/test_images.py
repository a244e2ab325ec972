"""The image of a run is the newest, or the one that is named; a compressed one is unpacked once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from leyden_hil import images
from leyden_hil.errors import InfraError


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(images.VARIABLE, raising=False)


def test_without_an_image_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="make image"):
        images.find(tmp_path)


def test_the_newest_counts_and_the_named_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("leyden-0.2.img", "leyden-0.1.img")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert images.find(tmp_path) == images.Image(tmp_path / "leyden-0.2.img", tmp_path)
    monkeypatch.setenv(images.VARIABLE, str(tmp_path / "leyden-0.1.img"))
    assert images.find(tmp_path).unpacked.name == "leyden-0.1.img"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_a_compressed_one_is_unpacked_under_a_name_of_its_own(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    seen: list[Path] = []
    for content in (b"one", b"two", b"three"):
        plain.write_bytes(content)
        image = tmp_path / "leyden-0.1.img.zst"
        subprocess.run(["zstd", "-q", "-f", str(plain), "-o", str(image)], check=True)
        os.utime(image, (len(seen) + 1, len(seen) + 1))
        found = images.find(tmp_path)
        assert found.unpacked.read_bytes() == content
        assert found.build == tmp_path
        assert images.find(tmp_path).unpacked == found.unpacked
        seen.append(found.unpacked)
        os.utime(found.unpacked, (len(seen), len(seen)))
    assert [path.exists() for path in seen] == [False, True, True]


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert "qemu-system-arm" in images.missing_packages()
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    assert images.missing_packages() == []
