"""The host's side of the fault injector: one line out over USB, one line of JSON back.

The other side is `hil/firmware`; `hil/bench` shows how it is wired. It plays a part on I2C, SPI or
a serial line, soundly or not, and holds lines and power:

    with Injector("/dev/serial/by-id/usb-MicroPython_…") as injector:
        injector.play(chip, LAYOUTS["tmp105"])
        injector.fault("flip", byte=0, value=7, count=1)

NOT YET RUN ON HARDWARE: tested against the firmware's own core over a pseudo-terminal.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from leyden.hal.mock.chip import I2cChip
from leyden_hil.errors import InfraError, RigError

PROTOCOL: Final = 1  # of hil/firmware/injector/__init__.py
ANSWER_S: Final = 2.0  # the longest word, ten thousand pulses, is asked for with more
QUIET_S: Final = 60.0  # without a line for so long the injector makes everything sound by itself
_PIECE: Final = 256  # bytes of memory in one line: two digits each, a line holds 1024 characters
_CHUNK: Final = 4096


class RefusedError(RigError):
    """The injector does not know a word, or not with these values; the text is its own."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a part's memory is reached, and which bits of it a controller may change.

    Attributes:
        size: bytes of memory.
        pointer: bytes of the pointer.
        word: 0 where the pointer counts bytes; else how many bytes stand at each of its values.
        page: bytes within which a write rolls over; 0 for none.
        writable: masks by place in memory; what is not named may be changed altogether.
    """

    size: int
    pointer: int = 1
    word: int = 0
    page: int = 0
    writable: tuple[tuple[int, bytes], ...] = ()


#: Layouts of the parts whose drivers are on the bench, from the same sheets as the chip models.
LAYOUTS: Final = {
    "tmp105": Layout(8, word=2, writable=((0, bytes.fromhex("0000 7f00 fff0 fff0")),)),
    "lm75b": Layout(8, word=2, writable=((0, bytes.fromhex("0000 1f00 ff80 ff80")),)),
    "ds1338": Layout(64),
    "24c02": Layout(256, page=8),
    "24c32": Layout(4096, pointer=2, page=32),
}


class Injector:
    """An open fault injector; closing it makes everything sound.

    Args:
        path: of its serial port; `/dev/serial/by-id/…` stays the same when it is plugged in again.
        answer_s: how long an answer may take.
        quiet_s: how long nothing may be said before it gives up on us and makes everything sound.

    Raises:
        InfraError: it does not answer.
        RefusedError: its firmware speaks another protocol.
    """

    def __init__(
        self, path: Path | str, *, answer_s: float = ANSWER_S, quiet_s: float = QUIET_S
    ) -> None:
        self.path = str(path)
        self._answer_s = answer_s
        self._numbers = itertools.count(1)
        self._rest = b""
        self._line = _opened(self.path)
        try:
            self.about = self.call("hello", protocol=PROTOCOL, quiet_ms=round(quiet_s * 1000))
        except RigError:
            os.close(self._line)
            raise

    def __enter__(self) -> Injector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Make everything sound and hang up."""
        try:
            self.call("sound")
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Leave everything as it is; after `quiet_s` the injector makes it sound by itself."""
        os.close(self._line)

    def call(self, word: str, /, *, limit_s: float | None = None, **values: Any) -> dict[str, Any]:
        """Say a word with its values and return the facts of the answer.

        Args:
            word: "i2c.fault"; `about["words"]` lists them.
            limit_s: how long the answer may take, where it is longer than usual.
            values: numbers, bytes, text or lists of numbers.

        Raises:
            InfraError: no answer in time, or the port is gone.
            RefusedError: the injector said no.
        """
        number = next(self._numbers)
        said = " ".join([str(number), word, *(f"{k}={_text(v)}" for k, v in values.items())])
        self._send(f"{said}\n".encode())
        answer = self._answer(number, said, limit_s or self._answer_s)
        if not answer.pop("ok"):
            raise RefusedError(f"the injector refused {said!r}: {answer['error']}")
        del answer["n"]
        return answer

    # A part on I2C

    def play(self, model: I2cChip, layout: Layout, address: int | None = None) -> None:
        """Be the part that a chip model stands for, as its memory is now."""
        self.call(
            "i2c.attach",
            address=model.address if address is None else address,
            size=layout.size,
            pointer=layout.pointer,
            word=layout.word,
            page=layout.page,
        )
        self._store("i2c.load", _image(model, layout))
        for at, masks in layout.writable:
            self.call("i2c.protect", at=at, masks=masks)

    def refresh(self, model: I2cChip, layout: Layout) -> None:
        """Show what the model holds now, such as a new measurement."""
        self._store("i2c.put", _image(model, layout))

    def memory(self, at: int, length: int) -> bytes:
        """Return what the part holds: what the Pi has written to it."""
        return bytes.fromhex(self.call("i2c.dump", at=at, length=length)["data"])

    def fault(self, kind: str, **values: int) -> None:
        """Let the part be wrong: "flip", "stick", "reset", "stretch", "nack", or "none" again.

        `byte`, `value`, `count` and `ms` are as in `hil/firmware/README.md`.
        """
        self.call("i2c.fault", kind=kind, **values)

    def hold(self, line: str, ms: int = 0) -> None:
        """Pull "sda" or "scl" low; for so many milliseconds, 0 until everything is made sound."""
        self.call("i2c.hold", line=line, ms=ms)

    def lose_power(self) -> None:
        """Let the part's power dip: its memory is at its power-on state."""
        self.call("i2c.power")

    # Power

    def power(self, rail: str, *, on: bool, ms: int = 0) -> None:
        """Switch "pi" or "sensors"; with `ms`, back again after so many milliseconds."""
        self.call("power", rail=rail, on=int(on), ms=ms)

    def sound(self) -> None:
        """Take every fault away; power on, lines released, no part on any bus."""
        self.call("sound")

    # Within

    def _store(self, word: str, image: bytes) -> None:
        for at in range(0, len(image), _PIECE):
            self.call(word, at=at, data=image[at : at + _PIECE])

    def _send(self, data: bytes) -> None:
        try:
            while data:
                select.select([], [self._line], [], self._answer_s)
                data = data[os.write(self._line, data) :]
        except OSError as error:
            raise InfraError(f"the injector at {self.path} is gone: {error.strerror}") from error

    def _answer(self, number: int, said: str, limit_s: float) -> dict[str, Any]:
        """Return the answer to a line; those to lines that were given up are thrown away."""
        until = time.monotonic() + limit_s
        while True:
            line = self._next_line(until, said)
            try:
                answer = json.loads(line)
            except json.JSONDecodeError:
                continue  # what MicroPython says when it starts
            if isinstance(answer, dict) and answer.get("n") in (number, 0):
                return answer

    def _next_line(self, until: float, said: str) -> bytes:
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            readable, _, _ = select.select([self._line], [], [], max(left, 0.0))
            if not readable:
                raise InfraError(
                    f"the injector at {self.path} does not answer {said!r}; is its firmware on it?"
                )
            self._rest += self._read()
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _read(self) -> bytes:
        try:
            data = os.read(self._line, _CHUNK)
        except OSError as error:
            raise InfraError(f"the injector at {self.path} is gone: {error.strerror}") from error
        if not data:
            raise InfraError(f"the injector at {self.path} is gone")
        return data


def _opened(path: str) -> int:
    try:
        line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(line)
        termios.tcflush(line, termios.TCIOFLUSH)
    except OSError as error:
        raise InfraError(f"the injector at {path} cannot be opened: {error.strerror}") from error
    return line


def _text(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return ",".join(str(each) for each in value)
    return str(value)


def _image(model: I2cChip, layout: Layout) -> bytes:
    """Return a model's memory, read as a controller reads it."""
    model.catch_up()
    step = layout.word or layout.size
    image = bytearray()
    for pointer in range(layout.size // step):
        model.write(pointer.to_bytes(layout.pointer, "big"))
        image += model.read(step)
    return bytes(image)


def main(arguments: Sequence[str] | None = None) -> int:
    """Say one word to an injector, print its answers, and leave things so for a minute.

    python3 -m leyden_hil.injector PORT [WORD [name=value …]]
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.stderr.write(f"{main.__doc__}\n")
        return 2
    path, word, pairs = given[0], given[1] if given[1:] else "status", given[2:]
    try:
        injector = Injector(path)
        try:
            values: dict[str, Any] = dict(pair.partition("=")[::2] for pair in pairs)
            answers = [injector.about, injector.call(word, **values)]
        finally:
            injector.hang_up()
    except RigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{json.dumps(each, indent=2)}\n" for each in answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
