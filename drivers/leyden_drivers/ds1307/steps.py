"""Steps of the tiers that only a clock has: it is set, runs, and runs over the end of a year."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from leyden.kernel import NS
from leyden_drivers.ds1307.driver import DS1307
from leyden_drivers.ds1307.registers import Ds1307Registers

_NEW_YEAR: Final = 1_735_689_598  # 2024-12-31 23:59:58 UTC, a leap year's last day
_MID_JANUARY: Final = 1_705_276_800  # 2024-01-15 00:00:00 UTC
_LEAP_DAY: Final = 1_709_164_799  # 2024-02-28 23:59:59 UTC


def runs_over(clock: DS1307, seconds: int) -> Mapping[str, Any]:
    """Set the clock shortly before something ends; return how it goes on."""
    # From a month of 31 days, for models that take a date before the month that it belongs to.
    clock.set_time(_MID_JANUARY)
    clock.set_time(seconds)
    before, began = clock.read(), clock.clock.monotonic_ns()
    clock.clock.sleep(3.1)
    after = clock.read()
    elapsed = (clock.clock.monotonic_ns() - began) / NS
    return {
        "moved with time": abs(after.time - before.time - elapsed) < 1.0,  # seconds are whole
        "running": after.running,
        "date": clock.port.read_block(Ds1307Registers.date, 3).hex(" "),
    }


STEPS: Final[Mapping[str, Callable[[DS1307], Mapping[str, Any]]]] = {
    "over a new year": lambda clock: runs_over(clock, _NEW_YEAR),
    "over a leap day": lambda clock: runs_over(clock, _LEAP_DAY),
}
