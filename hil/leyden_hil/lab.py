"""The rig in labgrid's words: resources, drivers, and the strategy that brings a target to a state.

A target file names one set of these; tests see protocols only, so the same test runs on an emulated
board and on a real one. Loaded by the `imports` of every target file.
"""

# labgrid has no types: its classes and decorators are taken as they are, here and only here.
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import abc
import enum
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attr
import pexpect
from labgrid import target_factory
from labgrid.driver import Driver
from labgrid.driver.commandmixin import CommandMixin
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.protocol import CommandProtocol, ConsoleProtocol, PowerProtocol, ResetProtocol
from labgrid.resource import Resource
from labgrid.strategy import Strategy, StrategyError

from leyden_hil.board import PORTS, Board, board_of
from leyden_hil.card import Card
from leyden_hil.emulator import Machine
from leyden_hil.errors import InfraError, TargetError
from leyden_hil.panel import Panel
from leyden_hil.shell import Key, Shell
from leyden_hil.starting import Conditions, Starter

LOGIN_S: Final = 240.0  # from power-on until a command can be run, on a full host
APP_S: Final = 120.0  # from there until the panel answers


@target_factory.reg_resource
@attr.s(eq=False)
class EmulatedBoard(Resource):
    """A board that exists as a process.

    Args:
        board: the keys of `leyden_hil.board.Board`.
    """

    board = attr.ib(validator=attr.validators.instance_of(dict))

    def described(self) -> Board:
        """Return the board."""
        return board_of(self.board)


class DoorProtocol(abc.ABC):
    """Something that knows where the appliance's network doors are."""

    @abc.abstractmethod
    def doors(self) -> tuple[str, Mapping[str, int]]:
        """Return the address, and the ports by the names "ssh", "https", "http"."""


class CardProtocol(abc.ABC):
    """Something that a card can be put into."""

    @abc.abstractmethod
    def insert(
        self, card: Card, folder: Path, build: Path, conditions: Conditions | None = None
    ) -> Starter:
        """Put a card in, power off; logs go to `folder`. Return what prepares its starts."""

    @abc.abstractmethod
    def eject(self) -> None:
        """Take the card out, power off."""


@target_factory.reg_driver
@attr.s(eq=False)
class EmulatorDriver(
    ConsoleExpectMixin,
    Driver,
    PowerProtocol,
    ConsoleProtocol,
    ResetProtocol,
    DoorProtocol,
    CardProtocol,
):
    """An emulated board's power, console, card and network."""

    bindings = {"resource": EmulatedBoard}  # noqa: RUF012  # labgrid reads it from the class

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.txdelay = None
        self.txchunk = None
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The machine with its card.

        Raises:
            InfraError: there is no card in it.
        """
        if self._machine is None:
            raise InfraError("no card was put into the emulated board")
        return self._machine

    def insert(
        self, card: Card, folder: Path, build: Path, conditions: Conditions | None = None
    ) -> Starter:
        """Put a card in, power off; logs go to `folder`. Return what prepares its starts."""
        self.eject()
        board = self.resource.described()
        starter = Starter(board, card, folder, build, conditions)
        program = self.target.env.config.get_tool("qemu")
        self._machine = Machine(board, card.path, folder, starter.prepare, program=program)
        return starter

    def eject(self) -> None:
        """Cut the power and take the card out."""
        if self._machine is not None:
            self._machine.close()
            self._machine = None

    def on_deactivate(self) -> None:
        """Leave nothing running."""
        self.eject()

    @Driver.check_active
    def on(self) -> None:
        """Switch on."""
        self.machine.on()

    @Driver.check_active
    def off(self) -> None:
        """Cut the power, if there is a card to be without it."""
        if self._machine is not None:
            self._machine.cut()

    @Driver.check_active
    def cycle(self) -> None:
        """Cut the power and switch on again."""
        self.machine.cut()
        self.machine.on()

    @Driver.check_active
    def reset(self) -> None:
        """Pull the reset line."""
        self.machine.life.monitor.execute("system_reset")

    def doors(self) -> tuple[str, Mapping[str, int]]:
        """Return where the emulator forwards the machine's ports to."""
        return "127.0.0.1", self.machine.ports

    def _read(self, size: int = 1, timeout: float = 10.0, max_size: int | None = None) -> bytes:
        data = self.machine.life.console.read(max_size or 4096, timeout)
        if not data:
            raise pexpect.TIMEOUT(f"nothing on the console for {timeout} s")
        return data

    def _write(self, data: bytes) -> int:
        self.machine.life.console.send(data)
        return len(data)


@target_factory.reg_driver
@attr.s(eq=False)
class NetworkDoorDriver(Driver, DoorProtocol):
    """The network doors of a board on a desk: its own address, the usual ports."""

    bindings = {"service": "NetworkService"}  # noqa: RUF012  # labgrid reads it from the class

    def doors(self) -> tuple[str, Mapping[str, int]]:
        """Return the board's address and ports."""
        return self.service.address, PORTS | {"ssh": self.service.port}


@target_factory.reg_driver
@attr.s(eq=False)
class ApplianceDriver(CommandMixin, Driver, CommandProtocol):
    """The two ways into a running appliance: shell and panel."""

    bindings = {"door": DoorProtocol}  # noqa: RUF012  # labgrid reads it from the class

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.host_name = ""
        self.key: Key | None = None
        self._shell: Shell | None = None

    def expect_name(self, name: str, key: Key) -> None:
        """Say what the appliance calls itself and which key it was given."""
        self.host_name, self.key = name, key

    @property
    def shell(self) -> Shell:
        """A shell as root."""
        if self._shell is None:
            if self.key is None:
                raise InfraError("no key was given to the appliance")
            address, ports = self.door.doors()
            self._shell = Shell(address, ports["ssh"], self.key)
        return self._shell

    def new_panel(self, authority: str | None = None) -> Panel:
        """Return a new client of the panel."""
        address, ports = self.door.doors()
        return Panel(address, ports, self.host_name, authority)

    def forget(self) -> None:
        """Drop connections: the machine is off, or another card is in it."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None

    def on_deactivate(self) -> None:
        """Leave no connection."""
        self.forget()

    def _run(
        self, cmd: str, *, codec: str = "utf-8", decodeerrors: str = "strict", timeout: float = 60.0
    ) -> tuple[list[str], list[str], int]:
        """Run a command, as labgrid's mixin wants it."""
        said = self.shell.run(cmd, limit_s=timeout)
        return said.out.splitlines(), said.err.splitlines(), said.code

    @Driver.check_active
    def run(self, cmd: str, timeout: float = 60.0) -> tuple[list[str], list[str], int]:
        """Run a command, as labgrid's protocol says it."""
        return self._run(cmd, timeout=timeout)

    def get_status(self) -> int:
        """Return 1: it can be tried at any time."""
        return 1


class State(enum.Enum):
    """How far an appliance has come."""

    OFF = "off"  # no power
    BOOT = "boot"  # power
    LOGIN = "login"  # commands can be run
    APP = "app"  # the panel answers


@target_factory.reg_driver
@attr.s(eq=False)
class ApplianceStrategy(Strategy):
    """Brings an appliance to a state; going back is by power only, as for everybody."""

    bindings = {  # noqa: RUF012  # labgrid reads it from the class
        "power": PowerProtocol,
        "console": {ConsoleProtocol, None},  # a bench may have none: its pins are taken
        "appliance": ApplianceDriver,
    }

    status = attr.ib(default=State.OFF)

    def transition(self, status: str | State) -> None:
        """Bring it to a state, through those between."""
        wanted = State(status)
        order = list(State)
        if order.index(wanted) < order.index(self.status) or wanted is State.OFF:
            self._off()
        for state in order[order.index(self.status) + 1 : order.index(wanted) + 1]:
            {State.BOOT: self._boot, State.LOGIN: self._login, State.APP: self._app}[state]()
            self.status = state

    def force(self, status: str | State) -> None:
        """Take it to be in a state, for work by hand."""
        self._activate()
        self.status = State(status)

    def _activate(self) -> None:
        for driver in (self.power, self.appliance):
            self.target.activate(driver)

    def _off(self) -> None:
        self._activate()
        self.appliance.forget()
        self.power.off()
        self.status = State.OFF

    def _boot(self) -> None:
        self._activate()
        self.power.on()

    def _login(self) -> None:
        with self._last_words():
            self.appliance.shell.wait(LOGIN_S)

    def _app(self) -> None:
        with self._last_words():
            self.appliance.new_panel().wait(APP_S)

    @contextmanager
    def _last_words(self) -> Iterator[None]:
        """Add to a complaint what the console said last."""
        try:
            yield
        except TargetError as error:
            raise TargetError(f"{error}; the console said last:\n{self._tail()}") from error

    def _tail(self) -> str:
        if isinstance(self.console, EmulatorDriver):
            return self.console.machine.life.console.tail()
        return "(nobody listened to it)"


__all__ = ["ApplianceDriver", "ApplianceStrategy", "EmulatorDriver", "State", "StrategyError"]
