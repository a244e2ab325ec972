"""Updates: committed after two healthy starts, or taken back with the reason."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.bundles import NEWER, Bundles, seeding
from leyden_hil.errors import TargetError
from leyden_hil.plugin import Measure
from leyden_hil.starting import Conditions
from leyden_hil.web import serving
from leyden_image.variants import VARIANTS

pytestmark = pytest.mark.lg_feature(["boot-loader", "card"])

INSTALL_S: Final = 900.0  # an emulated card takes 2 MB/s
TRIAL_S: Final = 600.0  # a start, the gate, another start
# How a slot goes wrong, the code of the reason, words in it, and how often it is started.
FAILING: Final = {
    "runtime-crashes": ({"runtime", "panel"}, "does not answer", 1),
    "runtime-hangs": ({"runtime", "panel"}, "does not answer", 1),
    "panel-crashes": ({"panel"}, "the panel does not answer", 1),
    "python-broken": ({"check"}, "the health check of slot B itself broke", 1),
    "kernel-panics": ({"kernel"}, "never reached user space in 3 starts", 3),
    "kernel-damaged": ({"loader"}, "could not load slot B", 0),
}
_CUTS: Final = 10


def _card_mb(count: int) -> int:
    return 1024 if count <= 2 else 4096


def _install(box: Appliance, bundle: Path, *options: str) -> str:
    words = " ".join(options)
    return box.shell.ask(f"leyden update install {words} /data/{bundle.name}", limit_s=INSTALL_S)


def _told(box: Appliance, what: str) -> dict[str, Any] | None:
    history = box.system()["history"]
    return next((entry for entry in history if entry["what"] == what), None)


def _assert_refused(box: Appliance, bundle: Path) -> None:
    said = box.shell.run(f"leyden update install /data/{bundle.name}", limit_s=INSTALL_S)
    assert said.code != 0
    assert len(said.err.split()) >= 5, said
    assert box.system()["history"][0]["what"] == "refused"


def _settle(box: Appliance, lives: int, limit_s: float = TRIAL_S) -> None:
    """Wait until no trial is under way any more."""
    box.wait_settled(lives, limit_s)


def _assert_runs(box: Appliance, slot: str) -> None:
    system = box.system()
    assert (system["running"], system["committed"]) == (slot, slot), system
    assert box.new_panel().health() is not None
    failed = box.shell.ask("systemctl --failed --plain --no-legend")
    assert failed == ""


@pytest.mark.lg_feature("fast-card")
def test_an_update_is_committed_after_two_healthy_starts(
    fresh: Any, bundles: Bundles, measure: Measure
) -> None:
    good = bundles.variant("runs")
    with fresh(change=seeding(good), size_mb=_card_mb(1)) as box:
        before = box.system()["release"]["version"]
        began = box.life.elapsed()
        _install(box, good)
        measure("install", box.life.elapsed() - began, "s")
        assert box.system()["staged"]["slot"] == "B"
        assert box.system()["running"] == "A"
        lives = box.machine.lives
        box.reboot()
        assert box.system()["running"] == "B"
        _settle(box, lives)
        measure("starts until committed", box.machine.lives - lives, "", "== 2")
        _assert_runs(box, "B")
        assert box.system()["release"]["version"] == NEWER != before
        entry = _told(box, "committed")
        assert entry is not None
        assert (entry["slot"], entry["version"], entry["from_version"]) == ("B", NEWER, before)
        environment = box.card.environment()
        assert environment is not None
        assert environment["BOOT_ORDER"].split()[0] == "B"
        assert environment["BOOT_B_LEFT"] == "3"


def test_one_that_is_bad_is_refused_and_one_that_panics_is_taken_back(
    fresh: Any, bundles: Bundles, measure: Measure
) -> None:
    bad, panics = bundles.bad("unsigned"), bundles.variant("kernel-panics")
    with fresh(change=seeding(bad, panics), size_mb=_card_mb(2)) as box:
        _assert_refused(box, bad)
        began = box.life.elapsed()
        _install(box, panics)
        measure("install", box.life.elapsed() - began, "s")
        lives = box.machine.lives
        box.shell.leave("systemctl reboot")
        assert box.machine.wait_for_life(lives + 4, 900) is not None, "three tries, then back"
        box.wait()
        box.wait_told("rolled-back", TRIAL_S)
        measure("starts of the slot that panics", box.machine.lives - lives - 1, "", "== 3")
        _assert_runs(box, "A")
        back = _told(box, "rolled-back")
        assert back is not None
        assert (back["slot"], back["reason"]) == ("B", "kernel")
        assert "never reached user space in 3 starts" in back["detail"], back
        assert box.system()["slots"][1]["state"] == "bad"


@pytest.mark.full
@pytest.mark.lg_feature("fast-card")
@pytest.mark.parametrize("kind", sorted(FAILING))
def test_a_slot_that_fails_is_taken_back_with_the_reason(
    fresh: Any, bundles: Bundles, measure: Measure, kind: str
) -> None:
    codes, words, starts = FAILING[kind]
    bundle = bundles.variant(kind)
    with fresh(change=seeding(bundle), size_mb=_card_mb(1)) as box:
        _install(box, bundle)
        lives = box.machine.lives
        box.shell.leave("systemctl reboot")
        took = box.wait_told("rolled-back", 1200)
        measure("reboot to rolled back", took, "s", "<= 900")
        # Its own starts, and the one that came back to slot A.
        measure("starts", box.machine.lives - lives, "", f"== {max(starts, 0) + 1}")
        box.wait()
        _assert_runs(box, "A")
        back = _told(box, "rolled-back")
        assert back is not None
        assert back["slot"] == "B"
        assert back["reason"] in codes, back
        assert words in back["detail"], back


def test_every_way_to_go_wrong_is_tried() -> None:
    assert set(FAILING) == set(VARIANTS) - {"runs"}


@pytest.mark.full
@pytest.mark.lg_feature("fast-card")
def test_an_update_is_fetched_from_a_web_server(fresh: Any, bundles: Bundles) -> None:
    bundle = bundles.variant("runs")
    with serving(bundle.parent) as port, fresh(conditions=Conditions(sees_host=True)) as box:
        address = f"http://10.0.2.2:{port}/{bundle.name}"
        box.shell.ask(f"leyden update install {address}", limit_s=INSTALL_S)
        assert box.system()["staged"]["version"] == NEWER
        said = box.shell.run(f"leyden update install {address}-not", limit_s=INSTALL_S)
        assert said.code == 1
        assert "404" in said.err


@pytest.mark.full
@pytest.mark.lg_feature("fast-card")
def test_a_committed_slot_that_turns_ill_is_reported_and_left_alone(
    fresh: Any, measure: Measure
) -> None:
    with fresh() as box:
        lives = box.machine.lives
        units = "leyden-panel.service leyden-panel.socket leyden-panel-http.socket"
        box.shell.ask(f"systemctl mask --runtime --now {units}")
        box.shell.ask("systemctl restart --no-block leyden-mark-good.service")
        words = "nothing is restarted or taken back"
        took = box.until(
            lambda: words in box.shell.ask("leyden update history --json"), 400, "it is reported"
        )
        measure("until it was reported", took, "s", "<= 300")
        assert box.machine.lives == lives
        box.shell.ask(f"systemctl unmask --runtime {units}; systemctl start {units}")
        box.new_panel().wait(60)


@pytest.mark.full
@pytest.mark.lg_feature("fast-card")
def test_a_power_cut_during_an_update_leaves_a_slot_that_runs(
    fresh: Any, bundles: Bundles, measure: Measure
) -> None:
    """Ten moments from the first word to the last; the update is installed again each time."""
    bundle = bundles.variant("runs")
    chance = random.Random(99)  # noqa: S311  # moments, no secrets
    with fresh(change=seeding(bundle), size_mb=_card_mb(1)) as box:
        began = box.life.elapsed()
        _install(box, bundle, "--dry-run")
        _install(box, bundle)
        whole = box.life.elapsed() - began
        reasons = []
        for number in range(_CUTS):
            running = box.system()["running"]
            box.shell.leave(f"leyden update install --force /data/{bundle.name}")
            moment = whole * (number + chance.random()) / _CUTS
            box.machine.wait_for_end(box.machine.lives, moment)  # nothing ends: time passes
            box.cut()
            lives = box.machine.lives
            box.on()
            _settle(box, lives + 1)
            system = box.system()
            assert system["running"] == system["committed"], (moment, system)
            reasons.append((round(moment, 1), running, system["running"], system["history"][0]))
        measure("power cuts survived", len(reasons), "", f"== {_CUTS}")
        assert all(entry["detail"] or entry["what"] for *_, entry in reasons)


@pytest.mark.full
def test_an_update_in_the_middle_of_a_trial_is_refused_with_words(
    fresh: Any, bundles: Bundles
) -> None:
    bundle = bundles.variant("runs")
    with fresh(change=seeding(bundle), size_mb=_card_mb(1)) as box:
        _install(box, bundle)
        lives = box.machine.lives
        box.reboot()
        with pytest.raises(TargetError, match=r"ended with \d+: \w+ \w+"):
            _install(box, bundle, "--force")
        _settle(box, lives)
        _assert_runs(box, "B")
