"""GPIO over `/dev/gpiochipN`, through libgpiod 2; chips by label, because their numbers change."""

from __future__ import annotations

import datetime
import errno
from pathlib import Path
from typing import Any, Final

from leyden.hal.errors import BusError, BusLostError, BusMissingError, InUseError, MessageError
from leyden.hal.gpio import Bias, Edge, EdgeEvent, InputLine, RawOutput
from leyden.hal.linux.system import GPIO, library, open_error, transfer_error

DEV: Final = Path("/dev")
KEPT: Final = 1024  # edges the kernel keeps for a reader who does not come; the oldest go first

# The chip behind a Pi's header, whichever Pi it is; chosen by the label "header".
HEADER: Final = "header"
HEADER_LABELS: Final = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")


class LinuxGpioChip:
    """One open GPIO chip of this machine."""

    def __init__(self, name: str, gpiod: Any, chip: Any) -> None:
        self.name = name
        self._gpiod = gpiod
        self._chip = chip
        self._lines: int = chip.get_info().num_lines

    def input(
        self,
        line: int,
        *,
        bias: Bias = Bias.AS_IS,
        active_low: bool = False,
        edges: Edge = Edge.NONE,
        debounce_s: float = 0.0,
    ) -> InputLine:
        """Take `line` as an input."""
        words = self._gpiod.line
        settings = self._gpiod.LineSettings(
            direction=words.Direction.INPUT,
            bias=_bias(words, bias),
            edge_detection=words.Edge[edges.name],
            active_low=active_low,
            debounce_period=datetime.timedelta(seconds=debounce_s),
            event_clock=words.Clock.MONOTONIC,
        )
        return _Input(self, line, self._request(line, settings, "leyden"))

    def drive(self, line: int, *, value: bool, active_low: bool, consumer: str) -> RawOutput:
        """Take `line` as an output that starts at `value`, without a moment of anything else."""
        words = self._gpiod.line
        settings = self._gpiod.LineSettings(
            direction=words.Direction.OUTPUT,
            active_low=active_low,
            output_value=words.Value(int(value)),
        )
        return _Output(self, line, self._request(line, settings, consumer or "leyden"))

    def close(self) -> None:
        """Give the chip back; its lines are given back one by one."""
        self._chip.close()

    # What the lines ask.

    def value_of(self, active: bool) -> Any:
        """Return gpiod's word for a level."""
        return self._gpiod.line.Value(int(active))

    def is_active(self, value: Any) -> bool:
        """Whether gpiod's word for a level means active."""
        return bool(value == self._gpiod.line.Value.ACTIVE)

    def is_rising(self, event: Any) -> bool:
        """Whether gpiod's event is a rising edge."""
        return bool(event.event_type == self._gpiod.EdgeEvent.Type.RISING_EDGE)

    def error(self, line: int, error: Exception) -> BusError:
        """Return the error for a line that failed in use."""
        if isinstance(error, self._gpiod.RequestReleasedError):
            return BusLostError(f"line {line} of {self.name} was given back")
        number = error.errno if isinstance(error, OSError) else None
        return transfer_error(f"line {line} of {self.name}", number)

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What gpiod raises when a line in use fails."""
        return (OSError, self._gpiod.RequestReleasedError)

    def _request(self, line: int, settings: Any, consumer: str) -> Any:
        if not 0 <= line < self._lines:
            raise MessageError(f"found line {line} of {self.name}, expected 0 to {self._lines - 1}")
        try:
            return self._chip.request_lines(
                config={line: settings}, consumer=consumer, event_buffer_size=KEPT
            )
        except OSError as error:
            raise self._request_error(line, error) from error

    def _request_error(self, line: int, error: OSError) -> BusError:
        if error.errno == errno.EBUSY:
            holder = self._chip.get_line_info(line).consumer or "somebody"
            return InUseError(f"line {line} of {self.name} is held by {holder}")
        return transfer_error(f"request of line {line} of {self.name}", error.errno)


class _Input:
    """An input line."""

    def __init__(self, chip: LinuxGpioChip, line: int, request: Any) -> None:
        self.line = line
        self._chip = chip
        self._request = request
        self._last_number = 0  # the kernel counts the edges of a line from 1
        self._missed = 0

    def value(self) -> bool:
        """Return the level now."""
        try:
            return self._chip.is_active(self._request.get_value(self.line))
        except self._chip.failures as error:
            raise self._chip.error(self.line, error) from error

    def events(self, limit: int = 64) -> list[EdgeEvent]:
        """Return edges not yet returned, oldest first, at most `limit`."""
        found: list[EdgeEvent] = []
        try:
            while len(found) < limit and self._request.wait_edge_events(0):
                batch = self._request.read_edge_events(limit - len(found))
                found += [self._edge(event) for event in batch]
        except self._chip.failures as error:
            raise self._chip.error(self.line, error) from error
        return found

    def missed(self) -> int:
        """Return how many edges the kernel dropped: holes in its numbers."""
        return self._missed

    def close(self) -> None:
        """Give the line back."""
        self._request.release()

    def _edge(self, event: Any) -> EdgeEvent:
        self._missed += event.line_seqno - self._last_number - 1
        self._last_number = event.line_seqno
        return EdgeEvent(event.timestamp_ns, self._chip.is_rising(event))


class _Output:
    """An output line."""

    def __init__(self, chip: LinuxGpioChip, line: int, request: Any) -> None:
        self._chip = chip
        self._line = line
        self._request = request

    def drive(self, value: bool) -> None:
        """Set the line."""
        try:
            self._request.set_value(self._line, self._chip.value_of(value))
        except self._chip.failures as error:
            raise self._chip.error(self._line, error) from error

    def value(self) -> bool:
        """Return the level read back."""
        try:
            return self._chip.is_active(self._request.get_value(self._line))
        except self._chip.failures as error:
            raise self._chip.error(self._line, error) from error

    def close(self) -> None:
        """Give the line back."""
        self._request.release()


def open_gpio(label: str, *, name: str, folder: Path = DEV) -> LinuxGpioChip:
    """Open a GPIO chip by its label.

    Args:
        label: "pinctrl-rp1", as `gpiodetect` prints it; "header" for a Pi's own header.
        name: "gpio", for messages.
        folder: where the device files are.

    Raises:
        MissingLibraryError: gpiod is not installed.
        BusMissingError: no chip has the label, or two have; names those there are.
        PermissionBusError: not allowed.
    """
    gpiod = library("gpiod", "linux")
    wanted = HEADER_LABELS if label == HEADER else (label,)
    found: dict[str, str] = {}  # path -> label
    for path in _device_files(folder):
        found[path] = _label(gpiod, path)
    paths = [path for path, each in found.items() if each in wanted]
    if len(paths) != 1:
        raise _not_one(label, paths, found)
    return LinuxGpioChip(name, gpiod, _open_chip(gpiod, paths[0]))


def _device_files(folder: Path) -> list[str]:
    # A Pi 5 has /dev/gpiochip4 as a second name of gpiochip0; each chip counts once.
    return sorted({str(path.resolve()) for path in folder.glob("gpiochip*")})


def _label(gpiod: Any, path: str) -> str:
    chip = _open_chip(gpiod, path)
    try:
        return str(chip.get_info().label)
    finally:
        chip.close()


def _open_chip(gpiod: Any, path: str) -> Any:
    try:
        return gpiod.Chip(path)
    except OSError as error:
        raise open_error(path, error.errno, GPIO) from error


def _not_one(label: str, paths: list[str], found: dict[str, str]) -> BusMissingError:
    if paths:
        return BusMissingError(f'{" and ".join(paths)} are both labelled "{label}", expected one')
    known = ", ".join(f'"{each}"' for each in found.values()) or "none at all"
    return BusMissingError(f'no GPIO chip is labelled "{label}"; found {known}')


def _bias(words: Any, bias: Bias) -> Any:
    names = {
        Bias.AS_IS: "AS_IS",
        Bias.NONE: "DISABLED",
        Bias.UP: "PULL_UP",
        Bias.DOWN: "PULL_DOWN",
    }
    return words.Bias[names[bias]]
