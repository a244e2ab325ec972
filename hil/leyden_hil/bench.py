"""A bench in labgrid's words: the injector that holds the power, a board that has an owner.

NOT YET RUN ON HARDWARE: nobody has built the bench.
"""

# labgrid has no types: its classes and decorators are taken as they are, as in `lab`.
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import attr
from labgrid import target_factory
from labgrid.driver import Driver
from labgrid.protocol import PowerProtocol
from labgrid.resource import Resource

from leyden_hil.errors import InfraError
from leyden_hil.injector import Injector
from leyden_hil.shell import Key

_DARK_S: Final = 3.0  # without power, until the capacitors of board and card are empty


@target_factory.reg_resource
@attr.s(eq=False)
class InjectorPort(Resource):
    """The serial port of the fault injector.

    Args:
        path: "/dev/serial/by-id/usb-MicroPython_…".
    """

    path = attr.ib(validator=attr.validators.instance_of(str))


@target_factory.reg_resource
@attr.s(eq=False)
class OwnedBoard(Resource):
    """A board whose appliance belongs to somebody: the card stays in it.

    Args:
        name: what the appliance calls itself, "bench.local".
        key: path of the private key that its preseed named.
        password: the variable of the environment that holds the panel's password.
    """

    name = attr.ib(validator=attr.validators.instance_of(str))
    key = attr.ib(validator=attr.validators.instance_of(str))
    password = attr.ib(default="LEYDEN_BENCH_PASSWORD")

    def key_pair(self) -> Key:
        """Return the key pair."""
        return Key(Path(self.key).expanduser())

    def secret(self) -> str:
        """Return the panel's password.

        Raises:
            InfraError: the environment does not have it.
        """
        if (found := os.environ.get(self.password)) is None:
            raise InfraError(f"{self.password} is not set; it holds the password of {self.name}")
        return found


@target_factory.reg_driver
@attr.s(eq=False)
class InjectorDriver(Driver, PowerProtocol):
    """The fault injector: power of the board, and faults on its buses."""

    bindings = {"port": InjectorPort}  # noqa: RUF012  # labgrid reads it from the class

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.injector: Injector | None = None

    def on_activate(self) -> None:
        """Open the port."""
        self.injector = Injector(self.port.path)

    def on_deactivate(self) -> None:
        """Make everything sound again and close the port."""
        if self.injector is not None:
            self.injector.close()
            self.injector = None

    @Driver.check_active
    def on(self) -> None:
        """Give the board power."""
        self._power(on=True)

    @Driver.check_active
    def off(self) -> None:
        """Cut the board's power, and let its capacitors run empty."""
        self._power(on=False)
        time.sleep(_DARK_S)

    @Driver.check_active
    def cycle(self) -> None:
        """Cut the power and give it back."""
        self.off()
        self.on()

    def _power(self, *, on: bool) -> None:
        if self.injector is None:
            raise InfraError("the injector's port is not open")
        self.injector.power("pi", on=on)
