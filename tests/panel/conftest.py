"""A panel over a real link to a runtime that is only a memory backend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from link.backend import MemoryBackend
from panel.live_client import LiveClient
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import Client, TestResponse

from leyden.kernel import ManualClock, Role
from leyden.link import server as server_module
from leyden.link.server import LinkServer
from leyden.panel.app import Panel
from leyden.panel.auth import new_token
from leyden.panel.settings import Settings


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def runtime(
    tmp_path: Path, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LinkServer]:
    """The runtime's end of the link; `stop` makes it go away."""
    monkeypatch.setattr(server_module, "_SLICE_S", 0.02)  # it stops that much faster
    server = LinkServer(tmp_path / "leyden.sock", backend)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "leyden.sock", tmp_path / "auth", 8080, ("greenhouse.example",))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def panel(settings: Settings, runtime: LinkServer, clock: ManualClock) -> Iterator[Panel]:
    """A panel whose time stands still and whose live view is not started."""
    panel = Panel(settings, clock)
    yield panel
    panel.close()


class Web:
    """An HTTP client of the panel: `get` and `post` with or without a token."""

    def __init__(self, panel: Panel, auth: Path) -> None:
        self.panel = panel
        self.browser = Client(panel, use_cookies=True)
        self.bare = Client(panel, use_cookies=False)
        self._auth = auth
        self._tokens: dict[Role, str] = {}

    def token(self, role: Role = Role.VIEWER) -> str:
        if role not in self._tokens:
            self._tokens[role] = new_token(self._auth, role, name=f"test {role}")
        return self._tokens[role]

    def get(self, path: str, role: Role | None = Role.VIEWER, **more: Any) -> TestResponse:
        return self._send("GET", path, role, **more)

    def post(self, path: str, role: Role | None = Role.VIEWER, **more: Any) -> TestResponse:
        return self._send("POST", path, role, **more)

    def _send(self, method: str, path: str, role: Role | None, **more: Any) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.token(role)}"
        return self.bare.open(path, method=method, headers=headers, **more)

    def sign_in(self, role: Role = Role.VIEWER) -> TestResponse:
        """Sign the browser in with a one-time token."""
        token = new_token(self._auth, role, name="anna", one_time=True)
        return self.browser.post("/sign-in", json={"token": token}, headers={"X-Leyden": "1"})


@pytest.fixture
def web(panel: Panel, settings: Settings) -> Web:
    return Web(panel, settings.auth)


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing: the library logs a websocket's end as a bad request."""


class Site:
    """The panel on a port of its own, live."""

    def __init__(self, panel: Panel, auth: Path, stack: ExitStack) -> None:
        self.panel = panel
        self.auth = auth
        self._stack = stack
        server = make_server("127.0.0.1", 0, panel, threaded=True, request_handler=_Silent)
        assert isinstance(server, ThreadedWSGIServer)
        server.daemon_threads = True
        self.port: int = server.server_port
        panel.start()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        stack.callback(panel.close)
        self.token = new_token(auth, Role.VIEWER)
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def view(self, headers: dict[str, str] | None = None, **more: Any) -> LiveClient:
        client = LiveClient(self.port, self.headers if headers is None else headers, **more)
        self._stack.callback(client.close)
        return client


@pytest.fixture
def site(settings: Settings, runtime: LinkServer) -> Iterator[Site]:
    with ExitStack() as stack:
        site = Site(Panel(settings), settings.auth, stack)
        stack.callback(runtime.stop)  # ends the panel's waiting read at once
        yield site


Publisher = Callable[[float, float], None]


@pytest.fixture
def publishing(backend: MemoryBackend) -> Iterator[threading.Event]:
    """Publishes some thousand values a second until the event is set."""
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.005):
            for _ in range(5):
                backend.publish(value=float(backend.head))

    thread = threading.Thread(target=publish)
    thread.start()
    yield stop
    stop.set()
    thread.join()
