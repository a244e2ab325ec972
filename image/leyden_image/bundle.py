"""Makes signed updates, called bundles, from slot images; also the bad ones that a rig needs.

A bundle in RAUC's plain format is a squashfs image with a manifest and the slot image, a detached
CMS signature (DER) of it, and the signature's length in 8 bytes, big-endian (RAUC manual, "Bundle
formats"). It is put together here and not by `rauc bundle`, since RAUC up to 1.8, which Debian 12
has, drops the manifest's [meta.…] sections. The card checks it with its own RAUC.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cryptography.x509.oid import ExtendedKeyUsageOID

from leyden_image.errors import ImageError
from leyden_image.keys import (
    FOLDER,
    LONG_AGO,
    Keys,
    Signer,
    development_keys,
    make_signer,
)
from leyden_image.paths import IMAGE, PROJECT
from leyden_image.progress import Progress, bytes_in_words
from leyden_image.store import sha256_of, whole
from leyden_image.tools import run

MANIFEST: Final = IMAGE / "bundle" / "manifest.raucm"
SLOT_BYTES: Final = 152 << 20  # of a slot on the card
_ZSTD_LEVEL: Final = "15"


@dataclass(frozen=True, slots=True)
class About:
    """What a bundle says of itself.

    Attributes:
        version: of the release in the slot.
        epoch: when its sources were committed, seconds since 1970.
        commit: of its sources.
        compatible: which appliances it is for.
        boards: `compatible` strings of device trees.
        requires: the oldest version it can be installed from.
    """

    version: str
    epoch: int
    commit: str
    compatible: str
    boards: tuple[str, ...]
    requires: str = "0"  # RAUC takes no empty values


def about_slot(slot: Path) -> About:
    """Return what a slot image says of itself in its slot.json.

    Raises:
        ImageError: it is no slot image.
    """
    text = run(["debugfs", "-R", "cat /slot.json", slot])
    try:
        told: dict[str, Any] = json.loads(text)
        boards = tuple(told["boards"])
        return About(told["version"], told["epoch"], told["commit"], told["compatible"], boards)
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"{slot} is no slot image of Leyden: {error} in its /slot.json; expected what "
            "`python -m leyden_image build` leaves as slot.ext4"
        ) from error


def make_bundle(
    slot: Path, target: Path, signer: Signer, about: About, *, fast: bool = False
) -> None:
    """Write a signed bundle.

    Args:
        slot: the image that is written to a slot.
        target: the file to write.
        signer: who signs.
        about: what it says of itself.
        fast: compress little; what is in a slot is compressed already.

    Raises:
        ImageError: a tool of the host failed.
    """
    with whole(target) as partial:
        _pack(slot, partial, about, fast=fast)
        signature = _sign(partial, signer)
        with partial.open("ab") as file:
            file.write(signature + len(signature).to_bytes(8, "big"))


def _pack(slot: Path, target: Path, about: About, *, fast: bool) -> None:
    compression = ["lz4"] if fast else ["zstd", "-Xcompression-level", _ZSTD_LEVEL]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        content = Path(folder)
        (content / "manifest.raucm").write_text(manifest(slot, about), encoding="utf-8")
        _put(slot, content / "slot.ext4")
        target.unlink()  # mksquashfs appends to what exists
        run(
            [
                "nice", "-n", "5", "mksquashfs", content, target, "-noappend", "-no-progress",
                "-quiet", "-no-xattrs", "-all-root", "-mkfs-time", str(about.epoch), "-all-time",
                str(about.epoch), "-comp", *compression,
            ]
        )  # fmt: skip


def _put(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another disk, or another's file
        shutil.copyfile(source, target)


def manifest(slot: Path, about: About) -> str:
    """Return the manifest of a bundle with this slot image."""
    return MANIFEST.read_text(encoding="utf-8").format(
        compatible=about.compatible,
        version=about.version,
        epoch=about.epoch,
        commit=about.commit,
        boards=" ".join(about.boards),
        requires=about.requires,
        sha256=sha256_of(slot),
        size=slot.stat().st_size,
    )


def _sign(path: Path, signer: Signer) -> bytes:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        signature = Path(folder) / "signature.der"
        run(
            [
                "openssl", "cms", "-sign", "-binary", "-nosmimecap", "-md", "sha256",
                "-in", path, "-signer", signer.certificate, "-inkey", signer.key,
                "-outform", "DER", "-out", signature,
            ]
        )  # fmt: skip
        return signature.read_bytes()


# Bundles that a card has to refuse, one for each reason


def _unsigned(slot: Path, target: Path, _: Keys) -> None:
    with whole(target) as partial:
        _pack(slot, partial, about_slot(slot), fast=True)


def _foreign_signer(slot: Path, target: Path, _: Keys) -> None:
    with tempfile.TemporaryDirectory() as folder:
        foreign = development_keys(Path(folder))
        make_bundle(slot, target, foreign.signer, about_slot(slot), fast=True)


def _expired(slot: Path, target: Path, keys: Keys) -> None:
    with tempfile.TemporaryDirectory() as folder:
        signer = Signer(Path(folder) / "key", Path(folder) / "certificate")
        until = LONG_AGO.replace(year=2001)
        make_signer(keys, signer, "Leyden development, expired", until=until)
        make_bundle(slot, target, signer, about_slot(slot), fast=True)


def _wrong_purpose(slot: Path, target: Path, keys: Keys) -> None:
    with tempfile.TemporaryDirectory() as folder:
        signer = Signer(Path(folder) / "key", Path(folder) / "certificate")
        purpose = ExtendedKeyUsageOID.EMAIL_PROTECTION
        make_signer(keys, signer, "Leyden development, for mail", purpose=purpose)
        make_bundle(slot, target, signer, about_slot(slot), fast=True)


def _truncated(slot: Path, target: Path, keys: Keys) -> None:
    make_bundle(slot, target, keys.signer, about_slot(slot), fast=True)
    with target.open("r+b") as file:
        file.truncate(target.stat().st_size * 2 // 3)


def _flipped(slot: Path, target: Path, keys: Keys) -> None:
    make_bundle(slot, target, keys.signer, about_slot(slot), fast=True)
    middle = target.stat().st_size // 2
    with target.open("r+b") as file:
        file.seek(middle)
        (byte,) = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 0x10]))


def _claiming(**changes: Any) -> Callable[[Path, Path, Keys], None]:
    def make(slot: Path, target: Path, keys: Keys) -> None:
        make_bundle(slot, target, keys.signer, replace(about_slot(slot), **changes), fast=True)

    return make


def _too_big(slot: Path, target: Path, keys: Keys) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        big = Path(folder) / "slot.ext4"
        big.write_bytes(slot.read_bytes())
        with big.open("r+b") as file:
            file.truncate(SLOT_BYTES + 4096)
        make_bundle(big, target, keys.signer, about_slot(slot), fast=True)


BAD: Final[dict[str, Callable[[Path, Path, Keys], None]]] = {
    "unsigned": _unsigned,
    "foreign-signer": _foreign_signer,
    "expired": _expired,
    "wrong-purpose": _wrong_purpose,
    "truncated": _truncated,
    "flipped": _flipped,
    "wrong-board": _claiming(boards=("acme,other-board",)),
    "wrong-compatible": _claiming(compatible="other-arm64"),
    "older": _claiming(version="0.0.1"),
    "too-far": _claiming(version="99.1.0", requires="99.0.0"),
    "too-big": _too_big,
}


def make_bad_bundle(kind: str, slot: Path, target: Path, keys: Keys) -> None:
    """Write a bundle that a card has to refuse; `BAD` names the kinds.

    Raises:
        ImageError: a tool of the host failed, or there is no such kind.
    """
    if kind not in BAD:
        raise ImageError(f'found no bad bundle "{kind}", expected one of {", ".join(BAD)}')
    BAD[kind](slot, target, keys)


# The command line


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `bundle` and `keys` to the builder's commands."""
    words = "make a signed update from a slot image"
    parser = commands.add_parser("bundle", help=words, description=words)
    parser.set_defaults(command=_run)
    build = PROJECT / "build"
    parser.add_argument("--slot", type=Path, default=build / "slot.ext4", help="the slot image")
    parser.add_argument("--out", type=Path, help="the bundle (default: by its version, in build/)")
    parser.add_argument("--version", help="what it claims to be (default: what the slot says)")
    parser.add_argument("--requires", default="0", help="the oldest version it can follow")
    parser.add_argument("--key", type=Path, help="private key, PEM (default: development's)")
    parser.add_argument("--cert", type=Path, help="its certificate, PEM")
    parser.add_argument(
        "--fast", action="store_true", help="compress little: for trying things out"
    )
    parser.add_argument("--bad", choices=list(BAD), help="make one that a card has to refuse")
    words = "make the keys for development, once"
    keys = commands.add_parser("keys", help=words, description=words)
    keys.set_defaults(command=_keys)
    keys.add_argument("--out", type=Path, default=FOLDER, help="folder of the keys")


def _run(arguments: argparse.Namespace) -> int:
    if (arguments.key is None) != (arguments.cert is None):
        raise ImageError("found one of --key and --cert; a signature needs both")
    about = about_slot(arguments.slot)
    about = replace(about, version=arguments.version or about.version, requires=arguments.requires)
    name = f"leyden-{about.version}-arm64{f'-{arguments.bad}' if arguments.bad else ''}.raucb"
    target = arguments.out or PROJECT / "build" / name
    progress = Progress()
    with progress.step(f"make {target.name}") as step:
        if arguments.bad:
            make_bad_bundle(arguments.bad, arguments.slot, target, development_keys())
        else:
            signer = (
                Signer(arguments.key, arguments.cert)
                if arguments.key
                else development_keys().signer
            )
            make_bundle(arguments.slot, target, signer, about, fast=arguments.fast)
        step.say(f"{about.version}, {bytes_in_words(target.stat().st_size)}, {target}")
    return 0


def _keys(arguments: argparse.Namespace) -> int:
    progress = Progress()
    with progress.step("keys for development") as step:
        keys = development_keys(arguments.out)
        step.say(f"{keys.keyring}; never for a release")
    return 0
