"""One driver in front of one part, step by step: a modelled part, an emulated or a real one.

The steps are the same everywhere, so that what comes of them can be laid side by side (`drift`). In
the rig, where the part is a chip model, they take simulated time; on a target they run as

    python3 -m leyden.testing.tier --driver lm75 --bus /dev/i2c-1 --option 'part="tmp105"' --json

and need nothing but Leyden and its bus library. A step that wants the world changed says so on its
output, `{"want": {"temperature": -10.25}}`, and waits for one line: `{"done": true}`, or
`{"cannot": "why"}`, with which it is skipped. `converse` is the other end of that.

Only I2C parts so far. The steps write to the part: settings, a clock's time, an EEPROM's record.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from leyden.appliance import drivers
from leyden.appliance.options import option_names, read_options
from leyden.hal.errors import NoAnswerError
from leyden.hal.guard import GuardedI2c
from leyden.hal.i2c import FIRST_ADDRESS, LAST_ADDRESS, I2cBus, Message, Read
from leyden.hal.linux.rig import LinuxRig
from leyden.hal.mock.rig import Rig
from leyden.hal.registers import I2cRegisters, registers_of
from leyden.kernel import (
    NS,
    Channel,
    Clock,
    ComponentError,
    DeviceError,
    LeydenError,
    NotReadyError,
    Reading,
    SimulatedExecutor,
    SystemExecutor,
)
from leyden.testing.kit import Kit, load_kit

PASS: Final = "pass"  # noqa: S105 - an outcome
FAIL: Final = "fail"
SKIP: Final = "skip"

FOLLOWS_S: Final = 3.0  # from a change of the world to a reading of it
_NEEDED: Final = ("probe", "start")
_LOOK_S: Final = 0.05  # between two reads while waiting
_REPEATS: Final = 50
_SETTLED_S: Final = 1.1  # longer than the second of a clock
_GOLDEN: Final = 0.6180339887  # of a range: a value on no grid

Ask = Callable[[str, Any], None]  # makes something true of the world; raises CannotError
OwnStep = Callable[[Any], Mapping[str, Any]]  # of a driver's `steps.py`: gets the device


class CannotError(LeydenError):
    """The world cannot be changed as a step wants it; the text says why."""


class StepError(LeydenError):
    """A step did not end as it should; the text says how it did."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one step on one tier."""

    driver: str
    tier: str  # "mock", "qemu-raspi3b", "pi-bench"
    step: str
    outcome: str  # PASS, FAIL or SKIP
    seen: Mapping[str, Any] = field(default_factory=dict)  # has to be the same on every tier
    figures: Mapping[str, Any] = field(default_factory=dict)  # may differ, such as times
    detail: str = ""
    close: float = 0.0  # by so much numbers in `seen` may differ: one code of the part

    def line(self) -> str:
        """Return it as a line of JSON."""
        names = ("driver", "tier", "step", "outcome", "seen", "figures", "detail", "close")
        return json.dumps({name: getattr(self, name) for name in names}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Result:
        """Return what `line` made a line of."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a step that passed has to tell."""

    seen: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    close: float = 0.0


Step = Callable[[], _Facts]


class _Undated:
    """A clock that vouches for no wall time: what is compared is the part, not the machine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def synchronised(self) -> bool:
        """Say that nobody has set the machine's time."""
        return False


class _Elsewhere:
    """A bus that carries everything to another address."""

    def __init__(self, bus: I2cBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self.name = bus.name

    def transfer(
        self, address: int, messages: Sequence[Message], *, deadline: int | None = None
    ) -> list[bytes]:
        """Carry out `messages` at the other address."""
        return self._bus.transfer(self._address, messages, deadline=deadline)


class Subject:
    """A driver in front of a part, and the steps it can be taken through.

    Args:
        kit: the driver.
        options: as the appliance would read them, laid over those of the kit's sample.
        bus: what the part is on.
        clock: of the machine.
        ask: makes something true of the world.
        tier: a name for this kind of part.
    """

    def __init__(
        self, kit: Kit, options: Mapping[str, Any], bus: GuardedI2c, clock: Clock, ask: Ask,
        tier: str,
    ) -> None:  # fmt: skip
        _refuse_unfit(kit)
        self.kit = kit
        self.tier = tier
        self.options = _options(kit, options)
        self._bus = bus
        self._clock = clock
        self._ask = ask
        self._sensed, self._codes = _sensed(kit, self.options)
        self.device = self._make(bus)

    def run(self) -> Iterator[Result]:
        """Take every step in order; yield what came of each as soon as it is over.

        Without a part that was started there is nothing to say about the steps after that.
        """
        broken = ""
        for name, step in self.steps():
            if broken:
                yield Result(self.kit.name, self.tier, name, SKIP, detail=f"{broken} failed before")
                continue
            result = self._result(name, step)
            if name in _NEEDED and result.outcome == FAIL:
                broken = name
            yield result

    def steps(self) -> Iterator[tuple[str, Step]]:
        """Yield each step with its name."""
        yield "absent", self._absent
        yield from self._own("PREPARE")
        yield "probe", self._asked(self.device.probe)
        yield "start", self._asked(self.device.start)
        yield "witness", self._asked(self.device.check)
        yield "read", self._read
        for channel in self._sensed:
            for value in values_of(channel):
                yield f"{channel.name}={_shown(value)}", self._following(channel, value)
        yield "repeat", self._repeat
        yield "forgotten", self._forgotten
        yield from self._own("STEPS")

    # Steps

    def _absent(self) -> _Facts:
        """Nobody at an address: the driver says so, in the bus's own words."""
        address = self._free_address()
        try:
            self._make(_Elsewhere(self._bus, address)).probe()
        except DeviceError as error:
            seen = {"error": type(error).__name__, "reason": error.reason}
            return _Facts(seen, {"address": address, "words": str(error)})
        raise StepError(f"found somebody at {address:#04x}, where nobody answers")

    def _read(self) -> _Facts:
        reading = self._ready()
        seen = {"channels": sorted(reading.values()), "doubts": _reasons(reading)}
        return _Facts(seen, {"values": dict(reading.values())})

    def _following(self, channel: Channel, value: Any) -> Step:
        def step() -> _Facts:
            self._ask(channel.name, value)
            began = self._clock.monotonic_ns()
            found = self._ready().values()[channel.name]
            while not self._matches(channel, found, value):
                if self._clock.monotonic_ns() - began > FOLLOWS_S * NS:
                    raise StepError(f"reads {found} {FOLLOWS_S:g} s later, expected {value}")
                self._clock.sleep(_LOOK_S)
                found = self._ready().values()[channel.name]
            after = (self._clock.monotonic_ns() - began) / NS
            return _Facts({channel.name: found}, {"after_s": round(after, 3)}, self._code(channel))

        return step

    def _repeat(self) -> _Facts:
        """Many reads in a row: none fails, and what they cost."""
        before, times = int(str(self._bus.status()["transfers"])), []
        for _ in range(_REPEATS):
            began = self._clock.monotonic_ns()
            self._ready()
            times.append((self._clock.monotonic_ns() - began) / 1e6)
        transfers = int(str(self._bus.status()["transfers"])) - before
        return _Facts(
            {"reads": _REPEATS},
            {
                "median_ms": round(statistics.median(times), 2),
                "longest_ms": round(max(times), 2),
                "transfers_each": round(transfers / _REPEATS, 2),
            },
        )

    def _forgotten(self) -> _Facts:
        """Its registers as after a loss of power: noticed with the next read, and mended."""
        if self.kit.registers is None:
            raise CannotError(f"{self.kit.name} has no map of registers")
        port: Any = type("Port", (self.kit.registers, I2cRegisters), {})(
            self._bus, self.options.address
        )
        for register in registers_of(type(port)):
            if register.access == "rw":
                port.write_register(register, register.reset)
        try:
            self.device.read()
        except DeviceError as error:
            reason = error.reason
        else:
            raise StepError("read on as if nothing had happened")
        self.device.start()
        self._ready()
        self._clock.sleep(_SETTLED_S)
        return _Facts({"reason": reason, "afterwards": _reasons(self._ready())})

    def _asked(self, call: Callable[[], None]) -> Step:
        def step() -> _Facts:
            call()
            return _Facts()

        return step

    def _own(self, which: str) -> Iterator[tuple[str, Step]]:
        """Yield the steps that the driver's folder brings along."""
        for name, own in _own_steps(self.kit, which).items():
            yield name, self._owned(own)

    def _owned(self, own: OwnStep) -> Step:
        def step() -> _Facts:
            return _Facts(own(self.device))

        return step

    # Within

    def _result(self, name: str, step: Step) -> Result:
        head = (self.kit.name, self.tier, name)
        try:
            facts = step()
        except CannotError as error:
            return Result(*head, SKIP, detail=str(error))
        except LeydenError as error:
            return Result(*head, FAIL, detail=f"{type(error).__name__}: {error}")
        return Result(*head, PASS, facts.seen, facts.figures, close=facts.close)

    def _make(self, bus: Any) -> Any:
        device = self.kit.driver(bus, self.options)
        device.clock = _Undated(self._clock)
        return device

    def _ready(self) -> Reading:
        """Return a reading, once there is one."""
        until = self._clock.monotonic_ns() + round(FOLLOWS_S * NS)
        while True:
            try:
                reading: Reading = self.device.read()
            except NotReadyError:
                if self._clock.monotonic_ns() > until:
                    raise
                self._clock.sleep(_LOOK_S)
            else:
                return reading

    def _free_address(self) -> int:
        for address in range(LAST_ADDRESS, FIRST_ADDRESS, -1):
            try:
                self._bus.transfer(address, (Read(1),))
            except NoAnswerError:
                return address
        raise CannotError("every address of the bus is taken")

    def _code(self, channel: Channel) -> float:
        return float(self._codes.get(channel.name, channel.step or 0.0))

    def _matches(self, channel: Channel, found: Any, wanted: Any) -> bool:
        if channel.kind is not float:
            return bool(found == wanted)
        return abs(float(found) - float(wanted)) <= self._code(channel) + (channel.step or 0.0) / 2


def values_of(channel: Channel) -> tuple[Any, ...]:
    """Return what the world is made to be for a channel: both ends, the middle, odd ones."""
    if channel.kind is bool:
        return (True, False)
    if channel.kind is str:
        return ("plain", "ä µ °", "")
    low, high = float(channel.minimum or 0.0), float(channel.maximum or 0.0)
    between = (low + (high - low) / 2, 0.25 if low < 0.25 < high else low)
    odd = round(low + (high - low) * _GOLDEN, 3)
    numbers = dict.fromkeys((low, high, *between, odd))
    return tuple(channel.kind(number) for number in numbers)


# The two ends


def run_modelled(
    driver: str, options: Mapping[str, Any] | None = None, *, tier: str = "mock"
) -> list[Result]:
    """Take a driver through its steps in front of its chip model, in simulated time.

    Raises:
        ComponentError: it has no model, or is not on I2C.
    """
    kit = load_kit(drivers.load(driver).package)
    _refuse_unfit(kit)
    if kit.model is None:
        raise ComponentError(f"{driver} has no chip model")
    executor = SimulatedExecutor()
    rig = Rig(executor)
    bus = rig.i2c("bus")
    rig.plug("bus", kit.model, kit.device_id, _options(kit, options or {}))

    def ask(channel: str, value: Any) -> None:
        rig.world.set(f"{kit.device_id}.{channel}", value)

    try:
        return list(Subject(kit, options or {}, bus, executor.clock, ask, tier).run())
    finally:
        rig.close()
        executor.close()


def converse(answers: TextIO, orders: TextIO, stimulate: Ask) -> list[Result]:
    """Listen to a run on a target, change the world where it asks for that; return its results.

    Args:
        answers: its standard output.
        orders: its standard input.
        stimulate: makes something true of the world; raises `CannotError` where nobody can.

    Raises:
        StepError: the target says what no run says.
    """
    results = []
    for line in answers:
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            raise StepError(f"found {line.strip()!r}, expected a line of JSON") from None
        if "want" in said:
            orders.write(json.dumps(_stimulated(said["want"], stimulate)) + "\n")
            orders.flush()
        else:
            results.append(Result(**said))
    return results


def _stimulated(want: Mapping[str, Any], stimulate: Ask) -> dict[str, Any]:
    try:
        for channel, value in want.items():
            stimulate(channel, value)
    except CannotError as error:
        return {"cannot": str(error)}
    return {"done": True}


def _asking(orders: TextIO, answers: TextIO) -> Ask:
    """Return what asks whoever listens, as `converse` does."""

    def ask(channel: str, value: Any) -> None:
        answers.write(json.dumps({"want": {channel: value}}) + "\n")
        answers.flush()
        line = orders.readline()
        if not line.strip():
            raise CannotError("nobody answered")
        answer = json.loads(line)
        if "done" not in answer:
            raise CannotError(str(answer.get("cannot", "refused")))

    return ask


def _never(channel: str, _: Any) -> None:
    raise CannotError(f"nobody was asked to change {channel}")


# What a driver's folder says


def _refuse_unfit(kit: Kit) -> None:
    if kit.bus_kind != "i2c":
        raise ComponentError(f"{kit.name} is on {kit.bus_kind}, expected a driver on I2C")


def _options(kit: Kit, given: Mapping[str, Any]) -> Any:
    names = option_names(kit.options_type)
    own = {key: value for key, value in kit.table.items() if key in names}
    return read_options(kit.options_type, {**own, **given})


def _sensed(kit: Kit, options: Any) -> tuple[tuple[Channel, ...], Mapping[str, float]]:
    """Return the channels that follow the world, and what a code of each is worth."""
    if kit.model is None:
        return (), {}
    executor = SimulatedExecutor()
    rig = Rig(executor)
    bus = rig.i2c("bus")
    chip = rig.plug("bus", kit.model, kit.device_id, options)
    world = {signal.name: signal for signal in rig.world.list()}
    channels = kit.driver(bus, options).channels()
    codes = dict(getattr(chip, "lsb", {}))
    rig.close()
    executor.close()
    return tuple(each for each in channels if f"{kit.device_id}.{each.name}" in world), codes


def _own_steps(kit: Kit, which: str) -> Mapping[str, OwnStep]:
    """Return `PREPARE` or `STEPS` of the driver's `steps.py`, where it has one."""
    package = kit.driver.__module__.rpartition(".")[0]
    if importlib.util.find_spec(f"{package}.steps") is None:
        return {}
    own: Mapping[str, OwnStep] = getattr(importlib.import_module(f"{package}.steps"), which, {})
    return own


def _reasons(reading: Reading) -> dict[str, str]:
    return {name: doubt.reason for name, doubt in sorted(reading.doubts.items())}


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# The command


def main(arguments: Sequence[str] | None = None) -> int:
    """Take a driver through its steps on this machine; return 0 if none failed."""
    given = _parser().parse_args(arguments)
    options = _table(given.option)
    if given.address is not None:
        options["address"] = given.address
    if given.bus == "mock":
        results = iter(run_modelled(given.driver, options, tier=given.name or "mock"))
        return _tell(results, as_json=given.json)
    ask = _never if given.no_ask else _asking(sys.stdin, sys.stdout)
    kit = load_kit(drivers.load(given.driver).package)
    rig = LinuxRig(SystemExecutor())
    try:
        bus = rig.i2c("bus", path=given.bus)
        subject = Subject(kit, options, bus, rig.clock, ask, given.name or given.bus)
        return _tell(subject.run(), as_json=given.json)
    finally:
        rig.close()


def _tell(results: Iterator[Result], *, as_json: bool) -> int:
    failed = 0
    for result in results:
        failed += result.outcome == FAIL
        facts = json.dumps({**result.seen, **result.figures}, ensure_ascii=False)
        words = result.detail or (facts if facts != "{}" else "")
        sys.stdout.write(
            result.line() if as_json else f"{result.outcome}  {result.step:<24} {words}"
        )
        sys.stdout.write("\n")
        sys.stdout.flush()
    return 1 if failed else 0


def _table(lines: Sequence[str]) -> dict[str, Any]:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise ComponentError(f'--option: expected TOML such as part="tmp105"; {error}') from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python3 -m leyden.testing.tier", description=main.__doc__)
    parser.add_argument("--driver", required=True, help="its name, as in a configuration")
    parser.add_argument("--bus", required=True, help='"/dev/i2c-1", or "mock" for its chip model')
    parser.add_argument("--address", type=lambda text: int(text, 0), help="of the part")
    parser.add_argument("--option", action="append", default=[], help='as in TOML: part="tmp105"')
    parser.add_argument("--name", default="", help="of the tier, for the table")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--no-ask", action="store_true", help="skip what needs the world changed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
