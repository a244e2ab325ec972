"""Register map of the BME280, a humidity, pressure and temperature sensor from Bosch Sensortec.

Facts only, from the data sheet BST-BME280-DS002 revision 1.6 (September 2018), section 5.3,
table 18, and sections 5.4.1 to 5.4.9. Left out: calib33 to calib41 (0xE8 to 0xF0), which hold
nothing a user needs.
"""

from __future__ import annotations

from enum import IntEnum

from leyden.hal.registers import Register


class Mode(IntEnum):
    """Section 5.4.5, table 25; 0b10 means forced as well and is never written."""

    SLEEP = 0b00
    FORCED = 0b01
    NORMAL = 0b11


class Oversampling(IntEnum):
    """Sections 5.4.3 and 5.4.5, tables 20, 23 and 24; 0b110 and 0b111 mean ×16 as well."""

    SKIPPED = 0b000
    X1 = 0b001
    X2 = 0b010
    X4 = 0b011
    X8 = 0b100
    X16 = 0b101


class Filter(IntEnum):
    """Section 5.4.6, table 28: coefficient of the filter on pressure and temperature."""

    OFF = 0b000
    C2 = 0b001
    C4 = 0b010
    C8 = 0b011
    C16 = 0b100


class Standby(IntEnum):
    """Section 5.4.6, table 27: pause between two measurements in normal mode."""

    MS_0_5 = 0b000
    MS_62_5 = 0b001
    MS_125 = 0b010
    MS_250 = 0b011
    MS_500 = 0b100
    MS_1000 = 0b101
    MS_10 = 0b110
    MS_20 = 0b111


class Bme280Registers:
    """Addresses, reset values and fields. No behaviour lives here."""

    calib00 = Register(0x88, width=8, access="ro")  # first of 26, see compensation.py
    id = Register(0xD0, reset=0x60, access="ro")
    reset = Register(0xE0, access="wo")  # 0xB6 does what power-on does; reads as 0x00
    calib26 = Register(0xE1, width=8, access="ro")  # first of the humidity words
    ctrl_hum = Register(0xF2)  # takes effect with the next write to ctrl_meas
    status = Register(0xF3, access="ro")
    ctrl_meas = Register(0xF4)
    config = Register(0xF5)  # writes in normal mode may be ignored
    press = Register(0xF7, width=24, reset=0x800000, access="ro")  # 20 bits, left aligned
    temp = Register(0xFA, width=24, reset=0x800000, access="ro")  # 20 bits, left aligned
    hum = Register(0xFD, width=16, reset=0x8000, access="ro")

    osrs_h = ctrl_hum.choice(2, 0, Oversampling)
    measuring = status.flag(3)
    im_update = status.flag(0)  # trimming words are being copied from their memory
    osrs_t = ctrl_meas.choice(7, 5, Oversampling)
    osrs_p = ctrl_meas.choice(4, 2, Oversampling)
    mode = ctrl_meas.choice(1, 0, Mode)
    t_sb = config.choice(7, 5, Standby)
    filter = config.choice(4, 2, Filter)
    spi3w_en = config.flag(0)
    press_code = press.bits(23, 4)
    temp_code = temp.bits(23, 4)
