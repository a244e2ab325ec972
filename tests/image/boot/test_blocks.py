"""The raw blocks: the shell, Linux's side in Python and U-Boot's own tool agree on every byte."""

from __future__ import annotations

import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image.boot.shells import BOOT, output_of, run_shell

from leyden.appliance.update import environment
from leyden.appliance.update.slots import SlotFacts, SlotRecord, Trial, encode

BLOCK = 8192
PRIMARY, BACKUP, LAST_WORDS = 128, 192, 384  # in blocks, as the contract of the card has them


def card_with(tmp_path: Path, blocks: dict[int, bytes]) -> Path:
    card = tmp_path / "dev" / "card"
    card.parent.mkdir(exist_ok=True)
    with card.open("wb") as file:
        file.truncate(4 << 20)
        for number, block in blocks.items():
            file.seek(number * BLOCK)
            file.write(block)
    return card


def block_of(card: Path, number: int) -> bytes:
    return card.read_bytes()[number * BLOCK : (number + 1) * BLOCK]


def lines_of(shell: str, card: Path, number: int, folder: Path) -> str:
    return output_of(shell, f"block_read {card} {number}", "blocks", folder=folder)


def test_the_shell_reads_what_mkenvimage_writes(shell: str, tmp_path: Path) -> None:
    if shutil.which("mkenvimage") is None:
        pytest.skip("mkenvimage is not installed on this machine")
    source, target = BOOT / "environment.txt", tmp_path / "env"
    command = ["mkenvimage", "-p", "0", "-s", str(BLOCK), "-o", str(target), str(source)]
    subprocess.run(command, check=True)
    card = card_with(tmp_path, {PRIMARY: target.read_bytes()})
    assert lines_of(shell, card, PRIMARY, tmp_path) == source.read_text()


def test_the_shell_writes_what_linux_writes(shell: str, tmp_path: Path) -> None:
    card = card_with(tmp_path, {})
    text = b"BOOT_ORDER=B A\nBOOT_B_LEFT=3\n"
    script = f"block_write {card} {PRIMARY}"
    output_of(shell, script, "blocks", folder=tmp_path, stdin=text)
    expected = environment.encode(
        environment.Environment({"BOOT_ORDER": "B A", "BOOT_B_LEFT": "3"})
    )
    assert block_of(card, PRIMARY) == expected
    assert card.stat().st_size == 4 << 20


names = st.text(string.ascii_letters + string.digits + "_#", min_size=1, max_size=12)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), min_size=1, max_size=40)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(variables=st.dictionaries(names, values, min_size=1, max_size=6))
def test_whatever_linux_writes_is_read_back_and_written_alike(
    shell: str, tmp_path: Path, variables: dict[str, str]
) -> None:
    block = environment.encode(environment.Environment(variables))
    card = card_with(tmp_path, {PRIMARY: block})
    script = f"block_read {card} {PRIMARY} | block_write {card} {BACKUP}"
    output_of(shell, script, "blocks", folder=tmp_path)
    assert block_of(card, BACKUP) == block


@pytest.mark.parametrize("place", [0, 3, 4, 20, 500, BLOCK - 1])
def test_a_block_with_one_bit_wrong_is_refused(shell: str, tmp_path: Path, place: int) -> None:
    block = bytearray(environment.encode(environment.DEFAULTS))
    block[place] ^= 1
    card = card_with(tmp_path, {PRIMARY: bytes(block)})
    done = run_shell(shell, f"block_read {card} {PRIMARY}", "blocks", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")


def test_zeros_and_the_end_of_the_card_are_no_block(shell: str, tmp_path: Path) -> None:
    card = card_with(tmp_path, {})
    for number in (PRIMARY, 511, 512, 100_000):
        done = run_shell(shell, f"block_read {card} {number}", "blocks", folder=tmp_path)
        assert done.returncode == 1, number


def test_choosing_a_slot_gives_both_their_tries_and_keeps_what_else_there_was(
    shell: str, tmp_path: Path
) -> None:
    before = {"BOOT_ORDER": "A", "BOOT_A_LEFT": "0", "BOOT_B_LEFT": "0", "serial#": "1000"}
    block = environment.encode(environment.Environment(before))
    card = card_with(tmp_path, {PRIMARY: block})
    output_of(shell, f"environment_choose {card} B A", "blocks", folder=tmp_path)
    found = environment.decode(block_of(card, PRIMARY))
    assert found.order == ("B", "A")
    assert (found.tries("A"), found.tries("B"), found.next) == (3, 3, "B")
    assert found.variables["serial#"] == "1000"
    assert block_of(card, BACKUP) == block_of(card, PRIMARY)


def test_a_damaged_environment_does_not_keep_a_person_from_choosing(
    shell: str, tmp_path: Path
) -> None:
    card = card_with(tmp_path, {PRIMARY: b"\xff" * BLOCK})
    output_of(shell, f"environment_choose {card} A B", "blocks", folder=tmp_path)
    assert environment.decode(block_of(card, PRIMARY)).next == "A"


def test_last_words_are_handed_on_once(shell: str, tmp_path: Path) -> None:
    card = card_with(tmp_path, {})
    said = 'root.squashfs of "B"\nis \\ gone'
    (tmp_path / "said").write_text(said)
    leave = f'words_leave {card} B "$(cat said)"'
    output_of(shell, leave, "blocks", folder=tmp_path)
    output_of(shell, f"words_hand_on {card}", "words", "blocks", folder=tmp_path)
    handed = (tmp_path / "records" / "last-words.json").read_text()
    assert handed == '{"slot":"B","text":"root.squashfs of \\"B\\" is \\\\ gone"}\n'
    assert block_of(card, LAST_WORDS) == bytes(BLOCK)
    (tmp_path / "records" / "last-words.json").unlink()
    output_of(shell, f"words_hand_on {card}", "words", "blocks", folder=tmp_path)
    assert not (tmp_path / "records" / "last-words.json").exists()


def test_noise_where_last_words_would_be_is_no_news(shell: str, tmp_path: Path) -> None:
    card = card_with(tmp_path, {LAST_WORDS: b"\xa5" * BLOCK})
    output_of(shell, f"words_hand_on {card}", "words", "blocks", folder=tmp_path)
    assert not (tmp_path / "records" / "notes.jsonl").exists()


TRIAL = Trial("B", "0.2.0", "0.1.0", "tried", 2, "panel", 'the "panel" {x} \\ did not answer')
RECORD = SlotRecord("A", TRIAL, {"A": SlotFacts("0.1.0", 5, "good"), "B": SlotFacts("0.2.0")})
FIRST, SECOND = 512 * 4096 // BLOCK, 640 * 4096 // BLOCK


def newest(shell: str, tmp_path: Path, copies: dict[int, bytes]) -> str:
    card_with(tmp_path, copies)
    script = 'CARD=card\nslots_record=$(slot_record_newest)\nrecord_value "trial\\.reason"'
    return output_of(shell, script, "blocks", "card", "slots", folder=tmp_path)


def test_the_newer_copy_of_the_slot_record_speaks(shell: str, tmp_path: Path) -> None:
    older = encode(RECORD.with_trial(reason="older"), 9)
    newer = encode(RECORD, 10)
    said = f"{TRIAL.reason}\n"
    assert newest(shell, tmp_path, {FIRST: older, SECOND: newer}) == said
    assert newest(shell, tmp_path, {FIRST: newer, SECOND: older}) == said


def test_a_torn_copy_of_the_slot_record_is_passed_over(shell: str, tmp_path: Path) -> None:
    older = encode(RECORD.with_trial(reason="older"), 9)
    torn = encode(RECORD, 10)[:200].ljust(4096, b"\0")
    assert newest(shell, tmp_path, {FIRST: torn, SECOND: older}) == "older\n"


def test_a_card_without_a_slot_record_has_nothing_to_say(shell: str, tmp_path: Path) -> None:
    assert newest(shell, tmp_path, {}) == ""
    assert newest(shell, tmp_path, {FIRST: b"\xff" * 4096}) == ""
