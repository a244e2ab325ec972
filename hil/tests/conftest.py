"""What the rig's tests share: the rig of the run, and the appliance that most of them look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.bundles import Bundles
from leyden_hil.card import digest
from leyden_hil.plugin import file_name, results_folder
from leyden_hil.rig import Rig, Shared


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests first that look at the shared appliance, so that it is booted once."""
    items.sort(key=lambda item: "appliance" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest, target: Any) -> Rig:
    """The target and the image of this run."""
    image = request.config.option.image
    if image is None:
        pytest.exit("no image; run `python -m leyden_hil run TARGET`", returncode=4)
    parts = Path(request.config.option.lg_env).with_suffix(".toml")
    text = parts.read_text(encoding="utf-8") if parts.exists() else ""
    build = request.config.option.build or image.parent
    return Rig(
        target, image.resolve(), build.resolve(), results_folder(request.config).resolve(), text
    )


@pytest.fixture(scope="session")
def shared(rig: Rig) -> Iterator[Shared]:
    """Keeps the appliance that is shared."""
    keeper = Shared(rig)
    yield keeper
    keeper.drop()


@pytest.fixture
def appliance(shared: Shared) -> Appliance:
    """An appliance as its owner has it after the first boot; look, but leave it as it was."""
    return shared.get()


@pytest.fixture(scope="session")
def bundles(rig: Rig) -> Bundles:
    """Updates for the image of this run."""
    folder = rig.folder.parent.parent / "bundles"
    own = folder / digest(rig.image)
    for old in folder.glob("*"):
        if old != own:
            shutil.rmtree(old)
    return Bundles(rig.image, own)


@pytest.fixture
def fresh(request: pytest.FixtureRequest, rig: Rig, shared: Shared) -> Any:
    """Makes an appliance for this test alone: `with fresh(preseed=…) as appliance:`."""
    made = [0]

    def make(**how: Any) -> Any:
        shared.drop()
        made[0] += 1
        attempt = request.config.option.attempt
        name = f"{file_name(request.node.name)}-{attempt}-{made[0]}"
        return rig.appliance(name, **how)

    return make
