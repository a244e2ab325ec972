"""The live view over real websockets: for known people, exact, and harmless to everybody else."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
import simple_websocket  # type: ignore[import-untyped]  # ships no types
from link.backend import MemoryBackend
from panel.conftest import Site

from leyden.kernel import Role
from leyden.link.server import LinkServer
from leyden.panel import live, sockets
from leyden.panel.auth import list_tokens, new_token, revoke

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
PATH = "/socket.io/?EIO=4&transport=websocket"


def eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    """Wait until something in another thread has come true."""
    pause = threading.Event()
    for _ in range(round(timeout_s / 0.01)):
        if condition():
            return True
        pause.wait(0.01)
    return condition()


def status_of(site: Site, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5.0)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def refusal_of(site: Site, headers: dict[str, str]) -> int:
    """The status with which a handshake is refused."""
    status, body = status_of(site, PATH, {**HANDSHAKE, **headers})
    assert body.startswith(b'{"error":')
    return status


def session_of(site: Site) -> dict[str, str]:
    """Sign in; return the headers of that browser's page."""
    token = new_token(site.auth, Role.VIEWER, name="anna", one_time=True)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5.0)
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-Leyden": "1"}
    connection.request("POST", "/sign-in", f"token={token}", form)
    answer = connection.getresponse()
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    connection.close()
    return {"Cookie": cookie, "Origin": "http://127.0.0.1"}


def test_a_view_follows_from_where_it_asked(site: Site, backend: MemoryBackend) -> None:
    for _ in range(5):
        backend.publish()
    view = site.view().connect().subscribe(2)
    assert view.wait_for(lambda v: v.last == 5)
    backend.publish()
    assert view.wait_for(lambda v: v.last == 6)
    assert view.numbers() == [3, 4, 5, 6]


def test_a_view_beats_each_second(site: Site) -> None:
    view = site.view().connect().subscribe(None)
    assert view.wait_for(lambda v: len(v.beats) >= 2)
    assert view.beats[1]["mono"] - view.beats[0]["mono"] == pytest.approx(1e9, rel=0.3)
    assert view.beats[1]["age_s"] < 1.0


def test_three_reconnections_miss_nothing_and_repeat_nothing(
    site: Site, backend: MemoryBackend, publishing: threading.Event
) -> None:
    seen: list[int] = []
    ranges: list[tuple[int, int]] = []
    after = 0
    for cut_at in (100, 250, 400, 500):
        view = site.view().connect().subscribe(after)
        assert view.wait_for(lambda v, n=cut_at: (v.last or 0) >= n)
        view.cut()
        seen += view.numbers()
        ranges += [(frame["first"], frame["last"]) for frame in view.frames]
        assert view.last is not None
        after = view.last
        missed = backend.head + 20
        assert eventually(lambda n=missed: backend.head >= n)  # type: ignore[misc]
    publishing.set()
    last = site.view().connect().subscribe(after)
    assert last.wait_for(lambda v: v.last == backend.head and v.frames[-1]["live"])
    seen += last.numbers()
    assert seen == list(range(1, backend.head + 1))
    assert all(b[0] == a[1] + 1 for a, b in pairwise(ranges))


def test_the_runtime_may_restart_under_a_view(
    site: Site, backend: MemoryBackend, runtime: LinkServer
) -> None:
    backend.publish()
    view = site.view().connect().subscribe(0)
    assert view.wait_for(lambda v: v.last == 1)
    runtime.stop()
    lost = backend.lose(9, "the runtime was killed")
    backend.publish()
    runtime._stopping.clear()
    runtime.start()
    assert view.wait_for(lambda v: v.last == 11)
    assert view.numbers() == [1, 11]
    gaps = [gap for frame in view.frames for gap in frame["gaps"]]
    assert gaps == [{"first": lost.first, "last": lost.last, "reason": "the runtime was killed"}]


def test_four_stalled_views_hold_up_nobody_and_cost_no_memory(
    site: Site, backend: MemoryBackend, publishing: threading.Event
) -> None:
    stalled = [site.view(acknowledges=False).connect().subscribe(0) for _ in range(4)]
    view = site.view().connect().subscribe(0)
    assert view.wait_for(lambda v: (v.last or 0) >= 600)
    publishing.set()
    assert view.wait_for(lambda v: v.last == backend.head)
    assert view.numbers() == list(range(1, backend.head + 1))
    for each in stalled:
        assert len(each.frames) <= 2
    waiting = [each.queue.qsize() for each in site.panel.sockets._io.server.eio.sockets.values()]
    assert max(waiting) <= 4
    assert all(len(feed._on_the_way) <= 2 for feed in site.panel.hub.feeds())


def test_a_view_that_acknowledges_nothing_is_hung_up_on(
    site: Site, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_S", 0.5)
    monkeypatch.setattr(live, "BEAT_S", 0.1)
    backend.publish()
    view = site.view(acknowledges=False).connect().subscribe(0)
    assert view.ended.wait(5.0)
    assert eventually(lambda: site.panel.hub.feeds() == [])


def test_the_twenty_fifth_view_is_told_and_the_others_stay(site: Site) -> None:
    views = [site.view().connect().subscribe(None) for _ in range(24)]
    refused = site.view().connect()
    assert refused.refusal.startswith("panel full")
    views[0].cut()
    assert eventually(lambda: len(site.panel.hub.feeds()) == 23)
    accepted = site.view().connect().subscribe(None)
    assert accepted.wait_for(lambda v: v.frames)
    assert not views[5].ended.is_set()


def test_signing_out_ends_the_view_at_once(site: Site) -> None:
    headers = session_of(site)
    view = site.view(headers).connect().subscribe(None)
    assert view.wait_for(lambda v: v.frames)
    form = {**headers, "Origin": f"http://127.0.0.1:{site.port}"}
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5.0)
    connection.request("POST", "/sign-out", headers=form)
    assert connection.getresponse().status == 303
    connection.close()
    assert view.ended.wait(5.0)
    again = site.view(headers).connect()
    assert again.refusal.startswith("unauthorised")


def test_a_revoked_token_ends_its_view(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_S", 0.1)
    view = site.view().connect().subscribe(None)
    assert view.wait_for(lambda v: v.frames)
    revoke(site.auth, list_tokens(site.auth)[0].id)
    assert view.ended.wait(5.0)


def test_a_browser_without_a_session_is_told_to_sign_in(site: Site) -> None:
    view = site.view({"Origin": "http://127.0.0.1"}).connect()
    assert view.refusal == "unauthorised: sign in first"


def test_strangers_cannot_take_all_the_room(site: Site) -> None:
    strangers = [site.view({"Origin": "http://127.0.0.1"}) for _ in range(4)]
    assert refusal_of(site, {"Origin": f"http://127.0.0.1:{site.port}"}) == 401
    friend = site.view().connect().subscribe(None)
    assert friend.wait_for(lambda v: v.frames)
    assert len(strangers) == 4


def test_a_connection_that_asks_for_nothing_is_swept_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_SETTLE_S", 0.2)
    silent, connected = site.view(), site.view().connect()
    assert silent.ended.wait(5.0)
    assert connected.ended.wait(5.0)
    assert eventually(lambda: site.panel.hub.feeds() == [])


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"]
)
def test_another_sites_page_gets_no_view(site: Site, origin: str) -> None:
    assert refusal_of(site, {**session_of(site), "Origin": origin}) == 403


def test_a_cookie_without_an_origin_gets_no_view(site: Site) -> None:
    headers = session_of(site)
    del headers["Origin"]
    assert refusal_of(site, headers) == 403


def test_a_wrong_token_gets_no_view(site: Site) -> None:
    assert refusal_of(site, {"Authorization": "Bearer ley_wrong"}) == 401


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/socket.io/?EIO=4&transport=polling", {}),
        ("/socket.io/", {}),
        ("/socket.io/?EIO=3&transport=websocket", {}),
        (PATH + "&sid=abc", {}),
        (PATH, {"Upgrade": "h2c"}),
        (PATH, {"Sec-WebSocket-Version": "8"}),
        (PATH, {"Sec-WebSocket-Key": ""}),
    ],
)
def test_what_is_no_websocket_of_ours_is_refused_in_json(
    site: Site, path: str, change: dict[str, str]
) -> None:
    status, body = status_of(site, path, {**HANDSHAKE, **site.headers, **change})
    assert status == 400
    assert b'"code":"bad_request"' in body


NONSENSE = [
    "x",
    "4",
    "42",
    "42[",
    '42{"a":1}',
    "42[]",
    "42[1,2]",
    '42["ack"]',
    '42["ack",{"last":"x"}]',
    '42["ack",{"last":-1}]',
    '42["sub",null,null,null]',
    '42["nothing",{}]',
    "40",
    '40/admin,{"a":1}',
    "41",
    "43[]",
    '451-["sub",{"_placeholder":true,"num":0}]',
    "42" + "[" * 5_000,
    "3" * 40,
    "9",
    "",
    "\x00\x01\x02",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_from_one_view_harms_no_other(
    site: Site, backend: MemoryBackend, text: str
) -> None:
    other = site.view().connect().subscribe(0)
    hostile = site.view().connect().subscribe(0)
    hostile.socket.send(text)
    hostile.socket.send(text.encode())
    backend.publish()
    assert other.wait_for(lambda v: v.last == 1)
    hostile.cut()
    assert eventually(lambda: len(site.panel.hub.feeds()) == 1)


def test_random_bytes_instead_of_websocket_frames_end_only_their_own_connection(
    site: Site, backend: MemoryBackend
) -> None:
    other = site.view().connect().subscribe(0)
    for _ in range(10):
        hostile = site.view().connect().subscribe(0)
        hostile.socket.sock.sendall(os.urandom(200))
        hostile.cut()
    backend.publish()
    assert other.wait_for(lambda v: v.last == 1)
    assert eventually(lambda: len(site.panel.hub.feeds()) == 1)


def test_a_message_of_a_megabyte_is_not_taken(site: Site) -> None:
    view = site.view().connect()
    view.socket.send("42" + "x" * 1_000_000)
    assert view.ended.wait(5.0)


def test_a_flood_of_messages_ends_its_connection(site: Site) -> None:
    view = site.view().connect().subscribe(None)
    with suppress(simple_websocket.ConnectionClosed, OSError):
        for _ in range(100_000):
            view.emit("ack", {"last": 0})
    assert view.ended.wait(5.0)


def test_an_impossible_subscription_is_refused_in_words(site: Site) -> None:
    view = site.view().connect()
    view.emit("sub", {"after": -5})
    assert view.wait_for(lambda v: v.others)
    name, body = view.others[0]
    assert name == "refused"
    assert "negative" in body["error"]["message"]


def test_one_connection_has_one_view(site: Site) -> None:
    view = site.view().connect().subscribe(None)
    for _ in range(10):
        view.socket.send("40")
    view.emit("ack", {"last": 0})
    assert view.wait_for(lambda v: v.frames)
    assert len(site.panel.hub.feeds()) == 1


def test_closing_the_panel_hangs_up_on_everybody(site: Site) -> None:
    views = [site.view().connect().subscribe(None) for _ in range(3)]
    site.panel.close()
    for view in views:
        assert view.ended.wait(5.0)
