"""The machine that builds: what it lacks is named, installed by root, and advised to others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from leyden_image import host
from leyden_image.errors import ImageError
from leyden_image.host import EMULATOR, RIG_TOOLS, TOOLS, Host, look, prepare


@pytest.fixture
def binfmt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of another kind that can register emulators and has none."""
    folder = tmp_path / "binfmt"
    folder.mkdir()
    (folder / "register").write_text("")
    monkeypatch.setattr(host, "_BINFMT", folder)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return folder


@pytest.fixture
def bare(tmp_path: Path, binfmt: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it; programs put into the folder are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(shutil, "which", lambda name, path="": _in(folder, name))
    monkeypatch.setattr(host, "KEYRING", tmp_path / "keyring.gpg")
    return folder


def _in(folder: Path, name: str) -> str | None:
    return str(folder / name) if (folder / name).exists() else None


def test_a_bare_machine_lacks_everything(bare: Path) -> None:
    found = look()
    assert set(found.packages) == {*TOOLS.values(), EMULATOR, "debian-archive-keyring"}
    assert found.emulation
    assert set(RIG_TOOLS.values()) <= set(look(rig=True).packages)


def test_a_machine_that_has_all_lacks_nothing(bare: Path, binfmt: Path) -> None:
    for tool in TOOLS:
        (bare / tool).write_text("")
    host.KEYRING.write_text("")
    (binfmt / "qemu-aarch64").write_text("enabled\ninterpreter /usr/bin/qemu-aarch64\n")
    assert look() == Host((), emulation=False)
    assert prepare(look()) == "complete"


def test_an_arm64_machine_needs_no_emulator(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert not look().emulation
    assert EMULATOR not in look().packages


def test_who_is_not_root_is_told_the_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match="apt-get install --no-install-recommends mtools zstd"):
        prepare(Host(("mtools", "zstd"), emulation=False))
    with pytest.raises(ImageError, match="systemd-binfmt"):
        prepare(Host((), emulation=True))
    with pytest.raises(ImageError, match="sudo make image"):
        host.check_root()


@pytest.fixture
def apt(bare: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An apt-get that writes down what it is asked, for root on Debian 12."""
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> str:
        asked.append([str(word) for word in command])
        for word in asked[-1]:
            if word.startswith("Dir::Etc::SourceParts="):
                parts = Path(word.partition("=")[2])
                asked.append([path.read_text() for path in parts.iterdir()])
        return ""

    (bare / "apt-get").write_text("")
    monkeypatch.setattr(host, "run", run)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host, "_is_bookworm", lambda: True)
    return asked


def test_root_installs_from_the_machines_own_sources(apt: list[list[str]]) -> None:
    assert prepare(Host(("mtools", "zstd"), emulation=False)) == "installed mtools, zstd"
    assert apt == [
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", "mtools", "zstd"],
    ]


def test_debian_12_gets_its_emulator_from_backports_without_touching_its_sources(
    apt: list[list[str]], bare: Path, binfmt: Path
) -> None:
    (bare / "qemu-aarch64-static").write_text("")
    said = prepare(Host(("mtools", EMULATOR), emulation=True))
    assert "registered the arm64 emulator" in said
    update, sources, install = apt[2], apt[3], apt[4]
    assert "Dir::Etc::SourceList=/dev/null" in update
    assert "bookworm-backports" in sources[0]
    assert install[-1] == EMULATOR
    assert install[install.index("--target-release") + 1] == "bookworm-backports"
    assert "mtools" not in install
    registered = (binfmt / "register").read_text()
    assert registered.startswith(":qemu-aarch64:M::\\x7fELF")
    assert registered.endswith("qemu-aarch64-static:OCF")


def test_binfmt_is_mounted_where_no_init_has_done_so(
    apt: list[list[str]], bare: Path, binfmt: Path
) -> None:
    (bare / "qemu-aarch64").write_text("")
    (binfmt / "register").unlink()
    prepare(Host((), emulation=True))
    assert apt[0][:3] == ["mount", "-t", "binfmt_misc"]


def test_a_machine_without_apt_is_told_what_is_wanted(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ImageError, match="no apt-get; a Debian or Ubuntu is expected. Wanted: zst"):
        prepare(Host(("zstd",), emulation=False))
