"""GPIO lines as a device: levels with debouncing, counters of edges, outputs held by leases.

`DEVICE` is the driver, `OPTIONS` its options; `chip.CHIP` models what hangs on the lines.
"""

from leyden_drivers.gpio.driver import Gpio
from leyden_drivers.gpio.options import GpioOptions

DEVICE = Gpio
OPTIONS = GpioOptions

__all__ = ["DEVICE", "OPTIONS"]
