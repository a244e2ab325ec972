"""What the rig's tests share: the rig of the run, and appliances that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.plugin import file_name, results_folder
from leyden_hil.rig import Rig


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest, target: Any) -> Rig:
    """The target and the image of this run."""
    image = request.config.option.image
    if image is None:
        pytest.exit("no image; run `python -m leyden_hil run TARGET`", returncode=4)
    return Rig(target, image.resolve(), results_folder(request.config).resolve())


@pytest.fixture(scope="module")
def appliance(request: pytest.FixtureRequest, rig: Rig) -> Iterator[Appliance]:
    """An appliance as its owner has it after the first boot; one for all tests of a file."""
    attempt = request.config.option.attempt
    name = f"{file_name(request.module.__name__.rpartition('.')[2])}-{attempt}"
    with rig.appliance(name) as made:
        yield made


@pytest.fixture
def fresh(request: pytest.FixtureRequest, rig: Rig) -> Any:
    """Makes an appliance for this test alone: `with fresh(preseed=…) as appliance:`."""
    made = [0]

    def make(**how: Any) -> Any:
        made[0] += 1
        attempt = request.config.option.attempt
        name = f"{file_name(request.node.name)}-{attempt}-{made[0]}"
        return rig.appliance(name, **how)

    return make
