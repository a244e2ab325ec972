"""A console keeps what was said with its time, and can be waited for."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leyden_hil.console import Console, UartPeer
from leyden_hil.errors import TargetError


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[tuple[socket.socket, Console]]:
    ours, theirs = socket.socketpair()
    console = Console(theirs, tmp_path / "console.log")
    yield ours, console
    ours.close()
    console.close()


def test_what_comes_in_pieces_is_found_whole(wire: tuple[socket.socket, Console]) -> None:
    ours, console = wire
    ours.sendall(b"lo")
    ours.sendall(b"gin: ")
    assert console.wait_for("login:", 5).match[0] == "login:"


def test_the_time_is_that_of_the_piece_it_ended_in(wire: tuple[socket.socket, Console]) -> None:
    ours, console = wire
    ours.sendall(b"first ")
    console.wait_for("first", 5)
    between = time.monotonic()
    ours.sendall(b"second")
    console.wait_for("second", 5)
    assert console.wait_for("first", 5).at <= between <= console.wait_for("second", 5).at


def test_a_mark_leaves_out_what_was_said_before(wire: tuple[socket.socket, Console]) -> None:
    ours, console = wire
    ours.sendall(b"# ")
    mark = console.wait_for("# ", 5).end
    with pytest.raises(TargetError, match="nothing like it"):
        console.wait_for("# ", 0.05, since=mark)
    ours.sendall(b"done # ")
    assert console.wait_for("# ", 5, since=mark).end > mark


def test_a_complaint_shows_the_last_lines(wire: tuple[socket.socket, Console]) -> None:
    ours, console = wire
    ours.sendall(b"Kernel panic - not syncing\r\n")
    console.wait_for("syncing", 5)
    with pytest.raises(TargetError, match="Kernel panic"):
        console.wait_for("login:", 0.05)


def test_a_line_that_ends_is_not_waited_for(wire: tuple[socket.socket, Console]) -> None:
    ours, console = wire
    ours.close()
    with pytest.raises(TargetError, match="the line ended"):
        console.wait_for("login:", 30)


def test_escapes_are_in_the_log_and_not_in_the_text(
    wire: tuple[socket.socket, Console], tmp_path: Path
) -> None:
    ours, console = wire
    ours.sendall(b"\x1b[0;32m  OK  \x1b[0m Started\n")
    console.wait_for("Started", 5)
    assert console.text() == "  OK   Started\n"
    assert b"\x1b[0;32m" in (tmp_path / "console.log").read_bytes()


def test_raw_bytes_are_read_once(wire: tuple[socket.socket, Console]) -> None:
    ours, console = wire
    ours.sendall(b"abc")
    assert console.read(2, 5) == b"ab"
    assert console.read(2, 5) == b"c"
    assert console.read(2, 0.01) == b""


def test_an_instrument_hears_and_speaks() -> None:
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    peer = UartPeer(theirs, heard.append)
    peer.say(b"\x42\x4d")
    assert ours.recv(10) == b"\x42\x4d"
    ours.sendall(b"wake up")
    ours.close()
    peer.close()
    assert b"".join(heard) == b"wake up"
    peer.say(b"lost")
