"""Real buses, through Linux's own device files and the libraries people know for them.

`smbus2`, `spidev`, `pyserial` and `gpiod` are imported when a bus is opened, never before, so a
machine needs only those it uses. `LinuxRig` puts guards above them.
"""
