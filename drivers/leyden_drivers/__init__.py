"""Drivers that come with Leyden, one folder each; the folder's name is the driver's name.

- `bme280`: temperature, relative humidity and air pressure over I2C (Bosch Sensortec).
- `gpio`: switches, counters and relays on GPIO lines.
- `host`: the machine itself.
- `mcp3008`: eight analogue inputs over SPI (Microchip).
- `pms5003`: fine dust over a serial line (Plantower).

A folder exports `DEVICE`, the driver, and `OPTIONS`, what it takes from the configuration; its
`chip.py` exports `CHIP`, the model. Nothing else registers them. `drivers/README.md` shows how to
write one.
"""
