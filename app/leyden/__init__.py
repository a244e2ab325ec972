"""Leyden: turns a Raspberry Pi into a hardware appliance; also a library for your own.

Runtime     one appliance: its components, its event stream, its way up and down
Device      the hardware boundary, as a driver's author writes it
Reading     all channels of a device at one moment
Span        unit, range and step of a channel
Channel     one named value of a device
Doubt       why one value of a reading is less than good
Process     reacts to events, in a lane of its own
Service     does something at a fixed rate
Interface   a process that faces people or networks
Context     what a component may reach
Route       the typed identity of one stream of values
Event       one value on one route at one moment
Intent      something asked of the runtime
Clock       monotonic time for order, wall time for people
"""

from leyden.kernel import (
    Channel,
    Clock,
    Context,
    Device,
    Doubt,
    Event,
    Intent,
    Interface,
    Process,
    Reading,
    Route,
    Runtime,
    Service,
    Span,
)

__all__ = [
    "Channel",
    "Clock",
    "Context",
    "Device",
    "Doubt",
    "Event",
    "Intent",
    "Interface",
    "Process",
    "Reading",
    "Route",
    "Runtime",
    "Service",
    "Span",
]
