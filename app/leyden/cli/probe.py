"""`leyden probe`: which devices answer, and what else is on the I2C buses."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from leyden.appliance.assemble import Appliance, assemble
from leyden.appliance.config import ConfigError, load
from leyden.appliance.plan import BusPlan, Plan
from leyden.appliance.probe import (
    AddressFinding,
    DeviceFinding,
    Found,
    ScanError,
    outputs_on,
    probe_devices,
    scan,
)
from leyden.cli.command import EXIT_FAILED, UsageError
from leyden.cli.parsing import Parser, add_json
from leyden.cli.terminal import Paint, Progress, columns
from leyden.hal.guard import GuardedI2c
from leyden.kernel import Executor, LeydenError, SimulatedExecutor, SystemExecutor

SUMMARY: Final = "look which devices answer on the buses"
_MISSING: Final = frozenset({Found.ABSENT, Found.WRONG, Found.TROUBLE})


class NoBusError(LeydenError):
    """This machine has no I2C bus."""


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden probe",
        SUMMARY,
        details=(
            "With CONFIG, each of its devices is asked by its driver, and its I2C buses are\n"
            "searched. With --bus one bus is searched, with neither all of this machine. Ends\n"
            "with 0 if every configured device answers, else with 1. Stop a running appliance\n"
            "first: two programs on one bus disturb each other.\n\n"
            "A bus that drives outputs is not searched unless you say --with-outputs: an\n"
            "address alone is a harmless message to most chips, and not to all."
        ),
        examples=(
            "leyden probe leyden.toml",
            "leyden probe --bus /dev/i2c-1",
            "leyden probe greenhouse.toml --mock --json",
        ),
    )
    found.add_argument("config", metavar="CONFIG", nargs="?", help="configuration file")
    found.add_argument("--bus", metavar="PATH", help="search this I2C bus alone")
    found.add_argument("--mock", action="store_true", help="chip models instead of real buses")
    found.add_argument(
        "--with-outputs", action="store_true", help="search buses that drive outputs too"
    )
    add_json(found)
    return found


@dataclass
class BusFindings:
    """What is on one I2C bus."""

    name: str
    path: str
    addresses: list[AddressFinding] = field(default_factory=list)
    error: str = ""  # why it was not searched, or not to the end


@dataclass
class Findings:
    """Everything that was found."""

    devices: list[DeviceFinding] = field(default_factory=list)
    buses: list[BusFindings] = field(default_factory=list)


def run(args: Namespace) -> int:
    """Ask, say what was found, and return whether all that is configured is there.

    Raises:
        UsageError: arguments that contradict each other.
        NoBusError: nothing to search.
    """
    plan = _plan(args)
    progress = Progress()
    with _assembled(plan, Path(args.config or "")) as (appliance, executor):
        findings = Findings(list(probe_devices(appliance, executor, progress.say)))
        for bus in (bus for bus in plan.buses if bus.kind == "i2c"):
            searched = BusFindings(bus.name, bus.path)
            findings.buses.append(searched)
            asked = {int(e.address, 16): e for e in findings.devices if e.bus == bus.name}
            driving = () if args.with_outputs else outputs_on(appliance, bus.name)
            _search(searched, appliance, executor, progress, asked, driving)
    progress.clear()
    if args.json:
        print(msgspec.json.encode(_plain(findings)).decode())
    else:
        print("\n\n".join(filter(None, _paragraphs(findings))))
    missing = any(each.found in _MISSING for each in findings.devices)
    unsearched = not findings.devices and any(bus.error for bus in findings.buses)
    return EXIT_FAILED if missing or unsearched else 0


def _plan(args: Namespace) -> Plan:
    if args.config is not None:
        if args.bus is not None:
            raise UsageError("found CONFIG and --bus, expected one of them")
        return load(Path(args.config), mock=args.mock)
    if args.mock:
        raise UsageError("--mock needs a CONFIG, which says which chips to model")
    paths = [args.bus] if args.bus is not None else sorted(map(str, Path("/dev").glob("i2c-*")))
    if not paths:
        raise NoBusError(
            "this machine has no /dev/i2c-*; switch I2C on (dtparam=i2c_arm=on in config.txt) and "
            "restart, or give a CONFIG with --mock"
        )
    buses = tuple(BusPlan(Path(path).name, "i2c", path) for path in paths)
    return Plan("probe", buses=buses)


@contextmanager
def _assembled(plan: Plan, path: Path) -> Iterator[tuple[Appliance, Executor]]:
    # A modelled bus needs no real waiting.
    executor: Executor = SimulatedExecutor() if plan.mock else SystemExecutor()
    try:
        appliance = assemble(plan, executor)
    except LeydenError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    try:
        yield appliance, executor
    finally:
        appliance.close()
        if isinstance(executor, SimulatedExecutor):
            executor.close()


def _search(
    findings: BusFindings,
    appliance: Appliance,
    executor: Executor,
    progress: Progress,
    asked: Mapping[int, DeviceFinding],
    driving: tuple[str, ...],
) -> None:
    if driving:
        findings.error = (
            f"not searched: {', '.join(driving)} drives outputs; --with-outputs searches it anyway"
        )
        return
    guard = appliance.rig.buses[findings.name]
    assert isinstance(guard, GuardedI2c)  # noqa: S101 - the caller chose a bus of kind i2c
    try:
        for each in scan(guard, executor, progress.say, asked):
            findings.addresses.append(each)  # one by one: what was found before a failure counts
    except ScanError as error:
        findings.error = str(error)


# What is said


def _paragraphs(findings: Findings) -> Iterator[str]:
    paint = Paint(sys.stdout)
    yield columns((_device_row(each, paint) for each in findings.devices), indent="")
    for bus in findings.buses:
        yield "\n".join(filter(None, _bus_lines(bus, paint)))


def _device_row(each: DeviceFinding, paint: Paint) -> tuple[str, ...]:
    place = f"{each.bus} {each.address}".strip()
    word = paint("bad" if each.found in _MISSING else "", str(each.found))
    return each.id, each.driver, place, word, each.detail


def _bus_lines(bus: BusFindings, paint: Paint) -> Iterator[str]:
    title = bus.path if bus.path.endswith(bus.name) else f"{bus.name} ({bus.path})"
    if bus.error and not bus.addresses:
        yield f"{title}: {paint('bad', bus.error)}"
        return
    count = sum(each.found is Found.FOUND for each in bus.addresses)
    yield f"{title}: {count} {'address answers' if count == 1 else 'addresses answer'}"
    yield columns((f"{each.address:#04x}", _address_words(each)) for each in bus.addresses)
    yield paint("bad", bus.error)


def _address_words(each: AddressFinding) -> str:
    if each.device:
        return f"device {each.device}" + (
            f", {each.found}" if each.found is not Found.FOUND else ""
        )
    if each.candidates:
        return f"recognised by {', '.join(each.candidates)}; in no device of the configuration"
    return each.detail


def _plain(findings: Findings) -> dict[str, Any]:
    plain = asdict(findings)
    for bus in plain["buses"]:
        for each in bus["addresses"]:
            each["address"] = f"{each['address']:#04x}"
    return plain
