"""The emulator's monitor (QMP): change what chips sense, read registers, hear what happened.

The protocol is QEMU's: one JSON object a line, `execute` and `return`, events in between
(QEMU, "QEMU Machine Protocol Specification").
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from leyden_hil.errors import InfraError, MonitorError

_ANSWER_S: Final = (
    30.0  # an emulator that is alive answers in milliseconds, on a full host in seconds
)
_WORDS: Final = re.compile(r":\s+0x([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the emulator."""

    name: str  # "SHUTDOWN", "WATCHDOG", "GUEST_PANICKED", …
    data: dict[str, Any]
    at: float  # monotonic seconds of the host


class Monitor:
    """A connection to the monitor; events are gathered by a thread of its own.

    Args:
        line: the connected socket; closed by `close`.

    Raises:
        InfraError: nobody answers at the other end.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._changed = threading.Condition()
        self._turn = threading.Lock()
        self._events: list[Happened] = []
        self._answers: list[dict[str, Any]] = []
        self._ended = False
        self._greeted = False
        self._thread = threading.Thread(target=self._listen, name="monitor", daemon=True)
        self._thread.start()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """Carry out a command and return its answer.

        Raises:
            MonitorError: the emulator refused it.
            InfraError: the emulator does not answer.
        """
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): arguments[key] for key in arguments}
        with self._turn:
            self._send(request)
            answer = self._answer(command)
        if "error" in answer:
            raise MonitorError(f"{command}: {answer['error'].get('desc')}")
        return answer["return"]

    def human(self, line: str) -> str:
        """Carry out a command of the human monitor and return its text."""
        return str(self.execute("human-monitor-command", command_line=line))

    def set(self, path: str, name: str, value: Any) -> None:
        """Set a property of a modelled part: `set("/machine/peripheral/air", "temperature", …)`."""
        self.execute("qom-set", path=path, property=name, value=value)

    def get(self, path: str, name: str) -> Any:
        """Return a property of a modelled part."""
        return self.execute("qom-get", path=path, property=name)

    def word(self, address: int) -> int:
        """Return the 32-bit register at a physical address, as a debugger would see it."""
        text = self.human(f"xp /1wx {address:#x}")
        if (found := _WORDS.search(text)) is None:
            raise MonitorError(f"xp {address:#x}: expected a word, found {text!r}")
        return int(found[1], 16)

    def events(self, name: str = "") -> list[Happened]:
        """Return the events of this name so far, or all of them."""
        with self._changed:
            return [event for event in self._events if name in ("", event.name)]

    def wait_for(self, name: str, limit_s: float) -> Happened | None:
        """Wait for the first event of this name; `None` if there was none in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._has(name) or self._ended, limit_s)
            return next((event for event in self._events if event.name == name), None)

    def close(self) -> None:
        """Hang up; all that was said is in `events`."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def join(self) -> None:
        """Wait until the emulator hung up, so that its last events are there."""
        self._thread.join()

    def _has(self, name: str) -> bool:
        return any(event.name == name for event in self._events)

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._line.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise InfraError(f"the emulator's monitor is gone: {error}") from error

    def _answer(self, command: str) -> dict[str, Any]:
        with self._changed:
            self._changed.wait_for(lambda: self._answers or self._ended, _ANSWER_S)
            if not self._answers:
                how = "hung up" if self._ended else f"said nothing for {_ANSWER_S:.0f} s"
                raise InfraError(f"the emulator {how} when asked {command}")
            return self._answers.pop(0)

    def _listen(self) -> None:
        try:
            with self._line.makefile("rb") as lines:
                for line in lines:
                    self._keep(json.loads(line))
        except OSError:  # reset by an emulator that was killed: the same as an end
            pass
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _keep(self, said: dict[str, Any]) -> None:
        with self._changed:
            if "event" in said:
                happened = Happened(said["event"], said.get("data", {}), time.monotonic())
                self._events.append(happened)
            elif "QMP" not in said:
                self._answers.append(said)
            self._changed.notify_all()
