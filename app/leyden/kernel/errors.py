"""Errors of the kernel: what can go wrong with a component, a device or a route, one class each."""

from __future__ import annotations

from typing import ClassVar


class LeydenError(Exception):
    """Anything Leyden raises on purpose; its text says what was found, expected and to try."""


class RouteError(LeydenError, ValueError):
    """A route's text or declaration that cannot stand."""


class DuplicateError(LeydenError, ValueError):
    """A name that is taken already."""


class ComponentError(LeydenError, ValueError):
    """A component that is nameless, incomplete or not what it was registered as."""


class BootError(LeydenError):
    """A component kept the appliance from starting; what had started was stopped again."""

    def __init__(self, component: str, cause: BaseException) -> None:
        super().__init__(f"{component} failed at boot: {cause}")
        self.component = component


class CancelledWaitError(LeydenError):
    """A lane was told to end while it waited."""


class DeviceError(LeydenError):
    """A device that did not do what was asked; `reason` is the code shown with its values."""

    reason: ClassVar[str] = "device_error"


class NoDataError(DeviceError):
    """Nothing came back: no answer, a silent line, a bus that does not move."""

    reason = "no_data"


class DeadlineError(NoDataError):
    """The time allowed for one read or write is over."""


class NotReadyError(DeviceError):
    """The device answered that it has nothing new yet; ask again later."""

    reason = "not_ready"


class ChecksumError(DeviceError):
    """The data arrived damaged."""

    reason = "checksum"


class StuckDataError(DeviceError):
    """Every bit is the same: a dead line, not a measurement."""

    reason = "stuck_data"


class WrongDeviceError(DeviceError):
    """Another part answers than the one the configuration names."""

    reason = "wrong_device"


class DeviceResetError(DeviceError):
    """The device forgot its settings: it lost power or was replaced."""

    reason = "device_reset"


class ReportedError(LeydenError):
    """A failure that has its own event already; it only needs counting."""


class FeedbackLoopError(LeydenError):
    """A chain of events that cause each other grew past the limit; the last one was refused."""
