"""PMS5003: fine dust, PM1.0, PM2.5 and PM10, over a serial line (Plantower)."""

from leyden_drivers.pms5003.driver import PMS5003, Pms5003Options

DEVICE = PMS5003
OPTIONS = Pms5003Options

__all__ = ["DEVICE", "OPTIONS"]
