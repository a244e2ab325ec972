"""BME280: temperature, relative humidity and air pressure over I2C (Bosch Sensortec)."""

from leyden_drivers.bme280.driver import BME280, Bme280Options

DEVICE = BME280
OPTIONS = Bme280Options

__all__ = ["DEVICE", "OPTIONS"]
