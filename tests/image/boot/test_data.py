"""The data partition: what is done follows from what it is, and never costs data too early."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from image.boot.shells import output_of

from leyden_image.initrd import DATA_MKE2FS_OPTIONS

MIB = 2048  # sectors
START, SIZE = 436 * MIB, 32 * MIB

# Tools and mounts write down how they were called; results come from a list, 0 behind its end.
STAND_INS = r"""
CARD=card RESET=${RESET:-no}
result_of() { # LIST
	read -r first rest < "$1"
	echo "$rest" > "$1"
	return "${first:-0}"
}
mount() { echo "mount $*" >> calls; result_of mount-results; }
in_root() {
	echo "${1##*/} $2" >> calls
	case $1 in
	*/e2fsck) result_of e2fsck-results ;;
	*/partx) [ ! -e grown ] || cat grown > "$SYS/class/block/card4/size" ;;
	*/sfdisk) cat >> sfdisk-input ;;
	esac
}
finish_reset() { echo finish_reset >> calls; }
"""
TELL = 'echo "$DATA_KEPT $DATA_GROWN $DATA_REMADE $DATA_RESET $DATA_FSCK"'


@dataclass
class Partition:
    """A card with a data partition of some condition, and the shell that looks at it."""

    shell: str
    folder: Path
    calls: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def prepare(self, *, reset: bool = False) -> str:
        """Let the initrd prepare it; return what it says it has done."""
        names = ("words", "watchdog", "card", "data")
        # An original option file is at a fixed place of the initrd, which is not here.
        make = 'data_make() { echo "mke2fs $1" >> calls; result_of mke2fs-results; }\n'
        script = f"{STAND_INS}{make}data_prepare /mnt\n{TELL}"
        environment = {"RESET": "yes" if reset else "no"}
        told = output_of(
            self.shell, script, *names, folder=self.folder, environment=environment
        ).strip()
        self.calls = (self.folder / "calls").read_text().splitlines()
        notes = self.folder / "records" / "notes.jsonl"
        if notes.exists():
            self.notes = [json.loads(line)["what"] for line in notes.read_text().splitlines()]
        return told

    def results(self, **lists: str) -> None:
        for tool, results in lists.items():
            (self.folder / f"{tool}-results").write_text(f"{results}\n")

    def attribute(self, name: str, value: int) -> None:
        (self.folder / "sys/class/block/card4" / name).write_text(f"{value}\n")

    @property
    def device(self) -> Path:
        return self.folder / "dev" / "card4"


@pytest.fixture
def partition(shell: str, tmp_path: Path) -> Partition:
    """A sound data partition that fills its card."""
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs is not installed on this machine")
    blocks = tmp_path / "sys" / "class" / "block"
    inner = blocks / "card" / "card4"
    inner.mkdir(parents=True)
    (blocks / "card4").symlink_to(inner)
    (blocks / "card" / "size").write_text(f"{START + SIZE}\n")
    for name, value in (("start", START), ("size", SIZE), ("ro", 0), ("partition", 4)):
        (inner / name).write_text(f"{value}\n")
    one = Partition(shell, tmp_path)
    one.device.parent.mkdir()
    make_file_system(one.device)
    one.results(mount="", e2fsck="", mke2fs="")
    (tmp_path / "calls").write_text("")
    return one


def make_file_system(device: Path) -> None:
    with device.open("wb") as file:
        file.truncate(SIZE * 512)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", *DATA_MKE2FS_OPTIONS, str(device)]
    subprocess.run(command, check=True)


def set_state(device: Path, state: int) -> None:
    with device.open("r+b") as file:
        file.seek(1024 + 58)
        file.write(struct.pack("<H", state))


def damage_magic(device: Path) -> None:
    with device.open("r+b") as file:
        file.seek(1024)
        file.write(bytes(1024))


MOUNT = "mount -t ext4 -o rw,noatime,nosuid,nodev,errors=remount-ro,noinit_itable {} /mnt"


def mounted(partition: Partition) -> str:
    return MOUNT.format(partition.device)


@pytest.mark.parametrize("state", [0, 1], ids=["cut off while mounted", "cleanly unmounted"])
def test_a_sound_file_system_is_only_mounted(partition: Partition, state: int) -> None:
    set_state(partition.device, state)
    assert partition.prepare() == "true false false false not-needed"
    assert partition.calls == [mounted(partition)]
    assert partition.notes == []


def test_errors_that_the_kernel_has_met_are_repaired_before_mounting(partition: Partition) -> None:
    set_state(partition.device, 3)
    partition.results(e2fsck="1")
    assert partition.prepare() == "true false false false repaired"
    assert partition.calls == ["e2fsck -f", mounted(partition)]
    assert partition.notes == ["data-repaired"]


def test_what_cannot_be_repaired_carefully_is_repaired_boldly(partition: Partition) -> None:
    damage_magic(partition.device)
    partition.results(e2fsck="8 1")
    assert partition.prepare() == "true false false false repaired"
    assert partition.calls == ["e2fsck -f", "e2fsck -f", mounted(partition)]
    assert partition.notes == ["data-repaired"]


def test_a_repair_that_stops_half_way_is_gone_on_with(partition: Partition) -> None:
    damage_magic(partition.device)
    partition.results(e2fsck="8 12 1")
    assert partition.prepare() == "true false false false repaired"
    assert partition.calls == [*["e2fsck -f"] * 3, mounted(partition)]


@pytest.mark.parametrize("gone", [(0,), (0, 1), (0, 1, 3)], ids=["one", "two", "three"])
def test_superblocks_that_are_gone_cost_no_data_while_there_is_one_left(
    partition: Partition, gone: tuple[int, ...]
) -> None:
    """What the tools themselves do, in the order in which the initrd calls them."""
    grown = 128 * 7 << 20  # seven groups of 128 MiB; numbers 1, 3 and 5 hold a backup
    with partition.device.open("r+b") as file:
        file.truncate(grown)
    subprocess.run(["resize2fs", str(partition.device)], check=True, capture_output=True)
    kept = partition.folder / "kept"
    kept.write_text("a record")
    write = ["debugfs", "-w", "-R", f"write {kept} kept", str(partition.device)]
    subprocess.run(write, check=True, capture_output=True)
    with partition.device.open("r+b") as file:
        for group in gone:
            file.seek((group << 27) + (0 if group else 1024))
            file.write(bytes(1024))
    world = """
        in_root() { shift; e2fsck "$@"; }
        alive_for() { :; }
        mount() { e2fsck -f -n "$DEV/card4" > /dev/null 2>&1; }
        data_make() { echo lost; }
        DATA=card4
        data_open /mnt
        echo $DATA_FSCK
    """
    files = ("words", "watchdog", "data")
    said = output_of(partition.shell, world, *files, folder=partition.folder)
    assert said.strip() == "repaired"
    shown = ["debugfs", "-R", "cat kept", str(partition.device)]
    assert subprocess.run(shown, check=True, capture_output=True).stdout == b"a record"


def test_data_that_calls_itself_sound_and_cannot_be_mounted_is_repaired_not_made_anew(
    partition: Partition,
) -> None:
    partition.results(mount="32 32", e2fsck="1 1")
    assert partition.prepare() == "true false false false repaired"
    again = mounted(partition)
    assert partition.calls == [again, "e2fsck -f", again, "e2fsck -f", again]


def test_data_without_a_fault_that_cannot_be_mounted_is_left_as_it_is(
    partition: Partition,
) -> None:
    partition.results(mount="32 32", e2fsck="0")
    assert partition.prepare() == "false false false false clean"
    assert not any(call.startswith("mke2fs") for call in partition.calls)
    assert partition.calls[-1].startswith("mount -t tmpfs")
    assert partition.notes == ["data-volatile"]


def test_only_when_all_repairs_have_failed_it_is_made_anew(partition: Partition) -> None:
    damage_magic(partition.device)
    partition.results(e2fsck="8 12 8 8 8 8 8")
    assert partition.prepare() == "true false true false failed"
    assert partition.calls == [*["e2fsck -f"] * 7, "mke2fs nodiscard", mounted(partition)]
    assert partition.notes == ["data-remade"]


def test_a_card_that_takes_nothing_any_more_leaves_an_appliance_without_memory(
    partition: Partition,
) -> None:
    damage_magic(partition.device)
    partition.results(e2fsck="8 12 8 8 8 8 8", mke2fs="1")
    assert partition.prepare() == "false false false false failed"
    assert partition.calls[-1].startswith("mount -t tmpfs")
    assert partition.notes == ["data-volatile"]


def test_a_factory_reset_wipes_and_is_ticked_off_afterwards(partition: Partition) -> None:
    assert partition.prepare(reset=True) == "true false false true not-needed"
    assert partition.calls == ["mke2fs discard", mounted(partition), "finish_reset"]
    assert partition.notes == ["factory-reset"]


def test_a_factory_reset_that_fails_is_not_ticked_off(partition: Partition) -> None:
    partition.results(mke2fs="1")
    partition.prepare(reset=True)
    assert "finish_reset" not in partition.calls
    assert partition.notes == ["data-volatile"]


def grow_card(partition: Partition, by: int) -> None:
    size = partition.folder / "sys/class/block/card/size"
    size.write_text(f"{START + SIZE + by}\n")


def test_a_bigger_card_lets_partition_and_file_system_grow(partition: Partition) -> None:
    grow_card(partition, 1000 * MIB)
    (partition.folder / "grown").write_text(f"{SIZE + 1000 * MIB}\n")
    assert partition.prepare() == "true true false false not-needed"
    assert partition.calls == ["sfdisk -q", "partx -u", mounted(partition), partition.calls[-1]]
    assert partition.calls[-1] == f"resize2fs {partition.device}"
    assert (partition.folder / "sfdisk-input").read_text() == ", +\n"
    assert partition.notes == ["data-grown"]


def test_a_cut_between_partition_and_file_system_leaves_the_second_step_for_the_next_start(
    partition: Partition,
) -> None:
    grow_card(partition, 1000 * MIB)
    partition.attribute("size", SIZE + 1000 * MIB)
    assert partition.prepare() == "true true false false not-needed"
    assert partition.calls == [mounted(partition), f"resize2fs {partition.device}"]


@pytest.mark.parametrize("by", [0, MIB, 4 * MIB - 1])
def test_a_few_sectors_are_not_worth_writing_a_partition_table(
    partition: Partition, by: int
) -> None:
    grow_card(partition, by)
    assert partition.prepare() == "true false false false not-needed"
    assert partition.calls == [mounted(partition)]


def test_a_partition_that_does_not_grow_is_used_as_it_is(partition: Partition) -> None:
    grow_card(partition, 1000 * MIB)
    assert partition.prepare() == "true false false false not-needed"
    assert partition.notes == ["data-not-grown"]


def test_a_write_protected_card_is_read_and_covered(partition: Partition) -> None:
    partition.attribute("ro", 1)
    assert partition.prepare() == "false false false false not-needed"
    assert [call.split()[2] for call in partition.calls] == ["ext4", "overlay"]
    assert partition.notes == ["data-protected"]


@pytest.mark.parametrize("size", [0, 5])
def test_a_card_without_room_for_data_still_starts(partition: Partition, size: int) -> None:
    partition.attribute("size", size)
    assert partition.prepare() == "false false false false not-needed"
    assert partition.notes == ["data-volatile"]


def look(partition: Partition) -> list[str]:
    script = f'ext4_look {partition.device}\necho "$FS_STATE $FS_SECTORS"'
    return output_of(partition.shell, script, "data", folder=partition.folder).split()


def test_the_superblock_is_read_as_mke2fs_wrote_it(partition: Partition) -> None:
    assert look(partition) == ["sound", str(SIZE)]
    set_state(partition.device, 2)
    assert look(partition) == ["suspect", str(SIZE)]
    damage_magic(partition.device)
    assert look(partition) == ["none", "0"]
    partition.device.write_bytes(b"short")
    assert look(partition) == ["none", "0"]


def test_a_file_system_of_two_terabytes_is_counted_rightly(partition: Partition) -> None:
    with partition.device.open("r+b") as file:
        file.seek(1024 + 4)
        file.write(struct.pack("<I", 536870912))
    assert look(partition) == ["sound", str(536870912 * 8)]
