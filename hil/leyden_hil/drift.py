"""Drift: what a chip model says, beside what the part says that it stands for, step by step.

The same orders go to two seats of one driver (see `seat`): here on a modelled bus, there on the bus
of the appliance. A step whose answers differ is drift, and has to be explained or mended.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from leyden.hal.mock.rig import Rig as MockRig
from leyden.kernel import SystemExecutor
from leyden_hil import seat
from leyden_hil.errors import TargetError
from leyden_hil.shell import Shell

_PLACE: Final = "/run/leyden-seat.py"
_SETTLE_S: Final = 6.0  # after a change of the world, until the answer stays the same
_LOOK_S: Final = 0.4  # longer than a conversion of anything that is compared


@dataclass(frozen=True, slots=True)
class Subject:
    """A driver that is compared."""

    driver: str
    registers: str  # the class of its register map
    options: dict[str, Any] = field(default_factory=dict)
    expected: tuple[str, ...] = ()  # steps that are known to differ, with the reason in the README

    def as_json(self, path: str) -> dict[str, Any]:
        """Return it as a seat takes it."""
        return {
            "driver": self.driver,
            "registers": self.registers,
            "options": self.options,
            "path": path,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is true before it, and what the driver is told."""

    name: str
    order: dict[str, Any]
    world: Any = None  # set before the order; `None`: as it is


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a step at both seats."""

    step: str
    model: Any
    part: Any

    @property
    def alike(self) -> bool:
        """Whether both said the same: the same values within a step, or the same error."""
        return _alike(self.model, self.part)


class Obeys(Protocol):
    """Somebody at a seat."""

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out an order."""
        ...


class RemoteSeat:
    """The seat on the appliance.

    Args:
        shell: of the appliance; whoever else uses the bus was stopped.
        subject: the driver.
        path: of the bus.
    """

    def __init__(self, shell: Shell, subject: Subject, path: str) -> None:
        shell.put(_PLACE, Path(seat.__file__).read_bytes())
        told = json.dumps(json.dumps(subject.as_json(path)))
        self._process = shell.stream(f"exec python3 -u {_PLACE} {told}")

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out an order over there.

        Raises:
            TargetError: nobody is at the seat any more.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise TargetError(f"the seat is empty; it ended with {self._process.wait(30)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Leave."""
        self._process.communicate(timeout=60)


class ModelSeat:
    """The seat in front of the chip model."""

    def __init__(self, subject: Subject, name: str) -> None:
        self._rig = MockRig(SystemExecutor())
        self._name = name
        bus = self._rig.i2c("bus")
        self._seat = seat.make(subject.as_json("mock"), bus)
        package = importlib.import_module(f"leyden_drivers.{subject.driver}")
        model = importlib.import_module(f"{package.__name__}.chip").CHIP
        self._rig.plug("bus", model, name, package.OPTIONS(**subject.options))

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out an order here."""
        return self._seat.obey(order)

    def set(self, signal: str, value: Any) -> None:
        """Make something true of the modelled world."""
        self._rig.world.set(f"{self._name}.{signal}", value)

    def close(self) -> None:
        """Leave."""
        self._rig.close()


def compare(
    steps: Iterable[Step],
    model: Obeys,
    part: Obeys,
    set_model: Callable[[Any], None],
    set_part: Callable[[Any], None],
) -> list[Row]:
    """Give the same orders to both seats; return what came of each."""
    rows = []
    for step in steps:
        if step.world is not None:
            set_model(step.world)
            set_part(step.world)
        rows.append(Row(step.name, _settled(model, step), _settled(part, step)))
    return rows


def _settled(who: Obeys, step: Step) -> dict[str, Any]:
    """Return the answer once it stays the same: a conversion in progress is no drift."""
    answer = who.obey(step.order)
    if step.order["do"] != "read":
        return answer
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        again = who.obey(step.order)
        if _alike(answer, again) and answer.get("error") != "NotReadyError":
            return again
        answer = again
    return answer


def _alike(one: Any, other: Any) -> bool:
    if one.get("error") or other.get("error"):
        return bool(one.get("error") == other.get("error"))
    first, second = one["ok"], other["ok"]
    if not isinstance(first, dict):
        return bool(first == second)
    return first.keys() == second.keys() and all(
        _close(first[name], second[name]) for name in first
    )


def _close(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if isinstance(one["value"], float) and isinstance(other["value"], float):
        return abs(one["value"] - other["value"]) <= (one["step"] or 0.0) / 2
    return bool(one["value"] == other["value"] and one["doubt"] == other["doubt"])


def markdown(subject: Subject, rows: Sequence[Row]) -> str:
    """Return the drift table of a driver."""
    lines = [f"## {subject.driver}", "", "| step | model | part | |", "|---|---|---|---|"]
    for row in rows:
        known = "known" if row.step in subject.expected else "DRIFT"
        mark = "" if row.alike else known
        lines.append(f"| {row.step} | {_text(row.model)} | {_text(row.part)} | {mark} |")
    return "\n".join(lines) + "\n"


def _text(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return str(answer["error"])
    if isinstance(answer["ok"], dict):
        return ", ".join(f"{name} {each['value']}" for name, each in answer["ok"].items())
    return f"{answer['ok']:#x}" if isinstance(answer["ok"], int) else str(answer["ok"] or "ok")
