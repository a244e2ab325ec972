"""Firmware of the fault injector: a microcontroller that is wrong on purpose.

It sits on the buses of a Raspberry Pi under test and plays the parts there, soundly or not, as the
host tells it over USB. `chip`, `peers`, `protocol` and `core` know nothing of the microcontroller
and run under CPython as well, where they are tested; `board` is the only file that touches pins.
"""

VERSION = "0.1.0"
PROTOCOL = 1  # raised whenever a word or an answer changes its meaning
