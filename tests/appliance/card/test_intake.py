"""Taking over what stands on the boot partition: once, in an order that survives any power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from appliance.card.cards import judge, new_card, notes_of, quiet, said
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card import record
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError, PlainFolder
from leyden.appliance.card.first_boot import FirstBoot
from leyden.appliance.card.intake import Intake
from leyden.appliance.card.notes import Level
from leyden.appliance.card.places import Card
from leyden.appliance.card.preseed import LONGEST, judge_wishes, read_preseed
from leyden.appliance.judge import Verdict
from leyden.appliance.plan import Plan
from leyden.kernel import ManualClock
from leyden.storage.files import Files

SECRET = "correct" + " horse"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$G0vRJgZ3r4nSJHYV9O4ZQ0q7kH8u1l0R9b7m0w3Jt7c"  # noqa: E501
COMMENTS = "".join(
    f"# line {i} of the comments that make a file longer than a sector\n" for i in range(20)
)
PRESEED = f"""\
hostname = "greenhouse"
{COMMENTS}
[wifi]
ssid = "Home"
password = "{SECRET}"
country = "DE"
[panel]
password_hash = "{HASH}"
[appliance]
name = "greenhouse"
[device.host]
driver = "host"
"""


class ReadOnly(PlainFolder):
    """A boot partition that cannot be made writable."""

    def state(self, path: Path) -> str:
        return "ro"

    def remount(self, path: Path, state: str) -> None:
        raise BootPartitionError(f"{path} cannot be made writable: write-protected")


def boot(card: Card, *, mounts: PlainFolder | None = None) -> bool:
    notes = quiet(card)
    intake = Intake(card, notes, BootPartition(card, mounts), judge, ManualClock())
    return FirstBoot(card, notes, intake, ManualClock()).run()


@pytest.fixture
def card(tmp_path: Path) -> Card:
    found = new_card(tmp_path)
    found.preseed.write_text(PRESEED, encoding="utf-8")
    return found


def everything_arrived(card: Card) -> None:
    settings = record.load(card)
    assert (settings.hostname, settings.wifi.password) == ("greenhouse", SECRET)
    assert settings.complaints == {"leyden.toml": ()}
    assert msgspec.json.decode(card.password.read_bytes())["hash"] == HASH
    assert 'driver = "host"' in card.config.read_text()
    after = card.preseed.read_text()
    assert SECRET not in after
    assert HASH not in after
    assert after == card.seen.read_text()
    assert not card.wiping.exists()
    assert card.done.exists()
    assert not card.claim_code.exists()


def test_everything_arrives_and_secrets_are_gone(card: Card) -> None:
    assert boot(card)
    everything_arrived(card)


class PowerCutError(BaseException):
    """The power goes; nothing catches that."""


CHANGES = ("overwrite", "write", "write_at", "replace", "remove", "sync")


def cut_at(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the power go at the `count`-th change on a disk, which is done by half."""
    left = count

    def cutting(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(self: Files, *arguments: object) -> object:
            nonlocal left
            left -= 1
            if left > 0:
                return real(self, *arguments)
            if name == "write_at":
                descriptor, data, offset = arguments
                assert isinstance(data, memoryview)
                real(self, descriptor, data[512:1024], int(str(offset)) + 512)
            raise PowerCutError

        return call

    for name in CHANGES:
        monkeypatch.setattr(Files, name, cutting(name, getattr(Files, name)))


def test_the_power_may_go_at_any_moment(tmp_path: Path) -> None:
    # Counted once without a cut, so that no moment is left out.
    for moment in range(1, 400):
        root = tmp_path / str(moment)
        root.mkdir()
        card = new_card(root)
        card.preseed.write_text(PRESEED, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            cut_at(moment, patch)
            try:
                boot(card)
                whole = True
            except PowerCutError:
                whole = False
        if whole:
            break
        assert boot(card), notes_of(card)
        everything_arrived(card)
    assert whole
    assert moment > 20


@pytest.mark.parametrize("moment", [5, 10, 20, 30])
def test_the_power_may_go_twice(moment: int, tmp_path: Path) -> None:
    for second in range(1, 30, 3):
        root = tmp_path / str(second)
        root.mkdir()
        card = new_card(root)
        card.preseed.write_text(PRESEED, encoding="utf-8")
        for count in (moment, second):
            with pytest.MonkeyPatch.context() as patch:
                cut_at(count, patch)
                with pytest.raises(PowerCutError):
                    boot(card)
        assert boot(card)
        everything_arrived(card)


def test_a_read_only_boot_partition_keeps_its_secret_and_says_so_at_each_boot(card: Card) -> None:
    for _ in range(2):
        card.notes.unlink(missing_ok=True)
        assert boot(card, mounts=ReadOnly())
        (words,) = said(card, "preseed.not-wiped")
        assert "can be read by whoever holds the card" in words
        assert "write-protected" in words
        assert SECRET in card.preseed.read_text()
        assert record.load(card).wifi.password == SECRET


def test_it_is_not_taken_over_again_while_the_secret_stays(card: Card) -> None:
    boot(card, mounts=ReadOnly())
    made = record.load(card)
    card.notes.unlink()
    boot(card, mounts=ReadOnly())
    assert record.load(card) == made
    assert said(card, "preseed.taken-over") == []


def test_once_it_can_be_written_the_secret_goes(card: Card) -> None:
    boot(card, mounts=ReadOnly())
    boot(card)
    everything_arrived(card)


def test_a_full_boot_partition_is_no_matter_for_wiping(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Files, path: Path, mode: int) -> int:
        if path.parent == card.boot:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(real(self, path, mode))

    real = Files.overwrite
    monkeypatch.setattr(Files, "overwrite", full)
    assert boot(card)
    everything_arrived(card)


def test_a_full_data_partition_leaves_the_preseed_for_the_next_boot(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        real = Files.write

        def full(self: Files, descriptor: int, data: bytes) -> int:
            if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(card.root / "data"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(self, descriptor, data)

        patch.setattr(Files, "write", full)
        assert not boot(card)
        assert any("disk is full" in note.text for note in notes_of(card))
        assert not card.done.exists()
        assert SECRET in card.preseed.read_text()
    assert boot(card)
    everything_arrived(card)


def test_a_file_that_was_changed_is_taken_over_and_what_it_does_not_mention_stays(
    card: Card,
) -> None:
    boot(card)
    text = card.preseed.read_text().replace('"greenhouse"\n#', '"cellar"\n#')
    card.preseed.write_text(text)
    assert boot(card)
    settings = record.load(card)
    assert (settings.hostname, settings.wifi.password) == ("cellar", SECRET)
    assert card.seen.read_text() == text


def test_a_file_that_is_gone_changes_nothing(card: Card) -> None:
    boot(card)
    before = record.load(card)
    card.preseed.unlink()
    assert boot(card)
    assert record.load(card) == before


def test_complaints_end_when_the_file_is_corrected(card: Card) -> None:
    card.preseed.write_text('hostname = "a.b"\n')
    boot(card)
    assert len(record.load(card).complaints["leyden.toml"]) == 1
    card.preseed.write_text('hostname = "ab"\n')
    boot(card)
    assert record.load(card).complaints == {"leyden.toml": ()}


def test_a_new_password_hash_replaces_a_forgotten_password(card: Card) -> None:
    boot(card)
    other = HASH.replace("G0vR", "H0vR")
    card.preseed.write_text(f'[panel]\npassword_hash = "{other}"\n')
    boot(card)
    assert msgspec.json.decode(card.password.read_bytes())["hash"] == other


def test_a_configuration_that_is_no_good_leaves_the_one_there_is(card: Card) -> None:
    boot(card)
    before = card.config.read_bytes()
    card.preseed.write_text('[appliance]\nname = "other"\n[device.x]\ndriver = "nothing"\n')
    boot(card)
    assert card.config.read_bytes() == before
    told = record.load(card).complaints["leyden.toml"]
    assert any("what ran before runs on" in each for each in told)
    assert not list(card.config.parent.glob("*candidate*"))


def test_a_judge_that_breaks_is_said(card: Card) -> None:
    notes = quiet(card)
    broken = Verdict(None, (f"{card.config.with_name('appliance.candidate.toml')}: was killed",))
    Intake(card, notes, BootPartition(card), lambda _: broken, ManualClock()).run()
    told = record.load(card).complaints["leyden.toml"]
    assert told[0] == "leyden.toml: was killed"


def test_the_configuration_keeps_its_lines_until_it_is_judged(card: Card) -> None:
    seen: list[str] = []

    def look(path: Path) -> Verdict:
        seen.append(path.read_text())
        return Verdict(Plan("greenhouse"))

    Intake(card, quiet(card), BootPartition(card), look, ManualClock()).run()
    lines = PRESEED.splitlines()
    assert seen[0].splitlines().index("[appliance]") == lines.index("[appliance]")
    assert card.config.read_text().splitlines()[0] == "[appliance]"


def test_a_file_with_a_hidden_end_of_its_name_is_pointed_at(card: Card) -> None:
    card.preseed.rename(card.boot / "leyden.toml.txt")
    boot(card)
    (words,) = said(card, "preseed.misnamed")
    assert "leyden.toml.txt" in words


def test_a_damaged_record_is_said_and_made_anew(card: Card) -> None:
    card.settings.parent.mkdir(parents=True)
    card.settings.write_text('{"hostname": 5}')
    assert boot(card)
    assert "is damaged" in said(card, "settings.damaged")[0]
    assert record.load(card).hostname == "greenhouse"


def test_a_file_that_is_far_too_long_is_refused_whole(card: Card) -> None:
    card.preseed.write_bytes(b"#" * (LONGEST + 5))
    assert boot(card)
    (words,) = record.load(card).complaints["leyden.toml"]
    assert "nothing in it was taken over" in words
    assert f"at most {LONGEST}" in words


def test_words_that_matter_are_on_the_screen_too(card: Card) -> None:
    boot(card, mounts=ReadOnly())
    shown = (card.root / "dev/tty1").read_text()
    assert "can be read by whoever holds the card" in shown
    assert SECRET not in shown


@given(st.binary(max_size=600))
def test_no_bytes_stop_it(data: bytes) -> None:
    preseed = read_preseed(data, name="leyden.toml", zones=Path("/nowhere"))
    for each in preseed.complaints:
        assert "\n" not in str(each) or "appliance" in str(each)


KEYS = (
    "hostname timezone wifi ssid password psk country hidden open enabled access_point network "
    "address gateway dns dhcp interface ssh authorized_keys panel password_hash hosts appliance "
    "device appliance_file"
)
SIGNS = '= = = = " \' [ ] { } , . # \\ 1 2.5 true 1979-05-27 [wifi] [network] """ "Home" \0 ü'
TOKENS = st.sampled_from([*KEYS.split(), *SIGNS.split(), "\n", "\n", "\n", " "])


@given(st.lists(TOKENS, max_size=60))
def test_no_jumble_of_its_own_words_stops_it(tokens: list[str]) -> None:
    data = "".join(tokens).encode()
    preseed = read_preseed(data, name="leyden.toml", zones=Path("/nowhere"))
    for each in preseed.complaints:
        assert each.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ssid", "password", "address", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["hostname", "timezone", "wifi", "network", "ssh", "panel", "y"]), JSON
    )
)
def test_no_table_stops_it_and_what_is_left_is_of_the_right_kind(table: dict[str, object]) -> None:
    preseed = judge_wishes(table, name="x", zones=Path("/nowhere"))
    assert isinstance(preseed.wishes.hostname, str | None)
    assert isinstance(preseed.wishes.wifi.ssid, str | None)


def test_notes_of_an_ordinary_first_boot_hold_no_warning(card: Card) -> None:
    boot(card)
    assert [note for note in notes_of(card) if note.level is not Level.INFO] == []
