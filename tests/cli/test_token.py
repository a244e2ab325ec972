"""`leyden token`: one token printed once, lists that give nobody access, revocation."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cli.conftest import Call

from leyden.panel.auth import Keyring, fingerprint


@pytest.mark.parametrize("role", ["viewer", "operator", "engineer", "admin"])
def test_a_new_token_is_the_only_thing_printed_and_opens_the_panel(
    role: str, leyden: Call, tmp_path: Path
) -> None:
    result = leyden("token", "new", "--role", role, "--data", tmp_path / "data")
    assert (result.code, result.err) == (0, "")
    (token,) = result.lines
    principal = Keyring(tmp_path / "data" / "auth").verify(token)
    assert principal is not None
    assert principal.role == role


def test_what_is_kept_is_private_and_no_token(leyden: Call, tmp_path: Path) -> None:
    token = leyden("token", "new", "--role", "admin", "--data", tmp_path).out.strip()
    file = tmp_path / "auth" / "tokens.json"
    assert token not in file.read_text()
    assert fingerprint(token) in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_environment_names_the_data_directory(
    leyden: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEYDEN_DATA", str(tmp_path / "elsewhere"))
    leyden("token", "new", "--role", "viewer")
    assert (tmp_path / "elsewhere" / "auth" / "tokens.json").exists()


def test_lists_name_tokens_and_never_show_them(leyden: Call, tmp_path: Path) -> None:
    token = leyden("token", "new", "--role", "viewer", "--name", "kitchen", "--data", tmp_path)
    listed = leyden("token", "list", "--data", tmp_path)
    assert "viewer" in listed.out
    assert "kitchen" in listed.out
    assert token.out.strip() not in listed.out
    (row,) = leyden("token", "list", "--json", "--data", tmp_path).json
    assert row.keys() == {"id", "role", "name", "created", "one_time"}


def test_an_empty_list_says_what_to_do(leyden: Call, tmp_path: Path) -> None:
    result = leyden("token", "list", "--data", tmp_path)
    assert (result.code, result.out) == (0, "")
    assert "make one with: leyden token new" in result.err
    assert leyden("token", "list", "--json", "--data", tmp_path).json == []


def test_a_revoked_token_opens_nothing(leyden: Call, tmp_path: Path) -> None:
    token = leyden("token", "new", "--role", "viewer", "--data", tmp_path).out.strip()
    (row,) = leyden("token", "list", "--json", "--data", tmp_path).json
    result = leyden("token", "revoke", row["id"], "--data", tmp_path)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert Keyring(tmp_path / "auth").verify(token) is None


def test_an_unknown_id_is_refused_with_those_there_are(leyden: Call, tmp_path: Path) -> None:
    leyden("token", "new", "--role", "viewer", "--data", tmp_path)
    result = leyden("token", "revoke", "00000000", "--data", tmp_path)
    assert result.code == 1
    assert result.err.startswith('leyden token: no token has the id "00000000"; there are: ')


def test_a_role_has_to_be_one_of_four(leyden: Call, tmp_path: Path) -> None:
    assert leyden("token", "new", "--data", tmp_path).code == 2
    result = leyden("token", "new", "--role", "root", "--data", tmp_path)
    assert result.code == 2
    assert "viewer" in result.err
    assert not (tmp_path / "auth").exists()


def test_a_data_directory_that_cannot_be_used_is_an_error_in_words(
    leyden: Call, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file")
    result = leyden("token", "new", "--role", "viewer", "--data", tmp_path / "data")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("leyden token: cannot use ")
