"""The plan: a configuration after validation, as plain records that travel between processes.

The file is read and judged once, where people see the errors. What leaves that door is a `Plan`;
the runtime takes it as it is, so a restart after a crash runs what ran before, whatever has become
of the file.
"""

from __future__ import annotations

from typing import Any

import msgspec


class BusPlan(msgspec.Struct, frozen=True):
    """One bus and how to reach it."""

    name: str
    kind: str  # i2c | spi | uart | gpio
    path: str  # device file, or for gpio the chip's label
    speed: float | None = None  # Hz, or Bd for a serial line


class DevicePlan(msgspec.Struct, frozen=True):
    """One device: its driver, place and options."""

    id: str
    driver: str
    bus: str = ""
    period_s: float = 1.0
    check_s: float = 10.0
    if_absent: str = "retry"
    label: str = ""
    group: str = ""
    needs: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    normal: dict[str, tuple[float, float]] = {}
    options: dict[str, Any] = {}  # the driver's own, in its units


class RoutePlan(msgspec.Struct, frozen=True):
    """One derived route: where it begins and what it goes through."""

    name: str
    source: str
    through: tuple[dict[str, Any], ...] = ()
    label: str = ""
    group: str = ""


class LogPlan(msgspec.Struct, frozen=True):
    """What the event log may take."""

    limit_bytes: int = 2_000_000_000


class Plan(msgspec.Struct, frozen=True):
    """A whole appliance."""

    name: str
    label: str = ""
    buses: tuple[BusPlan, ...] = ()
    devices: tuple[DevicePlan, ...] = ()
    routes: tuple[RoutePlan, ...] = ()
    log: LogPlan = LogPlan()
    hosts: tuple[str, ...] = ()  # further names of the panel
    world: dict[str, Any] = {}
    folder: str = "."  # where the configuration's relative paths begin
    mock: bool = False


def encode(plan: Plan) -> bytes:
    """Return a plan as JSON, for another process."""
    return msgspec.json.encode(plan)


def decode(data: bytes) -> Plan:
    """Return the plan that `encode` wrote.

    Raises:
        msgspec.ValidationError: the data is no plan.
    """
    return msgspec.json.decode(data, type=Plan)
