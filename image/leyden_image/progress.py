"""Tells a person how far the build is: one line a step, with its time and what it weighs."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TextIO

_CLEAR: Final = "\r\x1b[K"
_MINIMUM_S: Final = 0.1  # between two repaints of the running line


@dataclass(frozen=True, slots=True)
class Finished:
    """One step that is done.

    Attributes:
        name: what was done.
        seconds: how long it took.
        note: what came of it, in words.
    """

    name: str
    seconds: float
    note: str


@dataclass(slots=True)
class Step:
    """The step that is under way; what it says is shown while it runs, and kept at its end."""

    name: str
    _progress: Progress
    note: str = ""

    def say(self, note: str) -> None:
        """Show how far the step is, and keep the last such word."""
        self.note = note
        self._progress.repaint(self)


@dataclass(slots=True)
class Progress:
    """Writes steps to a stream: repainted on a terminal, plain lines elsewhere."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    finished: list[Finished] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _step_began: float = 0.0
    _painted: float = 0.0

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Announce a step, time what is done inside, and write one line when it is over."""
        step = Step(name, self)
        self._step_began = time.monotonic()
        self._painted = 0.0
        self.repaint(step)
        try:
            yield step
        except BaseException:
            self._write(f"{_CLEAR if self._is_terminal else ''}  {name}: not finished\n")
            raise
        self._finish(step)

    @property
    def seconds(self) -> float:
        """How long the whole has been going on."""
        return time.monotonic() - self._began

    def repaint(self, step: Step) -> None:
        """Show the running step again, on a terminal only and not too often."""
        now = time.monotonic()
        if not self._is_terminal or now - self._painted < _MINIMUM_S:
            return
        self._painted = now
        seconds = now - self._step_began
        self._write(f"{_CLEAR}{seconds:7.1f} s  {step.name} … {step.note}"[:140])

    @property
    def _is_terminal(self) -> bool:
        return self.stream.isatty()

    def _finish(self, step: Step) -> None:
        seconds = time.monotonic() - self._step_began
        self.finished.append(Finished(step.name, round(seconds, 2), step.note))
        clear = _CLEAR if self._is_terminal else ""
        self._write(f"{clear}{seconds:7.1f} s  {step.name}{': ' if step.note else ''}{step.note}\n")

    def _write(self, text: str) -> None:
        if not self.quiet:
            self.stream.write(text)
            self.stream.flush()


def bytes_in_words(count: int) -> str:
    """Write a number of bytes as people do: `17.0 MB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
