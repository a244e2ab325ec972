"""The gate: whether this start of the appliance is a healthy one.

An update may be kept only when all of this holds at once: the panel answers on the address that the
network knows (on loopback where there is no network), every device is online, and what the runtime
publishes stands in the log on the card. What did not work before the update either is not asked of
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from leyden.appliance.update.slots import Before
from leyden.kernel import NS, Clock

LIMIT_S: Final = 180.0
LOOK_S: Final = 1.0  # between two looks
DOORS: Final = ("http", "https")  # of the panel
LOOPBACK: Final = "127.0.0.1"
_ALWAYS: Final = ("http",)  # whatever was before: an appliance without a panel is not healthy
_NAMED: Final = 3  # devices that a reason names
_DEVICES_KEPT: Final = 32  # of those that were down, as many as fit the slot record


class Vitals(Protocol):
    """What can be seen of an appliance from beside it. Every method is quick and never raises."""

    def addresses(self) -> tuple[str, ...]:
        """The addresses under which the network knows this machine; none without a network."""
        ...

    def door(self, door: str, address: str) -> str:
        """What is wrong with the panel's http or https port; empty when it answers well."""
        ...

    def devices(self) -> dict[str, str] | str:
        """The state of each device, in words; or what keeps the runtime from telling."""
        ...

    def log(self) -> str:
        """What is wrong with the log; empty when what was published last is on the card."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a start is healthy; if not, why: a word for programs, a sentence for people."""

    code: str = ""
    reason: str = ""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.code


def judge(vitals: Vitals, before: Before | None) -> Verdict:
    """Return how healthy the appliance is now, measured by how it was before the update.

    Without a measure, for a slot that is known to work, devices and network are not asked about:
    they come and go with cables, and have their own place in the panel.
    """
    for code, reason in _complaints(vitals, before):
        return Verdict(code, reason)
    return Verdict()


def _complaints(vitals: Vitals, before: Before | None) -> Iterator[tuple[str, str]]:
    addresses = vitals.addresses()
    if before and before.network and not addresses:
        yield "network", "the appliance has no network address; it had one before the update"
    address = addresses[0] if addresses else LOOPBACK
    for door in before.doors if before else _ALWAYS:
        if problem := vitals.door(door, address):
            yield "panel", f"the panel does not answer on {door}://{address}: {problem}"
    devices = vitals.devices()
    if isinstance(devices, str):
        yield "runtime", f"the runtime does not answer: {devices}"
    elif before:
        yield from _devices_down(devices, before)
    if problem := vitals.log():
        yield "log", f"the event log is not written: {problem}"


def _devices_down(devices: dict[str, str], before: Before) -> Iterator[tuple[str, str]]:
    down = [
        f"{name} is {state}"
        for name, state in sorted(devices.items())
        if state != "online" and name not in before.devices_down
    ]
    if down:
        more = f" and {len(down) - _NAMED} more" if len(down) > _NAMED else ""
        yield (
            "devices",
            (f"{', '.join(down[:_NAMED])}{more}; expected online, as before the update"),
        )


def wait(vitals: Vitals, before: Before | None, clock: Clock, limit_s: float = LIMIT_S) -> Verdict:
    """Look until the appliance is healthy, or until the time is over; return the last verdict.

    Args:
        vitals: what can be seen.
        before: how it was before the update.
        clock: monotonic time; the time of day does not matter.
        limit_s: how long it may take.
    """
    until = clock.monotonic_ns() + round(limit_s * NS)
    while True:
        verdict = judge(vitals, before)
        if verdict.healthy:
            return verdict
        if clock.monotonic_ns() >= until:
            return Verdict(verdict.code, f"{verdict.reason} (for {limit_s:g} s)")
        clock.sleep(LOOK_S)


def before_now(vitals: Vitals) -> Before:
    """Return how the appliance is now, as a measure for what comes after."""
    addresses = vitals.addresses()
    address = addresses[0] if addresses else LOOPBACK
    devices = vitals.devices()
    down = () if isinstance(devices, str) else _not_online(devices)
    return Before(
        devices_down=down[:_DEVICES_KEPT],
        doors=tuple(each for each in DOORS if each in _ALWAYS or not vitals.door(each, address)),
        network=bool(addresses),
    )


def _not_online(devices: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name, state in sorted(devices.items()) if state != "online")
