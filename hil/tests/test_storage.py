"""A card that is full, damaged, too small or told to forget: said in words, and it comes up."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.card import BOOT, DATA, MIB, Card
from leyden_hil.console import ConsoleShell
from leyden_hil.lab import State
from leyden_hil.plugin import Measure
from leyden_hil.rig import Rig
from leyden_hil.starting import Conditions

pytestmark = pytest.mark.lg_feature("card")


def _words(box: Appliance) -> str:
    return " ".join(note["text"] for note in box.notes())


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311  # damage, no secret


@pytest.mark.full
def test_a_full_disk_stops_nothing_and_is_said(fresh: Any, measure: Measure) -> None:
    with fresh(size_mb=512) as box:
        box.shell.run("dd if=/dev/zero of=/data/filler bs=1M; sync", limit_s=300)
        free = int(box.shell.ask("stat -f -c '%a * %S' /data | xargs expr") or 0)
        measure("bytes left", free, "B", "<= 1000000")
        since = box.panel.events(0)[-1]["n"]
        box.shell.ask("systemctl restart leyden-runtime.service", limit_s=120)
        box.until(lambda: _says(box, since, "log.degraded"), 120, "log.degraded is told")
        route = box.sampled()
        before = box.panel.latest(route)
        box.until(lambda: box.panel.latest(route)["n"] > before["n"], 30, "it samples on")
        assert box.panel.latest(route)["quality"] == "good"

        life = box.reboot()
        measure("boot with a full disk", life.elapsed(), "s")
        box.shell.ask("rm /data/filler; sync")
        box.until(lambda: _says(box, 0, "log.restored"), 180, "log.restored is told")


def _says(box: Appliance, since: int, route: str) -> bool:
    return any(event.get("route") == route for event in box.panel.events(since, "log."))


@pytest.mark.full
def test_a_damaged_data_partition_is_made_anew_and_said(fresh: Any, rig: Rig) -> None:
    with fresh() as box:
        before = box.panel.data("/api/v1/system")["certificate"]["fingerprint"]
        box.cut()
        span = box.card.span(DATA)
        box.card.write(span.offset, _noise(16 * MIB))
        number = box.machine.lives
        box.machine.on()
        box.wait()
        assert box.machine.lives == number + 1, "it started more than once"
        assert "data-remade" in {note["what"] for note in box.notes()}
        assert re.search("data partition", _words(box), re.IGNORECASE)
        box.life.console.wait_for("(?i)data partition", 5)
        after = box.shell.ask("cat /data/leyden/identity/certificate.json")
        assert before not in after, "the keys of the old partition came back from somewhere"


@pytest.mark.full
def test_a_data_partition_with_single_damaged_blocks_is_repaired(fresh: Any) -> None:
    with fresh() as box:
        box.shell.ask("echo kept > /data/kept; sync")
        box.cut()
        span = box.card.span(DATA)
        box.card.write(span.offset + 1024, bytes(1024))  # the first super block
        box.machine.on()
        box.wait()
        said = box.shell.run("cat /data/kept").out.strip()
        remade = "data-remade" in {note["what"] for note in box.notes()}
        assert said == "kept" or remade


@pytest.mark.full
def test_a_card_that_is_too_small_comes_up_and_is_said(fresh: Any) -> None:
    def shrink(card: Card) -> None:
        end = card.span(DATA).offset + 4 * MIB
        with card.path.open("r+b") as file:
            file.truncate(end)

    with fresh(change=shrink) as box:
        assert re.search("too small|smaller", _words(box)), _words(box)
        assert box.new_panel().health() is not None


@pytest.mark.full
def test_a_full_boot_partition_stops_nothing_and_is_said(fresh: Any, rig: Rig) -> None:
    def fill(card: Card) -> None:
        card.put("filler.bin", bytes(max(0, card.free() - 4096)))

    with fresh(change=fill, preseed=rig.preseed(password_hash="")) as box:
        assert re.search("boot partition", _words(box), re.IGNORECASE), box.notes()
        assert box.new_panel().health() is not None


@pytest.mark.full
@pytest.mark.lg_feature("direct")
def test_a_boot_partition_that_cannot_be_read_stops_nothing(fresh: Any) -> None:
    """Started directly: a boot loader would have nothing to start from."""

    def ruin(card: Card) -> None:
        card.write(card.span(BOOT).offset, _noise(4 * MIB))

    with fresh(change=ruin, state=State.BOOT) as box:
        shell = ConsoleShell(box.life.console)
        shell.wait(240)
        box.new_panel().wait(240)
        notes = shell.ask("cat /run/leyden-boot/notes.jsonl")
        assert re.search("boot partition", notes, re.IGNORECASE), notes


@pytest.mark.full
def test_a_write_protected_card_stops_nothing_and_is_said(fresh: Any) -> None:
    """The little switch: nothing can be kept, and the appliance runs without memory."""
    with fresh(state=State.BOOT, conditions=Conditions(write_protected=True)) as box:
        shell = ConsoleShell(box.life.console)
        shell.wait(240)
        box.new_panel().wait(240)
        notes = shell.ask("cat /run/leyden-boot/notes.jsonl")
        assert re.search("write|read-only|memory", notes, re.IGNORECASE), notes


@pytest.mark.full
def test_a_file_on_the_boot_partition_resets_everything(fresh: Any, rig: Rig) -> None:
    with fresh() as box:
        key = box.shell.ask("sha256sum /data/leyden/identity/device.key")
        head = box.panel.events(0)[-1]["n"]
        box.shell.ask("echo mine > /data/leyden/config/mine; sync")
        box.cut()
        box.card.put("factory-reset", b"")
        box.card.put("leyden.toml", rig.preseed().text().encode())
        box.machine.on()
        box.wait()
        assert box.card.get("factory-reset") is None
        assert box.shell.run("cat /data/leyden/config/mine").code != 0
        assert box.shell.ask("sha256sum /data/leyden/identity/device.key") != key
        assert box.panel.events(0)[-1]["n"] < head + 100_000
        assert re.search("reset|forgot", _words(box), re.IGNORECASE)
        life = box.reboot()
        assert "data-remade" not in {note["what"] for note in box.notes()}, life.name
