"""A feed sends everything once, in order, with two frames on the way at most; the hub follows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from link.backend import MemoryBackend

from leyden.kernel import ManualClock, Role
from leyden.link.client import LinkClient, LinkDownError, RouteList, RouteRow
from leyden.link.server import LinkServer
from leyden.panel import live
from leyden.panel.auth import Principal
from leyden.panel.live import BEHIND, FRAME_EVENTS, Feed, Hub, PanelFullError, Subscription
from leyden.panel.ring import Ring

ANNA = Principal("anna", Role.VIEWER, session="s1")


@pytest.fixture
def hub(runtime: LinkServer, clock: ManualClock) -> Iterator[Hub]:
    hub = Hub(LinkClient(runtime.path, name="panel"), clock)
    yield hub
    hub.close()
    hub.link.close()


class Browser:
    """The other end of a feed: keeps what it is sent; `ack` is up to the test."""

    def __init__(self, hub: Hub) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.hung_up = False
        self.feed = Feed(hub, ANNA, self._take, self._hang_up)

    def _take(self, name: str, body: msgspec.Raw) -> None:
        self.sent.append((name, msgspec.json.decode(body)))

    def _hang_up(self) -> None:
        self.hung_up = True

    def follow(self, after: int | None = None, routes: tuple[str, ...] | None = None) -> None:
        # What `subscribe` does, without the thread: the test takes the steps.
        self.feed._running = True
        self.feed.subscribe(Subscription(after, routes))

    def drain(self, *, acknowledges: bool = True) -> None:
        """Let the feed send all it may."""
        while self.feed.step():
            if acknowledges and self.frames:
                self.feed.acknowledge(self.frames[-1]["last"])

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [body for name, body in self.sent if name == "frame"]

    def numbers(self) -> list[int]:
        return [event["n"] for frame in self.frames for event in frame["events"]]


def test_a_subscription_is_answered_by_a_frame_even_if_nothing_is_new(
    hub: Hub, backend: MemoryBackend
) -> None:
    backend.publish()
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow()
    browser.drain()
    assert browser.frames == [
        {"first": 2, "last": 1, "count": 0, "events": [], "gaps": [], "live": True}
    ]


def test_nothing_is_sent_before_the_runtime_has_answered(hub: Hub, backend: MemoryBackend) -> None:
    backend.publish()
    browser = Browser(hub)
    browser.follow(1)
    browser.drain()
    assert browser.sent == []
    hub.read_once(0)
    browser.drain()
    assert browser.frames[0]["live"]


def test_new_events_come_in_frames_without_holes_between_them(
    hub: Hub, backend: MemoryBackend
) -> None:
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow()
    browser.drain()
    for count in (1, 3, 2):
        for _ in range(count):
            backend.publish()
        hub.read_once(0)
        browser.drain()
    assert browser.numbers() == [1, 2, 3, 4, 5, 6]
    assert [(frame["first"], frame["last"], frame["count"]) for frame in browser.frames] == [
        (1, 0, 0), (1, 1, 1), (2, 4, 3), (5, 6, 2),
    ]  # fmt: skip


def test_two_frames_are_on_the_way_at_most(hub: Hub, backend: MemoryBackend) -> None:
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow()
    browser.drain()
    for _ in range(50):
        backend.publish()
        hub.read_once(0)
        browser.drain(acknowledges=False)
    assert len(browser.frames) == 1 + 2
    browser.feed.acknowledge(browser.frames[-1]["last"])
    browser.drain(acknowledges=False)
    assert browser.numbers() == list(range(1, 51))


def test_an_acknowledgement_of_the_first_frees_one_place_only(
    hub: Hub, backend: MemoryBackend
) -> None:
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow(0)
    for _ in range(FRAME_EVENTS * 5):
        backend.publish()
    hub.read_once(0)
    hub.read_once(0)
    browser.drain(acknowledges=False)
    assert len(browser.frames) == 2
    browser.feed.acknowledge(browser.frames[0]["last"])
    browser.drain(acknowledges=False)
    assert len(browser.frames) == 3


def test_what_the_ring_has_not_is_read_from_the_log(hub: Hub, backend: MemoryBackend) -> None:
    for _ in range(1_200):
        backend.publish()
    hub.read_once(0)
    backend.publish()
    hub.read_once(0)
    assert hub.ring.low == 1_200
    browser = Browser(hub)
    browser.follow(100)
    browser.drain()
    assert browser.numbers() == list(range(101, 1_202))
    assert browser.frames[-1]["live"]
    assert not browser.frames[0]["live"]


def test_a_gap_is_said_and_not_skipped(hub: Hub, backend: MemoryBackend) -> None:
    backend.publish()
    backend.lose(3, "the runtime was killed")
    hub.read_once(0)
    backend.lose(2, "disk full")
    backend.publish()
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow(0)
    browser.drain()
    gaps = [gap for frame in browser.frames for gap in frame["gaps"]]
    assert gaps == [
        {"first": 2, "last": 4, "reason": "the runtime was killed"},
        {"first": 5, "last": 6, "reason": "disk full"},
    ]
    assert browser.numbers() == [1, 7]
    assert sum(frame["count"] for frame in browser.frames) == 2


def test_a_filter_is_applied_to_ring_and_log_alike(hub: Hub, backend: MemoryBackend) -> None:
    for i in range(1_500):
        backend.publish("air.humidity" if i % 3 else "device.air")
    hub.read_once(0)
    for i in range(90):
        backend.publish("air.humidity" if i % 3 else "device.air")
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow(0, ("device.",))
    browser.drain()
    assert browser.numbers() == list(range(1, 1_591, 3))
    firsts = [frame["first"] for frame in browser.frames]
    assert firsts[1:] == [frame["last"] + 1 for frame in browser.frames[:-1]]


def test_a_feed_far_behind_is_spared_samples_but_no_other_event(
    hub: Hub, backend: MemoryBackend
) -> None:
    backend.publish()
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow()
    browser.drain()
    for i in range(BEHIND + 600):
        backend.publish("device.air" if i % 400 == 0 else "air.temperature")
    hub.read_once(0)
    browser.drain()
    late = browser.frames[-1]
    assert [event["route"] for event in late["events"]] == ["device.air"] * 4 + ["air.temperature"]
    assert (late["first"], late["last"], late["count"]) == (2, BEHIND + 601, BEHIND + 600)
    assert late["live"]


def test_catching_up_after_a_break_is_spared_nothing(hub: Hub, backend: MemoryBackend) -> None:
    hub.read_once(0)
    for _ in range(BEHIND * 3):
        backend.publish()
    hub.read_once(0)
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow(0)
    browser.drain()
    assert browser.numbers() == list(range(1, BEHIND * 3 + 1))


def test_values_of_no_declared_period_are_spared_nobody(hub: Hub, backend: MemoryBackend) -> None:
    backend.routes.append(RouteRow("door.open", "bool", "1", "input"))
    backend.publish("door.open")
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow()
    browser.drain()
    for _ in range(BEHIND + 100):
        backend.publish("door.open")
    hub.read_once(0)
    browser.drain()
    assert len(browser.numbers()) == BEHIND + 100


def test_a_place_the_runtime_knows_but_the_ring_not_yet_is_no_mistake(
    hub: Hub, backend: MemoryBackend
) -> None:
    backend.publish()
    hub.read_once(0)
    backend.publish()
    backend.publish()
    browser = Browser(hub)
    browser.follow(2)
    browser.drain()
    assert browser.sent == []
    hub.read_once(0)
    browser.drain()
    assert browser.numbers() == [3]


def test_a_place_in_another_stream_is_reset(hub: Hub, backend: MemoryBackend) -> None:
    backend.publish()
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow(5_000)
    browser.drain()
    assert browser.sent[0] == ("reset", {"head": 1})
    assert browser.frames[0]["first"] == 2


def test_when_numbering_begins_anew_every_feed_is_reset(
    hub: Hub, backend: MemoryBackend, runtime: LinkServer
) -> None:
    for _ in range(50):
        backend.publish()
    hub.read_once(0)
    browser = Browser(hub)
    hub._feeds.add(browser.feed)
    browser.follow()
    browser.drain()
    backend.rows.clear()
    backend.head = 0
    runtime.stop()
    with pytest.raises(LinkDownError):
        hub.read_once(0)
    hub._in_touch = False
    runtime._stopping.clear()
    runtime.start()
    hub.read_once(0)
    browser.drain()
    assert ("reset", {"head": 0}) in browser.sent
    backend.publish()
    hub.read_once(0)
    browser.drain()
    assert browser.numbers() == [1]


def test_a_runtime_that_comes_back_is_followed_from_where_it_was_left(
    hub: Hub, backend: MemoryBackend, runtime: LinkServer, clock: ManualClock
) -> None:
    backend.publish()
    hub.read_once(0)
    runtime.stop()
    with pytest.raises(LinkDownError):
        hub.read_once(0)
    clock.advance(4)
    assert hub.age_s() == pytest.approx(4.0)
    backend.lose(20, "numbers kept in reserve")
    backend.publish()
    runtime._stopping.clear()
    runtime.start()
    hub.read_once(0)
    assert hub.age_s() == 0.0
    found = hub.ring.after(1, lambda _: True, 10)
    assert found is not None
    assert [(entry.first, entry.last) for entry in found.entries] == [(2, 21), (22, 22)]


def test_a_beat_tells_time_head_and_silence(
    hub: Hub, backend: MemoryBackend, clock: ManualClock
) -> None:
    backend.publish()
    hub.read_once(0)
    clock.advance(1.5)
    browser = Browser(hub)
    browser.feed._beat(clock.monotonic_ns())
    assert browser.sent == [
        (
            "beat",
            {
                "time": "2026-01-01T00:00:01.500Z",
                "mono": 1_500_000_000,
                "head": 1,
                "age_s": 1.5,
            },
        )
    ]


def test_a_client_that_takes_nothing_gets_no_beats_and_is_hung_up_on(
    hub: Hub, backend: MemoryBackend, clock: ManualClock
) -> None:
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow()
    backend.publish()
    hub.read_once(0)
    browser.drain(acknowledges=False)
    for _ in range(20):
        clock.advance(1)
        browser.feed._beat(clock.monotonic_ns())
    assert len([name for name, _ in browser.sent if name == "beat"]) == 3
    assert browser.hung_up
    assert browser.feed.closed.is_set()


def test_a_client_whose_session_ended_is_hung_up_on(
    runtime: LinkServer, clock: ManualClock
) -> None:
    welcome = [True]
    hub = Hub(LinkClient(runtime.path), clock, lambda _: welcome[0])
    browser = Browser(hub)
    browser.feed._beat(0)
    before = browser.hung_up
    welcome[0] = False
    browser.feed._beat(0)
    assert (before, browser.hung_up) == (False, True)
    hub.link.close()


def test_the_twenty_fifth_client_is_told_that_the_panel_is_full(hub: Hub) -> None:
    feeds = [hub.open(ANNA, lambda *_: None, lambda: None) for _ in range(24)]
    with pytest.raises(PanelFullError, match="panel full: 24 live views are open"):
        hub.open(ANNA, lambda *_: None, lambda: None)
    feeds[3].close()
    hub.open(ANNA, lambda *_: None, lambda: None)


def test_signing_out_hangs_up_on_that_session_only(hub: Hub) -> None:
    ended: list[str] = []
    for name in ("s1", "s2", "s1"):
        who = Principal("anna", Role.VIEWER, session=name)
        hub.open(who, lambda *_: None, lambda name=name: ended.append(name))  # type: ignore[misc]
    hub.end_session("s1")
    assert ended == ["s1", "s1"]
    assert len(hub.feeds()) == 1


def test_while_the_log_cannot_be_read_the_place_is_kept(
    hub: Hub, backend: MemoryBackend, runtime: LinkServer
) -> None:
    for _ in range(5):
        backend.publish()
    hub.read_once(0)
    runtime.stop()
    browser = Browser(hub)
    browser.follow(2)
    browser.drain()
    assert browser.frames == []
    runtime._stopping.clear()
    runtime.start()
    browser.drain()
    assert browser.numbers() == [3, 4, 5]


@pytest.mark.parametrize(
    "body",
    [{"after": -1}, {"after": "5"}, {"after": 1.5}, {"routes": ["a"] * 65}, {"from": 1}, [], None],
)
def test_an_impossible_subscription_is_refused(body: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, Subscription)


def test_the_catalog_is_asked_for_rarely_however_many_routes_are_new(
    hub: Hub, backend: MemoryBackend, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ask = hub.link.routes

    def counted() -> RouteList:
        asked.append(1)
        return ask()

    monkeypatch.setattr(hub.link, "routes", counted)
    hub.read_once(0)
    for i in range(20):
        backend.publish(f"new.route_{i}")
        hub.read_once(0)
    assert len(asked) == 1
    clock.advance(6)
    backend.publish("new.route_x")
    hub.read_once(0)
    assert len(asked) == 2


Step = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 60)),
    st.tuples(st.just("lose"), st.integers(1, 30)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("step"), st.integers(1, 4)),
    st.tuples(st.just("ack"), st.just(0)),
    st.tuples(st.just("reconnect"), st.just(0)),
    st.tuples(st.just("forget"), st.just(0)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(Step, max_size=40))
def test_whatever_happens_nothing_is_missing_and_nothing_comes_twice(
    tmp_path: Path, steps: list[tuple[str, int]]
) -> None:
    backend = MemoryBackend()
    hub = Hub(_DirectLink(backend), ManualClock())  # type: ignore[arg-type]
    hub.read_once(0)
    browser = Browser(hub)
    browser.follow(0)
    seen: list[int] = []
    last = 0
    for what, count in [*steps, ("reconnect", 0), ("read", 0)]:
        if what == "publish":
            for _ in range(count):
                backend.publish()
        elif what == "lose":
            backend.lose(count)
        elif what == "read":
            hub.read_once(0)
        elif what == "step":
            for _ in range(count):
                browser.feed.step()
        elif what == "ack" and browser.frames:
            browser.feed.acknowledge(browser.frames[-1]["last"])
        elif what == "forget":
            hub.ring.restart(hub.ring.high)
        elif what == "reconnect":
            seen += covered(browser)
            last = browser.frames[-1]["last"] if browser.frames else last
            browser = Browser(hub)
            browser.follow(last)
    hub.read_once(0)
    hub.read_once(0)
    browser.drain()
    seen += covered(browser)
    assert seen == list(range(1, backend.head + 1))


def covered(browser: Browser) -> list[int]:
    """Every number that the browser has an event or a gap for, in order of arrival."""
    found: list[int] = []
    for frame in browser.frames:
        inside = [event["n"] for event in frame["events"]]
        for gap in frame["gaps"]:
            inside += range(max(gap["first"], frame["first"]), gap["last"] + 1)
        found += sorted(inside)
    return found


class _DirectLink:
    """The link without its socket, so that hundreds of examples run in a second."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self.hello = backend.hello

    def read(
        self, after: int, *, routes: Any = None, limit: int = 1000, wait_s: float = 0.0
    ) -> Any:
        return self._backend.read(after, routes, limit)

    def routes(self) -> Any:
        return self._backend._routes(None)  # type: ignore[arg-type]


def test_limits_are_those_that_were_promised() -> None:
    assert (live.CLIENTS, live.CREDIT) == (24, 2)
    assert Ring()._age_ns == 600 * 1_000_000_000


def test_a_mistake_of_our_own_does_not_end_the_following(
    hub: Hub,
    backend: MemoryBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend.publish()
    extend, failed = hub.ring.extend, threading.Event()

    def fail_once(*found: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        extend(*found)

    monkeypatch.setattr(hub.ring, "extend", fail_once)
    hub.start()
    assert hub.ready.wait(5.0)
    browser = Browser(hub)
    hub._feeds.add(browser.feed)
    backend.publish()
    assert browser.feed._wake.wait(5.0)
    assert "following the runtime failed" in caplog.text
