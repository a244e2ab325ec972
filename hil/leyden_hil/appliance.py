"""An appliance under test: its card, its power, its console, and the two ways into it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from leyden_hil.card import Card
from leyden_hil.emulator import Life, Machine
from leyden_hil.errors import TargetError
from leyden_hil.panel import Panel
from leyden_hil.shell import Shell
from leyden_hil.starting import Starter
from leyden_hil.waiting import LOOK_S, until

BOOT_S: Final = 240.0  # from power-on until commands can be run, on a full host
APP_S: Final = 120.0  # from there until the panel answers
LOG: Final = "/data/leyden/log"


class Appliance:
    """One appliance, wherever it runs.

    Args:
        name: what it calls itself on the network, with its domain.
        password: of its panel.
        shell: opens a shell; called once for each boot.
        panel: makes a client of its panel, given the authority's certificate or `None`.
        card: what is in it; `None` on a bench, where cards stay.
        machine: the emulated one; `None` on a bench.
        starter: what prepares its starts; `None` on a bench.
    """

    def __init__(
        self,
        name: str,
        password: str,
        shell: Callable[[], Shell],
        panel: Callable[[str | None], Panel],
        card: Card | None,
        machine: Machine | None,
        starter: Starter | None = None,
    ) -> None:
        self.name = name
        self.password = password
        self._make_panel = panel
        self._new_shell = shell
        self._card = card
        self._machine = machine
        self._starter = starter
        self._panel: Panel | None = None
        self._panels: list[Panel] = []  # all that were made, to be hung up

    # Parts

    @property
    def shell(self) -> Shell:
        """A shell as root."""
        return self._new_shell()

    @property
    def panel(self) -> Panel:
        """A client of the panel that is signed in as its owner."""
        if self._panel is None:
            panel = self.new_panel()
            panel.sign_in(self.password)
            self._panel = panel
        return self._panel

    def new_panel(self, authority: str | None = None) -> Panel:
        """Return a new client of the panel, that nobody has signed in with."""
        self._panels.append(self._make_panel(authority))
        return self._panels[-1]

    @property
    def card(self) -> Card:
        """The card; what is written to it while there is power is not seen by the machine."""
        if self._card is None:
            raise TargetError("the card of a board on a bench is out of reach")
        return self._card

    @property
    def machine(self) -> Machine:
        """The emulated machine."""
        if self._machine is None:
            raise TargetError("this target is no emulated machine")
        return self._machine

    @property
    def starter(self) -> Starter:
        """What prepares the starts of the emulated machine."""
        if self._starter is None:
            raise TargetError("this target is no emulated machine")
        return self._starter

    @property
    def life(self) -> Life:
        """The present boot of the emulated machine."""
        return self.machine.life

    # Power

    def on(self) -> Life:
        """Switch on and wait until the panel answers."""
        life = self.machine.on()
        self.wait()
        return life

    def cut(self) -> None:
        """Cut the power."""
        self.machine.cut()
        self.forget()

    def wait(self) -> None:
        """Wait until commands can be run and the panel answers."""
        self.forget()
        self.shell.wait(BOOT_S)
        self.new_panel().wait(APP_S)

    def reboot(self) -> Life:
        """Ask it to start anew and wait until it is back."""
        number = self.machine.lives
        self.shell.run("systemctl --no-block reboot")
        return self.wait_reboot(number)

    def wait_reboot(self, number: int, limit_s: float = 120.0) -> Life:
        """Wait until the life after life `number` is up.

        Raises:
            TargetError: it does not end, or does not come back.
        """
        life = self.machine.wait_for_life(number + 1, limit_s)
        if life is None:
            raise TargetError(
                f"no reboot within {limit_s:.0f} s; the console's last words:\n"
                f"{self.life.console.tail()}"
            )
        self.wait()
        return life

    def wait_settled(self, lives: int, limit_s: float) -> None:
        """Wait until the slot that runs is the committed one, over as many reboots as that takes.

        Args:
            lives: how many there were when that began.
            limit_s: the longest that it may take, in seconds.

        Raises:
            TargetError: it takes longer.
        """
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            try:
                system = self.system()
            except TargetError:  # on its way down, or up again
                self._come_back(until)
                continue
            if system["running"] == system["committed"] and self.machine.lives >= lives:
                return
            time.sleep(LOOK_S)
        raise TargetError(f"still on trial after {limit_s:.0f} s:\n{self.life.console.tail()}")

    def wait_told(self, what: str, limit_s: float) -> float:
        """Wait until the history of updates says this; return how long it took, in seconds.

        Raises:
            TargetError: it does not.
        """
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            try:
                if any(entry["what"] == what for entry in self.system()["history"]):
                    return time.monotonic() - began
                time.sleep(LOOK_S)
            except TargetError:
                self._come_back(began + limit_s)
        raise TargetError(f"the history does not say {what!r} after {limit_s:.0f} s")

    def _come_back(self, until: float) -> None:
        """Wait for the panel of whatever life is the present one."""
        self.forget()
        self._panel = None
        while time.monotonic() < until:
            if self.new_panel().health() is not None:
                return
            time.sleep(LOOK_S)

    def forget(self) -> None:
        """Drop connections to a boot that is over."""
        self.shell.hang_up()
        for panel in self._panels:
            panel.hang_up()

    # Questions

    def until(self, true: Callable[[], bool], limit_s: float, what: str) -> float:
        """Wait until something is so; return how long it took, in seconds.

        Raises:
            TargetError: it did not become so.
        """
        return until(true, limit_s, what)

    def python(self, source: str, *, limit_s: float = 120.0) -> Any:
        """Run Python on the appliance, in its own interpreter; return the JSON it prints."""
        said = self.shell.ask("/usr/bin/python3 -", limit_s=limit_s, feed=source.encode())
        return json.loads(said)

    def notes(self) -> list[dict[str, str]]:
        """Return what this boot has to say to people: `level`, `what`, `text`."""
        said = self.shell.run("cat /run/leyden-boot/notes.jsonl").out
        return [json.loads(line) for line in said.splitlines()]

    def sampled(self) -> str:
        """Return the route of something that a device samples.

        Raises:
            TargetError: no device samples anything.
        """
        for row in self.panel.data("/api/v1/latest")["latest"]:
            if row["unit"] and not row["route"].startswith(("runtime.", "device.", "service.")):
                return str(row["route"])
        raise TargetError("no device samples anything")

    def system(self) -> dict[str, Any]:
        """Return what the appliance says of its slots, its updates, its release."""
        said: dict[str, Any] = self.panel.data("/api/v1/system")
        return said

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        text = self.shell.ask(f"systemctl show {unit} -p {','.join(names)}")
        return dict(line.split("=", 1) for line in text.splitlines())

    def pid(self, unit: str) -> int:
        """Return the main process of a unit, 0 if there is none."""
        return int(self.show(unit, "MainPID")["MainPID"])

    def guest_began(self) -> float:
        """Return when the machine's own clock was at zero, in monotonic seconds of the host."""
        before = time.monotonic()
        uptime = float(self.shell.ask("cat /proc/uptime").split()[0])
        return (before + time.monotonic()) / 2 - uptime
