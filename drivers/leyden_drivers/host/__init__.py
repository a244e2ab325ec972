"""The machine Leyden runs on, as a device: load, processor, temperature, memory, disk, uptime.

`DEVICE` is the driver, `OPTIONS` its options. There is no chip model: the data is real under
`--mock` too, because every machine that runs Leyden has it.
"""

from leyden_drivers.host.driver import Host, HostOptions

DEVICE = Host
OPTIONS = HostOptions

__all__ = ["DEVICE", "OPTIONS"]
