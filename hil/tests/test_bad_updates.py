"""Bundles that may not be installed are refused, each with its reason, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.bundles import Bundles, seeding
from leyden_hil.rig import Rig, Shared
from leyden_image.bundle import BAD

pytestmark = [pytest.mark.full, pytest.mark.lg_feature(["boot-loader", "fast-card"])]

LOOK_S: Final = 300.0
REFUSED: Final = 3  # exit code
TEXT: Final = "a text file"
# What is wrong with a bundle, the code that says so, and words that a person reads.
REASONS: Final = {
    "unsigned": ("unsigned", "carries no signature"),
    "foreign-signer": ("foreign-signer", "does not trust"),
    "wrong-purpose": ("foreign-signer", "not meant for signing code"),
    "expired": ("expired", "had expired when it was signed"),
    "truncated": ("truncated", "cut short"),
    "flipped": ("damaged", "a byte was changed"),
    "wrong-board": ("wrong-board", "does not know this board"),
    "wrong-compatible": ("wrong-compatible", "leyden-arm64"),
    "older": ("older", "--force"),
    "too-far": ("too-far", "install 99.0.0 first"),
    "too-big": ("too-big", "a slot of this card"),
    TEXT: ("not-a-bundle", "is no update"),
}
# What an update may not touch until it is accepted: environment, record, the other slot.
RAW: Final = "dd if=/dev/disk/leyden bs=1M skip=1 count=2 status=none | sha256sum"
SLOT_B: Final = "sha256sum < /dev/disk/by-partuuid/4c45594e-03"


@pytest.fixture(scope="module")
def box(
    request: pytest.FixtureRequest, rig: Rig, shared: Shared, bundles: Bundles
) -> Iterator[Appliance]:
    """An appliance with every bad bundle on its card."""
    shared.drop()
    name = f"bad-updates-{request.config.option.attempt}"
    text = rig.folder / "text.raucb"
    text.write_text("an update, honestly\n")
    paths = [*(bundles.bad(kind) for kind in sorted(BAD)), text, bundles.variant("runs")]
    with rig.appliance(name, change=seeding(*paths), size_mb=4096) as made:
        made.shell.ask("systemctl is-active --quiet --wait leyden-mark-good.service; true")
        yield made


def test_every_kind_of_bad_bundle_is_tried() -> None:
    assert set(BAD) == set(REASONS) - {TEXT}


@pytest.mark.parametrize("kind", sorted(REASONS))
def test_a_bad_bundle_is_refused_with_words(box: Appliance, kind: str) -> None:
    name = "text.raucb" if kind == TEXT else f"bad-{kind}.raucb"
    before = box.shell.ask(RAW)
    said = box.shell.run(f"leyden update install --json /data/{name}", limit_s=LOOK_S)
    assert said.code == REFUSED, said
    told = json.loads(said.out)
    code, words = REASONS[kind]
    assert (told["outcome"], told["code"]) == ("refused", code), told
    assert words in told["reason"]
    system = box.system()
    assert system["staged"] is None
    assert (system["running"], system["committed"]) == ("A", "A")
    assert (system["history"][0]["what"], system["history"][0]["reason"]) == ("refused", code)
    assert box.shell.ask(RAW) == before


def test_a_dry_run_of_a_good_one_changes_nothing(box: Appliance, bundles: Bundles) -> None:
    good: Path = bundles.variant("runs")
    before = box.shell.ask(f"{RAW}; {SLOT_B}", limit_s=LOOK_S)
    newest = box.system()["history"][0]
    command = f"leyden update install --dry-run /data/{good.name}"
    assert "can be installed" in box.shell.ask(command, limit_s=LOOK_S)
    assert box.shell.ask(f"{RAW}; {SLOT_B}", limit_s=LOOK_S) == before
    assert box.system()["history"][0] == newest
