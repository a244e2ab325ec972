"""A folder as a reader has it: the greenhouse, a log, and a mock that answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leyden import manual
from leyden.appliance.assemble import assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.config import load
from leyden.appliance.folders import Folders
from leyden.eventlog.recorder import Recorder
from leyden.kernel import SimulatedExecutor, SystemExecutor
from leyden.link.server import LinkServer


def record(config: Path, data: Path) -> None:
    """Leave the log of twenty simulated seconds, with a sensor pulled out after ten."""
    executor = SimulatedExecutor()
    recorder = Recorder(data / "log", executor)
    appliance = assemble(load(config, mock=True), executor, store=recorder)
    appliance.runtime.boot()
    executor.run_for(10)
    assert appliance.world is not None
    appliance.world.set("air.present", False)
    executor.run_for(10)
    appliance.runtime.shutdown("the recording is over")
    appliance.close()
    executor.close()


@contextmanager
def answering(config: Path, data: Path) -> Iterator[None]:
    """A mock that is reachable over the link; it samples nothing."""
    executor = SystemExecutor()
    appliance = assemble(load(config, mock=True), executor)
    backend = RuntimeBackend(appliance)
    folders = Folders(data)
    folders.make()
    server = LinkServer(folders.socket, backend, executor=executor)
    backend.start()
    server.start()
    try:
        yield
    finally:
        backend.stop()
        server.stop()
        appliance.close()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    config = folder / "greenhouse.toml"
    config.write_text(manual.example("greenhouse.toml"))
    record(config, folder / "data")
    return folder


@pytest.fixture
def place(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory: greenhouse.toml, library.py, data/ with a log and a live link."""
    folder = tmp_path / "place"
    shutil.copytree(recorded, folder)
    (folder / "library.py").write_text(manual.example("library.py"))
    for name in ("LEYDEN_DATA", "LEYDEN_PORT", "LEYDEN_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    with answering(folder / "greenhouse.toml", folder / "data"):
        yield folder
