"""`leyden check`: says whether a configuration can run, without touching hardware."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from leyden.appliance import drivers
from leyden.appliance.assemble import Appliance, assemble
from leyden.appliance.config import ConfigError, load
from leyden.appliance.plan import Plan
from leyden.cli.command import EXIT_CONFIGURATION
from leyden.cli.drawing import draw
from leyden.cli.parsing import Parser, add_json
from leyden.cli.terminal import Paint
from leyden.hal.errors import WorldError
from leyden.kernel import LeydenError, Origin, SimulatedExecutor

SUMMARY: Final = "check a configuration without touching hardware"


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden check",
        SUMMARY,
        details=(
            "Reads the file, types the whole route graph and puts the appliance together on\n"
            "modelled buses, without starting it. Ends with 0, or with 2 and one line for each\n"
            "problem on standard error: file, key path, what was found, what was expected."
        ),
        examples=(
            "leyden check leyden.toml",
            "leyden check leyden.toml --draw > graph.mmd",
            "leyden check leyden.toml --json",
        ),
    )
    found.add_argument("config", metavar="CONFIG", help="configuration file")
    found.add_argument("--draw", action="store_true", help="print the graph as Mermaid")
    found.add_argument("--mock", action="store_true", help="check what `run --mock` would run")
    add_json(found, "print result and problems as JSON")
    return found


def run(args: Namespace) -> int:
    """Check, and say or draw what was found."""
    path = Path(args.config)
    try:
        plan = load(path, mock=args.mock)
        with put_together(plan, path) as appliance:
            answer = _draw(appliance, args.json) if args.draw else _say(appliance, path, args.json)
    except ConfigError as error:
        if not args.json:
            raise
        print(json.dumps({"ok": False, "problems": list(error.problems)}, ensure_ascii=False))
        return EXIT_CONFIGURATION
    print(answer)
    return 0


def checked(path: Path, *, mock: bool) -> Plan:
    """Return the plan of a configuration that is known to fit together.

    Raises:
        ConfigError: it does not.
    """
    plan = load(path, mock=mock)
    if mock:
        with put_together(plan, path):
            return plan
    return plan


@contextmanager
def put_together(plan: Plan, path: Path) -> Iterator[Appliance]:
    """Yield the appliance in simulated time, on modelled buses where there is a model for all.

    Nothing is started: real buses would be opened at the first transfer, which never comes.

    Raises:
        ConfigError: something in it does not fit together.
    """
    modelled = msgspec.structs.replace(plan, mock=plan.mock or _all_modelled(plan))
    executor = SimulatedExecutor()
    try:
        try:
            appliance = assemble(modelled, executor)
        except LeydenError as error:
            raise ConfigError(_placed(path, error)) from error
        try:
            yield appliance
        finally:
            appliance.close()
    finally:
        executor.close()


def _placed(path: Path, error: LeydenError) -> Iterator[str]:
    """Yield what assembly refuses, line by line with its place in the file."""
    for line in str(error).splitlines():
        signal = isinstance(error, WorldError) and not line.startswith("world")
        yield f"{path}: world.{line}" if signal else f"{path}: {line}"


def _all_modelled(plan: Plan) -> bool:
    wired = (drivers.load(device.driver) for device in plan.devices if device.bus)
    return all(driver.model() is not None for driver in wired)


def _draw(appliance: Appliance, as_json: bool) -> str:
    drawing = draw(appliance)
    return json.dumps({"ok": True, "mermaid": drawing}, ensure_ascii=False) if as_json else drawing


def _say(appliance: Appliance, path: Path, as_json: bool) -> str:
    if as_json:
        return json.dumps({"ok": True, **_summary(appliance)}, ensure_ascii=False)
    summary = _summary(appliance)
    mark = Paint(sys.stdout)("good", "fine")
    counts = ", ".join(
        f"{len(summary[key])} {key if len(summary[key]) != 1 else one}"
        for key, one in (("buses", "bus"), ("devices", "device"), ("routes", "route"))
    )
    return f"{path}: {mark}: {summary['name']} with {counts}"


def _summary(appliance: Appliance) -> dict[str, Any]:
    routes = (info.route for info in appliance.runtime.events.routes())
    return {
        "name": appliance.plan.name,
        "buses": [bus.name for bus in appliance.plan.buses],
        "devices": [device.id for device in appliance.plan.devices],
        "routes": [route.key for route in routes if route.origin is not Origin.SYSTEM],
    }
