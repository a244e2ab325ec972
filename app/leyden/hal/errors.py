"""Errors of the buses: each says what was found on the wire, what was expected and what to try."""

from __future__ import annotations

from leyden.kernel import ComponentError, LeydenError, NoDataError


class BusError(NoDataError):
    """A transfer failed for a reason the bus does not tell more closely (errno EIO)."""


class NoAnswerError(BusError):
    """Nobody acknowledged: no part at this address, or one without power (EREMOTEIO, ENXIO)."""


class BusStuckError(BusError):
    """The bus does not move: a line is held low or a part stretches the clock (ETIMEDOUT)."""


class BusHungError(BusError):
    """An earlier call has not come back from the operating system; nothing else can pass."""


class BusLostError(BusError):
    """The bus itself went away while it was open, such as a USB adapter pulled out."""


class BusMissingError(BusError):
    """There is no such bus on this machine, or it is switched off."""


class PermissionBusError(BusError):
    """This user may not open the bus."""


class InUseError(BusError):
    """Somebody else holds the bus, the address or the line: a kernel driver or another program."""


class MissingLibraryError(BusError):
    """The Python library that speaks to this kind of bus is not installed."""


class AbandonedError(BusError):
    """The caller was given up while its call hung; the bus belongs to somebody else by now."""


class BusTurnError(BusError):
    """Two lanes use one bus at once; each bus belongs to one lane."""


class RegisterError(ComponentError):
    """A register or field that cannot be, or is used against its access or width."""


class MessageError(ComponentError):
    """A transfer that no bus could carry: no messages, an impossible address, a length of zero."""


class WorldError(LeydenError, ValueError):
    """A signal, curve or fault of the modelled world that cannot be."""


__all__ = [
    "AbandonedError",
    "BusError",
    "BusHungError",
    "BusLostError",
    "BusMissingError",
    "BusStuckError",
    "BusTurnError",
    "InUseError",
    "MessageError",
    "MissingLibraryError",
    "NoAnswerError",
    "PermissionBusError",
    "RegisterError",
    "WorldError",
]
