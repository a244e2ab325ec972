"""Around an update: the service of each start, the script behind it, and who is told what."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from appliance.update.machine import Contents, Machine

from leyden.appliance import mark_good
from leyden.appliance.assemble import assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.plan import Plan
from leyden.appliance.update.card import Card
from leyden.appliance.update.environment import ENVIRONMENT_BYTES
from leyden.appliance.update.events import ROUTE, UpdateEvents
from leyden.appliance.update.history import FILE, History, read_history
from leyden.appliance.update.slots import NAMES, Entry
from leyden.eventlog.recorder import Recorder
from leyden.kernel import SimulatedExecutor
from leyden.link.protocol import Query, SystemAnswer

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "systemd/root/usr/lib/leyden/trial-failed"
NEW = Contents("0.2.0")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.power_on()
    return made


# The service


def test_the_service_ends_with_words_on_a_laptop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mark_good, "Card", lambda: Card(tmp_path))
    assert mark_good.main() == mark_good.EXIT_NO_CARD
    assert "does not run from a Leyden card" in capsys.readouterr().err


@pytest.mark.parametrize(("does", "code"), [("runs", 0), ("sick", 1)])
def test_the_service_of_a_committed_slot_reports_and_restarts_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, does: str, code: int
) -> None:
    restarts: list[None] = []
    machine.vitals.healthy = does == "runs"
    monkeypatch.setattr(mark_good, "Card", lambda: machine.card)
    monkeypatch.setattr(mark_good, "CardVitals", lambda _: machine.vitals)
    monkeypatch.setattr(mark_good, "SystemClock", lambda: machine.clock)
    monkeypatch.setattr(mark_good, "restart", lambda: restarts.append(None))
    assert mark_good.main() == code
    assert restarts == []


def test_a_systemd_that_will_not_restart_is_forced_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> None:
        asked.append(command)
        if "--force" not in command:
            raise subprocess.TimeoutExpired(command, 60)

    monkeypatch.setattr(subprocess, "run", run)
    mark_good.restart()
    assert asked == [("systemctl", "reboot"), ("systemctl", "reboot", "--force")]
    assert "systemctl reboot: " in capsys.readouterr().err


# The script for a slot whose health check broke


def run_script(machine: Machine) -> subprocess.CompletedProcess[str]:
    if shutil.which("fw_setenv", path="/usr/bin:/usr/sbin:/sbin") is None:
        pytest.skip("fw_setenv is not on this machine: apt install libubootenv-tool")
    config = machine.root / "fw_env.config"
    config.write_text(f"{machine.card.disk} 0x100000 0x2000\n")
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "LEYDEN_DISK": str(machine.card.disk),
        "LEYDEN_CMDLINE": str(machine.root / "proc/cmdline"),
        "LEYDEN_UPDATES": str(machine.card.updates),
        "LEYDEN_FW_CONFIG": str(config),
        "LEYDEN_REBOOT": "echo restarting",
        "MONITOR_UNIT": "leyden-mark-good.service",
        "MONITOR_SERVICE_RESULT": "exit-code",
        "MONITOR_EXIT_STATUS": "1",
    }
    return subprocess.run(
        ["/bin/sh", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )


def test_a_slot_on_trial_whose_check_broke_is_taken_back_with_that_reason(
    machine: Machine,
) -> None:
    machine.install(NEW)
    machine._boot_loader()  # the kernel comes up, Python does not
    done = run_script(machine)
    assert "slot B is on trial and leyden-mark-good.service ended with exit-code" in done.stdout
    assert done.stdout.endswith("restarting\n")
    assert machine.power_on() == "A"
    last = machine.history()[-1]
    assert (last.what, last.slot, last.code) == ("rolled-back", "B", "check")
    assert "leyden-mark-good.service ended with exit-code 1" in last.reason
    assert not (machine.card.updates / "trial-failed").exists()
    assert machine.power_on() == "A"
    assert machine.whats()[-1] == "rolled-back"


def test_a_committed_slot_is_left_alone_by_the_script(machine: Machine) -> None:
    disk = machine.card.disk.read_bytes()
    assert "is not on trial; nothing is taken back" in run_script(machine).stdout
    machine.install(NEW)
    machine.power_on()
    disk = machine.card.disk.read_bytes()
    assert "slot B is not on trial" in run_script(machine).stdout
    assert machine.card.disk.read_bytes() == disk


def test_the_script_reads_the_newer_copy_and_survives_a_damaged_card(machine: Machine) -> None:
    machine.install(NEW)
    machine.start_once()
    with machine.card.disk.open("r+b") as file:
        file.seek(2 << 20)
        first = file.read(4096)
        file.seek(5 << 19)
        second = file.read(4096)
        older = 2 << 20 if first < second else 5 << 19  # counters have equal lengths
        file.seek(older)
        file.write(os.urandom(4096))
    assert "slot B is on trial" in run_script(machine).stdout
    with machine.card.disk.open("r+b") as file:
        for place in (2 << 20, 5 << 19):
            file.seek(place)
            file.write(bytes(4096))
    assert "is not on trial" in run_script(machine).stdout


def test_the_script_is_plain_shell() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not on this machine: apt install shellcheck")
    subprocess.run([shellcheck, SCRIPT], check=True)


# The history


def test_a_torn_last_line_is_written_over(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.add(Entry(1, "committed", reason="erste Zeile"))
    with history.path.open("ab") as file:
        file.write(b'{"n":2,"what":"inst')
    history.add(Entry(2, "installed"))
    history.add(Entry(2, "installed"))
    assert [entry.what for entry in read_history(history.path)] == ["committed", "installed"]
    assert history.path.read_bytes().count(b"\n") == 2


def test_a_long_history_is_cut_down_to_its_newest_half(tmp_path: Path) -> None:
    history = History(tmp_path)
    lines = [msgspec.json.encode(Entry(n, "refused")) + b"\n" for n in range(1, 1001)]
    history.path.write_bytes(b"".join(lines))
    history.add(Entry(1001, "installed"))
    entries = read_history(history.path)
    assert (len(entries), entries[0].n, entries[-1].n) == (501, 501, 1001)


def test_a_data_partition_that_refuses_does_not_keep_a_slot_from_being_committed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.install(NEW)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(History, "add", refuse)
    assert machine.power_on() == "B"
    assert machine.ledger().record.committed == "B"
    assert any("history of updates cannot be written" in words for words in machine.said)


# Who is told


def ask(machine: Machine) -> SystemAnswer:
    executor = SimulatedExecutor()
    try:
        appliance = assemble(Plan("desk", mock=True), executor)
        answer = RuntimeBackend(appliance, machine.card).query(Query(1, "system"))
    finally:
        executor.close()
    assert isinstance(answer, SystemAnswer)
    return answer


def test_a_laptop_answers_that_it_has_no_slots(tmp_path: Path, machine: Machine) -> None:
    machine.card = Card(tmp_path / "laptop")
    answer = ask(machine)
    assert not answer.available
    assert "does not run from a Leyden card" in answer.detail
    assert (answer.release, answer.slots, answer.history) == (None, (), ())


def test_the_question_about_the_system_is_answered_from_public_files(machine: Machine) -> None:
    machine.install(NEW)
    boot = machine.root / "run/leyden-boot"
    boot.mkdir()
    note = {"level": "warning", "what": "data-remade", "text": "the data partition was damaged"}
    (boot / "notes.jsonl").write_text(json.dumps(note) + "\nnonsense\n")
    identity = machine.root / "data/leyden/identity"
    identity.mkdir(parents=True)
    facts = {"ca_sha256": "AB:CD", "not_after": "2036-01-01T00:00:00Z", "names": ["leyden.local"]}
    (identity / "certificate.json").write_text(json.dumps(facts))
    machine.card.disk.unlink()  # the runtime may not read it
    answer = ask(machine)
    assert answer.available
    assert answer.release is not None
    assert (answer.release.version, answer.running, answer.committed) == ("0.1.0", "A", "A")
    assert answer.staged is not None
    assert (answer.staged.slot, answer.staged.version) == ("B", "0.2.0")
    states = {row.name: (row.state, row.version, row.boot) for row in answer.slots}
    assert states == {"A": ("running", "0.1.0", False), "B": ("staged", "0.2.0", True)}
    assert [row.what for row in answer.history] == ["installed", "committed"]
    assert [row.text for row in answer.notes] == ["the data partition was damaged"]
    assert answer.certificate is not None
    assert answer.certificate.fingerprint == "AB:CD"
    assert answer.clock is not None
    assert msgspec.convert(msgspec.to_builtins(answer), SystemAnswer) == answer


@pytest.mark.parametrize(
    ("does", "states"),
    [
        ("runs", {"A": "good", "B": "running"}),
        ("sick", {"A": "running", "B": "bad"}),
    ],
)
def test_what_became_of_an_update_is_seen_in_the_slots(
    machine: Machine, does: str, states: dict[str, str]
) -> None:
    machine.install(Contents("0.2.0", does))
    machine.power_on()
    answer = ask(machine)
    assert {row.name: row.state for row in answer.slots} == states
    assert answer.staged is None


def test_an_empty_slot_is_empty(machine: Machine) -> None:
    assert {row.name: row.state for row in ask(machine).slots} == {"A": "running", "B": "empty"}


def test_each_entry_becomes_one_event_across_restarts_of_the_runtime(
    machine: Machine, tmp_path: Path
) -> None:
    published: list[str] = []
    history, folder = machine.card.updates / FILE, tmp_path / "log"
    folder.mkdir()

    def run_runtime(seconds: float) -> None:
        executor = SimulatedExecutor()
        appliance = assemble(Plan("desk", mock=True), executor)
        appliance.runtime.add_service(UpdateEvents(history, folder))
        appliance.runtime.events.subscribe(
            lambda event: published.append(event.value["what"]), prefix=ROUTE, name="test"
        )
        executor.start_lane("runtime", appliance.runtime.boot)
        executor.run_for(seconds)
        executor.close()

    run_runtime(5)
    assert published == ["committed"]
    machine.install(NEW)
    run_runtime(5)
    assert published == ["committed", "installed"]
    machine.power_on()
    run_runtime(5)
    assert published[2:] == ["trying", "healthy", "trying", "committed"]


def test_a_runtime_on_a_card_follows_the_history(machine: Machine, tmp_path: Path) -> None:
    executor = SimulatedExecutor()
    recorder = Recorder(tmp_path / "log", executor)
    appliance = assemble(Plan("desk", mock=True), executor, store=recorder)
    backend = RuntimeBackend(appliance, machine.card)
    backend.start()
    assert "updates" in {service.name for service in appliance.runtime.services()}
    backend.stop()
    executor.close()


# The files on the card that others read


def test_rauc_and_the_boot_loaders_tools_look_where_we_look() -> None:
    card, root = Card(), ROOT / "systemd/root/etc"
    config = configparser.ConfigParser()
    config.read(root / "rauc/system.conf")
    for number, slot in enumerate(NAMES):
        told = config[f"slot.rootfs.{number}"]
        assert (told["device"], told["bootname"]) == (str(card.slot(slot)), slot)
    assert config["system"]["activate-installed"] == "false"
    assert config["system"]["bundle-formats"] == "plain"
    (line,) = (
        line for line in (root / "fw_env.config").read_text().splitlines() if line[:1] != "#"
    )
    disk, offset, size = line.split()
    assert (disk, int(offset, 0)) == (str(card.disk), card.environment._areas["primary"].offset)
    assert int(size, 0) == ENVIRONMENT_BYTES
