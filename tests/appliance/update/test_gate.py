"""The gate: what a healthy start is, and what is not asked of an update."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from appliance.running import eventually
from appliance.update.machine import JumpingClock
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.assemble import Appliance, assemble
from leyden.appliance.backend import RuntimeBackend
from leyden.appliance.plan import DevicePlan, Plan
from leyden.appliance.update.card import Card
from leyden.appliance.update.gate import LIMIT_S, before_now, judge, wait
from leyden.appliance.update.slots import Before
from leyden.appliance.update.vitals import CardVitals, _ipv6_of
from leyden.eventlog.recorder import Recorder
from leyden.kernel import NS, SystemExecutor
from leyden.link.server import LinkServer

BOTH = ("http", "https")


@dataclass
class Patient:
    """Vitals that a test sets."""

    lan: tuple[str, ...] = ("192.0.2.7",)
    shut: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] | str = field(default_factory=lambda: {"air": "online"})
    disk: str = ""
    asked: list[str] = field(default_factory=list)

    def addresses(self) -> tuple[str, ...]:
        return self.lan

    def door(self, door: str, address: str) -> str:
        self.asked.append(f"{door}://{address}")
        return self.shut.get(door, "")

    def devices(self) -> dict[str, str] | str:
        return self.states

    def log(self) -> str:
        return self.disk


def test_a_healthy_appliance_is_asked_on_the_address_that_the_network_knows() -> None:
    patient = Patient()
    assert judge(patient, Before((), BOTH, network=True)).healthy
    assert patient.asked == ["http://192.0.2.7", "https://192.0.2.7"]


def test_without_a_network_the_panel_is_asked_on_loopback() -> None:
    patient = Patient(lan=())
    assert judge(patient, Before((), ("http",))).healthy
    assert patient.asked == ["http://127.0.0.1"]


@pytest.mark.parametrize(
    ("patient", "code", "words"),
    [
        (Patient(lan=()), "network", "has no network address; it had one before the update"),
        (
            Patient(shut={"https": "refused"}),
            "panel",
            "does not answer on https://192.0.2.7: refused",
        ),
        (Patient(states="no runtime"), "runtime", "the runtime does not answer: no runtime"),
        (
            Patient(states={"air": "absent", "soil": "online", "vent": "degraded"}),
            "devices",
            "air is absent, vent is degraded; expected online, as before the update",
        ),
        (
            Patient(states=dict.fromkeys("abcde", "failed")),
            "devices",
            "a is failed, b is failed, c is failed and 2 more; expected online",
        ),
        (Patient(disk="event 7 is not there"), "log", "the event log is not written: event 7"),
    ],
)
def test_what_is_missing_is_named(patient: Patient, code: str, words: str) -> None:
    verdict = judge(patient, Before(("spare",), BOTH, network=True))
    assert (verdict.healthy, verdict.code) == (False, code)
    assert words in verdict.reason


def test_what_did_not_work_before_is_not_asked_for() -> None:
    patient = Patient(lan=(), shut={"https": "no certificate"}, states={"spare": "absent"})
    before = before_now(patient)
    assert before == Before(("spare",), ("http",), network=False)
    assert judge(patient, before).healthy


def test_an_appliance_without_a_panel_is_never_healthy() -> None:
    patient = Patient(shut={"http": "refused", "https": "refused"})
    assert before_now(patient).doors == ("http",)
    assert not judge(patient, before_now(patient)).healthy


states = st.dictionaries(
    st.sampled_from(("air", "soil", "vent")), st.sampled_from(("online", "absent", "failed"))
)


@given(lan=st.booleans(), shut=st.sets(st.just("https")), devices=states)
def test_what_an_appliance_is_now_is_healthy_measured_by_itself(
    lan: bool, shut: set[str], devices: dict[str, str]
) -> None:
    patient = Patient(("192.0.2.7",) if lan else (), dict.fromkeys(shut, "refused"), devices)
    assert judge(patient, before_now(patient)).healthy


def test_a_committed_slot_is_not_asked_about_cables() -> None:
    assert judge(Patient(lan=(), states={"air": "absent"}), None).healthy
    assert not judge(Patient(shut={"http": "refused"}), None).healthy
    assert not judge(Patient(states="no runtime"), None).healthy
    assert not judge(Patient(disk="full"), None).healthy


def test_it_is_looked_at_until_it_is_well() -> None:
    clock, patient = JumpingClock(), Patient(shut={"http": "refused"})

    class Recovering(JumpingClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.uptime() > 30:
                patient.shut.clear()

    clock = Recovering()
    assert wait(patient, None, clock).healthy
    assert 30 < clock.uptime() < 33


def test_the_time_of_day_does_not_matter() -> None:
    class Stepping(JumpingClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.set_wall(self.time_ns() + 10**10 * NS if self.uptime() < 5 else 0)

    clock = Stepping(wall_ns=0)
    verdict = wait(Patient(shut={"http": "refused"}), None, clock)
    assert verdict.reason.endswith("refused (for 180 s)")
    assert LIMIT_S <= clock.uptime() < LIMIT_S + 2


# What is really seen


class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_door_answers_or_says_why_not(tmp_path: Path, port: int) -> None:
    def door(path: str, number: int, kind: str = "http") -> str:
        return CardVitals(Card(tmp_path), {kind: (number, path)}).door(kind, "127.0.0.1")

    assert door("/health", port) == ""
    assert door("/other", port) == "found status 503, expected 200"
    assert "refused" in door("/health", 1)
    assert "SSL" in door("/health", port, "https")


def test_a_certificate_is_not_judged(tmp_path: Path, port: int) -> None:
    # The appliance asks itself; what matters is that TLS works at all.
    from leyden.appliance.update.vitals import _unjudged

    context = _unjudged()
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)


def test_without_a_runtime_devices_and_log_say_so(tmp_path: Path) -> None:
    vitals = CardVitals(Card(tmp_path))
    devices = vitals.devices()
    assert isinstance(devices, str)
    assert "no runtime answers" in devices
    assert "no runtime answers" in vitals.log()


def test_addresses_are_those_of_the_network_not_of_the_machine_itself(tmp_path: Path) -> None:
    found = CardVitals(Card(tmp_path)).addresses()
    assert "127.0.0.1" not in found
    table = tmp_path / "if_inet6"
    table.write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe800000000000005054abfffe123456 02 40 20 80     eth0\n"
        "20010db8000000000000000000000007 02 40 00 80     eth0\n"
    )
    assert _ipv6_of(table, ["eth0"]) == ("2001:db8::7",)
    assert _ipv6_of(tmp_path / "none", ["eth0"]) == ()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Card, Appliance]]:
    """A runtime in this process, with its log on a card and its link open."""
    card, executor = Card(tmp_path), SystemExecutor()
    card.link.parent.mkdir(parents=True)
    device = DevicePlan("host", "host", period_s=0.2)
    plan = Plan("desk", mock=True, devices=(device,))
    appliance = assemble(plan, executor, store=Recorder(card.log, executor))
    backend = RuntimeBackend(appliance, card)
    server = LinkServer(card.link, backend, executor=executor)
    backend.start()
    server.start()
    lane = executor.start_lane("runtime", lambda: appliance.runtime.run() and None)
    yield card, appliance
    appliance.runtime.request_shutdown("the test is over")
    lane.join(10)
    backend.stop()
    server.stop()
    appliance.close()


def test_a_running_appliance_shows_its_devices_and_its_log(
    running: tuple[Card, Appliance],
) -> None:
    card, _ = running
    vitals = CardVitals(card)
    eventually(lambda: vitals.devices() == {"host": "online"}, 10, "the device")
    eventually(lambda: vitals.log() == "", 10, "an event on the card")


def test_a_log_that_is_not_written_is_noticed(running: tuple[Card, Appliance]) -> None:
    card, _ = running
    vitals = CardVitals(card)
    eventually(lambda: vitals.log() == "", 10, "an event on the card")
    card.log.rename(card.log.with_name("moved"))
    assert "of this start is not in" in vitals.log()
