"""Driver for the PMS5003, a laser counter of dust particles on a serial line (Plantower).

Source: PMS5003 series data manual V2.3 (2016-06-01).

The sensor sends a frame by itself, every 2.3 s while the air is steady and faster while it changes.
A read takes what has arrived since the last one and returns the newest whole frame; it never waits
for a frame longer than the time it is given, never repeats an old one, and never joins two halves.

The sensor starts over by itself when its power dips, and then sends zeros, later low values, for
half a minute. It does not say so, but silence and zeros give it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from leyden.hal.uart import Uart
from leyden.kernel import (
    NS,
    Channel,
    ChecksumError,
    DeadlineError,
    Device,
    DeviceError,
    DeviceResetError,
    Doubt,
    NoDataError,
    NotReadyError,
    TableReading,
    WrongDeviceError,
)
from leyden_drivers.pms5003.frames import Frame, Splitter
from leyden_drivers.pms5003.registers import (
    ACTIVE_MODE,
    DATA_LENGTH,
    HEADER_BYTES,
    RELATIVES,
    STABLE_PERIOD_S,
    WAKE,
    WARM_UP_S,
)

_CHUNK: Final = 4096  # what the kernel's buffer of a serial line holds
_MOST_CHUNKS: Final = 256  # for one read, against a line that babbles without end
_GLANCE_S: Final = 0.001  # to take what has arrived without waiting for more
_REST_S: Final = 0.05  # a frame takes 33 ms; its rest is waited for this long
_TORN_S: Final = 0.1  # a pause after which what follows is not the rest of a frame
_SILENT_S: Final = STABLE_PERIOD_S + 0.7  # no frame for so long: one is missing
_GONE_S: Final = 2 * STABLE_PERIOD_S + 0.7  # not one byte for so long: it may have lost power
_NOISE: Final = 2 * (HEADER_BYTES + DATA_LENGTH)  # bytes; one torn frame alone is no noise
_FRESH_S: Final = 5.0  # not read for longer: what lies in the buffer is of unknown age

MASSES: Final = ("pm1_0", "pm2_5", "pm10")
SIZES: Final = ("0_3", "0_5", "1_0", "2_5", "5_0", "10")
COUNTS: Final = tuple(f"particles_{size}" for size in SIZES)

_EFFECTIVE: Final = 500.0  # µg/m³, "effective range"; the sensor goes on to 1000 and more
_LARGEST: Final = 5000.0  # µg/m³, ten times that: beyond it something else is wrong
_MOST: Final = 65535.0  # what a count can be


@dataclass(frozen=True, slots=True)
class Pms5003Options:
    """Options of one PMS5003 in the configuration."""

    counts: bool = False  # also the numbers of particles by size, in 0.1 l of air


class PMS5003(Device[TableReading]):
    """Returns the newest frame that the sensor has sent."""

    bus_kind = "uart"
    compatible = "plantower,pms5003"
    witness = "frame length and sum, sizes in order, frames keep coming"
    # What is read may be as old as frames are apart, and has to be of after the warm-up as well.
    warm_up_s: ClassVar[float] = WARM_UP_S + STABLE_PERIOD_S

    def __init__(self, bus: Uart, options: Pms5003Options) -> None:
        self._uart = bus
        self._options = options
        self._splitter = Splitter()
        self._newest: Frame | None = None  # arrived, and not yet returned
        self._relative = ""  # what else speaks here, if it does
        self._collected_ns = 0  # when the line was last emptied
        self._chunk_ns = 0  # when bytes last arrived
        self._framed_ns = 0  # when a data frame was last found
        self._started_ns = 0
        self._was_silent = False
        self._counted = False  # whether it has counted anything since it was started

    def channels(self) -> tuple[Channel, ...]:
        """Mass concentrations, and the counts where they are wanted."""
        masses = (
            Channel(name, float, "ug/m3", 0.0, _LARGEST, 1.0, name.upper().replace("_", "."))
            for name in MASSES
        )
        counts = (
            Channel(
                name, float, "{count}/dL", 0.0, _MOST, 1.0,
                f"Particles over {size.replace('_', '.')} µm",
            )
            for name, size in zip(COUNTS, SIZES, strict=True)
        )  # fmt: skip
        return (*masses, *counts) if self._options.counts else tuple(masses)

    def probe(self) -> None:
        """Raise unless a PMS5003 sends frames; ask it to, should it sleep.

        Raises:
            NoDataError: nothing arrives; frames come every 2.3 s at most, so ask again.
            ChecksumError: bytes arrive, but no frame.
            WrongDeviceError: a relative with other frames.
        """
        self._collect(wait=False)
        if self._newest is None:
            # Asleep, or set to speak only when asked? An awake sensor takes no notice.
            self._uart.write(WAKE)
            self._uart.write(ACTIVE_MODE)
            self._collect(wait=True)
        if self._relative:
            raise WrongDeviceError(f"frames of {self._relative} arrive, expected a PMS5003's")
        if self._newest is None:
            self._refuse_noise()
            raise NoDataError("no frame yet; check TX and the 5 V supply if none comes in 3 s")

    def start(self) -> None:
        """Begin anew: what comes now is of a sensor that warms up."""
        self._was_silent = False
        self._counted = False
        self._started_ns = self._now()

    def read(self) -> TableReading:
        """Return the newest frame that has not been returned.

        Raises:
            NotReadyError: no new frame yet.
            NoDataError: no frame for longer than the sensor ever takes.
            ChecksumError: bytes arrived, but no whole frame.
            DeviceResetError: the sensor has started over.
        """
        frame = self._fetch()
        if self._was_silent:
            raise DeviceResetError("frames are back after a silence: the sensor has started over")
        if frame.empty() and self._counted:
            raise DeviceResetError("no particles at all, all of a sudden: it has started over")
        if frame.error:
            raise DeviceError(f"the sensor reports error {frame.error:#04x}")
        self._counted = self._counted or not frame.empty()
        return self._reading(frame)

    def check(self) -> None:
        """See that frames keep coming."""
        self._collect(wait=False)
        if self._newest is None and self._silent_s() > _GONE_S:
            raise self._silence()

    # Frames

    def _fetch(self) -> Frame:
        """Return the newest frame; one that may have lain in the buffer for long is not new."""
        aged = self._now() - self._collected_ns > _FRESH_S * NS
        self._collect(wait=False)
        alive = self._newest is not None
        if aged:
            self._newest = None
            self._collect(wait=True)
        frame, self._newest = self._newest, None
        if frame is not None:
            return frame
        self._refuse_noise()
        if alive or self._silent_s() <= _SILENT_S:
            raise NotReadyError("no new frame yet")
        raise self._silence()

    def _silence(self) -> NoDataError:
        if self._now() - self._chunk_ns > _GONE_S * NS:
            self._was_silent = True
        return NoDataError(f"no frame for {self._silent_s():.0f} s; check TX and the 5 V supply")

    def _silent_s(self) -> float:
        return (self._now() - self._framed_ns) / NS

    def _refuse_noise(self) -> None:
        splitter = self._splitter
        if splitter.damaged or splitter.skipped >= _NOISE:
            text = f"{splitter.skipped} bytes arrived and no whole frame among them"
            splitter.forgive()
            raise ChecksumError(f"{text}; is it a PMS5003, at 9600 Bd?")

    # The line

    def _collect(self, *, wait: bool) -> None:
        """Take in what has arrived; with `wait`, until there is a frame or the time is over."""
        for _ in range(_MOST_CHUNKS):
            chunk = self._receive(self._patience(wait=wait))
            if not chunk:
                break
            self._take(chunk)
        self._collected_ns = self._now()

    def _patience(self, *, wait: bool) -> int | None:
        """Return until when bytes are waited for; None is for as long as the kernel allows."""
        if wait and self._newest is None:
            return None
        pause = _REST_S if self._splitter.pending() else _GLANCE_S
        return self._now() + round(pause * NS)

    def _receive(self, deadline: int | None) -> bytes:
        try:
            return self._uart.read(_CHUNK, deadline=deadline)
        except DeadlineError:
            raise
        except DeviceError:
            # The line was gone: what comes next is no rest, and the sensor may have lost power.
            self._splitter.reset()
            self._was_silent = True
            raise

    def _take(self, chunk: bytes) -> None:
        now = self._now()
        if now - self._chunk_ns > _TORN_S * NS:
            self._splitter.reset()
        self._chunk_ns = now
        for data in self._splitter.feed(chunk):
            self._sort(data, now)

    def _sort(self, data: bytes, now: int) -> None:
        length = int.from_bytes(data[2:HEADER_BYTES], "big")
        self._relative = RELATIVES.get(length, "")
        if length == DATA_LENGTH:
            self._newest = Frame.from_bytes(data)
            self._framed_ns = now
            self._splitter.forgive()

    def _now(self) -> int:
        return self.clock.monotonic_ns()

    # Values

    def _reading(self, frame: Frame) -> TableReading:
        names = [channel.name for channel in self.channels()]
        values = dict(zip((*MASSES, *COUNTS), map(float, frame.values()), strict=True))
        doubts = {
            name: doubt for name in names if (doubt := self._doubt(frame, name, values[name]))
        }
        return TableReading(table={name: values[name] for name in names}, doubts=doubts)

    def _doubt(self, frame: Frame, name: str, value: float) -> Doubt | None:
        if frame.empty():
            return self._doubt_emptiness()
        if flaw := frame.flaw():
            return Doubt.uncertain("implausible", flaw)
        if name in MASSES and value > _EFFECTIVE:
            return Doubt.uncertain("saturated", f"above {_EFFECTIVE:g} µg/m³ it is not specified")
        if name in COUNTS and value >= _MOST:
            return Doubt.uncertain("saturated", "as many as the sensor can count")
        return None

    def _doubt_emptiness(self) -> Doubt:
        if self._now() - self._started_ns < WARM_UP_S * NS:
            return Doubt.uncertain("warming_up", "counts nothing yet: the fan does not turn")
        return Doubt.uncertain(
            "implausible", "not one particle counted: the fan stands still, or the air is filtered"
        )
