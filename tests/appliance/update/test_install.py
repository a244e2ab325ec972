"""Installing: what is refused, what is said, and that nothing but the other slot is touched."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from appliance.update.machine import BOARD, SLOT_BYTES, Contents, Machine

from leyden.appliance.update import fetch
from leyden.appliance.update.card import Card
from leyden.appliance.update.errors import NoCardError, NotNowError, RefusedError, UpdateError
from leyden.appliance.update.ledger import Ledger, opened

NEW = Contents("0.2.0")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.power_on()
    return made


def slot_b(machine: Machine) -> bytes:
    return machine.card.slot("B").read_bytes()


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    disk, history = machine.card.disk.read_bytes(), machine.history()
    outcome = machine.install(NEW, dry=True)
    assert (outcome.outcome, outcome.slot, outcome.from_version) == ("would-install", "B", "0.1.0")
    with pytest.raises(RefusedError):
        machine.install(Contents("0.0.9"), dry=True)
    assert machine.card.disk.read_bytes() == disk
    assert machine.history() == history
    assert slot_b(machine) == bytes(SLOT_BYTES)


@pytest.mark.parametrize(
    ("update", "manifest", "code"),
    [
        (Contents("0.0.9"), {}, "older"),
        (
            NEW,
            {"meta": {"leyden": {"epoch": "1", "boards": "raspberrypi,5-model-b"}}},
            "wrong-board",
        ),
        (NEW, {"update": {"compatible": "other", "version": "0.2.0"}}, "wrong-compatible"),
        (
            NEW,
            {"images": [{"slot-class": "rootfs", "checksum": "0" * 64, "size": SLOT_BYTES + 1}]},
            "too-big",
        ),
        (
            NEW,
            {"meta": {"leyden": {"epoch": "1", "boards": BOARD, "requires": "0.1.5"}}},
            "too-far",
        ),
    ],
)
def test_an_update_that_is_not_for_here_leaves_everything_and_is_in_the_history(
    machine: Machine, update: Contents, manifest: dict[str, object], code: str
) -> None:
    disk = machine.card.disk.read_bytes()
    machine.rauc.manifest = manifest
    with pytest.raises(RefusedError) as caught:
        machine.install(update)
    assert caught.value.code == code
    last = machine.history()[-1]
    assert (last.what, last.code, last.reason) == ("refused", code, caught.value.words)
    assert last.detail == "update.raucb"
    assert machine.card.disk.read_bytes() == disk
    assert slot_b(machine) == bytes(SLOT_BYTES)
    assert machine.power_on() == "A"


def test_an_older_release_is_installed_when_that_is_wanted(machine: Machine) -> None:
    machine.install(Contents("0.0.9"), force=True)
    assert machine.power_on() == "B"
    assert machine.history()[-1].version == "0.0.9"


def test_a_card_that_gives_back_something_else_is_noticed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = machine.rauc.install

    def wear_out(path: Path, on_progress: Callable[[int, str], None]) -> None:
        write(path, on_progress)
        with machine.card.slot("B").open("r+b") as file:
            file.seek(SLOT_BYTES // 2)
            file.write(b"\0")

    monkeypatch.setattr(machine.rauc, "install", wear_out)
    with pytest.raises(UpdateError, match=r"gave back something else.*worn out"):
        machine.install(NEW)
    assert (machine.history()[-1].what, machine.history()[-1].code) == ("failed", "card")
    assert machine.variables().order == ("A",)
    assert machine.ledger().record.trial is None


def test_a_rauc_that_fails_is_told_and_the_slot_is_left_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UpdateError("write", "rauc could not write the slot: no space")

    monkeypatch.setattr(machine.rauc, "install", fail)
    with pytest.raises(UpdateError, match="no space"):
        machine.install(NEW)
    assert machine.history()[-1].reason == "rauc could not write the slot: no space"
    assert machine.ledger().record.facts("B").state == "bad"
    assert machine.power_on() == "A"


def test_what_is_under_way_is_told_step_by_step(machine: Machine) -> None:
    steps: list[tuple[str, float | None]] = []
    bundle = machine.root / "update.raucb"
    bundle.write_bytes(NEW.image())
    installation = machine.installation(lambda *step: steps.append(step))
    installation.run(str(bundle), dry=False, force=False)
    names = list(dict.fromkeys(name for name, _ in steps))
    assert names == ["checking the signature", "writing slot B", "reading slot B back"]
    assert [done for name, done in steps if name == "reading slot B back"][-1] == 1.0


@pytest.mark.parametrize("source", ["/nowhere/update.raucb", "/", "ftp://example.com/x"])
def test_what_is_no_file_is_said(machine: Machine, source: str) -> None:
    with pytest.raises(UpdateError, match=r"is no file; expected the path of a bundle"):
        machine.installation().run(source, dry=False, force=False)


def test_the_trial_is_measured_by_how_the_appliance_was(machine: Machine) -> None:
    machine.install(NEW)
    trial = machine.ledger().record.trial
    assert trial is not None
    assert trial.before.devices_down == ("spare",)
    assert trial.before.doors == ("http", "https")
    assert trial.before.network


def test_two_at_a_time_are_one_too_many(machine: Machine) -> None:
    def ask() -> AbstractContextManager[Ledger]:
        return opened(machine.card, machine.clock, machine.said.append)

    words = r"working on the slots.*0\.1\.0 in slot A"
    with ask(), pytest.raises(NotNowError, match=words), ask():
        raise AssertionError("both have it")
    with ask():
        assert machine.ledger().record.committed == "A"


def test_a_laptop_is_told_that_it_is_none_of_ours(tmp_path: Path, machine: Machine) -> None:
    with pytest.raises(NoCardError, match=r"does not run from a Leyden card: found no .*release"):
        Card(tmp_path / "laptop").release()
    (machine.root / "proc/cmdline").write_text("root=/dev/sda1 leyden.slot=C\n")
    with pytest.raises(NoCardError, match=r"found no leyden\.slot=A or leyden\.slot=B"):
        machine.card.running()


# From a web server


class Server(http.server.ThreadingHTTPServer):
    """Serves one update, well or badly."""

    body = NEW.image()
    told_length = len(NEW.image())


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.startswith("/elsewhere/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/elsewhere/"))
            self.end_headers()
            return
        if self.path != "/update.raucb":
            self.send_error(404)
            return
        self.send_response(200)
        if self.server.told_length:
            self.send_header("Content-Length", str(self.server.told_length))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def address(server: Server, path: str = "update.raucb") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{path}"


@pytest.fixture(autouse=True)
def _little_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SPARED_BYTES", 1)


def install_from(machine: Machine, source: str) -> str:
    return machine.installation().run(source, dry=False, force=False).outcome


@pytest.mark.parametrize("told", [True, False], ids=["with-length", "without-length"])
def test_an_update_is_fetched_and_leaves_nothing_behind(
    machine: Machine, server: Server, told: bool
) -> None:
    server.told_length = len(server.body) if told else 0
    assert install_from(machine, address(server)) == "installed"
    assert [path.name for path in machine.card.updates.iterdir()] == ["history.jsonl"]
    assert machine.power_on() == "B"


def test_a_connection_that_ends_early_is_no_update(machine: Machine, server: Server) -> None:
    server.told_length = 2 * len(server.body)
    with pytest.raises(UpdateError, match=r"after 8192 of 16384 bytes; try again"):
        install_from(machine, address(server))
    assert not (machine.card.updates / "incoming.raucb").exists()


def test_a_server_without_the_update_is_quoted(machine: Machine, server: Server) -> None:
    with pytest.raises(UpdateError, match="the server answered 404 Not Found"):
        install_from(machine, address(server, "other.raucb"))


def test_a_server_may_send_to_another_web_server(machine: Machine, server: Server) -> None:
    there = address(server)
    assert install_from(machine, address(server, f"elsewhere/{there}")) == "installed"


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_a_server_sends_to_nothing_but_web_servers(
    machine: Machine, server: Server, target: str
) -> None:
    with pytest.raises(UpdateError, match="cannot be fetched"):
        install_from(machine, address(server, f"elsewhere/{target}"))


def test_a_server_that_is_not_there_is_named(machine: Machine, server: Server) -> None:
    with pytest.raises(UpdateError, match=r"http://127\.0\.0\.1:1/x cannot be fetched: .*refused"):
        install_from(machine, "http://127.0.0.1:1/x")


@pytest.mark.parametrize("told", [True, False], ids=["with-length", "without-length"])
def test_nothing_larger_than_an_update_is_fetched(
    machine: Machine, server: Server, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "LIMIT_BYTES", 4096)
    server.told_length = len(server.body) if told else 0
    with pytest.raises(UpdateError, match="expected at most 4096"):
        install_from(machine, address(server))


def test_a_full_data_partition_is_said_before_anything_is_fetched(
    machine: Machine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SPARED_BYTES", 1 << 62)
    with pytest.raises(UpdateError, match="too few for this update; lower"):
        install_from(machine, address(server))
