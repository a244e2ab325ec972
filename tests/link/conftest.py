"""A link server over a memory backend, and a client of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from link.backend import MemoryBackend

from leyden.link import server as server_module
from leyden.link.client import LinkClient
from leyden.link.server import LinkServer


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def server(
    tmp_path: Path, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LinkServer]:
    monkeypatch.setattr(server_module, "_SLICE_S", 0.02)  # it stops that much faster
    server = LinkServer(tmp_path / "leyden.sock", backend)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: LinkServer) -> Iterator[LinkClient]:
    client = LinkClient(server.path, name="test")
    yield client
    client.close()


class RawPeer:
    """A peer that writes what it likes."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(5.0)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def line(self) -> bytes:
        """The next line; b"" when the server has hung up."""
        try:
            return self._file.readline()
        except ConnectionResetError:
            return b""

    def ask(self, line: bytes) -> bytes:
        self.send(line + b"\n")
        return self.line()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def peer(server: LinkServer) -> Iterator[RawPeer]:
    peer = RawPeer(server.path)
    yield peer
    peer.close()
