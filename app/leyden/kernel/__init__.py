"""The kernel: records, time, lanes, components and the runtime that holds them together.

This is the front door; other packages import from here only. It loads the standard library and
msgspec, nothing else.
"""

from leyden.kernel.attachment import Attachment, DeviceStatus, Fault, IfAbsent, Placement
from leyden.kernel.clock import NS, Clock, ManualClock, SystemClock, WallState, iso
from leyden.kernel.context import Context
from leyden.kernel.device import (
    Channel,
    Device,
    DeviceState,
    Direction,
    Doubt,
    Reading,
    Span,
    TableReading,
    Transport,
    channels_of,
)
from leyden.kernel.errors import (
    BootError,
    CancelledWaitError,
    ChecksumError,
    ComponentError,
    DeadlineError,
    DeviceError,
    DeviceResetError,
    DuplicateError,
    FeedbackLoopError,
    LeydenError,
    NoDataError,
    NotReadyError,
    ReportedError,
    RouteError,
    StuckDataError,
    WrongDeviceError,
)
from leyden.kernel.event import (
    BAD,
    GOOD,
    UNCERTAIN,
    Event,
    FrozenDict,
    Quality,
    Record,
    RouteInfo,
    Scan,
    Value,
    freeze,
    last_number,
)
from leyden.kernel.executor import Executor, Lane, Signal, SimulatedExecutor, SystemExecutor
from leyden.kernel.intent import Answer, Intent, Outcome, Role
from leyden.kernel.interface import Interface
from leyden.kernel.notify import Notifier
from leyden.kernel.parent import die_with_parent
from leyden.kernel.process import Process
from leyden.kernel.route import (
    RESERVED,
    Layer,
    Origin,
    Plane,
    Route,
    Schema,
    Variant,
    parse_text,
)
from leyden.kernel.runtime import Runtime
from leyden.kernel.service import NEVER, Restart, Service, ServiceState
from leyden.kernel.signals import asked_by_signals
from leyden.kernel.state import Entry, State, StateError
from leyden.kernel.store import Gap, MemoryStore, Page, Store
from leyden.kernel.stream import EventStream, Publisher
from leyden.kernel.subscription import Delivery, Overflow, Subscription
from leyden.kernel.supervisor import CRITICAL_EXIT, ServiceStatus
from leyden.kernel.timing import Timing, TimingFigures

__all__ = [
    "BAD",
    "CRITICAL_EXIT",
    "GOOD",
    "NEVER",
    "NS",
    "RESERVED",
    "UNCERTAIN",
    "Answer",
    "Attachment",
    "BootError",
    "CancelledWaitError",
    "Channel",
    "ChecksumError",
    "Clock",
    "ComponentError",
    "Context",
    "DeadlineError",
    "Delivery",
    "Device",
    "DeviceError",
    "DeviceResetError",
    "DeviceState",
    "DeviceStatus",
    "Direction",
    "Doubt",
    "DuplicateError",
    "Entry",
    "Event",
    "EventStream",
    "Executor",
    "Fault",
    "FeedbackLoopError",
    "FrozenDict",
    "Gap",
    "IfAbsent",
    "Intent",
    "Interface",
    "Lane",
    "Layer",
    "LeydenError",
    "ManualClock",
    "MemoryStore",
    "NoDataError",
    "NotReadyError",
    "Notifier",
    "Origin",
    "Outcome",
    "Overflow",
    "Page",
    "Placement",
    "Plane",
    "Process",
    "Publisher",
    "Quality",
    "Reading",
    "Record",
    "ReportedError",
    "Restart",
    "Role",
    "Route",
    "RouteError",
    "RouteInfo",
    "Runtime",
    "Scan",
    "Schema",
    "Service",
    "ServiceState",
    "ServiceStatus",
    "Signal",
    "SimulatedExecutor",
    "Span",
    "State",
    "StateError",
    "Store",
    "StuckDataError",
    "Subscription",
    "SystemClock",
    "SystemExecutor",
    "TableReading",
    "Timing",
    "TimingFigures",
    "Transport",
    "Value",
    "Variant",
    "WallState",
    "WrongDeviceError",
    "asked_by_signals",
    "channels_of",
    "die_with_parent",
    "freeze",
    "iso",
    "last_number",
    "parse_text",
]
