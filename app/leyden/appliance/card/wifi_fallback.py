"""Keeps a way in when Wi-Fi is out of reach: `python -m leyden.appliance.card.wifi_fallback`.

An appliance whose network is gone, or whose password has a mistake, offers an access point of its
own, named after the board, and goes on looking for its network. The access point has a password of
its own, made on the first boot: the claim code is shown to whoever stands before an unclaimed
machine and is worthless after the claim, while this one must hold for years and must not open the
panel. It is shown on the console whenever the access point is up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from leyden.appliance.card import consoles, record
from leyden.appliance.card.fallback import Action, Fallback, Phase
from leyden.appliance.card.iwd import Iwd, IwdError
from leyden.appliance.card.naming import own_name
from leyden.appliance.card.notes import Level, Notes
from leyden.appliance.card.places import ACCESS_POINT_ADDRESS, Card
from leyden.appliance.card.programs import card_of
from leyden.appliance.card.record import RecordError, Wifi
from leyden.kernel import NS, Clock, SystemClock

LOOK_S: Final = 2.0  # how often the radio is looked at
CALM_S: Final = 10.0  # the same while there is a link


@dataclass(slots=True)
class Keeper:
    """Sees to the radio.

    Args:
        card: the card.
        notes: where is said what happens.
        wifi: the network to join, and the password of the access point.
        name: what the access point is called.
        iwd: the radio.
        clock: the time.
    """

    card: Card
    notes: Notes
    wifi: Wifi
    name: str
    iwd: Iwd
    clock: Clock
    _fallback: Fallback = field(init=False)
    _phase: Phase = field(init=False, default=Phase.SEEKING)
    _told: bool = field(init=False, default=False)  # how to get in, since the last link

    def __post_init__(self) -> None:
        """Begin to wait for a link now."""
        self._fallback = Fallback(self._now_s())

    def run(self, until: Callable[[], bool]) -> None:
        """See to it again and again."""
        while not until():
            self.step()
            self.clock.sleep(CALM_S if self._phase is Phase.LINKED else LOOK_S)

    def step(self) -> None:
        """Look at the radio and do what follows."""
        action = self._fallback.step(self._now_s(), self.iwd.see())
        try:
            self._do(action)
        except IwdError as error:
            self.notes.add(Level.INFO, "wifi.refused", f"Wi-Fi: {action.value}: {error}")
        self._tell(self._fallback.phase)

    def _do(self, action: Action) -> None:
        if action is Action.JOIN:
            self.iwd.join()
        elif action is Action.SERVE:
            self.iwd.serve(self.name, self.wifi.access_point_password)
        elif action is Action.LOOK:
            self.iwd.look()

    def _tell(self, phase: Phase) -> None:
        before, self._phase = self._phase, phase
        if phase is Phase.LINKED and before is not Phase.LINKED:
            self._told = False
            self.notes.add(Level.INFO, "wifi.linked", f'Wi-Fi "{self.wifi.ssid}" is joined')
        elif phase is Phase.SERVING and not self._told:
            self._told = True  # once, however often it is tried in between
            self._tell_the_way_in()

    def _tell_the_way_in(self) -> None:
        words = (
            f'Wi-Fi "{self.wifi.ssid}" is out of reach or refuses the password; until it is '
            f'back, join "{self.name}" and open https://{ACCESS_POINT_ADDRESS}'
        )
        self.notes.add(Level.WARNING, "wifi.fallback", words, aloud=False)
        # The password is for whoever stands here, and for no journal.
        shown = f"{words}\n  password {self.wifi.access_point_password}\n"
        consoles.show(self.card, f"\nleyden: {shown}")

    def _now_s(self) -> float:
        return self.clock.monotonic_ns() / NS


def main(argv: Sequence[str] | None = None) -> int:
    """Keep a way in until told to stop; return 0."""
    card = card_of(argv, "offer an access point while Wi-Fi is out of reach")
    notes = Notes(card)
    try:
        wifi = record.load(card).wifi
    except RecordError as error:
        notes.add(Level.ERROR, "settings.damaged", str(error))
        return 0
    if not (wifi.complete and wifi.access_point):
        notes.add(Level.INFO, "wifi.no-fallback", "no access point is wanted")
        return 0
    iwd = Iwd(wifi.ssid, wifi.hidden)
    Keeper(card, notes, wifi, own_name(card), iwd, SystemClock()).run(until=lambda: False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
