"""What the link is told of an appliance: no number that is none, no old value as a new one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leyden.appliance.assemble import assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.plan import Plan
from leyden.kernel import EventStream, Route, RouteInfo, SimulatedExecutor
from leyden.link.protocol import LatestRow, Query

SPEED = Route.of("belt.speed", unit="m")


class Desk:
    """A backend without devices, in simulated time, and one route to publish on."""

    def __init__(self) -> None:
        self.executor = SimulatedExecutor()
        appliance = assemble(Plan("desk", mock=True), self.executor)
        self.events: EventStream = appliance.runtime.events
        self.events.declare(SPEED, RouteInfo(SPEED, period_s=1.0))
        self.backend = RuntimeBackend(appliance)

    def latest(self) -> LatestRow:
        row = self.backend.query(Query(1, "latest", route=SPEED.key))
        assert isinstance(row, LatestRow)
        return row


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.executor.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_bad_whoever_published_it(desk: Desk, value: float) -> None:
    desk.events.publish(SPEED, 2.0)
    desk.events.publish(SPEED, value)
    row = desk.latest()
    assert (row.value, row.quality, row.reason) == (None, "bad", "out_of_range")
    event = desk.backend.read(0, ("belt.",), 10).events[-1]
    assert (event.value, event.quality) == (None, "bad")


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(1.9, ("good", "", 2.0)), (2.5, ("uncertain", "stale", 2.0)), (3.5, ("bad", "no_data", None))],
)
def test_a_value_is_doubted_with_age_and_then_no_longer_shown(
    desk: Desk, age_s: float, expected: tuple[str, str, float | None]
) -> None:
    desk.events.publish(SPEED, 2.0)
    desk.executor.run_for(age_s)
    row = desk.latest()
    assert (row.quality, row.reason, row.value) == expected
    if row.quality == "bad":
        assert row.last_value == 2.0
