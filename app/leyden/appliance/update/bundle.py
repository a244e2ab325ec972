"""What an update says of itself, and why it may not be installed here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from leyden.appliance.update.errors import RefusedError
from leyden.appliance.update.release import Release, order

SLOT_CLASS: Final = "rootfs"


class Bundle(msgspec.Struct, frozen=True):
    """The manifest of a signed update."""

    release: Release
    checksum: str  # SHA-256 of the slot image
    size: int  # of the slot image, bytes
    requires: str = ""  # the oldest version that can be updated with it


class _Image(msgspec.Struct, rename={"slot_class": "slot-class"}):
    slot_class: str
    checksum: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(gt=0)]


class _Update(msgspec.Struct):
    compatible: str
    version: Annotated[str, Meta(min_length=1, max_length=64)]  # has to fit the slot record


class _Leyden(msgspec.Struct):
    """Our own section of the manifest; RAUC hands all values on as text."""

    epoch: str
    boards: str
    commit: str = ""
    requires: str = ""


class _Sections(msgspec.Struct):
    leyden: _Leyden


class _Manifest(msgspec.Struct):
    update: _Update
    images: list[_Image]
    meta: _Sections


def read_manifest(told: dict[str, Any]) -> Bundle:
    """Return what RAUC tells of a bundle's manifest (`rauc info --output-format=json-2`).

    Raises:
        RefusedError: it lacks what an update of Leyden has.
    """
    try:
        manifest = msgspec.convert(told, _Manifest)
        (image,) = (each for each in manifest.images if each.slot_class == SLOT_CLASS)
        ours = manifest.meta.leyden
        release = Release(
            manifest.update.version,
            ours.commit,
            int(ours.epoch),
            manifest.update.compatible,
            tuple(ours.boards.split()),
        )
    except (msgspec.ValidationError, ValueError) as error:
        raise RefusedError(
            "not-a-bundle",
            f"the update is signed, and yet none of Leyden's: {error}; expected one image for "
            f"the slot class {SLOT_CLASS} and a section [meta.leyden]",
        ) from error
    return Bundle(release, image.checksum, image.size, ours.requires)


def refuse_unsuitable(
    bundle: Bundle, running: Release, boards: tuple[str, ...], room: int, *, force: bool
) -> None:
    """Say why a signed update may not be installed on this appliance.

    Args:
        bundle: the update.
        running: the release that runs.
        boards: what the board is compatible with.
        room: bytes in the slot.
        force: whether an older release is wanted.

    Raises:
        RefusedError: with the first reason.
    """
    for code, words in _objections(bundle, running, boards, room):
        if not (force and code == "older"):
            raise RefusedError(code, words)


def _objections(
    bundle: Bundle, running: Release, boards: tuple[str, ...], room: int
) -> Iterator[tuple[str, str]]:
    new = bundle.release
    if new.compatible != running.compatible:
        words = (
            f'the update is made for "{new.compatible}", this appliance is '
            f'"{running.compatible}"; use the update that was made for it'
        )
        yield "wrong-compatible", words
    if not set(boards) & set(new.boards):
        yield "wrong-board", _unknown_board(new, boards)
    if bundle.size > room:
        words = (
            f"the update's slot image has {bundle.size} bytes and a slot of this card {room}; "
            "flash the card anew with an image of that release"
        )
        yield "too-big", words
    if bundle.requires and order(running.version) < order(bundle.requires):
        words = (
            f"the update {new.version} needs at least {bundle.requires} to be installed from, "
            f"this appliance runs {running.version}; install {bundle.requires} first"
        )
        yield "too-far", words
    if new.older_than(running):
        words = (
            f"the update is {_named(new, running)}, older than the {_named(running, new)} that "
            "runs; to go back all the same: --force"
        )
        yield "older", words


def _unknown_board(new: Release, boards: tuple[str, ...]) -> str:
    here = boards[0] if boards else "a board that does not say what it is"
    known = ", ".join(new.boards) or "none at all"
    return (
        f"the update does not know this board: found {here}, expected one of {known}; "
        "use a release that supports it"
    )


def _named(release: Release, beside: Release) -> str:
    # Two builds of one version differ in the date of their sources alone.
    if release.version == beside.version:
        return f"{release.version} of {release.epoch}"
    return release.version
