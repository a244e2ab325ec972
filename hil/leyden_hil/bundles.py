"""Updates for the image of a run: good ones, bad ones, and slots that go wrong on purpose.

They are made from the slot that is on the image itself, with the keys of this checkout, by the
builder that makes releases; each once for an image, since making one takes up to half a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from leyden_hil.card import MIB, SLOT_A, Card, tool
from leyden_hil.errors import InfraError
from leyden_image import bundle, variants
from leyden_image.errors import ImageError
from leyden_image.keys import development_keys

NEWER: Final = "99.0.0"  # what the good ones say they are
_ROOM_MB: Final = 192  # of the data partition, beside what is put there


def seeding(*paths: Path) -> Callable[[Card], None]:
    """Return what puts files on the data partition of a fresh card, which grows for them."""
    size_mb = _ROOM_MB + sum(path.stat().st_size for path in paths) // MIB

    def seed(card: Card) -> None:
        card.seed({path.name: path for path in paths}, size_mb)

    return seed


class Bundles:
    """Makes bundles.

    Args:
        image: that the updates are for.
        folder: where they are kept.
    """

    def __init__(self, image: Path, folder: Path) -> None:
        self._image = image
        self._folder = folder

    def variant(self, kind: str, version: str = NEWER) -> Path:
        """Return a signed bundle whose slot behaves in a chosen way, such as "runs"."""
        path = self._folder / f"{kind}-{version}.raucb"
        if not path.exists():
            slot = self._slot()
            with _of_the_rig(path):
                variants.make_variant_bundle(kind, slot, path, version)
        return path

    def bad(self, kind: str) -> Path:
        """Return a bundle that has to be refused, such as "unsigned"."""
        path = self._folder / f"bad-{kind}.raucb"
        if not path.exists():
            slot, own = self._slot(), development_keys()
            with _of_the_rig(path):
                bundle.make_bad_bundle(kind, slot, path, own)
        return path

    def _slot(self) -> Path:
        """Return the image of slot A, taken out of the card's image, as small as it can be."""
        path = self._folder / "slot.ext4"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            span = Card(self._image).span(SLOT_A)
            path.write_bytes(_trimmed(Card(self._image).read(span.offset, span.size)))
            tool(["e2fsck", "-fn", str(path)])
        return path


def _trimmed(slot: bytes) -> bytes:
    """Return a slot without what lies behind its file system."""
    # ext4 super block, at 1024: blocks at +4, log2 of the block size over 1024 at +24.
    blocks = int.from_bytes(slot[1024 + 4 : 1024 + 8], "little")
    size = 1024 << int.from_bytes(slot[1024 + 24 : 1024 + 28], "little")
    return slot[: blocks * size]


@contextmanager
def _of_the_rig(path: Path) -> Iterator[None]:
    """Tell a bundle that could not be made from an appliance that does not take it."""
    try:
        yield
    except ImageError as error:
        raise InfraError(f"{path.name} could not be made: {error}") from error
