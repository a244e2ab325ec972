"""DS1307, DS1338 and DS3231: battery-backed clocks over I2C (Maxim, now Analog Devices)."""

from leyden_drivers.ds1307.driver import DS1307, Ds1307Options

DEVICE = DS1307
OPTIONS = Ds1307Options

__all__ = ["DEVICE", "OPTIONS"]
