"""Each test of a shell file runs under every shell that this machine has."""

from __future__ import annotations

import pytest
from image.boot.shells import SHELLS, shell_or_reason


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """A shell the initrd's files have to run under."""
    name: str = request.param
    if reason := shell_or_reason(name):
        pytest.skip(reason)
    return name
