"""Bundles that may not be installed are refused, each with its reason, and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.bundles import Bundles, seeding
from leyden_hil.rig import Rig, Shared
from leyden_image.bundle import BAD

pytestmark = [pytest.mark.lg_feature(["boot-loader", "fast-card"])]

LOOK_S = 300.0


@pytest.fixture(scope="module")
def box(
    request: pytest.FixtureRequest, rig: Rig, shared: Shared, bundles: Bundles
) -> Iterator[Appliance]:
    """An appliance with every bad bundle on its card."""
    shared.drop()
    name = f"bad-updates-{request.config.option.attempt}"
    change = seeding(*(bundles.bad(kind) for kind in sorted(BAD)))
    with rig.appliance(name, change=change, size_mb=4096) as made:
        yield made


@pytest.mark.parametrize("kind", sorted(BAD))
def test_a_bad_bundle_is_refused_with_words(box: Appliance, kind: str) -> None:
    said = box.shell.run(f"leyden update install /data/bad-{kind}.raucb", limit_s=LOOK_S)
    words = said.err.strip() or said.out.strip()
    assert said.code != 0, words
    assert len(words.split()) >= 5, words
    assert "Traceback" not in words
    system = box.system()
    assert system["staged"] is None
    assert (system["running"], system["committed"]) == ("A", "A")
    newest = system["history"][0]
    assert newest["what"] == "refused", newest
    assert newest["detail"]
