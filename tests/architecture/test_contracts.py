"""Each import contract, kept by the code and seen to break when it is broken on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# contract (a piece of its name) → a module, and the import that must not stand in it
BREAKS = {
    "layers": ("app/leyden/kernel/clock.py", "import leyden.hal.errors"),
    "link | panel": ("app/leyden/link/client.py", "import leyden.panel.auth"),
    "nothing of the runtime": ("app/leyden/panel/auth.py", "import leyden.kernel.runtime"),
    "only the panel loads Flask": ("app/leyden/link/server.py", "import flask"),
    "pydantic stays at the door": ("app/leyden/hal/options.py", "import pydantic"),
    "the app never names a chip": ("app/leyden/appliance/drivers.py", "import leyden_drivers.host"),
    "a driver knows": ("drivers/leyden_drivers/host/driver.py", "import leyden.eventlog.schema"),
    "drivers are strangers": (
        "drivers/leyden_drivers/host/driver.py",
        "import leyden_drivers.gpio.driver",
    ),
    "mock buses stay off": ("app/leyden/flow/graph.py", "import leyden.hal.mock.world"),
    "front door": ("app/leyden/flow/graph.py", "import leyden.kernel.sampler"),
    "nobody but tests": ("app/leyden/appliance/plan.py", "import leyden.testing"),
    "standard library and msgspec": ("app/leyden/kernel/state.py", "import simple_websocket"),
}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}/app:{root}/drivers", "COLUMNS": "250"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    skip = shutil.ignore_patterns("__pycache__", "static", "node_modules")
    for part in ("app/leyden", "drivers/leyden_drivers"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_kernels_door_covers_every_room_behind_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (door,) = [each for each in contracts if each["type"] == "protected"]
    rooms = {path.stem for path in (ROOT / "app/leyden/kernel").glob("*.py")} - {"__init__"}
    assert {name.rpartition(".")[2] for name in door["protected_modules"]} == rooms


def test_every_contract_is_kept() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("contract", BREAKS)
def test_each_contract_breaks_when_it_is_broken(copy: Path, contract: str) -> None:
    place, line = BREAKS[contract]
    file = copy / place
    file.write_text(file.read_text() + f"\n{line}\n")
    result = lint(copy)
    assert result.returncode != 0
    broken = [row for row in result.stdout.splitlines() if " BROKEN" in row]
    assert any(contract in row for row in broken), result.stdout
