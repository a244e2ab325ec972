"""The system page's answer says what runs, what became of it, and what everybody has to know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from link.backend import MemoryBackend
from panel import systems
from panel.certificates import Maker
from panel.conftest import Web

from leyden.kernel import ManualClock, Role
from leyden.link.protocol import (
    NoteRow,
    RouteRow,
    StagedRow,
    SystemAnswer,
    UpdateRow,
)
from leyden.link.server import LinkServer
from leyden.panel import system as system_module
from leyden.panel.app import Panel
from leyden.panel.claim import new_code, write_claim
from leyden.panel.passwords import Passwords
from leyden.panel.settings import Settings
from leyden.panel.system import Acknowledged, _of_updates

MARKED = {"X-Leyden": "1"}


@pytest.fixture
def appliance(backend: MemoryBackend) -> MemoryBackend:
    backend.system = systems.WELL
    return backend


def info_of(web: Web, **more: Any) -> dict[str, Any]:
    answer = web.get("/api/v1/system", **more)
    assert answer.status_code == 200
    assert answer.json is not None
    return dict(answer.json)


def texts_of(web: Web, **more: Any) -> list[str]:
    return [each["text"] for each in info_of(web, **more)["notices"]]


def configure(backend: MemoryBackend, value: Any) -> None:
    route = RouteRow("runtime.configuration", "json", "1", "system")
    if route not in backend.routes:
        backend.routes.append(route)
    backend.publish("runtime.configuration", value)


def test_a_laptop_says_that_it_is_none_and_nothing_else(web: Web) -> None:
    found = info_of(web)
    assert found["available"] is False
    assert found["detail"] == "this is no appliance from an image of ours"
    assert found["slots"] == []
    assert found["panel"] == {
        "encrypted": False,
        "problem": "",
        "authority": None,
        "password": False,
    }
    assert found["notices"] == []


def test_what_the_runtime_tells_is_passed_on_whole(web: Web, appliance: MemoryBackend) -> None:
    found = info_of(web)
    told = msgspec.json.decode(msgspec.json.encode(systems.WELL))
    assert {name: found[name] for name in told} == told
    assert found["notices"] == []


@pytest.mark.parametrize("system", [systems.WELL, systems.LAPTOP])
def test_when_all_is_well_no_page_says_more(
    web: Web, backend: MemoryBackend, system: SystemAnswer
) -> None:
    backend.system = system
    assert texts_of(web) == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("intent", "Version 0.2.0 is being written to slot B."),
        ("verified", "Version 0.2.0 is in slot B and will be tried at the next start."),
        ("tried", "Version 0.2.0 is on trial in slot B; if it fails, the former one returns."),
        ("healthy", "Version 0.2.0 is on trial in slot B; one more healthy start and it stays."),
        ("something new", "Version 0.2.0 is in slot B."),
    ],
)
def test_a_trial_is_told_on_every_page_as_long_as_it_lasts(
    web: Web, appliance: MemoryBackend, state: str, words: str
) -> None:
    staged = StagedRow("B", "0.2.0", state)
    appliance.system = msgspec.structs.replace(systems.TRIAL, staged=staged)
    (notice,) = info_of(web)["notices"]
    assert notice == {"id": "trial", "level": "info", "text": words, "lasting": True}


def test_a_rollback_is_told_with_its_reason_until_somebody_has_taken_note(
    web: Web, appliance: MemoryBackend
) -> None:
    appliance.system = systems.ROLLED_BACK
    (notice,) = info_of(web)["notices"]
    assert (notice["level"], notice["lasting"]) == ("warning", False)
    assert notice["text"] == (
        "Version 0.2.0 was given up: the kernel of slot B never reached user space in 3 starts: "
        "panic or hang. Version 0.1.0 runs again."
    )
    body = {"id": notice["id"]}
    assert web.post("/api/v1/system/acknowledge", Role.OPERATOR, json=body).json == {"ok": True}
    assert texts_of(web) == []


def test_the_next_rollback_is_told_again(web: Web, appliance: MemoryBackend) -> None:
    appliance.system = systems.ROLLED_BACK
    web.post("/api/v1/system/acknowledge", Role.OPERATOR, json=_first(web))
    later = UpdateRow("2026-11-19T10:00:00Z", "rolled-back", "B", "0.2.1", "0.1.0", "no answer")
    appliance.system = msgspec.structs.replace(
        systems.ROLLED_BACK, history=(later, *systems.ROLLED_BACK.history)
    )
    assert texts_of(web) == ["Version 0.2.1 was given up: no answer. Version 0.1.0 runs again."]


def test_what_was_committed_since_has_overcome_a_rollback(
    web: Web, appliance: MemoryBackend
) -> None:
    since = UpdateRow("2026-11-19T10:00:00Z", "committed", "B", "0.2.1", "0.1.0")
    appliance.system = msgspec.structs.replace(
        systems.ROLLED_BACK, history=(since, *systems.ROLLED_BACK.history)
    )
    assert texts_of(web) == []


def test_a_rollback_without_words_still_says_that_it_was_one(
    web: Web, appliance: MemoryBackend
) -> None:
    appliance.system = msgspec.structs.replace(
        systems.WELL, history=(UpdateRow(None, "recovered"),)
    )
    assert texts_of(web) == ["Version ? was given up: no reason was written down."]


updates = st.builds(
    UpdateRow,
    time=st.none() | st.text(max_size=8),
    what=st.sampled_from(["installed", "trying", "healthy", "committed", "rolled-back", "failed"]),
    slot=st.sampled_from(["", "A", "B"]),
    version=st.text(max_size=4),
    reason=st.text(max_size=8),
)


@given(st.lists(updates, max_size=6))
def test_at_most_one_update_is_told_and_never_one_that_was_overcome(rows: list[UpdateRow]) -> None:
    told = list(_of_updates(msgspec.structs.replace(systems.WELL, history=tuple(rows))))
    kinds = [row.what for row in rows]
    back = kinds.index("rolled-back") if "rolled-back" in kinds else len(kinds)
    assert len(told) == (back < len(kinds) and "committed" not in kinds[:back])


def test_a_broken_configuration_is_told_with_what_runs_instead(
    web: Web, backend: MemoryBackend
) -> None:
    configure(backend, systems.CONFIGURATION)
    found = info_of(web)
    assert found["configuration"]["state"] == "last-good"
    assert len(found["configuration"]["problems"]) == 2
    assert [each["text"] for each in found["notices"]] == [
        'The configuration cannot be used: appliance.toml: device.air.driver: found "bme28", '
        "expected one of the drivers, and 1 more. The appliance runs on the one before."
    ]
    assert found["notices"][0]["level"] == "error"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a.toml: no file", "The configuration cannot be used: a.toml: no file."),
        ({"state": "nothing", "problem": "all is lost"}, "all is lost. No device is used."),
        ({"state": "default", "problem": "bad."}, "bad. The appliance runs on the one it came"),
    ],
)
def test_a_configuration_problem_may_be_told_in_fewer_words(
    web: Web, backend: MemoryBackend, value: Any, words: str
) -> None:
    configure(backend, value)
    (text,) = texts_of(web)
    assert words in text


@pytest.mark.parametrize(
    "value",
    [
        {"state": "good", "problem": "", "problems": []},
        {"state": "default", "problem": ""},
        {},
        None,
        "",
    ],
)
def test_a_configuration_that_is_right_or_not_there_yet_is_no_problem(
    web: Web, backend: MemoryBackend, value: Any
) -> None:
    configure(backend, value)
    assert info_of(web)["configuration"] is None


def test_what_this_start_lost_is_told_once_a_start(web: Web, appliance: MemoryBackend) -> None:
    appliance.system = msgspec.structs.replace(
        systems.WELL, notes=(NoteRow("error", "data-remade", "what was recorded is gone"),)
    )
    assert texts_of(web) == ["what was recorded is gone"]
    web.post("/api/v1/system/acknowledge", Role.OPERATOR, json=_first(web))
    assert texts_of(web) == []
    appliance.boot = 4
    assert texts_of(web) == ["what was recorded is gone"]


def test_warnings_of_the_start_stay_on_the_system_page(web: Web, appliance: MemoryBackend) -> None:
    notes = (NoteRow("warning", "preseed.wifi", "no country"), NoteRow("info", "grown", "29 GB"))
    appliance.system = msgspec.structs.replace(systems.WELL, notes=notes)
    found = info_of(web)
    assert len(found["notes"]) == 2
    assert found["notices"] == []


def test_the_worst_comes_first(web: Web, appliance: MemoryBackend) -> None:
    appliance.system = msgspec.structs.replace(systems.TROUBLED, staged=systems.TRIAL.staged)
    configure(appliance, systems.CONFIGURATION)
    levels = [each["level"] for each in info_of(web)["notices"]]
    assert levels == ["error", "error", "warning", "info"]


@pytest.mark.parametrize("role", [Role.VIEWER])
def test_who_may_only_watch_takes_no_note_for_others(
    web: Web, appliance: MemoryBackend, role: Role
) -> None:
    appliance.system = systems.ROLLED_BACK
    refused = web.post("/api/v1/system/acknowledge", role, json=_first(web))
    assert refused.status_code == 403
    assert len(texts_of(web)) == 1


def test_a_lasting_notice_goes_only_with_its_cause(web: Web, appliance: MemoryBackend) -> None:
    appliance.system = systems.TRIAL
    web.post("/api/v1/system/acknowledge", Role.ADMIN, json={"id": "trial"})
    assert len(texts_of(web)) == 1


def test_taking_note_needs_our_own_page(web: Web) -> None:
    web.sign_in(Role.ADMIN)
    body = {"id": "x"}
    assert web.browser.post("/api/v1/system/acknowledge", json=body).status_code == 403
    marked = web.browser.post("/api/v1/system/acknowledge", json=body, headers=MARKED)
    assert marked.status_code == 200


def test_what_was_taken_note_of_outlives_the_panel_and_stays_small(tmp_path: Path) -> None:
    acknowledged = Acknowledged(tmp_path)
    for number in range(100):
        acknowledged.add(str(number))
        acknowledged.add(str(number))
    again = Acknowledged(tmp_path)
    assert "99" in again
    assert "36" in again
    assert "35" not in again


def test_a_note_on_a_full_disk_holds_until_the_panel_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(system_module, "write_atomic", full)
    acknowledged = Acknowledged(tmp_path)
    acknowledged.add("x")
    assert "x" in acknowledged
    assert "No space left" in caplog.text


def test_a_damaged_list_of_notes_shows_them_once_more(tmp_path: Path) -> None:
    (tmp_path / "acknowledged.json").write_bytes(b"{")
    assert "x" not in Acknowledged(tmp_path)


def test_while_the_runtime_is_away_the_question_says_so(web: Web, runtime: LinkServer) -> None:
    runtime.stop()
    answer = web.get("/api/v1/system")
    assert answer.status_code == 503


def test_a_runtime_that_does_not_know_the_question_is_told(
    web: Web, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_system", lambda _: 1 / 0)
    assert web.get("/api/v1/system").status_code == 500


# With certificates.


@pytest.fixture
def identity(tmp_path: Path) -> Maker:
    maker = Maker(tmp_path / "identity")
    maker.renew()
    return maker


@pytest.fixture
def card(
    settings: Settings, runtime: LinkServer, clock: ManualClock, identity: Maker
) -> Iterator[Callable[[], Web]]:
    """Starts a panel that is to encrypt."""
    panels: list[Panel] = []

    def start() -> Web:
        places = Settings(settings.socket, settings.auth, 443, (), identity.folder, 443)
        panels.append(Panel(places, clock))
        return Web(panels[-1], settings.auth)

    yield start
    for panel in panels:
        panel.close()


def test_the_authority_and_the_connection_are_told(card: Callable[[], Web]) -> None:
    found = info_of(card(), base_url="https://localhost")["panel"]
    assert found["encrypted"] is True
    assert len(found["authority"].split(":")) == 32
    assert found["problem"] == ""


def test_without_encryption_every_page_says_so_and_why(
    card: Callable[[], Web], identity: Maker, clock: ManualClock, settings: Settings
) -> None:
    (identity.folder / "leaf.key").unlink()
    web = card()
    words = "This connection is not encrypted (there is no leaf.key): whoever is on this network"
    (text,) = texts_of(web)
    assert text.startswith(words)
    assert words in web.browser.get("/sign-in").text
    write_claim(settings.auth, new_code())
    assert words in web.browser.get("/claim").text
    Passwords(settings.auth, clock).replace("correct horse battery")
    assert words in web.browser.get("/sign-in").text


def _first(web: Web) -> dict[str, Any]:
    return {"id": info_of(web)["notices"][0]["id"]}
