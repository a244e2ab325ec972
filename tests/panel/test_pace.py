"""One person's requests for changes come at a bounded pace, everybody else's are not held up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel.conftest import Web

from leyden.kernel import NS, ManualClock, Role
from leyden.panel.pace import A_SECOND, AT_ONCE, Pace


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    clock = ManualClock(start_ns=NS)
    pace = Pace(clock)
    assert [pace.wait_s("anna") for _ in range(round(AT_ONCE))] == [0.0] * round(AT_ONCE)
    assert pace.wait_s("anna") == pytest.approx(1 / A_SECOND)
    assert pace.wait_s("berta") == 0.0
    clock.advance(1 / A_SECOND)
    assert pace.wait_s("anna") == 0.0
    assert pace.wait_s("anna") > 0.0


@given(pauses=st.lists(st.floats(0, 3), max_size=200))
def test_no_rhythm_gets_more_through_than_the_burst_and_the_pace(pauses: list[float]) -> None:
    clock = ManualClock(start_ns=NS)
    pace = Pace(clock)
    passed = 0
    for pause in pauses:
        clock.advance(pause)
        passed += pace.wait_s("anna") == 0.0
    assert passed <= AT_ONCE + sum(pauses) * A_SECOND + 1


def test_who_asks_too_often_is_told_to_wait_and_nobody_else(web: Web) -> None:
    intent = {"goal": "device.write", "payload": {"route": "vent.state", "value": True}}
    answers = [web.post("/api/v1/intents", json=intent) for _ in range(round(AT_ONCE) + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [200] * round(AT_ONCE)
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].json["error"]["code"] == "too_many_intents"  # type: ignore[index]
    assert web.post("/api/v1/intents", Role.OPERATOR, json=intent).status_code == 200
    assert web.get("/api/v1/latest").status_code == 200
