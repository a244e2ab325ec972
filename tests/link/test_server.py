"""The server answers what it is asked, waits when told to, and shrugs at everything else."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from link.backend import MemoryBackend
from link.conftest import RawPeer

from leyden.kernel import Role
from leyden.link import server as server_module
from leyden.link.client import LinkClient, LinkDownError, LinkRefusal
from leyden.link.protocol import EventPage, EventRow, HelloAnswer, Query
from leyden.link.server import LinkAddressError, LinkServer


def hello(path: Path) -> HelloAnswer:
    """Ask once, over a connection of its own."""
    with LinkClient(path) as client:
        return client.hello()


def decoded(line: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(line)
    return answer


def test_hello_says_who_answers_and_what_the_peer_may_do(peer: RawPeer) -> None:
    answer = decoded(peer.ask(b'{"id":7,"op":"hello","client":"test"}'))
    assert answer["id"] == 7
    assert answer["ok"]["name"] == "greenhouse"
    assert answer["ok"]["role"] == "admin"
    assert answer["ok"]["protocol"] == 1


def test_a_read_returns_events_gaps_and_where_to_go_on(
    peer: RawPeer, backend: MemoryBackend
) -> None:
    backend.publish(value=1.0)
    backend.lose(2)
    backend.publish(value=2.0)
    answer = decoded(peer.ask(b'{"id":1,"op":"read","after":0}'))["ok"]
    assert [event["n"] for event in answer["events"]] == [1, 4]
    assert answer["gaps"] == [{"first": 2, "last": 3, "reason": "lost"}]
    assert (answer["next"], answer["head"]) == (4, 4)


def test_requests_sent_together_are_answered_in_order(peer: RawPeer) -> None:
    peer.send(b'{"id":1,"op":"hello"}\n{"id":2,"op":"query","what":"health"}\n')
    assert [decoded(peer.line())["id"], decoded(peer.line())["id"]] == [1, 2]


def test_a_waiting_read_returns_as_soon_as_something_is_published(
    client: LinkClient, backend: MemoryBackend
) -> None:
    publisher = threading.Timer(0.05, backend.publish)
    publisher.start()
    page = client.read(0, wait_s=20.0)
    publisher.join()
    assert [event.n for event in page.events] == [1]


def test_a_waiting_read_returns_empty_when_its_time_is_over(client: LinkClient) -> None:
    page = client.read(0, wait_s=0.01)
    assert (page.events, page.next) == ((), 0)


def test_a_waiting_read_goes_on_past_what_its_filter_leaves_out(
    client: LinkClient, backend: MemoryBackend
) -> None:
    for _ in range(5):
        backend.publish("air.humidity")
    publisher = threading.Timer(0.05, backend.publish, ["air.temperature"])
    publisher.start()
    page = client.read(0, routes=["air.temperature"], limit=2, wait_s=20.0)
    publisher.join()
    assert [event.n for event in page.events] == [6]


def test_a_gap_at_the_end_of_a_page_is_passed_and_one_beyond_it_comes_later(
    client: LinkClient, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.publish()
    backend.lose(3)
    backend.publish()
    backend.lose(2)
    read = backend.read

    def all_gaps(after: int, prefixes: tuple[str, ...] | None, limit: int) -> EventPage:
        page = read(after, prefixes, 1)
        return EventPage(page.events, page.events[-1].n, tuple(backend.gaps), page.head)

    monkeypatch.setattr(backend, "read", all_gaps)
    first = client.read(0)
    assert ([gap.first for gap in first.gaps], first.next) == ([2], 4)
    second = client.read(4)
    assert ([gap.first for gap in second.gaps], second.next) == ([6], 7)


def test_a_number_given_out_but_not_written_yet_is_waited_for_without_haste(
    client: LinkClient, backend: MemoryBackend
) -> None:
    backend.head = 7
    page_of, backend.reads = backend.read, 0

    def unwritten(after: int, prefixes: tuple[str, ...] | None, limit: int) -> EventPage:
        page_of(after, prefixes, limit)
        return EventPage((), after, (), backend.head)

    backend.read = unwritten  # type: ignore[method-assign]
    assert client.read(5, wait_s=0.1).next == 5
    assert backend.reads <= 15


def test_a_peer_that_leaves_while_it_waits_frees_its_place(
    server: LinkServer, client: LinkClient
) -> None:
    peer = RawPeer(server.path)
    peer.send(b'{"id":1,"op":"read","after":0,"wait_ms":30000}\n')
    peer.close()
    for _ in range(50):
        client.read(0, wait_s=0.05)
        if server.counters()["connections"] == 1:
            break
    assert server.counters()["connections"] == 1


def test_garbage_is_answered_in_words_and_the_connection_lives_on(peer: RawPeer) -> None:
    answer = decoded(peer.ask(b"GET / HTTP/1.1"))
    assert (answer["id"], answer["error"]["code"]) == (0, "bad_request")
    assert decoded(peer.ask(b'{"id":2,"op":"hello"}'))["id"] == 2


def test_a_peer_that_talks_only_nonsense_is_let_go(peer: RawPeer) -> None:
    peer.send(b"nonsense\n" * 40)
    answers = 0
    while peer.line():
        answers += 1
    assert answers == 20


def test_a_line_without_end_is_refused_and_the_connection_closed(peer: RawPeer) -> None:
    peer.send(b"x" * ((1 << 20) + 1))
    assert decoded(peer.line())["error"]["code"] == "too_large"
    assert peer.line() == b""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=st.binary(max_size=300))
def test_whatever_bytes_arrive_the_next_peer_is_answered(server: LinkServer, junk: bytes) -> None:
    peer = RawPeer(server.path)
    peer.send(junk + b"\n")
    peer.close()
    other = RawPeer(server.path)
    assert decoded(other.ask(b'{"id":1,"op":"hello"}'))["id"] == 1
    other.close()


def test_a_fault_in_the_runtime_is_reported_and_answered_without_its_details(
    tmp_path: Path, backend: MemoryBackend
) -> None:
    def fail(query: Query) -> Any:
        raise ZeroDivisionError("secret of the backend")

    backend.query = fail  # type: ignore[method-assign]
    reports: list[str] = []
    server = LinkServer(tmp_path / "leyden.sock", backend, report=reports.append)
    server.start()
    try:
        with LinkClient(server.path) as client, pytest.raises(LinkRefusal) as refused:
            client.health()
    finally:
        server.stop()
    assert refused.value.code == "internal"
    assert "secret" not in refused.value.message
    assert "secret of the backend" in reports[0]
    assert server.counters()["faults"] == 1


def test_the_thirty_third_peer_is_told_that_the_link_is_full(server: LinkServer) -> None:
    peers = [RawPeer(server.path) for _ in range(32)]
    for peer in peers:
        peer.ask(b'{"id":1,"op":"hello"}')
    with pytest.raises(LinkRefusal, match="32 connections are open") as refused:
        hello(server.path)
    assert refused.value.code == "busy"
    for peer in peers:
        peer.close()


def test_a_peer_of_an_unknown_user_is_refused(
    tmp_path: Path, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_CREDENTIALS", ForeignCredentials(12_345))
    server = LinkServer(tmp_path / "leyden.sock", backend)
    server.start()
    try:
        with pytest.raises(LinkRefusal, match="may not use") as refused:
            hello(server.path)
    finally:
        server.stop()
    assert refused.value.code == "forbidden"


def test_a_peer_of_another_user_is_capped_at_the_role_given_to_it(
    tmp_path: Path, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_CREDENTIALS", ForeignCredentials(12_345))
    server = LinkServer(tmp_path / "leyden.sock", backend, roles={12_345: Role.OPERATOR})
    server.start()
    try:
        with LinkClient(server.path) as client:
            client.submit("device.write", role=Role.ADMIN)
            client.submit("device.write", role=Role.VIEWER)
            client.submit("device.write")
    finally:
        server.stop()
    assert [intent.role for intent, _ in backend.intents] == [
        Role.OPERATOR,
        Role.VIEWER,
        Role.OPERATOR,
    ]
    assert backend.intents[0][1].uid == 12_345


class ForeignCredentials:
    """struct ucred as the kernel would fill it in for another user's peer."""

    size = 12

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def unpack(self, raw: bytes) -> tuple[int, int, int]:
        pid = int.from_bytes(raw[:4], "little")
        return pid, self._uid, self._uid


def test_an_intent_carries_who_sent_it(client: LinkClient, backend: MemoryBackend) -> None:
    client.submit("world.set", {"name": "air.present", "value": False}, who="anna", key="k1")
    intent, principal = backend.intents[0]
    assert (intent.who, intent.key, intent.role) == ("anna", "k1", Role.ADMIN)
    assert (principal.uid, principal.pid) == (os.getuid(), os.getpid())
    with pytest.raises(TypeError, match="cannot be changed"):
        intent.payload["name"] = "x"


def test_a_page_of_long_values_is_cut_to_fit_a_line(
    client: LinkClient, backend: MemoryBackend
) -> None:
    for _ in range(8):
        backend.publish(value="x" * 300_000)
    page = client.read(0)
    assert 1 <= len(page.events) < 8
    rest = client.read(page.next)
    assert rest.events[0].n == page.events[-1].n + 1


def test_a_value_too_long_for_any_line_is_a_gap_and_reading_goes_on(
    client: LinkClient, backend: MemoryBackend
) -> None:
    backend.publish(value="x" * (17 << 20))
    backend.publish(value=1.0)
    page = client.read(0, limit=1)
    assert page.events == ()
    assert [(gap.first, gap.last) for gap in page.gaps] == [(1, 1)]
    assert client.read(page.next).events[0].n == 2


def test_an_answer_too_long_for_any_line_is_refused(
    client: LinkClient, backend: MemoryBackend
) -> None:
    backend.publish(value="x" * (17 << 20))
    with pytest.raises(LinkRefusal) as refused:
        client.latest("air.temperature")
    assert refused.value.code == "too_large"


def test_a_socket_left_behind_is_replaced(tmp_path: Path, backend: MemoryBackend) -> None:
    path = tmp_path / "leyden.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    server = LinkServer(path, backend)
    server.start()
    assert hello(path).name == "greenhouse"
    server.stop()
    assert not path.exists()


def test_a_second_server_at_one_place_is_refused(server: LinkServer) -> None:
    with pytest.raises(LinkAddressError, match="another runtime answers"):
        LinkServer(server.path, MemoryBackend()).start()
    assert hello(server.path).name == "greenhouse"


def test_a_file_in_the_way_is_left_alone(tmp_path: Path, backend: MemoryBackend) -> None:
    path = tmp_path / "leyden.sock"
    path.write_text("mine")
    with pytest.raises(LinkAddressError, match="not a socket"):
        LinkServer(path, backend).start()
    assert path.read_text() == "mine"


def test_a_place_that_is_not_there_is_named(tmp_path: Path, backend: MemoryBackend) -> None:
    with pytest.raises(LinkAddressError, match="No such file or directory"):
        LinkServer(tmp_path / "missing" / "leyden.sock", backend).start()


def test_only_the_owner_may_open_the_socket(server: LinkServer) -> None:
    assert server.path.stat().st_mode & 0o777 == 0o600


def test_a_path_too_deep_for_a_socket_address_works(tmp_path: Path, backend: MemoryBackend) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    server = LinkServer(deep / "leyden.sock", backend)
    server.start()
    assert hello(server.path).name == "greenhouse"
    server.stop()


def test_stop_ends_a_waiting_read_and_hangs_up(server: LinkServer) -> None:
    peer = RawPeer(server.path)
    peer.send(b'{"id":1,"op":"read","after":0,"wait_ms":30000}\n')
    while server.counters().get("requests", 0) == 0:
        os.sched_yield()
    server.stop()
    while peer.line():
        pass
    peer.close()
    with pytest.raises(LinkDownError):
        hello(server.path)


def test_stop_without_start_does_nothing(tmp_path: Path, backend: MemoryBackend) -> None:
    LinkServer(tmp_path / "leyden.sock", backend).stop()


def test_a_value_of_every_plain_type_arrives(client: LinkClient, backend: MemoryBackend) -> None:
    values = [None, True, 3, 2.5, "text", [1, "a"], {"a": {"b": 1}}]
    for value in values:
        backend.publish(value=value)
    assert [event.value for event in client.read(0).events] == values
    assert isinstance(client.read(0), EventPage)
    assert isinstance(client.read(0).events[0], EventRow)
