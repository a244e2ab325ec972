"""The panel's own modules, one by one, in the browser that runs them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from panel.browser.house import DESK, House, Visitor, module
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page of the panel that has loaded none of its modules yet."""
    from panel.browser.scripted import Plant

    house = House(Plant())
    visitor = Visitor(browser, house, DESK)
    visitor.page.goto(f"{house.url}/sign-in")
    yield visitor.page
    visitor.close()
    house.close()


@pytest.fixture
def run(page: Page) -> Callable[..., Any]:
    """Runs JavaScript with one of the modules as `m` and an argument as `a`."""
    base = module(page, "")

    def run(name: str, code: str, argument: Any = None) -> Any:
        address = base.replace("sign-in.js", f"{name}.js")
        return page.evaluate(
            f"async (a) => {{ const m = await import({json.dumps(address)}); {code} }}", argument
        )

    return run


# Order.

TAKE_ALL = """
const sequence = new m.Sequence(a.after);
const seen = [], lost = [], asked = [];
for (const frame of a.frames) {
  const { events, gaps, hole } = sequence.take(frame);
  seen.push(...events.map(({ n }) => n));
  lost.push(...gaps.map(({ first, last }) => [first, last]));
  if (hole) asked.push(sequence.last);
}
return { seen, lost, asked, last: sequence.last };
"""


def frame(first: int, last: int, gaps: list[tuple[int, int]] | None = None) -> dict[str, Any]:
    found = gaps or []
    lost = {n for a, b in found for n in range(a, b + 1)}
    return {
        "first": first,
        "last": last,
        "events": [{"n": n} for n in range(first, last + 1) if n not in lost],
        "gaps": [{"first": a, "last": b, "reason": "crash"} for a, b in found],
    }


def test_frames_in_order_are_taken_as_they_come(run: Callable[..., Any]) -> None:
    got = run("sequence", TAKE_ALL, {"after": 10, "frames": [frame(11, 13), frame(14, 14)]})
    assert got == {"seen": [11, 12, 13, 14], "lost": [], "asked": [], "last": 14}


def test_what_was_seen_is_not_taken_twice(run: Callable[..., Any]) -> None:
    frames = [frame(11, 15), frame(13, 17), frame(11, 15)]
    assert run("sequence", TAKE_ALL, {"after": 10, "frames": frames})["seen"] == [*range(11, 18)]


def test_a_hole_is_asked_for_again_from_the_last_number(run: Callable[..., Any]) -> None:
    got = run("sequence", TAKE_ALL, {"after": 10, "frames": [frame(11, 12), frame(15, 16)]})
    assert got["asked"] == [12]
    assert got["seen"] == [11, 12]


def test_a_hole_that_stays_is_said_to_be_lost(run: Callable[..., Any]) -> None:
    frames = [frame(11, 12), frame(15, 16), frame(15, 16)]
    got = run("sequence", TAKE_ALL, {"after": 10, "frames": frames})
    assert got["lost"] == [[13, 14]]
    assert got["seen"] == [11, 12, 15, 16]


def test_a_named_gap_is_no_hole(run: Callable[..., Any]) -> None:
    gap = [(13, 112)]
    frames = [frame(11, 12), frame(13, 114, gap)]
    got = run("sequence", TAKE_ALL, {"after": 10, "frames": frames})
    assert got == {"seen": [11, 12, 113, 114], "lost": [[13, 112]], "asked": [], "last": 114}


@pytest.mark.parametrize("seed", range(20))
def test_however_a_stream_is_cut_nothing_is_missing_or_doubled(
    run: Callable[..., Any], seed: int
) -> None:
    """A server that resends from wherever it is asked, over a line that loses and repeats."""
    chance = random.Random(seed)  # noqa: S311 - it only has to be the same each time
    cuts = [[chance.randrange(1, 30), chance.random()] for _ in range(200)]
    seen = run(
        "sequence",
        """
        const sequence = new m.Sequence(0), seen = [];
        let sent = 0, asking = false;
        for (const [length, luck] of a) {
          const again = luck < 0.2 && !asking; // some is sent twice
          const first = again ? Math.max(1, sent - 5) : sent + 1;
          const events = [];
          for (let n = first; n <= first + length; n++) events.push({ n });
          sent = first + length;
          if (luck > 0.8 && !asking) continue; // lost on the way
          const taken = sequence.take({ first, last: sent, events, gaps: [] });
          asking = taken.hole;
          if (asking) sent = sequence.last;
          seen.push(...taken.events.map(({ n }) => n));
        }
        return seen;
        """,
        cuts,
    )
    assert seen == [*range(1, len(seen) + 1)]
    assert len(seen) > 500


# Worth.

JUDGE = "return m.judge(a.reading, a.period, a.age, a.connected);"


def judged(
    run: Callable[..., Any],
    age: float,
    *,
    quality: str = "good",
    reason: str = "",
    period: float | None = 1.0,
    connected: bool = True,
) -> tuple[str, str]:
    reading = {"quality": quality, "reason": reason, "detail": "said by the wire"}
    argument = {"reading": reading, "period": period, "age": age, "connected": connected}
    got = run("staleness", JUDGE, argument)
    return got["quality"], got["reason"]


@pytest.mark.parametrize(
    ("age", "period", "expected"),
    [
        (0.1, 1.0, ("good", "")),
        (2.0, 1.0, ("good", "")),
        (2.1, 1.0, ("uncertain", "stale")),
        (3.1, 1.0, ("bad", "no_data")),
        (0.9, 0.1, ("good", "")),  # a fast channel is given a second
        (1.1, 0.1, ("uncertain", "stale")),
        (2.1, 0.1, ("bad", "no_data")),
        (119.0, 60.0, ("good", "")),
        (121.0, 60.0, ("uncertain", "stale")),
        (181.0, 60.0, ("bad", "no_data")),
        (1e9, None, ("good", "")),  # comes on change only: its age says nothing
    ],
)
def test_a_value_is_worth_what_its_age_leaves_it(
    run: Callable[..., Any], age: float, period: float | None, expected: tuple[str, str]
) -> None:
    assert judged(run, age, period=period) == expected


def test_no_value_is_good_without_contact(run: Callable[..., Any]) -> None:
    assert judged(run, 0.0, connected=False) == ("uncertain", "stale")
    assert judged(run, 0.0, period=None, connected=False) == ("uncertain", "stale")
    assert judged(run, 9.0, connected=False) == ("bad", "no_data")


def test_bad_never_gets_better_by_waiting(run: Callable[..., Any]) -> None:
    for age in (0.0, 2.5, 100.0):
        assert judged(run, age, quality="bad", reason="checksum") == ("bad", "checksum")


def test_an_age_that_nobody_knows_is_too_old(run: Callable[..., Any]) -> None:
    got = run(
        "staleness",
        "return m.judge({quality: 'good'}, 1, NaN, true).quality;",
    )
    assert got == "bad"


# Time.


def test_an_age_comes_from_monotonic_clocks(run: Callable[..., Any]) -> None:
    got = run(
        "clock",
        """
        const clock = new m.ApplianceClock();
        clock.beat({ time: "2026-01-01T00:00:10Z", mono: 5e9 }, 100);
        // The wall clock was an hour off when the event happened.
        return clock.age({ time: "2025-12-31T23:00:00Z", mono: 4e9 }, 101);
        """,
    )
    assert got == pytest.approx(2.0)


def test_late_messages_do_not_make_values_younger(run: Callable[..., Any]) -> None:
    got = run(
        "clock",
        """
        const clock = new m.ApplianceClock();
        clock.heard(5e9, 100);
        clock.heard(5.2e9, 101); // 0.8 s on the way
        return clock.age({ mono: 5e9 }, 101);
        """,
    )
    assert got == pytest.approx(1.0)


def test_a_machine_that_restarted_has_a_new_monotonic_clock(run: Callable[..., Any]) -> None:
    got = run(
        "clock",
        """
        const clock = new m.ApplianceClock();
        clock.beat({ time: "2026-01-01T00:00:00Z", mono: 9e15 }, 100);
        clock.beat({ time: "2026-01-01T00:00:30Z", mono: 7e9 }, 130);
        return clock.age({ mono: 6e9 }, 130);
        """,
    )
    assert got == pytest.approx(1.0)


def test_without_a_beat_no_age_is_known(run: Callable[..., Any]) -> None:
    code = "return new m.ApplianceClock().age({time: '2026-01-01T00:00:00Z'});"
    assert run("clock", code) is None


# Words and numbers.


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0.4 s"), (3.9, "3 s"), (119, "119 s"), (240, "4 min"), (7500, "2 h 5 min"),
     (7200, "2 h"), (266_400, "3 d 2 h")],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(
    run: Callable[..., Any], seconds: float, words: str
) -> None:
    assert run("format", "return m.duration(a);", seconds) == words


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(21.37, 1, "21.4"), (-3.0, 1, "\u22123.0"), (-0.04, 1, "0.0"), (101325, 0, "101\u202f325"),
     (1013.25, 1, "1013.3"), (0, 2, "0.00"), (1234567.5, 1, "1\u202f234\u202f567.5")],
)  # fmt: skip
def test_numbers_keep_their_decimals(
    run: Callable[..., Any], value: float, places: int, text: str
) -> None:
    assert run("format", "return m.number(a.value, a.places);", {
        "value": value, "places": places,
    }) == text  # fmt: skip


@pytest.mark.parametrize(
    ("route", "value", "text", "unit"),
    [
        ({"unit": "Cel", "symbol": "°C", "decimals": 1}, 21.44, "21.4", "°C"),
        ({"unit": "Pa", "symbol": "Pa", "maximum": 110_000, "decimals": 0}, 101_325, "1013.3",
         "hPa"),
        ({"unit": "By", "symbol": "B", "maximum": 8e12}, 3.21e9, "3.21", "GB"),
        ({"unit": "s", "symbol": "s", "maximum": 1e9, "decimals": 0}, 90, "90", "s"),
        ({"unit": "s", "symbol": "s", "decimals": 0}, 331_000, "3.8", "d"),
        ({"unit": "1", "symbol": "", "step": 0.01}, 0.4, "0.40", ""),
        ({"unit": "1", "kind": "bool"}, True, "on", ""),
        ({"unit": "1", "kind": "text"}, "opening", "opening", ""),
        ({"unit": "Cel", "symbol": "°C"}, None, "\u2013", "°C"),
    ],
)  # fmt: skip
def test_values_are_shown_in_the_form_of_their_route(
    run: Callable[..., Any], route: dict[str, Any], value: Any, text: str, unit: str
) -> None:
    code = "const f = m.display(a.route, a.value); return [m.write(a.value, f), f.unit];"
    assert run("format", code, {"route": route, "value": value}) == [text, unit]


@pytest.mark.parametrize(
    ("verdict", "age", "line"),
    [
        (("uncertain", "stale", "no answer from 0x76"), 3, "stale 3 s · no answer from 0x76"),
        (("bad", "no_data", "no answer from 0x76 on i2c1 for 12 s; check the cable"), 40,
         "40 s · no answer from 0x76 on i2c1; check the cable"),
        (("bad", "no_data", ""), 40, "no value 40 s"),
        (("bad", "checksum", "found 0x1b2"), 5, "checksum error 5 s · found 0x1b2"),
        (("uncertain", "saturated", ""), 0.2, "at the end of its range"),
        (("bad", "no_data", "not connected"), 9, "9 s old · not connected"),
        (("uncertain", "warming_up", "warming up, 13 s to go"), 1, "warming up, 13 s to go"),
        (("bad", "no_data", ""), None, "no value yet"),
        (("bad", "", ""), None, "bad"),
        (("good", "", ""), 1, ""),
    ],
)  # fmt: skip
def test_the_reason_line_says_what_is_wrong_and_for_how_long(
    run: Callable[..., Any], verdict: tuple[str, str, str], age: float | None, line: str
) -> None:
    keys = ("quality", "reason", "detail")
    argument = {"verdict": dict(zip(keys, verdict, strict=True)), "age": age}
    assert run("words", "return m.reasonLine(a.verdict, a.age);", argument) == line


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({"route": "air.temperature", "group": "Air"}, "Air · temperature"),
        ({"route": "air.temperature"}, "Air · temperature"),
        ({"route": "dust.pm2_5", "device": "dust"}, "Dust · pm2.5"),
        ({"route": "air.temperature", "group": "Air", "label": "Air temperature"},
         "Air temperature"),
        ({"route": "a.b", "label": "Bed 3 · moisture"}, "Bed 3 · moisture"),
        ({"route": "a.b", "group": "Air", "label": "Relative humidity"}, "Air · relative humidity"),
        ({"route": "a.b", "group": "Soil", "label": "Bed 1"}, "Soil · Bed 1"),
        ({"route": "a.b", "group": "Dust", "label": "PM2.5"}, "Dust · PM2.5"),
        ({"route": "a.b", "group": "This machine", "label": "Load, 1 min"},
         "This machine · load, 1 min"),
    ],
)  # fmt: skip
def test_labels_name_device_and_channel(
    run: Callable[..., Any], row: dict[str, str], label: str
) -> None:
    assert run("words", "return m.label(a);", row) == label


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ((168, 0, 0), "Back after 14 s: 168 events caught up, none missing."),
        ((1, 100, 0), "Back after 14 s: 1 event caught up, 100 events lost."),
        ((20, 0, 5200), "Back after 14 s: 20 events caught up, 5200 readings passed over."),
    ],
)
def test_on_return_a_sentence_says_what_was_caught_up(
    run: Callable[..., Any], figures: tuple[int, int, int], sentence: str
) -> None:
    argument = dict(zip(("events", "lost", "spared"), figures, strict=True))
    assert run("words", "return m.caughtUp(14.2, a);", argument) == sentence


# The sparkline.

DRAW = """
const trace = new m.Trace();
for (const [at, value, quality] of a.points) trace.add(at, value, quality);
return trace.draw({ at: 1000, width: 150, height: 40, periodS: 1, ...a.options });
"""


def drawn(run: Callable[..., Any], points: list[Any], **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = run("trace", DRAW, {"points": points, "options": options})
    return found


def test_a_gap_stays_a_gap(run: Callable[..., Any]) -> None:
    points = [[at, 20, "good"] for at in [*range(500, 700, 2), *range(800, 1000, 2)]]
    shape = drawn(run, points)
    assert shape["line"].count("M") == 2
    assert shape["hatches"] == []


def test_bad_and_doubtful_stretches_are_hatched(run: Callable[..., Any]) -> None:
    points = (
        [[at, 20, "good"] for at in range(400, 600, 2)]
        + [[at, None, "bad"] for at in range(600, 700, 2)]
        + [[at, 20, "uncertain"] for at in range(700, 800, 2)]
        + [[at, 20, "good"] for at in range(800, 1000, 2)]
    )
    shape = drawn(run, points)
    kinds = [kind for _, _, kind in shape["hatches"]]
    assert kinds == ["bad", "uncertain"]
    left, width, _ = shape["hatches"][0]
    assert left == pytest.approx(1 / 3, abs=0.02)
    assert width == pytest.approx(1 / 6, abs=0.02)


def test_a_silence_until_now_is_hatched_to_the_edge(run: Callable[..., Any]) -> None:
    left, width, kind = drawn(run, [[at, 20, "good"] for at in range(400, 900)])["hatches"][-1]
    assert kind == "silent"
    assert drawn(run, [[at, 20, "good"] for at in range(400, 999)])["hatches"] == []
    short = drawn(run, [[at, 20, "good"] for at in range(400, 996)], silent=True)["hatches"]
    assert [kind for _, _, kind in short] == ["silent"]
    assert left + width == pytest.approx(1.0)
    assert width == pytest.approx(1 / 6, abs=0.02)


def test_the_normal_band_lies_where_its_values_are(run: Callable[..., Any]) -> None:
    points = [[at, 20 + at % 2, "good"] for at in range(900, 1000)]
    top, height = drawn(run, points, normal=[10, 30])["band"]
    assert 0 < top < 10
    assert 25 < height < 40


def test_words_have_no_height(run: Callable[..., Any]) -> None:
    shape = drawn(run, [[990, "opening", "good"]])
    assert (shape["line"], shape["hatches"]) == ("", [])


def test_ten_minutes_are_kept_and_no_more(run: Callable[..., Any]) -> None:
    code = """
    const trace = new m.Trace();
    for (let at = 0; at < 5000; at += 0.5) trace.add(at, at, "good");
    const points = trace.points(5000);
    return [points.length, points[0].at];
    """
    count, oldest = run("trace", code)
    assert 118 <= count <= 120
    assert oldest >= 4400


# The trend.


def test_a_trend_breaks_where_nothing_was(run: Callable[..., Any]) -> None:
    points = [[0, 1, "good", 1, 1], [1000, 2, "good", 2, 2], [9000, 3, "good", 3, 3]]
    got = run("series", "return m.columns(a, 2.5);", points)
    assert got["mean"] == [1, 2, None, 3]
    assert got["source"][2] is None


def test_a_zero_is_a_value(run: Callable[..., Any]) -> None:
    got = run("series", "return m.columns(a, 2.5);", [[0, 0, "good", 0, 0]])
    assert (got["mean"], got["low"], got["high"]) == ([0], [0], [0])


def test_figures_leave_out_what_was_bad(run: Callable[..., Any]) -> None:
    points = [[0, 10, "good", 8, 12], [1, None, "bad", None, None], [2, 20, "uncertain", 20, 21]]
    got = run("series", "return m.figures(a);", points)
    assert got == {"low": 8, "mean": 15, "high": 21}
    assert run("series", "return m.figures([[0, null, 'bad', null, null]]);") is None


# Events in words.


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"route": "runtime.booting", "value": {"name": "greenhouse", "boot": 3}},
         "starting · greenhouse · boot 3"),
        ({"route": "clock.wall", "value": {"mono": 1, "wall": 2, "state": "synced", "step_s": -3}},
         "synced · stepped by 3 s"),
        ({"route": "device.air.failed", "value": {"device": "air", "state": "offline",
          "reason": "no_data"}, "detail": "no answer from 0x76"},
         "state offline · no value · no answer from 0x76"),
        ({"route": "service.log.started", "value": {"service": "log", "restarts": 0}}, ""),
        ({"route": "intent.world.set", "value": {"goal": "world.set", "who": "uid 0",
          "role": "admin", "outcome": "done", "payload": {"name": "air.present", "value": False}}},
         "name air.present · value false · done · by uid 0 · admin"),
        ({"route": "log.dropped", "value": {"segments": 2}}, "segments 2"),
        ({"route": "a.b", "value": None, "detail": "said so"}, "said so"),
        ({"route": "a.b", "value": [1, 2]}, "1, 2"),
    ],
)  # fmt: skip
def test_events_are_told_in_words(
    run: Callable[..., Any], event: dict[str, Any], words: str
) -> None:
    assert run("words", "return m.says(a);", event) == words


def test_what_was_said_to_be_bad_is_bad_until_something_else_is_said(
    run: Callable[..., Any],
) -> None:
    points = [[0, 1, "good", 1, 1], [1000, None, "bad", None, None], [60_000, 2, "good", 2, 2]]
    got = run("series", "return m.spans(a, 2.5, 61, 'good');", points)
    assert [(row["from"], row["to"], row["quality"]) for row in got] == [
        (0, 1, "good"), (1, 60, "bad"), (60, 61, "good"),
    ]  # fmt: skip
    hatches = drawn(run, [[880, 20, "good"], [890, None, "bad"], [990, 20, "good"]])["hatches"]
    assert [kind for _, _, kind in hatches] == ["bad"]
    assert hatches[0][1] == pytest.approx(1 / 6, abs=0.02)
