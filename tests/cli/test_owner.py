"""Where data is when nobody says, and whose files they are that root writes there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.conftest import Call

from leyden.cli.owner import acting_as_owner
from leyden.cli.parsing import data_dir, default_data_dir

NOBODY = 65_534


def test_a_card_has_a_place_for_data_and_other_machines_take_the_folder_one_is_in(
    tmp_path: Path,
) -> None:
    release = tmp_path / "release.json"
    assert default_data_dir(release) == "./data"
    release.write_text("{}")
    assert default_data_dir(release) == "/data/leyden"


def test_what_is_given_comes_first_and_then_the_environment() -> None:
    environment = {"LEYDEN_DATA": "/b"}
    assert data_dir("/a", environment) == Path("/a")
    assert data_dir(None, environment) == Path("/b")
    assert data_dir(None, {}) == Path(default_data_dir())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_tokens_that_root_makes_belong_to_whom_the_folder_belongs(
    leyden: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = tmp_path / "auth"
    auth.mkdir(mode=0o700)
    os.chown(auth, NOBODY, NOBODY)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above are closed to other users while tests run
    assert leyden("token", "new", "--role", "viewer", "--data", ".").code == 0
    status = (auth / "tokens.json").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
    assert (os.geteuid(), os.getegid()) == (0, 0)


@pytest.mark.parametrize("place", ["not there", "a file/below"])
def test_a_folder_that_is_not_there_is_left_to_whoever_makes_it(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_text("")
    with acting_as_owner(tmp_path / place):
        assert os.geteuid() == os.getuid()
