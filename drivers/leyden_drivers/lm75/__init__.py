"""LM75 and its family (LM75A, LM75B, TMP75, TMP105): temperature over I2C."""

from leyden_drivers.lm75.driver import LM75, Lm75Options

DEVICE = LM75
OPTIONS = Lm75Options

__all__ = ["DEVICE", "OPTIONS"]
