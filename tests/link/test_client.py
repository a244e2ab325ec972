"""The client asks, survives restarts of what it asks, and says so when nobody answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from link.backend import MemoryBackend

from leyden.kernel import Outcome, Role
from leyden.link.client import LinkClient, LinkDownError, LinkRefusal
from leyden.link.server import LinkServer


def test_every_question_has_a_typed_answer(client: LinkClient, backend: MemoryBackend) -> None:
    backend.publish(value=21.5)
    backend.publish(value=None, quality="bad", reason="no_data", detail="no answer from 0x76")
    assert client.hello().head == 2
    assert client.health().status == "ok"
    assert client.identity()["hostname"] == "bench"
    devices = client.devices()
    assert devices.devices[0].error is not None
    assert devices.devices[0].error.reason == "no_data"
    assert devices.buses[0].path == "/dev/i2c-1"
    assert client.routes().routes[0].normal == (18, 28)
    latest = client.latest("air.temperature")
    assert (latest.value, latest.quality, latest.last_value) == (None, "bad", 21.5)
    assert len(client.latest_all().latest) == 4
    assert client.history("air.temperature", span_s=60.0).points[0].value == 21.5
    assert client.history("air.temperature", from_mono=0, points=2).points[0].minimum == 21.5
    assert client.signals().signals[0].name == "air.temperature"
    assert client.graph().nodes[0].counters == {"in": 3}
    assert client.submit("world.set", {"name": "x", "value": 1}).outcome is Outcome.DONE


def test_a_refusal_has_a_code_and_words(client: LinkClient) -> None:
    with pytest.raises(LinkRefusal, match=r'no route "a\.b"') as refused:
        client.latest("a.b")
    assert refused.value.code == "not_found"


def test_a_refused_intent_is_an_answer(client: LinkClient) -> None:
    answer = client.submit("device.write", role=Role.VIEWER)
    assert answer.outcome is Outcome.REFUSED


def test_nobody_there_is_said_with_the_place(tmp_path: Path) -> None:
    client = LinkClient(tmp_path / "leyden.sock")
    with pytest.raises(LinkDownError, match=r"no runtime answers at .*leyden\.sock"):
        client.hello()


def test_a_restarted_runtime_is_found_again(tmp_path: Path, backend: MemoryBackend) -> None:
    path = tmp_path / "leyden.sock"
    client = LinkClient(path)
    for head in (1, 2, 3):
        backend.head = head
        server = LinkServer(path, backend)
        server.start()
        assert client.hello().head == head
        server.stop()
    with pytest.raises(LinkDownError):
        client.hello()


def test_an_intent_sent_again_after_a_restart_is_done_once(
    tmp_path: Path, backend: MemoryBackend
) -> None:
    path = tmp_path / "leyden.sock"
    with LinkClient(path) as client:
        for _ in range(2):
            server = LinkServer(path, backend)
            server.start()
            client.submit("world.set", key="only once")
            server.stop()
    assert len(backend.intents) == 1


def test_intents_without_a_key_get_keys_of_their_own(
    client: LinkClient, backend: MemoryBackend
) -> None:
    client.submit("world.set")
    client.submit("world.set")
    keys = {intent.key for intent, _ in backend.intents}
    assert len(keys) == 2


def test_connections_are_kept_and_shared_by_threads(
    server: LinkServer, client: LinkClient, backend: MemoryBackend
) -> None:
    for _ in range(10):
        client.hello()
    assert server.counters()["connections"] == 1
    threads = [threading.Thread(target=client.read, args=(0,), kwargs={"wait_s": 0.1})] * 1
    threads += [threading.Thread(target=client.hello) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5.0)
    assert server.counters()["requests"] == 18


def test_a_closed_client_keeps_no_connection(server: LinkServer, client: LinkClient) -> None:
    client.hello()
    client.close()
    with LinkClient(server.path) as other:
        for _ in range(200):
            other.hello()
            if server.counters()["connections"] == 1:
                break
        assert server.counters()["connections"] == 1


@contextmanager
def stub(path: Path, answer: bytes) -> Iterator[None]:
    """A server that sends `answer` to whatever comes, once a connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(65_536)
                if answer:
                    peer.sendall(answer)
                else:
                    done.wait(2.0)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"nonsense\n", b'{"id":1}\n', b'{"id":1,"ok":{"version":7}}\n', b'{"id":1,"ok":'],
)
def test_an_answer_that_is_none_counts_as_nobody_there(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "leyden.sock"
    with stub(path, answer), LinkClient(path) as client, pytest.raises(LinkDownError):
        client.hello()


def test_a_silent_runtime_is_given_up_after_the_time_allowed(tmp_path: Path) -> None:
    path = tmp_path / "leyden.sock"
    with (
        stub(path, b""),
        LinkClient(path, timeout_s=0.05) as client,
        pytest.raises(LinkDownError, match="no answer in time"),
    ):
        client.hello()
