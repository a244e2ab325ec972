"""Packages arrive whole and as locked, or the reason is said; nothing half is left."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leyden_image.debian.fetch import fetch
from leyden_image.debian.lockfile import Locked
from leyden_image.debian.mirror import VARIABLE
from leyden_image.errors import ImageError


class Mirror(http.server.ThreadingHTTPServer):
    """A mirror on the loopback that can be told to fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.failures = 0  # answers that fail before one succeeds
        self.asked: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with Mirror() as server:
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def package(mirror: Mirror, name: str, content: bytes = b"deb") -> Locked:
    path = f"pool/{name}_1:0.deb"
    mirror.files[f"/debian/pool/{name}_1%3A0.deb"] = content
    digest = hashlib.sha256(content).hexdigest()
    return Locked("root", name, "1:0", "all", "debian", path, len(content), digest)


def test_what_is_missing_is_brought_and_then_kept(mirror: Mirror, tmp_path: Path) -> None:
    packages = [package(mirror, f"p{number}", bytes(1000 + number)) for number in range(20)]
    told: list[tuple[int, int]] = []
    total = sum(one.size for one in packages)
    assert fetch(packages, tmp_path, lambda done, of: told.append((done, of))) == total
    assert told[-1] == (total, total)
    assert fetch(packages, tmp_path) == 0
    assert len(mirror.asked) == 20
    assert {path.name for path in tmp_path.iterdir()} == {one.file for one in packages}


def test_a_mirror_that_stumbles_is_asked_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.failures = 2
    fetch([package(mirror, "adduser")], tmp_path)
    assert len(mirror.asked) == 3


def test_a_mirror_that_stays_down_is_named(mirror: Mirror, tmp_path: Path) -> None:
    mirror.failures = 99
    with pytest.raises(ImageError, match="adduser.*503.*tried 4 times"):
        fetch([package(mirror, "adduser")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_gone_is_named_with_what_to_do(mirror: Mirror, tmp_path: Path) -> None:
    gone = package(mirror, "adduser")
    mirror.files.clear()
    with pytest.raises(ImageError, match="adduser 1:0 is gone.*leyden_image lock.*snapshot"):
        fetch([gone], tmp_path)
    assert len(mirror.asked) == 1


def test_a_file_that_is_another_is_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    wanted = package(mirror, "adduser")
    mirror.files = dict.fromkeys(mirror.files, b"something else")
    with pytest.raises(ImageError, match=f"{wanted.sha256} is locked"):
        fetch([wanted], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_ends_early_is_asked_for_again(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = package(mirror, "adduser", b"whole content")
    whole = Handler.send_header

    def lie(handler: Handler, name: str, value: str) -> None:
        whole(handler, name, "999" if name == "Content-Length" else value)

    monkeypatch.setattr(Handler, "send_header", lie)
    with pytest.raises(ImageError, match="tried 4 times"):
        fetch([wanted], tmp_path)
    assert len(mirror.asked) == 4
