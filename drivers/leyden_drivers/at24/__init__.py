"""24C02 to 24C512: an EEPROM over I2C that holds one record, such as what board it is on."""

from leyden_drivers.at24.driver import AT24, At24Options

DEVICE = AT24
OPTIONS = At24Options

__all__ = ["DEVICE", "OPTIONS"]
