"""Certificate facts: what is known of the device's certificates without opening them.

`certificate.json` beside them is for everybody to read: it holds what the panel shows, and a digest
of the files, so that a look at every boot needs no cryptography.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.card.places import Card
from leyden.kernel import NS

FILE: Final = "certificate.json"
CA_FILE: Final = "leyden-ca.crt"  # on the boot partition
NAMES: Final = ("ca.key", "ca.pem", "leaf.key", "leaf.pem")
LIFE: Final = datetime.timedelta(days=824)  # browsers refuse more than 825 days, counted both ways
BACKDATED: Final = datetime.timedelta(days=30)  # for browsers whose clock is behind this one
RENEWED: Final = LIFE / 3  # what is left when it is time
EARLIEST: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
LATEST: Final = datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
# Where a build does not say when it was made.
_BUILT: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class CertificateFacts(msgspec.Struct, frozen=True):
    """What people ask about the certificates."""

    ca_sha256: str  # as browsers show it: "4A:B3:…"
    leaf_sha256: str
    not_before: datetime.datetime  # of the leaf
    not_after: datetime.datetime
    names: tuple[str, ...]  # host names and addresses that the leaf is for
    digest: str  # of the files

    def expiring(self, now: datetime.datetime) -> str:
        """Return why it is time for another leaf; "" when it is not."""
        if now < self.not_before:
            return f"it begins only on {self.not_before:%Y-%m-%d}"
        if self.not_after - now < RENEWED:
            return f"it ends on {self.not_after:%Y-%m-%d}"
        return ""


@dataclass(frozen=True, slots=True)
class Today:
    """The date by which certificates are made and judged."""

    now: datetime.datetime
    doubt: str = ""  # why the machine's clock was not taken


def today(wall_ns: int, built: datetime.datetime) -> Today:
    """Return the date to go by: the clock's, unless it cannot be right.

    A board without a battery starts with the date of its release, or in 1970, and a bad battery
    makes any date; dates before the release was built and near the end of the authority's life are
    not believed.

    Args:
        wall_ns: what the clock says.
        built: when the release was built.
    """
    try:
        now = datetime.datetime.fromtimestamp(wall_ns / NS, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return Today(built, "the clock says a date that no calendar has")
    if now < built - datetime.timedelta(days=1):
        return Today(built, f"the clock says {now:%Y-%m-%d}, before this release was built")
    if now > LATEST - 2 * LIFE:
        return Today(built, f"the clock says {now:%Y-%m-%d}, which cannot be")
    return Today(now)


def built(card: Card) -> datetime.datetime:
    """Return when the release was built, as far as it says so."""

    class Release(msgspec.Struct):
        epoch: int

    try:
        epoch = msgspec.json.decode(card.release.read_bytes(), type=Release).epoch
        found = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    except (OSError, msgspec.MsgspecError, OverflowError, ValueError):
        return _BUILT
    return found if EARLIEST < found < LATEST - 2 * LIFE else _BUILT


def read_facts(card: Card) -> CertificateFacts | None:
    """Return what is known of the certificates; None where that is nothing."""
    try:
        return msgspec.json.decode((card.identity / FILE).read_bytes(), type=CertificateFacts)
    except (OSError, msgspec.MsgspecError):
        return None


def digest(folder: Path) -> str:
    """Return the digest of keys and certificates as they lie there; "" where one is missing."""
    whole = hashlib.sha256()
    for data in _contents(folder):
        if data is None:
            return ""
        whole.update(len(data).to_bytes(4, "big") + data)
    return whole.hexdigest()


def _contents(folder: Path) -> Iterator[bytes | None]:
    for name in NAMES:
        try:
            yield (folder / name).read_bytes()
        except OSError:
            yield None
