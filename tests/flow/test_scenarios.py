"""Scenarios: a graph written as in a configuration, readings in, events out, compared as files.

A case is a folder in `tests/scenarios/flow`: `flow.toml` with the graph, `input.jsonl` with what is
published and when, `expected.jsonl` with everything the stream then holds. A case of a graph that
must be refused has `expected.err` instead. `LEYDEN_GOLDEN=1` writes the expected files anew, for
review.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flow.parts import World, simulated

from leyden import units
from leyden.flow import FlowError, through
from leyden.kernel import NS, Event, Quality, Route, Schema

CASES = Path(__file__).parents[1] / "scenarios" / "flow"
GOLDEN = os.environ.get("LEYDEN_GOLDEN") == "1"


def wire(world: World, plan: dict[str, Any]) -> None:
    """Declare the sources and pipe the routes, in the order they are written."""
    for key, source in plan["source"].items():
        schema = Schema(source.get("type", "float"), 1, source.get("unit", "1"))
        world.events.declare(Route.of(key, schema))
    for key, route in plan.get("route", {}).items():
        try:
            world.graph.pipe(route["from"], key, through=through(route.get("through", ())))
        except FlowError as error:
            path = f"route.{key}.{error.path}" if error.path else f"route.{key}"
            raise FlowError(error.text, path) from error


def play(world: World, lines: list[str], until_s: float) -> None:
    """Publish each input line at its time, in seconds, and then let time pass."""
    for line in lines:
        row = json.loads(line)
        world.executor.run_until(round(row["at"] * NS))
        quality = Quality[row.get("quality", "good").upper()]
        world.events.publish(
            row["route"], row["value"], quality=quality, reason=row.get("reason", "")
        )
        world.settle()
    world.executor.run_until(round(until_s * NS))


def written(world: World) -> Iterator[str]:
    """Every event the stream holds, as a line; defaults are left out."""
    for event in world.events.read(0, 10_000).records:
        assert isinstance(event, Event)
        row = {
            "at": event.mono / NS,
            "n": event.n,
            "route": event.route,
            "value": event.value,
            "quality": event.quality.word if event.quality else None,
            "reason": event.reason or None,
            "detail": event.detail or None,
            "cause": event.cause or None,
        }
        kept = {key: value for key, value in row.items() if value is not None or key == "value"}
        yield json.dumps(kept, ensure_ascii=False)


def compare(file: Path, found: str) -> None:
    if GOLDEN:
        file.write_text(found)
    assert found == file.read_text()


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_scenario_takes_its_course(case: str) -> None:
    folder = CASES / case
    plan = tomllib.loads((folder / "flow.toml").read_text())
    with simulated() as world:
        if "until" not in plan:
            with pytest.raises(FlowError) as caught:
                wire(world, plan)
            compare(folder / "expected.err", f"{caught.value}\n")
            return
        wire(world, plan)
        lines = (folder / "input.jsonl").read_text().splitlines()
        play(world, lines, units.parse(plan["until"], "s"))
        compare(folder / "expected.jsonl", "".join(f"{line}\n" for line in written(world)))
