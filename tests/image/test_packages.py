"""Packages: asked for, unpacked, made a repository; wheels, sources and bytecode likewise."""

from __future__ import annotations

import importlib.util
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from image.lab import make_deb, needs, write

from leyden_image.debian import root as root_module
from leyden_image.debian.apt import Apt
from leyden_image.debian.lockfile import Lock, Locked
from leyden_image.debian.root import make_root, root_digest
from leyden_image.errors import ImageError
from leyden_image.python.bytecode import Interpreter, compile_folders
from leyden_image.python.extension import compile_spidev
from leyden_image.python.wheels import install_wheel
from leyden_image.recipe import Debian, load_recipe
from leyden_image.store import sha256_of
from leyden_image.unpack import contents, unpack

DEBIAN = Debian(
    suite="trixie", suites=("trixie",), security=("trixie-security",), components=("main",)
)
PYTHON = Interpreter((sys.executable,), {})
SHOWN = """\
Package: {name}
Version: {version}
Architecture: arm64
Description: a thing
 that goes on
Filename: pool/{place}/{name}.deb
Size: 12
SHA256: {digest}
"""


def locked(folder: Path, name: str, files: dict[str, str], use: str = "unpack") -> Locked:
    """Make a package and put it into the cache `folder`, as fetching would."""
    made = make_deb(folder.parent, name, files)
    digest = sha256_of(made)
    one = Locked(use, name, "1.0", "all", "debian", f"pool/{name}.deb", made.stat().st_size, digest)
    folder.mkdir(exist_ok=True)
    (folder / one.file).write_bytes(made.read_bytes())
    return one


@needs("dpkg-deb")
def test_packages_are_unpacked_together_and_found_again(tmp_path: Path) -> None:
    debs = tmp_path / "debs"
    packages = [
        locked(debs, "one", {"usr/lib/a": "a"}),
        locked(debs, "two", {"usr/lib/b": "b"}),
    ]
    folder = unpack(packages, debs, tmp_path / "unpacked")
    assert sorted(path.name for path in (folder / "usr/lib").iterdir()) == ["a", "b"]
    assert "usr/lib/a" in contents(folder)["one"]
    assert "usr/lib/a" not in contents(folder)["two"]
    (debs / packages[0].file).unlink()
    assert unpack(packages, debs, tmp_path / "unpacked") == folder


@needs("dpkg-deb")
def test_a_damaged_package_is_not_unpacked(tmp_path: Path) -> None:
    one = locked(tmp_path / "debs", "one", {"usr/lib/a": "a"})
    (tmp_path / "debs" / one.file).write_bytes(b"rot")
    with pytest.raises(ImageError, match="was damaged; remove it"):
        unpack([one], tmp_path / "debs", tmp_path / "unpacked")


def stub(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_apt_is_asked_with_a_configuration_of_its_own(stubs: Path, tmp_path: Path) -> None:
    stub(stubs, "apt-get", f'echo "$@" >> {tmp_path}/asked; cat "$APT_CONFIG" > {tmp_path}/config')
    Apt.prepare(tmp_path / "apt", "arm64", DEBIAN)
    assert (tmp_path / "asked").read_text().startswith("update")
    config = (tmp_path / "config").read_text()
    assert f'Dir::State "{tmp_path}/apt/state"' in config
    assert 'Dir::Etc::SourceParts "/dev/null"' in config
    sources = (tmp_path / "apt" / "leyden.list").read_text().splitlines()
    assert [line.split()[2:] for line in sources] == [
        ["http://deb.debian.org/debian", "trixie", "main"],
        ["http://deb.debian.org/debian-security", "trixie-security", "main"],
    ]


def test_what_apt_plans_becomes_lines_of_the_lock(stubs: Path, tmp_path: Path) -> None:
    digest = "ab" * 32
    plan = (
        "Inst libc6 (2.41-12+deb13u4 Debian:13.7/stable [arm64]) []\n"
        "Inst openssl [1.0] (3.5~deb13u3 Debian-Security:13/stable-security [arm64])\n"
        "Conf libc6 (2.41-12+deb13u4 Debian:13.7/stable [arm64])\n"
    )
    shown = SHOWN.format(name="libc6", version="2.41-12+deb13u4", place="main", digest=digest)
    shown += "\n" + SHOWN.format(
        name="openssl", version="3.5~deb13u3", place="updates/main", digest=digest
    )
    (tmp_path / "plan").write_text(plan)
    (tmp_path / "shown").write_text(shown)
    stub(stubs, "apt-get", f"cat {tmp_path}/plan")
    stub(stubs, "apt-cache", f"cat {tmp_path}/shown")
    found = Apt(tmp_path, "arm64").closure("root", ["openssl"])
    assert [(one.name, one.archive) for one in found] == [
        ("libc6", "debian"),
        ("openssl", "debian-security"),
    ]
    assert {one.sha256 for one in found} == {digest}


def test_a_package_that_apt_cannot_show_is_named(stubs: Path, tmp_path: Path) -> None:
    stub(stubs, "apt-get", 'echo "Inst libc6 (2.41 Debian [arm64])"')
    stub(stubs, "apt-cache", "true")
    with pytest.raises(ImageError, match="libc6"):
        Apt(tmp_path, "arm64").closure("root", ["libc6"])


@needs("dpkg-deb")
def test_the_root_is_made_from_the_locked_files_only_and_once(stubs: Path, tmp_path: Path) -> None:
    debs, recipe = tmp_path / "debs", load_recipe("leyden")
    lock = Lock(1, "0" * 64, (locked(debs, "one", {"etc/a": "a"}, use="root"),))
    script = f'for word in "$@"; do echo "$word"; done > {tmp_path}/asked\n'
    script += 'for word in "$@"; do case "$word" in *.tar.*) echo root > "$word";; esac; done\n'
    stub(stubs, "mmdebstrap", f"{script}env > {tmp_path}/environment")
    told: list[str] = []
    made = make_root(lock, recipe, tmp_path / "cache", debs, told.append)
    assert made.read_text() == "root\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-1] == f"deb [trusted=yes] copy:{tmp_path}/cache/repository ./"
    assert "SOURCE_DATE_EPOCH=1\n" in (tmp_path / "environment").read_text()
    index = (tmp_path / "cache" / "repository" / "Packages").read_text()
    assert f"SHA256: {lock.packages[0].sha256}" in index
    assert index.startswith("Package: one\n")
    (tmp_path / "asked").unlink()
    assert make_root(lock, recipe, tmp_path / "cache", debs, told.append) == made
    assert not (tmp_path / "asked").exists()
    assert told[-1] == "from the cache"


def test_another_package_or_step_makes_another_root(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("leyden")
    one = Locked("root", "a", "1", "all", "debian", "p", 1, "0" * 64)
    tool = Locked("host", "b", "1", "all", "debian", "p", 1, "1" * 64)
    base = root_digest(Lock(1, "", (one,)), recipe)
    assert root_digest(Lock(1, "", (one, tool)), recipe) == base
    assert root_digest(Lock(2, "", (one,)), recipe) != base
    monkeypatch.setattr(root_module, "STEP_VERSION", 999)
    assert root_digest(Lock(1, "", (one,)), recipe) != base


def make_wheel(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_wheels_modules_are_put_among_the_modules(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path / "a.whl",
        {
            "pkg/": "",
            "pkg/__init__.py": "",
            "pkg/native.cpython-313-aarch64-linux-gnu.so": "elf",
            "a-1.data/purelib/pure.py": "",
            "a-1.data/platlib/plat.py": "",
            "a-1.data/scripts/tool": "#!python",
            "a-1.dist-info/METADATA": "",
        },
    )
    assert sorted(install_wheel(wheel, tmp_path / "t")) == [
        "a-1.dist-info/METADATA",
        "pkg/__init__.py",
        "pkg/native.cpython-313-aarch64-linux-gnu.so",
        "plat.py",
        "pure.py",
    ]
    native = tmp_path / "t/pkg/native.cpython-313-aarch64-linux-gnu.so"
    assert native.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd"])
def test_a_wheel_cannot_write_outside_of_its_place(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path / "a.whl", {name: "x"})
    with pytest.raises(ImageError, match="outside of itself"):
        install_wheel(wheel, tmp_path / "t")
    assert not (tmp_path / "outside.py").exists()


def test_what_is_no_wheel_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_text("no zip")
    with pytest.raises(ImageError, match="is no wheel"):
        install_wheel(tmp_path / "a.whl", tmp_path / "t")


def test_bytecode_is_never_checked_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, {"usr/lib/x/m.py": "def f():\n    return {1, 'two', (3, 'two')}\n"})
        compile_folders(tmp_path / name, ("/usr/lib/x",), PYTHON)
    made = [next((tmp_path / name).rglob("*.pyc")).read_bytes() for name in ("a", "b")]
    assert made[0] == made[1]
    assert made[0][:4] == importlib.util.MAGIC_NUMBER
    assert made[0][4:8] == b"\x01\0\0\0"  # by hash, unchecked: PEP 552
    assert b"/usr/lib/x/m.py" in made[0]
    assert bytes(tmp_path) not in made[0]


def test_python_that_does_not_compile_stops_the_build(tmp_path: Path) -> None:
    write(tmp_path, {"usr/lib/x/m.py": "def f(:\n"})
    with pytest.raises(ImageError, match="invalid syntax"):
        compile_folders(tmp_path, ("/usr/lib/x",), PYTHON)


def test_a_source_archive_that_is_another_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"spidev-3/other.c": ""})
    with tarfile.open(tmp_path / "spidev.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "spidev-3", "spidev-3")
    with pytest.raises(ImageError, match="holds 0 files spidev_module.c"):
        compile_spidev(tmp_path / "spidev.tar.gz", tmp_path, tmp_path / "work", tmp_path)
