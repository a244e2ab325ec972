"""A root to analyse, for tests that ask systemd itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from systemd.units import HOST_UNITS, card_root


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our units among those of this machine's own systemd."""
    if shutil.which("systemd-analyze") is None or not HOST_UNITS.is_dir():
        pytest.skip("this machine has no systemd to ask: apt-get install systemd brings it")
    return card_root(tmp_path_factory.mktemp("card"))


@pytest.fixture
def faulty_root(root: Path, tmp_path: Path) -> Path:
    """A copy of it to plant a fault in: what finds nothing must be able to find something."""
    copy = tmp_path / "root"
    shutil.copytree(root, copy, symlinks=True)
    return copy
