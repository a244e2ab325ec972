"""Fallback: when a machine that cannot reach its Wi-Fi network becomes an access point, and back.

One radio does both, one at a time. So what is wanted is decided here, from what is seen of the
radio and the time that went by; nothing here touches either. The rules:

- without a link for a minute the access point comes up;
- while it is up, the network is looked for every half minute, which disturbs nobody; where the
  radio cannot look while it serves, or the network hides, joining it is tried every minute instead;
- a network that is seen is tried at once, and after a try that failed not before a minute;
- looking that is not answered within a minute counts as a radio that cannot;
- a try, or an attempt to serve, that leads nowhere ends after a fixed time, and the other follows.

So it can neither stay an access point beside a network that is back, nor stay silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

PATIENCE_S: Final = 60.0  # without a link, before the access point comes up
LOOK_S: Final = 30.0
RETRY_S: Final = 60.0
TRY_S: Final = 25.0  # a scan of both bands and a handshake take up to fifteen
START_S: Final = 20.0


class Mode(Enum):
    """What the radio does."""

    ABSENT = "absent"
    STATION = "station"
    ACCESS_POINT = "access point"


class Sight(Enum):
    """What came of looking for the network while serving."""

    UNKNOWN = "unknown"  # nobody has looked, or it is still going on
    SEEN = "seen"
    UNSEEN = "unseen"
    UNABLE = "unable"  # this radio cannot, or the network hides


@dataclass(frozen=True, slots=True)
class Radio:
    """What is seen of the radio."""

    mode: Mode = Mode.ABSENT
    linked: bool = False  # as a station, to a network
    serving: bool = False  # as an access point
    sight: Sight = Sight.UNKNOWN  # since the last time it was asked to look


class Action(Enum):
    """What the radio is to do; each may be asked for again until it is seen to have happened."""

    NONE = "none"
    JOIN = "join"  # be a station and connect by itself
    SERVE = "serve"
    LOOK = "look"


class Phase(Enum):
    """Where the machine stands."""

    SEEKING = "seeking"  # a station without a link
    LINKED = "linked"
    STARTING = "starting"  # on its way to being an access point
    SERVING = "serving"
    TRYING = "trying"  # a station again, for a short time


@dataclass(slots=True)
class Fallback:
    """Decides, one look at the radio at a time.

    Args:
        now_s: monotonic time in seconds, at the beginning.
    """

    now_s: float
    phase: Phase = Phase.SEEKING
    _since: float = 0.0  # when the phase began
    _looked: float = 0.0  # when it was last asked to look
    _answered: float = 0.0  # when it was last known whether the network is there
    _failed: bool = False  # whether the last try did

    def __post_init__(self) -> None:
        """Begin to wait now."""
        self._since = self.now_s

    def step(self, now_s: float, radio: Radio) -> Action:
        """Return what the radio is to do now.

        Args:
            now_s: monotonic time in seconds; never goes back.
            radio: what is seen of it.
        """
        self.now_s = now_s
        if radio.mode is Mode.ABSENT:
            self._enter(Phase.SEEKING)  # whoever comes back has a whole minute again
            return Action.NONE
        if radio.linked:
            self._failed = False
            self._enter(Phase.LINKED)
            return Action.NONE
        return {
            Phase.SEEKING: self._seeking,
            Phase.LINKED: self._unlinked,
            Phase.STARTING: self._starting,
            Phase.SERVING: self._serving,
            Phase.TRYING: self._trying,
        }[self.phase](radio)

    def _enter(self, phase: Phase) -> None:
        if phase is not self.phase or phase is Phase.SEEKING:
            self.phase = phase
            self._since = self.now_s

    def _elapsed(self) -> float:
        return self.now_s - self._since

    def _seeking(self, radio: Radio) -> Action:
        if self._elapsed() >= PATIENCE_S:
            return self._start()
        # After a fall of the radio's daemon it may still be what it was before.
        return Action.JOIN if radio.mode is not Mode.STATION else Action.NONE

    def _unlinked(self, radio: Radio) -> Action:
        self._enter(Phase.SEEKING)
        return self._seeking(radio)

    def _start(self) -> Action:
        self._enter(Phase.STARTING)
        return Action.SERVE

    def _starting(self, radio: Radio) -> Action:
        if radio.serving:
            self._enter(Phase.SERVING)
            self._looked = self._answered = self.now_s
            return Action.NONE
        if self._elapsed() >= START_S:
            self._enter(Phase.SEEKING)  # perhaps this radio cannot: then it keeps trying to join
            return Action.JOIN
        return Action.SERVE

    def _serving(self, radio: Radio) -> Action:
        if not radio.serving:
            return self._start()
        if radio.sight is Sight.UNSEEN:
            self._answered = self.now_s
        patient = self._elapsed() >= RETRY_S
        if radio.sight is Sight.SEEN and (patient or not self._failed):
            return self._try()
        blind = radio.sight is Sight.UNABLE or self.now_s - self._answered >= RETRY_S
        if blind and patient:
            return self._try()
        if self.now_s - self._looked >= LOOK_S:
            self._looked = self.now_s
            return Action.LOOK
        return Action.NONE

    def _try(self) -> Action:
        self._failed = True  # until there is a link
        self._enter(Phase.TRYING)
        return Action.JOIN

    def _trying(self, radio: Radio) -> Action:
        if self._elapsed() >= TRY_S:
            return self._start()
        return Action.JOIN if radio.mode is not Mode.STATION else Action.NONE
