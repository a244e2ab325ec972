"""What people ask for by files on the boot partition, and the identity that data keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from image.boot.shells import output_of

# Remounting is what the card's condition says; everything else is files.
STAND_INS = r"""
ROOT=$PWD BOOT=$PWD/boot/firmware RESET=no
mount() {
	echo "mount $*" >> calls
	case $* in *remount,rw*) [ ! -e protected ] ;; esac
}
sync() { :; }
"""


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    """An empty boot partition."""
    folder = tmp_path / "boot" / "firmware"
    folder.mkdir(parents=True)
    return folder


def ask(shell: str, tmp_path: Path) -> str:
    script = f"{STAND_INS}ask_for_reset\necho $RESET"
    return output_of(shell, script, "words", "root", folder=tmp_path).strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def notes(tmp_path: Path) -> str:
    file = tmp_path / "records" / "notes.jsonl"
    return file.read_text() if file.exists() else ""


def test_nobody_asks_and_nothing_is_written(shell: str, tmp_path: Path, boot: Path) -> None:
    assert (ask(shell, tmp_path), names(boot)) == ("no", [])
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("name", ["factory-reset", "factory-reset.txt"])
def test_a_request_is_taken_over_before_anything_is_wiped(
    shell: str, tmp_path: Path, boot: Path, name: str
) -> None:
    (boot / name).touch()
    assert (ask(shell, tmp_path), names(boot)) == ("yes", ["factory-reset.doing"])
    assert "remount,ro" in (tmp_path / "calls").read_text().splitlines()[-1]


def test_a_reset_that_a_power_cut_interrupted_goes_on(
    shell: str, tmp_path: Path, boot: Path
) -> None:
    (boot / "factory-reset.doing").touch()
    assert ask(shell, tmp_path) == "yes"


def test_a_request_that_cannot_be_ticked_off_is_refused_and_said(
    shell: str, tmp_path: Path, boot: Path
) -> None:
    (boot / "factory-reset").touch()
    (tmp_path / "protected").touch()
    assert (ask(shell, tmp_path), names(boot)) == ("no", ["factory-reset"])
    assert '"what":"reset-refused"' in notes(tmp_path)


def test_a_reset_that_is_done_is_forgotten(shell: str, tmp_path: Path, boot: Path) -> None:
    (boot / "factory-reset.doing").touch()
    output_of(shell, f"{STAND_INS}finish_reset", "words", "root", folder=tmp_path)
    assert names(boot) == []


def test_recoverys_explanation_is_removed_and_its_having_been_there_is_said(
    shell: str, tmp_path: Path, boot: Path
) -> None:
    (boot / "RECOVERY.txt").touch()
    output_of(shell, f"{STAND_INS}forget_recovery", "words", "root", folder=tmp_path)
    assert names(boot) == []
    assert '"what":"recovered"' in notes(tmp_path)


def identity(shell: str, tmp_path: Path) -> str:
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "data").mkdir(exist_ok=True)
    output_of(shell, f"{STAND_INS}machine_identity", "words", "root", folder=tmp_path)
    return (tmp_path / "etc" / "machine-id").read_text()


def test_an_identity_is_made_once_and_kept(shell: str, tmp_path: Path) -> None:
    first = identity(shell, tmp_path)
    assert re.fullmatch(r"[0-9a-f]{32}\n", first)
    assert identity(shell, tmp_path) == first
    assert names(tmp_path / "data" / "system") == ["machine-id"]


@pytest.mark.parametrize("kept", ["", "short", "Z" * 32, "0" * 33, "a" * 31, "../../etc/passwd"])
def test_an_identity_that_is_none_is_made_anew(shell: str, tmp_path: Path, kept: str) -> None:
    file = tmp_path / "data" / "system" / "machine-id"
    file.parent.mkdir(parents=True)
    file.write_text(kept)
    made = identity(shell, tmp_path)
    assert re.fullmatch(r"[0-9a-f]{32}\n", made)
    assert made.strip() != kept
    assert file.read_text() == made


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{"version": "1",\n "epoch": 2}\n', '{"version": "1", "epoch": 2}'),
        ("", "null"),
        ("x", "null"),
    ],
)
def test_the_slots_own_record_is_passed_on_when_it_is_one(
    shell: str, tmp_path: Path, written: str, told: str
) -> None:
    slot = tmp_path / "records" / "slot"
    slot.mkdir(parents=True)
    (slot / "slot.json").write_text(written)
    assert output_of(shell, "slot_record", "root", folder=tmp_path).strip() == told
