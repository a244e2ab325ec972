"""Unit files as systemd reads them: sections, repeated keys, resets, drop-ins."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
TREE: Final = REPOSITORY / "systemd" / "root"
MASKS: Final = REPOSITORY / "systemd" / "mask.txt"
UNITS: Final = TREE / "usr/lib/systemd/system"
HOST_UNITS: Final = Path("/usr/lib/systemd/system")

# Keys that the card's systemd (257) knows and that of Debian 12 (252) does not, with the version
# that brought them.
NEWER_KEYS: Final = {
    "RestartSteps": 254, "RestartMaxDelaySec": 254,
    "PollLimitIntervalSec": 255, "PollLimitBurst": 255,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit, drop-ins of ours included."""

    name: str
    text: str
    settings: dict[str, tuple[str, ...]]  # "Service.ExecStart" → values, in order, after resets

    def values(self, key: str) -> tuple[str, ...]:
        """Return every value of a key, such as "Unit.After"."""
        return self.settings.get(key, ())

    def words(self, key: str) -> set[str]:
        """Return every word of every value of a key."""
        return {word for value in self.values(key) for word in value.split()}

    def one(self, key: str, default: str = "") -> str:
        """Return the value that counts of a key that has one."""
        return self.values(key)[-1] if self.values(key) else default


def read_unit(path: Path) -> Unit:
    """Return one unit file, or one drop-in as if it were one."""
    text = path.read_text()
    settings: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in _lines(text):
        if line.startswith("["):
            section = line[1:-1]
            continue
        key, _, value = line.partition("=")
        name = f"{section}.{key.strip()}"
        if value.strip():
            settings[name].append(value.strip())
        else:
            settings[name] = []  # an empty value takes back what was said before
    return Unit(path.name, text, {key: tuple(values) for key, values in settings.items()})


def our_units() -> dict[str, Unit]:
    """Return every unit of ours by name."""
    return {path.name: read_unit(path) for path in sorted(UNITS.iterdir()) if path.is_file()}


def drop_ins() -> dict[str, Unit]:
    """Return every drop-in of ours, by the name of the unit that it changes."""
    return {
        path.parent.name.removesuffix(".d"): read_unit(path)
        for path in sorted(UNITS.glob("*.d/*.conf"))
    }


def masked() -> set[str]:
    """Return the units that never run on an appliance."""
    return set(_lines(MASKS.read_text()))


def card_root(folder: Path) -> Path:
    """Make a root to analyse: this machine's own units, ours over them, enabled by our preset.

    What units start is there as an empty program, so that a missing one is found.
    """
    root = folder / "root"
    (root / "usr/lib/systemd").mkdir(parents=True)
    shutil.copytree(HOST_UNITS, root / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(TREE, root, symlinks=True, dirs_exist_ok=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "bin").symlink_to("usr/bin")
    for program in ("usr/bin/python3", "usr/bin/sh", "usr/bin/systemctl"):
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).write_text("#!/bin/true\n")
        (root / program).chmod(0o755)
    subprocess.run(
        ["systemctl", f"--root={root}", "preset-all"], check=True, capture_output=True, timeout=60
    )
    for name in masked():
        mask = root / "etc/systemd/system" / name
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
    return root


def complaints(root: Path, *units: str) -> list[str]:
    """Return what systemd says against these units, less the keys it is too old to know."""
    done = subprocess.run(
        [
            *("systemd-analyze", "verify", f"--root={root}", "--man=no", "--generators=no"),
            *units,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if "leyden" in line and not _is_newer_key(line)]


def _is_newer_key(line: str) -> bool:
    return any(f"Unknown key '{key}'" in line for key in NEWER_KEYS)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(("#", ";")):
            yield line.strip()
