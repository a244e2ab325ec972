"""Every message that the troubleshooting page speaks of is one that can be met."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from leyden import manual
from leyden.appliance import drivers
from leyden.appliance.assemble import assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.config import load
from leyden.appliance.folders import FolderError, Folders
from leyden.appliance.supervise import _listen
from leyden.cli.main import main
from leyden.hal.i2c import I2cBus, Message, Read, bus_stuck, no_answer
from leyden.hal.linux.i2c import _owned
from leyden.hal.linux.system import I2C, UART, open_error
from leyden.kernel import LeydenError, SimulatedExecutor
from leyden.link.protocol import Query
from leyden.storage.errors import InUseError, StorageError

SCENARIOS = Path(__file__).parents[1] / "scenarios" / "config"
HEADINGS = re.findall(r"^### `(.*)`$", manual.page("troubleshooting"), re.MULTILINE)


def words_of(call: Callable[[], object], kind: type[Exception] = LeydenError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Messages as they are met: all golden ones, and what each part says."""
    folder = tmp_path_factory.mktemp("messages")
    golden = (path.read_text() for path in SCENARIOS.glob("*/expected.err"))
    return {line for text in golden for line in text.splitlines()} | set(_met(folder))


def _met(folder: Path) -> Iterator[str]:
    yield str(open_error("/dev/i2c-1", errno.ENOENT, I2C))
    yield str(open_error("/dev/i2c-1", errno.EACCES, I2C))
    yield str(open_error("/dev/serial0", errno.EBUSY, UART))
    yield str(no_answer("i2c1", 0x76))
    yield str(bus_stuck("i2c1", 0x76))
    yield str(_owned("i2c1", 0x68, "the kernel driver rtc-ds1307"))
    yield str(InUseError(Path("data"), 4711))
    yield str(StorageError(Path("data"), OSError(errno.ENOSPC, "No space left on device")))
    yield words_of(lambda: _bme280(Bmp280()).probe())
    yield words_of(lambda: _ask_real_buses_for_a_world(folder))
    (folder / "file").write_text("")
    yield words_of(Folders(folder / "file" / "data").make, FolderError)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        yield words_of(lambda: _listen("127.0.0.1", port))


class Bmp280:
    """A bus on which a BMP280 answers whatever is asked."""

    name = "i2c1"

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        return [b"\x58" * each.length for each in messages if isinstance(each, Read)]


def _bme280(bus: I2cBus) -> Any:
    driver = drivers.load("bme280")
    device: Any = driver.device
    return device(bus, driver.options())


def _ask_real_buses_for_a_world(folder: Path) -> None:
    executor = SimulatedExecutor()
    config = folder / "leyden.toml"
    config.write_text('[appliance]\nname = "a"\n')
    appliance = assemble(load(config), executor)
    try:
        RuntimeBackend(appliance).query(Query(1, "signals"))
    finally:
        appliance.close()
        executor.close()


def called(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) != 0
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_message_on_the_page_is_one_that_can_be_met(
    heading: str, messages: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "data")
    more = {
        called(capsys, "check", str(tmp_path / "leyden.toml")),
        called(capsys, "world", "list", "--data", data),
        called(capsys, "log", "tail", "--data", data),
    }
    pattern = ".*".join(re.escape(part) for part in heading.split("…"))
    found = [line for line in messages | more if re.search(pattern, line)]
    assert found, heading
