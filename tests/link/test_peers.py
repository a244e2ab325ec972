"""Who else may connect to the link: users with roles, read from one line of text."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from link.backend import MemoryBackend

from leyden.kernel import Role
from leyden.link.peers import PeerError, mode_for, read_peers, uid_of
from leyden.link.server import LinkServer

USERS = {"leyden-panel": 971, "bridge": 980}


def uid(user: str) -> int:
    try:
        return USERS[user]
    except KeyError:
        raise PeerError(f'found "{user}", which is no user of this machine') from None


def test_each_user_has_the_role_that_stands_behind_its_name() -> None:
    said: list[str] = []
    peers = read_peers("leyden-panel:admin, bridge:viewer", said.append, uid=uid)
    assert peers == {971: Role.ADMIN, 980: Role.VIEWER}
    assert said == []


@pytest.mark.parametrize("text", ["", "  ", ",", " , "])
def test_no_users_are_no_peers(text: str) -> None:
    assert read_peers(text, pytest.fail) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody-here:admin", 'LEYDEN_LINK_PEERS: found "nobody-here", which is no user'),
        ("bridge", 'found "bridge", expected USER:ROLE with one of viewer, operator, engineer'),
        ("bridge:king", 'found "bridge:king", expected USER:ROLE'),
    ],
)
def test_an_entry_that_makes_no_sense_is_told_and_the_others_count(text: str, words: str) -> None:
    said: list[str] = []
    assert read_peers(f"{text},leyden-panel:operator", said.append, uid=uid) == {971: Role.OPERATOR}
    assert len(said) == 1
    assert words in said[0]
    assert said[0].endswith("that entry is left out")


@given(st.text(max_size=60))
def test_whatever_the_list_holds_it_ends_no_runtime(text: str) -> None:
    said: list[str] = []
    read_peers(text, said.append, uid=uid)


def test_users_are_found_by_name_and_by_number() -> None:
    me = pwd.getpwuid(os.getuid())
    assert uid_of(me.pw_name) == me.pw_uid
    assert uid_of("971") == 971
    with pytest.raises(PeerError, match="no user of this machine"):
        uid_of("no such user")


def test_the_group_may_knock_only_where_others_are_let_in(tmp_path: Path) -> None:
    assert mode_for({}) == 0o600
    assert mode_for({0: Role.ADMIN, os.getuid(): Role.ADMIN}) == 0o600
    mode = mode_for({os.getuid() + 1: Role.VIEWER})
    server = LinkServer(tmp_path / "leyden.sock", MemoryBackend(), mode=mode)
    server.start()
    try:
        assert stat.S_IMODE(server.path.stat().st_mode) == 0o660
    finally:
        server.stop()
