"""The bench in labgrid's words: the fault injector as a driver that also switches the Pi's power.

Loaded by the `imports` of `targets/pi-bench.yaml`. NOT YET RUN ON HARDWARE.
"""

# labgrid has no types: its classes and decorators are taken as they are, as in `lab`.
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import time
from typing import Final

import attr
from labgrid import target_factory
from labgrid.driver import Driver
from labgrid.protocol import PowerProtocol
from labgrid.resource import Resource

from leyden_hil.errors import InfraError
from leyden_hil.injector import Injector

_OFF_S: Final = 3.0  # until a Pi's supply has really gone down
_QUIET_S: Final = 3600.0  # a soak test says nothing for long


@target_factory.reg_resource
@attr.s(eq=False)
class InjectorPort(Resource):
    """A fault injector's serial port.

    Args:
        path: `/dev/serial/by-id/…`, which stays the same when it is plugged in again.
    """

    path = attr.ib(validator=attr.validators.instance_of(str))


@target_factory.reg_driver
@attr.s(eq=False)
class InjectorDriver(Driver, PowerProtocol):
    """A fault injector, and the load switch of the Pi that hangs on it."""

    bindings = {"port": InjectorPort}  # noqa: RUF012  # labgrid reads it from the class

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._injector: Injector | None = None

    @property
    def injector(self) -> Injector:
        """The open injector.

        Raises:
            InfraError: the driver is not active.
        """
        if self._injector is None:
            raise InfraError("the injector is not open; activate its driver first")
        return self._injector

    def on_activate(self) -> None:
        """Open it; everything is sound then."""
        self._injector = Injector(self.port.path, quiet_s=_QUIET_S)

    def on_deactivate(self) -> None:
        """Make everything sound and hang up."""
        injector, self._injector = self._injector, None
        if injector is not None:
            injector.close()

    @Driver.check_active
    def on(self) -> None:
        """Switch the Pi on."""
        self.injector.power("pi", on=True)

    @Driver.check_active
    def off(self) -> None:
        """Cut the Pi's power."""
        self.injector.power("pi", on=False)

    @Driver.check_active
    def cycle(self) -> None:
        """Cut the Pi's power and switch it on again."""
        self.off()
        time.sleep(_OFF_S)
        self.on()
