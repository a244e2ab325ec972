"""Finding the card: by the identity of its disk, whatever else is plugged in."""

from __future__ import annotations

from pathlib import Path

from image.boot.shells import output_of

OURS = "4c45594e"


def plug_in(folder: Path, disk: str, identity: str, parts: int = 4, infix: str = "") -> None:
    blocks = folder / "sys" / "class" / "block"
    blocks.mkdir(parents=True, exist_ok=True)
    device = folder / "sys" / "devices" / disk
    for number in range(1, parts + 1):
        name = f"{disk}{infix}{number}"
        (device / name).mkdir(parents=True)
        (device / name / "partition").write_text(f"{number}\n")
        (device / name / "uevent").write_text(f"DEVNAME={name}\nPARTUUID={identity}-0{number}\n")
        (blocks / name).symlink_to(device / name)
    (device / "uevent").write_text(f"DEVNAME={disk}\n")
    (device / "device").mkdir()
    (blocks / disk).symlink_to(device)


def found(shell: str, folder: Path, tries: int = 0) -> str:
    script = f'plug() {{ :; }}\nfind_card {OURS} {tries}\necho "$CARD $(part 2) $(part 5)"'
    return output_of(shell, script, "card", folder=folder).strip()


def test_the_card_is_found_among_other_disks(shell: str, tmp_path: Path) -> None:
    plug_in(tmp_path, "sda", "deadbeef")
    plug_in(tmp_path, "mmcblk0", OURS, infix="p")
    assert found(shell, tmp_path) == "mmcblk0 mmcblk0p2"


def test_of_two_cards_of_ours_the_one_in_the_slot_is_taken(shell: str, tmp_path: Path) -> None:
    plug_in(tmp_path, "sda", OURS)
    plug_in(tmp_path, "mmcblk1", OURS, infix="p")
    assert found(shell, tmp_path) == "mmcblk1 mmcblk1p2"


def test_a_card_on_usb_is_found_as_well(shell: str, tmp_path: Path) -> None:
    plug_in(tmp_path, "sdb", OURS)
    assert found(shell, tmp_path) == "sdb sdb2"


def test_a_card_that_appears_late_is_waited_for(shell: str, tmp_path: Path) -> None:
    plug_in(tmp_path, "late", OURS)
    blocks = tmp_path / "sys" / "class" / "block"
    hidden = tmp_path / "hidden"
    blocks.rename(hidden)
    blocks.mkdir()
    # Each look at the hardware may bring something new.
    script = f"plug() {{ cp -a hidden/* {blocks}/; }}\nfind_card {OURS} 1\necho $CARD"
    assert output_of(shell, script, "card", folder=tmp_path) == "late\n"


def test_without_a_card_what_was_seen_is_named(shell: str, tmp_path: Path) -> None:
    plug_in(tmp_path, "sda", "deadbeef")
    script = f"plug() {{ :; }}\nfind_card {OURS} 0 || disks_in_words"
    assert output_of(shell, script, "card", folder=tmp_path) == "sda\n"


def test_no_card_has_no_partitions(shell: str, tmp_path: Path) -> None:
    plug_in(tmp_path, "sda", "deadbeef")
    assert output_of(shell, "part 1", "card", folder=tmp_path) == ""
