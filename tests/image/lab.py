"""What tests of the image builder are made with: small packages, programs, recipes, images."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import textwrap
from pathlib import Path

import pytest

EPOCH = 1_700_000_000
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip a test on a machine that lacks a program; building installs them all."""
    missing = [tool for tool in tools if not shutil.which(tool, path=PATH)]
    return pytest.mark.skipif(
        bool(missing),
        reason=f"no {', '.join(missing)} on this machine; python -m leyden_image host installs it",
    )


def tool(*command: str | Path) -> str:
    """Run a program of this machine and return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": PATH, "TZ": "UTC"},
    )
    return done.stdout


def write(root: Path, files: dict[str, str]) -> Path:
    """Write text files below `root`; return it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content), encoding="utf-8")
    return root


def make_deb(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Make a Debian package that brings `files`."""
    control = (
        f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <n@example.org>\n"
    )
    tree = write(folder / f"{name}.tree", {**files, "DEBIAN/control": f"{control}Description: x\n"})
    target = folder / f"{name}.deb"
    tool("dpkg-deb", "--root-owner-group", "--build", tree, target)
    return target


def make_program(*libraries: str, runpath: str = "") -> bytes:
    """Return the smallest arm64 ELF file that names libraries it needs."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in (*libraries, runpath))
    table, places, at = 64 + 2 * 56, [], 1
    for name in (*libraries, runpath):
        places.append(at)
        at += len(name) + 1
    entries = [(1, place) for place in places[: len(libraries)]]
    entries += [(29, places[-1])] if runpath else []
    dynamic_at = table + len(strings)
    base = 0x10000  # addresses differ from offsets, as in real programs
    dynamic = b"".join(
        struct.pack("<qQ", tag, value) for tag, value in [*entries, (5, base + table), (0, 0)]
    )
    size = dynamic_at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    dyn = struct.pack(
        "<IIQQQQQQ", 2, 6, dynamic_at, base + dynamic_at, 0, len(dynamic), len(dynamic), 8
    )
    return header + load + dyn + strings + dynamic
