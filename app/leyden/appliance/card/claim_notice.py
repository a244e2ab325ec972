"""Shows how to claim a new appliance: `python -m leyden.appliance.card.claim_notice`.

On every console and in `claim-code.txt` on the boot partition: where the panel is, the code, and
the fingerprint of the certificate authority. It is shown again when the machine gets another
address and at every boot, until somebody has claimed the appliance; then the code is forgotten
everywhere and the program ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from leyden.appliance.card import addresses, claiming, consoles, record
from leyden.appliance.card.boot_partition import BootPartition, BootPartitionError
from leyden.appliance.card.certificate_facts import read_facts
from leyden.appliance.card.naming import hostname_of, own_name
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import Card
from leyden.appliance.card.programs import parser
from leyden.appliance.card.record import RecordError, Settings
from leyden.appliance.card.values import Address
from leyden.kernel import Clock, LeydenError, SystemClock
from leyden.storage.errors import explain

FILE: Final = "claim-code.txt"  # on the boot partition
_LOOK_S: Final = 2.0  # how soon a claim is noticed
_RULE: Final = "-" * 64
_MOST_ADDRESSES: Final = 4

Look = Callable[[], tuple[Address, ...]]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person needs to claim the appliance."""

    name: str
    code: str
    addresses: tuple[Address, ...] = ()
    fingerprint: str = ""
    access_point: tuple[str, str] | None = None  # its name and password

    def __str__(self) -> str:
        """Return it as lines for a console or a file."""
        rows = [("open", f"https://{self.name}.local")]
        rows += [("or", f"https://{_in_url(each)}") for each in self.addresses[:_MOST_ADDRESSES]]
        rows += [("claim code", self.code)]
        if self.fingerprint:
            rows += [("certificate", "SHA-256 of its authority, leyden-ca.crt:")]
            rows += [("", part) for part in _halves(self.fingerprint)]
        if self.access_point is not None:
            name, password = self.access_point
            rows += [("if Wi-Fi fails", f'join "{name}", password {password}')]
        lines = [f"  {label:<15} {text}".rstrip() for label, text in rows]
        return "\n".join([_RULE, f"  Leyden, {self.name}: not claimed yet", *lines, _RULE]) + "\n"


@dataclass(slots=True)
class Announcer:
    """Shows the notice where it is to be seen.

    Args:
        card: the card.
        notes: where is said what fails.
        boot: its boot partition.
        look: returns the machine's addresses.
        clock: dates a code that has to be made anew.
    """

    card: Card
    notes: Notes
    boot: BootPartition
    look: Look = addresses.current
    clock: Clock = field(default_factory=SystemClock)
    _shown: str = ""

    def announce(self) -> bool:
        """Show what is true now, unless it was shown; return whether there is a claim to wait for.

        Once the appliance is claimed the code is forgotten instead.
        """
        if claiming.claimed(self.card):
            self._forget()
            return False
        notice = self._notice()
        if notice is None:
            return True
        text = str(notice)
        if text != self._shown:
            self._shown = text
            consoles.show(self.card, f"\n{text}\n")
            self._keep(notice)
        return True

    def _notice(self) -> Notice | None:
        try:
            code = claiming.ensure_code(self.card, self.clock)
        except OSError as error:
            self._complain(f"there is no claim code: {explain(error)}")
            return None
        except LeydenError as error:
            self._complain(f"there is no claim code: {error}")
            return None
        settings = self._settings()
        facts = read_facts(self.card)
        wifi = settings.wifi
        offered = wifi.complete and wifi.access_point
        return Notice(
            hostname_of(self.card, settings),
            code,
            self._addresses(),
            facts.ca_sha256 if facts is not None else "",
            (own_name(self.card), wifi.access_point_password) if offered else None,
        )

    def _settings(self) -> Settings:
        try:
            return record.load(self.card)
        except RecordError:
            return Settings()  # said by whoever applies them

    def _addresses(self) -> tuple[Address, ...]:
        try:
            return self.look()
        except OSError:
            return ()

    def _keep(self, notice: Notice) -> None:
        """Write the notice to the boot partition, though not only to forget an address there.

        A card that starts without its network would otherwise be written twice at each boot.
        """
        path = self.card.boot / FILE
        known = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if not notice.addresses and notice.code in known and notice.name in known:
            return
        try:
            self.boot.write(FILE, str(notice).replace("\n", "\r\n").encode())
        except BootPartitionError as error:
            words = f"the claim code is on the screen only, not in {FILE}: {error}"
            self.notes.add(Level.WARNING, "claim.no-file", words)

    def _forget(self) -> None:
        try:
            claiming.forget_code(self.card)
            self.boot.remove(FILE)
        except OSError as error:
            self._complain(f"the used claim code stays: {explain(error)}")
        except BootPartitionError as error:
            self._complain(f"the used claim code stays in {FILE}, where it is harmless: {error}")

    def _complain(self, text: str) -> None:
        self.notes.add(Level.WARNING, "claim.trouble", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Show the notice until the appliance is claimed; return 0."""
    arguments = parser("show how to claim the appliance, until somebody has")
    arguments.add_argument("--once", action="store_true", help="show it once and end")
    given = arguments.parse_args(argv)
    card = Card(given.root.resolve())
    announcer = Announcer(card, Notes(card), BootPartition(card))
    if given.once:
        announcer.announce()
        return 0
    with closing(addresses.Watch()) as watch:
        while announcer.announce():
            watch.wait(_LOOK_S)
    return 0


def _in_url(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _halves(fingerprint: str) -> tuple[str, str]:
    middle = len(fingerprint) // 2 + 1
    return fingerprint[:middle], fingerprint[middle:]


if __name__ == "__main__":
    sys.exit(main())
