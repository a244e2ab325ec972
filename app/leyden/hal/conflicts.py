"""Finds two devices that want one place: an address, a chip select, a line, a whole serial port."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """One place that one device of a configuration wants."""

    device: str  # "air"
    bus: str  # "i2c1"
    place: str  # "address 0x76"


def claims_of(device: str, bus: str, kind: str, options: object) -> tuple[Claim, ...]:
    """Return what a device claims on its bus, read from its driver's options.

    Args:
        device: the device's id.
        bus: the bus's name; devices without a bus claim nothing.
        kind: "i2c", "spi", "uart", "gpio" or "none".
        options: has `address` for I2C, `chip_select` for SPI; for GPIO `lines`, a mapping whose
            values have `line`, and `taken` where they take more than that one, or one `line`.
    """
    match kind:
        case "i2c":
            places = [f"address {getattr(options, 'address', 0):#04x}"]
        case "spi":
            places = [f"chip select {getattr(options, 'chip_select', 0)}"]
        case "uart":
            places = ["the line"]
        case "gpio":
            places = [f"line {line}" for line in _lines(options)]
        case _:
            places = []
    return tuple(Claim(device, bus, place) for place in places)


def conflicts(claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return one sentence for each place that more than one device wants."""
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for claim in claims:
        wanted[claim.bus, claim.place].append(claim.device)
    return tuple(
        f"{' and '.join(sorted(devices))} both use {place} on {bus}; "
        "give one of them another, or a bus of its own"
        for (bus, place), devices in sorted(wanted.items())
        if len(devices) > 1
    )


def _lines(options: object) -> list[int]:
    lines = getattr(options, "lines", None)
    if isinstance(lines, dict):
        taken = (getattr(each, "taken", (each.line,)) for each in lines.values())
        return [line for group in taken for line in group]
    line = getattr(options, "line", None)
    return [] if line is None else [line]
