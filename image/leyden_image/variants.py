"""Makes slot images that are another release, or go wrong in one chosen way, for tests of updates.

A variant differs from the slot it is made from in a few files; the root is taken apart and put
together again as a list of definitions (squashfs-tools, "pseudo files"), so nobody has to be root.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from leyden_image.bundle import SLOT_BYTES, about_slot, make_bundle
from leyden_image.errors import ImageError
from leyden_image.initrd import start_sums
from leyden_image.keys import development_keys
from leyden_image.paths import PROJECT
from leyden_image.progress import Progress, bytes_in_words
from leyden_image.slot import make_slot
from leyden_image.tools import run

_PYTHON: Final = "usr/local/lib/python3.13/dist-packages/leyden"
_UNITS: Final = "etc/systemd/system"
_DATA: Final = b"# START OF DATA - DO NOT MODIFY\n"
_LEVEL: Final = "3"  # of zstd: seconds count, a few megabytes do not


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different in a variant: contents by place, None for what is taken out.

    Attributes:
        root: places in the root file system.
        slot: places in the slot itself: vmlinuz.gz, initrd.img.
    """

    root: Mapping[str, bytes | None] = field(default_factory=dict)
    slot: Mapping[str, bytes | None] = field(default_factory=dict)


def _runs(_: Path) -> Changes:
    return Changes()


def _service_runs(unit: str, command: str) -> Callable[[Path], Changes]:
    drop_in = f"[Service]\nExecStart=\nExecStart={command}\n".encode()
    return lambda _: Changes(root={f"{_UNITS}/{unit}.d/99-variant.conf": drop_in})


def _python_broken(_: Path) -> Changes:
    # Compiled files are used unseen; without both nothing of Leyden can be imported.
    kernel = f"{_PYTHON}/kernel"
    return Changes(
        root={
            f"{kernel}/__init__.py": None,
            f"{kernel}/__pycache__/__init__.cpython-313.pyc": None,
        }
    )


def _kernel_panics(_: Path) -> Changes:
    # Without an initrd the kernel has no driver for its root and panics, as kernels do.
    return Changes(slot={"initrd.img": _empty_archive()})


def _kernel_damaged(files: Path) -> Changes:
    kernel = bytearray((files / "vmlinuz.gz").read_bytes())
    kernel[len(kernel) // 2] ^= 0x10
    return Changes(slot={"vmlinuz.gz": bytes(kernel)})


def _empty_archive() -> bytes:
    """Return a cpio archive ("newc") that holds its own end and nothing else."""
    name = b"TRAILER!!!\0"
    fields = [0] * 13
    fields[11] = len(name)
    head = b"070701" + b"".join(b"%08x" % number for number in fields)
    return (head + name).ljust(512, b"\0")


VARIANTS: Final[dict[str, Callable[[Path], Changes]]] = {
    "runs": _runs,
    "runtime-crashes": _service_runs("leyden-runtime.service", "/usr/bin/false"),
    "runtime-hangs": _service_runs("leyden-runtime.service", "/usr/bin/sleep infinity"),
    "panel-crashes": _service_runs("leyden-panel.service", "/usr/bin/false"),
    "python-broken": _python_broken,
    "kernel-panics": _kernel_panics,
    "kernel-damaged": _kernel_damaged,
}


def make_variant(kind: str, slot: Path, target: Path, version: str) -> None:
    """Write a slot image that is like `slot` and behaves in one chosen way.

    Args:
        kind: one of `VARIANTS`; "runs" behaves well and is only another release.
        slot: the image it is made from.
        target: the file to write.
        version: what it says it is.

    Raises:
        ImageError: a tool of the host failed, or there is no such kind.
    """
    if kind not in VARIANTS:
        raise ImageError(f'found no variant "{kind}", expected one of {", ".join(VARIANTS)}')
    epoch = about_slot(slot).epoch
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        files = Path(folder) / "files"
        _unpack_slot(slot, files)
        changes = VARIANTS[kind](files)
        release = _release(files / "slot.json", version)
        for name, content in changes.slot.items():
            _place(files / name, content)
        if "initrd.img" in changes.slot:  # it is meant to be what it is, not to be damaged
            sums = start_sums(files / "vmlinuz.gz", files / "initrd.img")
            (files / "start.sums").write_text(sums)
        (files / "slot.json").write_bytes(release)
        root = {**changes.root, "usr/lib/leyden/release.json": release}
        _repack(files / "root.squashfs", root, epoch)
        names = (path for path in files.rglob("*") if path.is_file())
        make_slot({str(path.relative_to(files)): path for path in names}, target, epoch, SLOT_BYTES)


def make_variant_bundle(kind: str, slot: Path, target: Path, version: str) -> None:
    """Write a bundle, signed with this checkout's keys, that brings a variant.

    Raises:
        ImageError: as `make_variant`.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        variant = Path(folder) / "slot.ext4"
        make_variant(kind, slot, variant, version)
        signer = development_keys().signer
        make_bundle(variant, target, signer, about_slot(variant), fast=True)


def _release(record: Path, version: str) -> bytes:
    told = json.loads(record.read_bytes())
    return (json.dumps({**told, "version": version}, indent=2) + "\n").encode()


def _place(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def _unpack_slot(slot: Path, folder: Path) -> None:
    folder.mkdir()
    run(["debugfs", "-R", f'rdump / "{folder}"', slot])
    if not (folder / "root.squashfs").is_file():
        raise ImageError(f"{slot} holds no root.squashfs; expected a slot image of Leyden")


# The root


def _repack(squashfs: Path, changes: Mapping[str, bytes | None], epoch: int) -> None:
    with tempfile.TemporaryDirectory(dir=squashfs.parent) as folder:
        scratch = Path(folder)
        whole_list, kept_list = scratch / "all", scratch / "kept"
        run(["unsquashfs", "-no-progress", "-pf", whole_list, squashfs])
        known = _copy_definitions(whole_list, kept_list, changes)
        (scratch / "empty").mkdir()
        squashfs.unlink()
        command: list[str | Path] = [
            "nice", "-n", "5", "mksquashfs", scratch / "empty", squashfs, "-noappend",
            "-no-progress", "-quiet", "-no-xattrs", "-comp", "zstd", "-Xcompression-level", _LEVEL,
            "-b", "256K", "-mkfs-time", str(epoch), "-all-time", str(epoch), "-pf", kept_list,
        ]  # fmt: skip
        for definition in _definitions(changes, known, scratch):
            command += ["-p", definition]
        run(command)


def _copy_definitions(source: Path, target: Path, changes: Mapping[str, bytes | None]) -> set[str]:
    """Copy a list of definitions without those that change; return the names that are kept."""
    gone = {name.encode() for name in changes}
    kept: set[str] = set()
    with source.open("rb") as old, target.open("wb") as new:
        for line in old:
            name = line.split(b" ", 1)[0]
            if name in gone:
                continue
            new.write(line)
            if line == _DATA:
                break
            kept.add(name.decode("utf-8", "surrogateescape"))
        shutil.copyfileobj(old, new, 1 << 20)
    return kept


def _definitions(
    changes: Mapping[str, bytes | None], known: set[str], scratch: Path
) -> Iterator[str]:
    for number, (name, content) in enumerate(changes.items()):
        if content is None:
            continue
        for folder in reversed(Path(name).parents[:-1]):
            if str(folder) not in known:
                known.add(str(folder))
                yield f"{folder} d 755 0 0"
        path = scratch / f"content-{number}"
        path.write_bytes(content)
        yield f"{name} f 644 0 0 cat {path}"


# The command line


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `variant` to the builder's commands."""
    words = "make an update that behaves in one chosen way, for tests"
    parser = commands.add_parser("variant", help=words, description=words)
    parser.set_defaults(command=_run)
    parser.add_argument("kind", choices=list(VARIANTS))
    build = PROJECT / "build"
    parser.add_argument("--slot", type=Path, default=build / "slot.ext4", help="the slot image")
    parser.add_argument("--version", required=True, help="what it says it is")
    parser.add_argument("--out", type=Path, required=True, help="the bundle")


def _run(arguments: argparse.Namespace) -> int:
    progress = Progress()
    with progress.step(f"make {arguments.out.name}") as step:
        make_variant_bundle(arguments.kind, arguments.slot, arguments.out, arguments.version)
        step.say(f"{arguments.kind}, {bytes_in_words(arguments.out.stat().st_size)}")
    return 0
