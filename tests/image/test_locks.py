"""Lock files: what is written is what is read, and a damaged line is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden_image.debian.lockfile import USES, Lock, Locked, read_lock
from leyden_image.debian.mirror import VARIABLE, archive_url, is_chosen
from leyden_image.errors import ImageError
from leyden_image.python.requirements import (
    LEFT_OUT,
    Wheel,
    check_wheels,
    lock_text,
    read_wheels,
    resolve_source,
)
from leyden_image.recipe import load_recipe

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789+.-", min_size=1)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", fullmatch=True)
PACKAGES = st.builds(
    Locked,
    use=st.sampled_from(USES),
    name=WORDS,
    version=st.text("0123456789.:~+-", min_size=1),
    architecture=st.sampled_from(["arm64", "all", "amd64"]),
    archive=st.sampled_from(["debian", "debian-security"]),
    path=WORDS.map(lambda name: f"pool/main/{name}.deb"),
    size=st.integers(1, 10**9),
    sha256=HASHES,
)


@given(st.integers(0, 2**40), HASHES, st.lists(PACKAGES))
def test_a_lock_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, epoch: int, wanted: str, packages: list[Locked]
) -> None:
    path = tmp_path_factory.mktemp("lock") / "debian.lock"
    lock = Lock(epoch, wanted, tuple(sorted(packages)))
    path.write_text(lock.text())
    assert read_lock(path) == lock


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("root adduser 3.1", "debian.lock:4: expected use, name"),
        ("nonsense", "debian.lock:4: 'nonsense' is neither"),
        (f"root a 1 all debian pool/a.deb many {'0' * 64}", "debian.lock:4: expected use"),
        ("root a 1 all debian pool/a.deb 12 0123", "debian.lock:4: expected use"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "debian.lock"
    path.write_text(f"# head\nepoch 1\nwanted {'0' * 64}\n{line}\n")
    with pytest.raises(ImageError, match=re.escape(words)):
        read_lock(path)


def test_a_lock_without_its_head_or_without_its_file_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="python -m leyden_image lock"):
        read_lock(tmp_path / "none.lock")
    (tmp_path / "empty.lock").write_text("")
    with pytest.raises(ImageError, match="python -m leyden_image lock"):
        read_lock(tmp_path / "empty.lock")


@given(
    st.lists(
        st.builds(Wheel, name=NAMES, version=st.text("0123456789.", min_size=1), sha256=HASHES),
        unique_by=lambda wheel: wheel.name,
    )
)
def test_locked_wheels_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, wheels: list[Wheel]
) -> None:
    path = tmp_path_factory.mktemp("lock") / "requirements.lock"
    path.write_text(lock_text(wheels))
    assert list(read_wheels(path)) == sorted(wheels)


def test_a_wheel_without_a_hash_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text("# head\nflask==3.1.3\n")
    with pytest.raises(ImageError, match="requirements.lock:2: expected name==version --hash"):
        read_wheels(path)


def test_the_card_runs_the_versions_that_were_tested(tmp_path: Path) -> None:
    versions = tmp_path / "requirements.lock"
    versions.write_text("flask==9.9 \\\n    --hash=sha256:00\n")
    with pytest.raises(ImageError, match="flask 3.*has 9.9"):
        check_wheels(read_wheels(), load_recipe("leyden"), versions)
    with pytest.raises(ImageError, match="has no .*flask"):
        check_wheels((), load_recipe("leyden"))


def test_installers_are_not_on_the_card() -> None:
    assert not LEFT_OUT & {wheel.name for wheel in read_wheels()}


def test_what_has_no_wheel_is_pinned_too(tmp_path: Path) -> None:
    assert re.match(r"spidev==\S+ --hash=sha256:[0-9a-f]{64}", resolve_source("spidev"))
    lock = tmp_path / "sources.lock"
    lock.write_text("other==1 --hash=sha256:00\n")
    with pytest.raises(ImageError, match="no line for spidev"):
        resolve_source("spidev", lock)


@pytest.mark.parametrize(
    ("mirror", "address"),
    [
        ("", "http://deb.debian.org/debian-security"),
        ("http://mirror.example/", "http://mirror.example/debian-security"),
        ("http://snap.example/{archive}/2026", "http://snap.example/debian-security/2026"),
    ],
)
def test_a_mirror_may_be_chosen(monkeypatch: pytest.MonkeyPatch, mirror: str, address: str) -> None:
    monkeypatch.setenv(VARIABLE, mirror)
    assert archive_url("debian-security") == address
    assert is_chosen() == bool(mirror)
