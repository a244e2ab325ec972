"""A serial console: everything it says is kept with its time, and can be waited for."""

from __future__ import annotations

import bisect
import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_hil.errors import TargetError

_CHUNK: Final = 65536
_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])"
)
_TAIL: Final = 15  # lines of the log that a complaint shows


@dataclass(frozen=True, slots=True)
class Found:
    """Where a pattern was seen."""

    match: re.Match[str]
    at: float  # monotonic seconds of the host when its last byte had come
    end: int  # the place behind it, for a further search


class Console:
    """Reads one end of a serial line in a thread of its own, to a file and to memory.

    The emulator never waits for a reader, and the log is whole even if nobody looks.

    Args:
        line: the connected socket; closed by `close`.
        log: where the raw bytes go, as they came.
    """

    def __init__(self, line: socket.socket, log: Path) -> None:
        self.log = log
        self._line = line
        self._file = log.open("wb")
        self._text = ""
        self._ends: list[int] = []  # length of the text after each piece …
        self._times: list[float] = []  # … and when that piece came
        self._raw = bytearray()  # not read by `read` yet
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(
            target=self._listen, name=f"console {log.name}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Hang up and wait until all that came is in the log."""
        with contextlib.suppress(OSError):  # the other end was faster
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def text(self) -> str:
        """Return what was said so far, without colours and other escapes."""
        with self._changed:
            return _ESCAPES.sub("", self._text)

    def tail(self, lines: int = _TAIL) -> str:
        """Return the last lines, for a complaint."""
        return "\n".join(self.text().replace("\r", "").splitlines()[-lines:])

    def mark(self) -> int:
        """Return the place where new text will be, for `wait_for(…, since=…)`."""
        with self._changed:
            return len(self._text)

    def between(self, begin: int, end: int) -> str:
        """Return what was said between two places, without escapes and carriage returns."""
        with self._changed:
            return _ESCAPES.sub("", self._text[begin:end]).replace("\r", "")

    def wait_for(self, pattern: str, limit_s: float, *, since: int = 0) -> Found:
        """Wait until something was said.

        Args:
            pattern: a regular expression.
            limit_s: the longest wait, in seconds.
            since: the place from which on it counts, from `mark` or `Found.end`.

        Raises:
            TargetError: it was not said in time, or the line ended; shows the last lines.
        """
        expression = re.compile(pattern)
        until = time.monotonic() + limit_s
        with self._changed:
            while True:
                if found := expression.search(self._text, since):
                    return Found(found, self._time_of(found.end()), found.end())
                left = until - time.monotonic()
                if left <= 0 or self._ended:
                    break
                self._changed.wait(left)
        how = "the line ended before it" if self._ended else f"nothing like it in {limit_s:.0f} s"
        raise TargetError(
            f"the console was expected to say {pattern!r}: {how}; it said last:\n{self.tail()}"
        )

    def said(self, pattern: str) -> Found | None:
        """Return where the pattern was said, `None` if it was not."""
        with self._changed:
            found = re.search(pattern, self._text)
            return Found(found, self._time_of(found.end()), found.end()) if found else None

    def send(self, data: bytes) -> None:
        """Type; the other end may be gone, and then nobody hears it."""
        try:
            self._line.sendall(data)
        except OSError as error:
            raise TargetError(f"the console's line is broken: {error}") from error

    def read(self, limit: int, limit_s: float) -> bytes:
        """Return the next raw bytes, at most `limit`; `b""` if none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._raw or self._ended, limit_s)
            taken = bytes(self._raw[:limit])
            del self._raw[:limit]
            return taken

    def _time_of(self, place: int) -> float:
        return self._times[min(bisect.bisect_left(self._ends, place), len(self._times) - 1)]

    def _listen(self) -> None:
        with self._file:
            while data := self._receive():
                self._file.write(data)
                self._file.flush()
                self._keep(data)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._line.recv(_CHUNK)
        except OSError:  # reset by an emulator that was killed: the same as an end
            return b""

    def _keep(self, data: bytes) -> None:
        with self._changed:
            self._text += data.decode("utf-8", "replace")
            self._raw += data
            self._ends.append(len(self._text))
            self._times.append(time.monotonic())
            self._changed.notify_all()


class ConsoleShell:
    """A root shell on the console, for an appliance that no network leads to.

    Args:
        console: where the shell has been started.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._asked = 0

    def wait(self, limit_s: float) -> None:
        """Wait until the shell is there.

        Raises:
            TargetError: it does not come.
        """
        self._console.wait_for(r"root@[^\n]*# ", limit_s)

    def ask(self, command: str, limit_s: float = 60.0) -> str:
        """Run a command and return what it printed.

        Raises:
            TargetError: it does not end.
        """
        self._asked += 1
        mark = self._console.mark()
        # The shell repeats what it hears; the quotes keep that from looking like the answer.
        begin, end = f"BEGIN-{self._asked}-", f"END-{self._asked}-"
        line = f"echo BEG''IN-{self._asked}-; {command}; echo EN''D-{self._asked}-\n"
        self._console.send(line.encode())
        first = self._console.wait_for(f"{begin}\r?\n", limit_s, since=mark)
        last = self._console.wait_for(end, limit_s, since=first.end)
        return self._console.between(first.end, last.end - len(end)).strip()


class UartPeer:
    """The far end of a serial line of the machine: an instrument that speaks and listens.

    Args:
        line: the connected socket; closed by `close`.
        hear: is called with what the machine sent.
    """

    def __init__(self, line: socket.socket, hear: Callable[[bytes], None]) -> None:
        self._line = line
        self._hear = hear
        self._thread = threading.Thread(target=self._listen, name="uart", daemon=True)
        self._thread.start()

    def say(self, data: bytes) -> None:
        """Send bytes to the machine; lost when its power is off, as they would be."""
        try:
            self._line.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        """Unplug."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def _listen(self) -> None:
        while True:
            try:
                data = self._line.recv(_CHUNK)
            except OSError:
                return
            if not data:
                return
            self._hear(data)
