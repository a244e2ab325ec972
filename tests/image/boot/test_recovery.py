"""The recovery page: it says what it knows, obeys its own forms only, and writes whole slots."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image.boot.shells import INITRD, LIBRARY, output_of, run_shell

from leyden.appliance.update import environment
from leyden.appliance.update.card import Card
from leyden.appliance.update.slots import SlotFacts, SlotRecord, Trial, encode

TOKEN = bytes(range(16)).hex()  # what a page of this start has given out
PAGES = INITRD / "www" / "cgi-bin"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card of 16 MiB as the page sees it: its disk, and what recovery has written down of it."""
    recovery = tmp_path / "records" / "recovery"
    recovery.mkdir(parents=True)
    (recovery / "settings").write_text(f"CARD='card'\nTOKEN='{TOKEN}'\n")
    (recovery / "slots.txt").write_text('Slot A:\n- <b>"bad"</b> & gone\nSlot B:\n- empty\n')
    disk = tmp_path / "dev" / "card"
    disk.parent.mkdir()
    with disk.open("wb") as file:
        file.truncate(16 << 20)
    return disk


def request(
    shell: str, folder: Path, page: str, form: str = "", method: str = "POST"
) -> tuple[str, str]:
    """Ask for a page as the web server does; return status and body."""
    environment = {"REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(form))}
    answer = output_of(
        shell,
        f". {PAGES}/{page}",
        folder=folder,
        stdin=form.encode(),
        environment=environment,
    )
    head, _, body = answer.partition("\r\n\r\n")
    status = re.match(r"Status: (\d+)", head)
    assert status is not None
    return status[1], body


def test_the_page_shows_findings_as_text_and_a_button_for_each_slot(
    shell: str, tmp_path: Path, card: Path
) -> None:
    status, body = request(shell, tmp_path, "index.cgi", method="GET")
    assert (status, card.exists()) == ("200", True)
    assert "<li>&lt;b&gt;&quot;bad&quot;&lt;/b&gt; &amp; gone" in body
    assert body.count("<h2>Slot ") == 2
    assert "Try slot A again" in body
    assert "Try slot B again" in body
    assert "http:" not in body.replace("http-equiv", "")  # nothing from anywhere else


def test_a_visit_is_remembered(shell: str, tmp_path: Path, card: Path) -> None:
    request(shell, tmp_path, "index.cgi", method="GET")
    assert (card.parents[1] / "records/recovery/seen").read_text().strip().isdigit()


def test_trying_a_slot_writes_the_environment_and_asks_for_a_restart(
    shell: str, tmp_path: Path, card: Path
) -> None:
    status, body = request(shell, tmp_path, "act.cgi", f"token={TOKEN}&act=try&slot=B")
    assert (status, "Slot B is tried now" in body) == ("200", True)
    assert environment.decode(card.read_bytes()[1 << 20 :]).next == "B"
    assert (tmp_path / "records/recovery/restart").exists()


@pytest.mark.parametrize(
    ("form", "method", "status"),
    [
        (f"token={TOKEN[:-1]}0&act=try&slot=B", "POST", "403"),
        ("act=try&slot=B", "POST", "403"),
        (f"token={TOKEN}&act=try&slot=B", "GET", "403"),
        (f"token={TOKEN}&act=try&slot=C", "POST", "400"),
        (f"token={TOKEN}&act=try&slot=$(reboot)", "POST", "400"),
        (f"token={TOKEN}&act=format", "POST", "400"),
        (f"token={TOKEN}&act=write&slot=A&bundle=1", "POST", "400"),
        (f"token={TOKEN}&act=try&slot=B&x=" + "x" * 2000, "POST", "403"),
        ("", "POST", "403"),
    ],
)
def test_whatever_is_no_form_of_the_page_changes_nothing(
    shell: str, tmp_path: Path, card: Path, form: str, method: str, status: str
) -> None:
    assert request(shell, tmp_path, "act.cgi", form, method)[0] == status
    assert card.read_bytes() == bytes(16 << 20)
    assert not (tmp_path / "records/recovery/restart").exists()


# --- bundles

IMAGE = b"a slot" * 1000
MANIFEST = """[update]
compatible={compatible}
version=0.2.0
[bundle]
format=plain
[image.slot]
sha256={sha256}
size=6000
filename=slot.ext4
[meta.leyden]
version=0.2.0
"""


def write_bundle(
    shell: str, tmp_path: Path, compatible: str = "leyden-arm64", sum_of: bytes = IMAGE
) -> tuple[str, Path]:
    """Write a bundle that is mounted already to slot B; return what was said, and the slot."""
    bundle = tmp_path / "records" / "recovery" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "slot.ext4").write_bytes(IMAGE)
    digest = hashlib.sha256(sum_of).hexdigest()
    manifest = MANIFEST.format(compatible=compatible, sha256=digest)
    (bundle / "manifest.raucm").write_text(manifest)
    slot = tmp_path / "dev" / "card3"
    slot.write_bytes(bytes(8192))
    script = 'part() { echo "card$1"; }\nCARD=card\nbundle_write_mounted B'
    files = ("words", "blocks", "card", "slots", "bundles")
    return output_of(shell, script, *files, folder=tmp_path), slot


def test_a_bundle_is_written_read_back_and_tried(shell: str, tmp_path: Path, card: Path) -> None:
    said, slot = write_bundle(shell, tmp_path)
    assert "Slot B is whole" in said
    assert slot.read_bytes().startswith(IMAGE)
    assert environment.decode(card.read_bytes()[1 << 20 :]).order == ("B", "A")
    assert (tmp_path / "records/recovery/restart").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compatible": "toaster"}, 'The bundle is for "toaster"'),
        ({"sum_of": b"another"}, "the bundle is damaged"),
    ],
)
def test_a_bundle_that_is_wrong_is_not_written(
    shell: str, tmp_path: Path, card: Path, changes: dict[str, Any], words: str
) -> None:
    said, slot = write_bundle(shell, tmp_path, **changes)
    assert words in said
    assert slot.read_bytes() == bytes(8192)
    assert card.read_bytes() == bytes(16 << 20)


def test_the_browser_is_answered_while_a_slot_is_still_being_written(
    shell: str, tmp_path: Path, card: Path
) -> None:
    """Whoever reads the answer waits for the last one who holds its pipe."""
    assert card.exists()
    (tmp_path / "records/recovery/bundles").write_text("1\tstick\tx.raucb\t0.2.0\n")
    os.mkfifo(tmp_path / "gate")
    script = "\n".join(
        (
            f". {LIBRARY}/page.sh",
            "bundle_write() { echo begun; read -r word < gate; echo $word; }",
            "write_slot B 1",
        )
    )
    assert "303 See Other" in output_of(shell, script, folder=tmp_path)
    # Both ends of a named pipe meet here: the job is alive, and ends now.
    (tmp_path / "gate").write_text("ended\n")
    job = tmp_path / "records/recovery/job"
    while not job.read_text().endswith("ended\n"):
        os.sched_yield()
    assert job.read_text() == "Slot B is going to be written …\nbegun\nended\n"


# --- what is said of the slots

RECORD = SlotRecord(
    "A",
    Trial("B", "0.2.0", "0.1.0", "tried", 2, "panel", 'the "panel" {x} did not answer'),
    {"A": SlotFacts("0.1.0", 5, "good"), "B": SlotFacts("0.2.0", 6, "bad", "was given up")},
)


def findings(shell: str, tmp_path: Path, why: str) -> list[str]:
    # Nothing can be mounted in this world: neither slot has a partition.
    script = (
        f"mountpoint_of() {{ false; }}\numount() {{ :; }}\nCARD=card WHY='{why}'\nslots_examine"
    )
    files = ("words", "blocks", "card", "slots")
    (tmp_path / "sys").mkdir(exist_ok=True)
    done = run_shell(shell, script, *files, folder=tmp_path)
    assert done.returncode == 0
    return done.stdout.decode().splitlines()


def test_both_slots_are_told_with_every_reason_that_is_known(
    shell: str, tmp_path: Path, card: Path
) -> None:
    last_words = environment.Environment({"slot": "A", "text": "no root"})
    with card.open("r+b") as file:
        file.seek(2 << 20)
        file.write(encode(RECORD, 7))
        file.seek(3 << 20)
        file.write(environment.encode(last_words))
    assert findings(shell, tmp_path, "A:no-tries-left,B:kernel-damaged,") == [
        "Slot A:",
        "- was started as often as allowed and never got healthy",
        "- its file system cannot be mounted: it is empty or damaged",
        "- its last words: no root",
        "Slot B:",
        "- its kernel, /vmlinuz.gz, is damaged",
        "- its file system cannot be mounted: it is empty or damaged",
        "- was given up",
        '- it holds an update on trial, state tried: the "panel" {x} did not answer',
    ]


def test_a_slot_that_is_not_in_the_boot_order_is_said_to_be_left_out(
    shell: str, tmp_path: Path, card: Path
) -> None:
    assert card.exists()
    said = findings(shell, tmp_path, "A:no-tries-left,")
    assert "- was not tried: the boot environment does not name it" in said


def test_linux_and_recovery_have_words_for_every_fault_that_the_boot_script_reports(
    tmp_path: Path,
) -> None:
    script = (INITRD.parent / "boot.cmd").read_text()
    faults = set(re.findall(r"setenv fault ([a-z-]+)", script))
    faults |= {f"{suspect}-damaged" for suspect in re.findall(r"setenv suspect (\w+)", script)}
    in_recovery = (INITRD / "leyden" / "slots.sh").read_text()
    assert len(faults) >= 5
    for fault in faults:
        assert f"$1:{fault}," in in_recovery, fault
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc" / "cmdline").write_text(f"leyden.slot=B leyden.why=A:{fault}, quiet\n")
        assert set(Card(tmp_path).passed_over()) == {"A"}, fault


# --- JSON

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\x7f"),
    max_size=20,
)
keys = st.text("abcdefgh_-", min_size=1, max_size=6)
trees = st.recursive(
    texts | st.integers(-(10**6), 10**6) | st.booleans() | st.none(),
    lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


def flattened(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        joint = "." if path else ""
        return [
            line for name, one in value.items() for line in flattened(one, f"{path}{joint}{name}")
        ]
    if isinstance(value, list):
        return [line for n, one in enumerate(value) for line in flattened(one, f"{path}.{n}")]
    said = value if isinstance(value, str) else json.dumps(value)
    return [f"{path}\t{said}"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=trees)
def test_json_is_flattened_as_python_reads_it(shell: str, tmp_path: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    awk = "busybox awk" if shell.startswith("busybox") else "awk"
    said = output_of(shell, f'{awk} -f "$JSON"', folder=tmp_path, stdin=text)
    assert said.split("\n")[:-1] == flattened(value)


@pytest.mark.parametrize("text", ["", "{", '{"a":', '{"a":"b', '{"a" "b"}', "[1,", '{"a":}'])
def test_broken_json_says_nothing(shell: str, tmp_path: Path, text: str) -> None:
    assert output_of(shell, 'awk -f "$JSON"', folder=tmp_path, stdin=text.encode()) == ""
