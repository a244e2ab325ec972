"""The monitor's answers are told from its events, and its refusals are errors."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from leyden_hil.errors import InfraError, MonitorError
from leyden_hil.monitor import Monitor

Answers = dict[str, Any]


class Fake:
    """Answers commands from a table; an event comes before each answer."""

    def __init__(self, line: socket.socket, answers: Answers) -> None:
        self.heard: list[Answers] = []
        self._line = line
        self._answers = answers
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._line, self._line.makefile("rw") as lines:
            self._say(lines, {"QMP": {"version": {}}})
            for line in lines:
                request = json.loads(line)
                self.heard.append(request)
                self._say(lines, {"event": "RTC_CHANGE", "data": {"offset": 1}})
                answer = self._answers.get(request["execute"], {"return": {}})
                if answer == "hang up":
                    return
                self._say(lines, answer)

    def _say(self, lines: Any, what: Answers) -> None:
        lines.write(json.dumps(what) + "\n")
        lines.flush()

    def join(self) -> None:
        self._thread.join()


@pytest.fixture
def answers() -> Answers:
    return {}


@pytest.fixture
def fake(answers: Answers) -> Iterator[tuple[Fake, Monitor]]:
    ours, theirs = socket.socketpair()
    fake = Fake(theirs, answers)
    monitor = Monitor(ours)
    yield fake, monitor
    monitor.close()
    fake.join()


def test_events_are_kept_apart_from_answers(fake: tuple[Fake, Monitor]) -> None:
    _, monitor = fake
    assert monitor.execute("query-status") == {}
    assert len(monitor.events("RTC_CHANGE")) == 2
    assert monitor.wait_for("RTC_CHANGE", 5) == monitor.events("RTC_CHANGE")[0]
    assert monitor.wait_for("WATCHDOG", 0.01) is None


def test_a_refusal_says_what_was_asked(fake: tuple[Fake, Monitor], answers: Answers) -> None:
    answers["qom-set"] = {"error": {"class": "GenericError", "desc": "out of range"}}
    with pytest.raises(MonitorError, match="qom-set: out of range"):
        fake[1].set("/machine/peripheral/air", "temperature", 1_000_000)
    request = {"path": "/machine/peripheral/air", "property": "temperature", "value": 1_000_000}
    assert fake[0].heard[-1]["arguments"] == request


def test_a_register_is_a_word(fake: tuple[Fake, Monitor], answers: Answers) -> None:
    answers["human-monitor-command"] = {"return": "000000003f200034: 0x00020000\r\n"}
    assert fake[1].word(0x3F200034) == 1 << 17
    assert fake[0].heard[-1]["arguments"] == {"command-line": "xp /1wx 0x3f200034"}
    answers["human-monitor-command"] = {"return": "Cannot access memory\r\n"}
    with pytest.raises(MonitorError, match="Cannot access"):
        fake[1].word(0)


def test_an_emulator_that_hangs_up_is_the_rigs_trouble(
    fake: tuple[Fake, Monitor], answers: Answers
) -> None:
    answers["query-status"] = "hang up"
    with pytest.raises(InfraError, match="hung up"):
        fake[1].execute("query-status")
    fake[1].join()
    with pytest.raises(InfraError, match="hung up|is gone"):
        fake[1].execute("query-status")
