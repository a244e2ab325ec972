"""Two runs on one machine queue for the emulator."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from leyden_hil import lock
from leyden_hil.errors import InfraError
from leyden_hil.lock import EmulatorLock


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    first, second = EmulatorLock(tmp_path / "lock"), EmulatorLock(tmp_path / "lock")
    before = lock.waited_s()
    first.acquire(1)
    free = threading.Timer(0.3, first.release)
    free.start()
    assert second.acquire(30) >= 0.2
    assert lock.waited_s() - before >= 0.2
    second.release()
    free.join()


def test_whoever_waits_too_long_says_whom_to_look_for(tmp_path: Path) -> None:
    first, second = EmulatorLock(tmp_path / "lock"), EmulatorLock(tmp_path / "lock")
    first.acquire(1)
    with pytest.raises(InfraError, match="another run"):
        second.acquire(0)
    first.release()
    second.acquire(1)
    second.release()


def test_a_child_holds_it_until_it_ends(tmp_path: Path) -> None:
    first, second = EmulatorLock(tmp_path / "lock"), EmulatorLock(tmp_path / "lock")
    first.acquire(1)
    inherited = os.dup(first.descriptor())
    first.release()
    with pytest.raises(InfraError, match="another run"):
        second.acquire(0)
    os.close(inherited)
    second.acquire(1)
    second.release()


def test_nothing_is_started_without_it(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="without the lock"):
        EmulatorLock(tmp_path / "lock").descriptor()


def test_its_place_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "other"))
    assert EmulatorLock().path == tmp_path / "other"
    monkeypatch.delenv(lock.VARIABLE)
    assert EmulatorLock().path.name == lock.NAME
