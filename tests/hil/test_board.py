"""A board's command line has what its target file says, and mistakes in one are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leyden_hil.board import Board, Sockets, Start, board_of, command
from leyden_hil.errors import RigError


def start(**changes: Any) -> Start:
    serials = {name: Path(f"/s/{name}") for name in ("console", "header")}
    usual: dict[str, Any] = {
        "program": "qemu",
        "card": Path("/c.img"),
        "sockets": Sockets(monitor=Path("/s/monitor"), serials=serials),
        "ports": {"ssh": 1022, "https": 1443},
        "kernel": Path("/k"),
        "initrd": Path("/i"),
        "arguments": "quiet",
    }
    return Start(**(usual | changes))


def after(line: list[str], word: str) -> list[str]:
    return [line[i + 1] for i, each in enumerate(line) if each == word]


def test_a_direct_start_has_kernel_initrd_and_arguments() -> None:
    line = command(Board(machine="virt", cpu="cortex-a72"), start())
    assert after(line, "-kernel") == ["/k"]
    assert after(line, "-initrd") == ["/i"]
    assert after(line, "-append") == ["quiet"]
    assert after(line, "-machine") == ["virt"]


def test_a_boot_loader_finds_its_own_way() -> None:
    board = Board(machine="raspi3b", firmware="card:u-boot.bin", storage="sd", network="usb")
    line = command(board, start(firmware=Path("/u-boot.bin"), tree=Path("/t.dtb")))
    assert after(line, "-kernel") == ["/u-boot.bin"]
    assert after(line, "-dtb") == ["/t.dtb"]
    assert "-initrd" not in line
    assert "-append" not in line
    assert "sd-card,drive=card" in after(line, "-device")
    assert any(device.startswith("usb-net,") for device in after(line, "-device"))


def test_it_dies_with_the_rig_and_sees_nobody_but_the_rig() -> None:
    line = command(Board(machine="virt"), start())
    assert line[:3] == ["setpriv", "--pdeathsig", "KILL"]
    network = after(line, "-netdev")[0]
    assert "restrict=on" in network
    assert "hostfwd=tcp:127.0.0.1:1022-:22" in network
    assert "hostfwd=tcp:127.0.0.1:1443-:443" in network


def test_serial_lines_come_in_the_boards_order() -> None:
    line = command(Board(machine="raspi3b", serials=("header", "console")), start())
    assert after(line, "-serial") == ["chardev:header", "chardev:console"]


def test_a_journal_goes_between_card_and_machine() -> None:
    node = after(command(Board(machine="virt"), start(journal=Path("/j"))), "-blockdev")[0]
    assert node.startswith("driver=blklogwrites,node-name=card")
    assert "file.file.filename=/c.img" in node
    assert "log.file.filename=/j" in node


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"machine": "virt", "memroy_mb": 1}, "memroy_mb: unknown key"),
        ({"machine": 5}, "machine: found 5, expected str"),
        ({"machine": "virt", "storage": "floppy"}, "storage: found 'floppy'"),
        ({"machine": "virt", "serials": ["header"]}, "one of them to be the console"),
        ({"machine": "virt", "firmware_option": "-pflash"}, "firmware_option"),
    ],
)
def test_a_mistake_in_a_target_file_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(RigError, match=words):
        board_of(table)


def test_a_list_of_devices_is_taken() -> None:
    board = board_of({"machine": "virt", "devices": ["i6300esb"], "serials": ["console"]})
    assert board.devices == ("i6300esb",)
    assert "i6300esb" in after(command(board, start()), "-device")


def test_a_start_without_what_it_needs_is_refused() -> None:
    with pytest.raises(RigError, match="kernel and initrd"):
        command(Board(machine="virt"), start(kernel=None))
    with pytest.raises(RigError, match="boot loader"):
        command(Board(machine="virt", firmware="u-boot.bin"), start())
