"""Stages are built from plain options; what is wrong there is said with its place and a remedy."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from leyden.flow import (
    STAGES,
    Capacitor,
    Counts,
    Deadband,
    Gate,
    OverflowPolicy,
    Resistor,
    StageError,
    Throttle,
    Watchdog,
    build,
    stage,
    through,
)

MISTAKES = tomllib.loads(Path(__file__).with_name("stage_mistakes.toml").read_text())["mistake"]


def test_a_through_list_is_read_as_written() -> None:
    text = """
        through = [
          { resistor = { deadband = "0.5 K" } },
          { capacitor = { keep = 120, overflow = "latest", demand = "panel.demand" } },
          { watchdog = { silence = "2 min", raise = "air.stale", expect_first = true } },
          { resistor = { at_most = "3 per 5 s", strict = true } },
        ]
    """
    band, capacitor, watchdog, throttle = through(tomllib.loads(text)["through"])
    assert isinstance(band, Resistor)
    assert isinstance(band.law, Deadband)
    assert isinstance(capacitor, Capacitor)
    assert (capacitor.keep, capacitor.overflow) == (120, OverflowPolicy.LATEST)
    assert capacitor.demand_route == "panel.demand"
    assert isinstance(watchdog, Watchdog)
    assert (watchdog.silence_s, watchdog.raises, watchdog.expect_first) == (120, "air.stale", True)
    assert isinstance(throttle, Resistor)
    assert isinstance(throttle.law, Throttle)
    assert (throttle.law.count, throttle.law.per_s, throttle.law.strict) == (3, 5, True)


def test_defaults_are_those_of_the_stage_itself() -> None:
    made, own = stage("capacitor"), Capacitor()
    assert isinstance(made, Capacitor)
    assert (made.keep, made.overflow, made.immediate, made.timeout_s) == (
        own.keep,
        own.overflow,
        own.immediate,
        own.timeout_s,
    )
    watchdog = stage("watchdog", silence="15 s")
    assert isinstance(watchdog, Watchdog)
    assert (watchdog.raises, watchdog.expect_first, watchdog.counts) == ("", False, Counts.USABLE)


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"gate": "pump.running"}, Gate),
        ({"deadband": 0.5}, Deadband),
        ({"deadband_percent": "2 %"}, Deadband),
        ({"deadband_percent": 2}, Deadband),
        ({"changes": True}, Deadband),
        ({"at_most": "10 per min"}, Throttle),
    ],
)
def test_each_law_has_its_option(options: dict[str, Any], law: type) -> None:
    resistor = stage("resistor", **options)
    assert isinstance(resistor, Resistor)
    assert type(resistor.law) is law


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: str(each["says"])[:40])
def test_a_mistake_is_named_with_its_place(mistake: dict[str, Any]) -> None:
    with pytest.raises(StageError) as caught:
        build(mistake["stage"], mistake["options"])
    assert str(caught.value).startswith(mistake["says"])
    assert str(caught.value) == f"{caught.value.path}: {caught.value.text}"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"capacitor": {}}, {"watchdog": {}}], "through[1].watchdog.silence: missing"),
        (["capacitor"], "through[0]: found 'capacitor', expected one stage with its options"),
        ([{"capacitor": {}, "resistor": {}}], "through[0]: found {'capacitor': {}, "),
        ([{"capacitor": 3}], "through[0].capacitor: found 3, expected a table of options"),
    ],
)
def test_a_row_is_named_with_its_place(rows: list[Any], message: str) -> None:
    with pytest.raises(StageError) as caught:
        through(rows)
    assert str(caught.value).startswith(message)


def test_every_stage_has_a_name_that_is_its_kind() -> None:
    given: dict[str, dict[str, Any]] = {
        "watchdog": {"silence": "1 s"},
        "resistor": {"changes": True},
    }
    for name in STAGES:
        assert build(name, given.get(name, {})).kind == name
