"""What every driver has to stand: a class of tests to be subclassed, one subclass a driver.

    class TestMyChip(DriverConformance):
        package = "my_drivers.mychip"

A test that makes no sense for a kind of part is skipped with the reason in words. The last one runs
every fault that the kind of bus can have for hundreds of reads and prints what became of them; a
reading that was called good and was not true fails it.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leyden.appliance import config, drivers
from leyden.hal.mock.chip import Chip, I2cChip, SpiChip, UartChip
from leyden.hal.mock.faults import APPLICABLE, FaultKind
from leyden.hal.mock.i2c import BUS_FAULTS
from leyden.hal.registers import Choice, Field, I2cRegisters, registers_of
from leyden.kernel import BAD, Channel, DeviceError, DeviceState
from leyden.testing.bench import Bench
from leyden.testing.kit import Kit, load_kit

READS: Final = 200  # with each fault
SETTLE_S: Final = 60.0  # from power-on to good values, any warm-up included
RECOVER_S: Final = 60.0  # from the end of a fault to good values
EXAMPLES: Final = 25
LEVELS: Final = ("bronze", "silver", "gold")

#: Lines of the fault table, collected over a session: `config.stash[TABLE]`.
TABLE: Final = pytest.StashKey[list[str]]()
HEAD: Final = (
    f"{'driver':<10} {'fault':<22} {'good':>6} {'uncertain':>9} {'bad':>6} {'WRONG':>6}  "
    "state at the end, reasons"
)

_LIMITS: Final = ("", "once", "30 %")  # for ever, one transfer, some of them
_UNLIMITED: Final = {FaultKind.UNPLUG, FaultKind.HANG, FaultKind.BROWN_OUT, FaultKind.SLOW}


class DriverConformance:
    """The tests; `package` is the dotted name of the driver's folder."""

    package: ClassVar[str] = ""

    @pytest.fixture
    def kit(self) -> Kit:
        """Return what the folder offers."""
        return load_kit(self.package)

    @pytest.fixture
    def modelled(self, kit: Kit) -> Kit:
        """Return the kit, where it has a model to be tested against."""
        if kit.model is None:
            pytest.skip(f"{kit.name} has no chip model: its data is real everywhere")
        return kit

    @pytest.fixture
    def bench(self, modelled: Kit) -> Iterator[Bench]:
        """Return a running bench whose device is good, warm-up over."""
        with Bench(modelled) as bench:
            assert bench.settle(SETTLE_S), _complaint(bench)
            yield bench

    # The folder

    def test_folder_is_complete(self, kit: Kit) -> None:
        """The driver declares what the kernel and the pages need of it."""
        device = kit.driver
        assert kit.bus_kind in ("i2c", "spi", "uart", "gpio", "none")
        assert device.compatible.count(",") == 1, "compatible is 'vendor,part'"
        assert device.witness, "what proves that the part is there and well?"
        assert kit.model is None or kit.model.kind == kit.bus_kind

    def test_readme_says_its_level_in_one_line(self, kit: Kit) -> None:
        """Bronze: this suite passes; silver: seen with a real chip; gold: on a bench each night."""
        text = (kit.folder / "README.md").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("Level: ")]
        assert len(lines) == 1
        assert lines[0].removeprefix("Level: ").split()[0].strip(".,:;") in LEVELS

    def test_sample_configures_it(self, kit: Kit) -> None:
        """The sample is whole: an appliance, a bus of the right kind, options the driver takes."""
        sample = tomllib.loads(kit.sample.read_text(encoding="utf-8"))
        assert sample["appliance"]["name"]
        assert kit.options() is not None
        if kit.bus_kind != "none":
            assert sample["bus"][kit.table["bus"]]["kind"] == kit.bus_kind
        if kit.name in drivers.names():  # known to the appliance by name: as a user would load it
            plan = config.load(kit.sample)
            assert kit.device_id in [device.id for device in plan.devices]

    def test_channels_say_what_they_are(self, modelled: Kit) -> None:
        """Numbers have a unit, a range and a step; names are unique."""
        with Bench(modelled) as bench:
            channels = bench.device.channels()
            assert channels
            assert len({channel.name for channel in channels}) == len(channels)
            for channel in channels:
                channel.schema()
                if channel.kind is float:
                    assert channel.step
                    assert channel.minimum is not None
                    assert channel.maximum is not None
                    assert channel.minimum < channel.maximum

    # The part

    def test_probes_its_own_model(self, bench: Bench) -> None:
        """The kernel attaches it and finds its witness content."""
        status = bench.status()
        assert status.state is DeviceState.ONLINE
        assert status.witness_result == "ok"

    def test_refuses_nothing_at_all(self, modelled: Kit) -> None:
        """With no part on the wire it is not online, and no value is worth anything."""
        _needs_identity(modelled)
        _assert_refused(Bench(modelled, plug=None))

    @pytest.mark.parametrize("stranger", ["zeros", "ones", "pattern", "counter"])
    def test_refuses_a_stranger(self, modelled: Kit, stranger: str) -> None:
        """A part that answers, but with something else, is not taken for the right one."""
        _needs_identity(modelled)
        _assert_refused(Bench(modelled, plug=_stranger(modelled.bus_kind, stranger)))

    def test_reads_what_is_true_all_over_the_range(self, bench: Bench) -> None:
        """Whatever the world is, what is read is within half a step, or a code, of it."""
        sensed = bench.sensed()
        if not sensed:
            pytest.skip("no channel of this driver senses the modelled world")
        reads = max(2, round(1 + getattr(bench.chip, "latency_s", 0.5) / bench.kit.every_s))

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )
        @given(data=st.data())
        def sweep(data: st.DataObject) -> None:
            for name, channel in sensed.items():
                bench.set(name, data.draw(_values(channel), label=name))
            bench.run_reads(reads)
            for name in sensed:
                _assert_true(bench, name)

        sweep()

    def test_fields_leave_their_neighbours_alone(self, modelled: Kit) -> None:
        """Writing any field of a register and reading all of them back changes that field only."""
        fields = _writable_fields(modelled)

        @settings(max_examples=EXAMPLES, deadline=None)
        @given(data=st.data())
        def write_one(data: st.DataObject) -> None:
            with Bench(modelled) as bench:
                port = _port(modelled, bench)
                name = data.draw(st.sampled_from(sorted(fields)), label="field")
                family = [n for n, f in fields.items() if f.register is fields[name].register]
                wanted = {n: data.draw(_field_values(fields[n]), label=n) for n in family}
                for neighbour in family:
                    setattr(port, neighbour, wanted[neighbour])
                wanted[name] = data.draw(_field_values(fields[name]), label="again")
                setattr(port, name, wanted[name])
                assert {n: getattr(port, n) for n in family} == wanted

        write_one()

    # Faults

    def test_survives_a_fault_at_each_transfer(self, modelled: Kit) -> None:
        """One fault at any transfer of attaching or reading costs values, never their truth."""
        if modelled.bus_kind not in ("i2c", "spi", "uart"):
            pytest.skip(f"a {modelled.bus_kind} device makes no transfers to count")
        for fault in _single_faults(modelled.bus_kind):
            for at in range(_transfers(modelled)):
                _assert_survives(modelled, fault, at)

    def test_no_flipped_bit_passes(self, modelled: Kit) -> None:
        """One bit flipped in one transfer, or the same bit in all of them: refused, or harmless."""
        if modelled.bus_kind not in ("i2c", "spi"):
            pytest.skip(f"the bytes of a {modelled.bus_kind} device are not counted by transfers")
        flippers: list[_Flipper] = []
        with Bench(modelled, proxy=lambda bus: _flipper(bus, flippers)) as bench:
            assert bench.settle(SETTLE_S), _complaint(bench)
            flipper = flippers[0]
            for transfer in range(flipper.count_of(bench.device.read)):
                for place in range(flipper.longest):
                    _assert_harmless(bench, flipper, place, transfer)
            for place in range(flipper.longest):
                _assert_harmless(bench, flipper, place, None)
                _assert_harmless(bench, flipper, place, None, restart=True)

    def test_no_fault_makes_a_wrong_value_good(
        self, modelled: Kit, request: pytest.FixtureRequest
    ) -> None:
        """The table: every fault, many reads; good ones are true, and all is well afterwards."""
        rows = [_strike(modelled, fault) for fault in _all_faults(modelled.bus_kind)]
        lines = [row.line() for row in rows]
        request.config.stash.setdefault(TABLE, []).extend(lines)
        sys.stdout.write("\n".join(["", HEAD, *lines, ""]))
        for row in rows:
            assert not row.wrong, f"{row.fault}: good and wrong: {row.wrong[:3]}"
            assert row.recovered, f"{row.fault}: not good again within {RECOVER_S:g} s: {row.after}"


# Strangers


def _needs_identity(kit: Kit) -> None:
    if kit.bus_kind == "gpio":
        pytest.skip("a GPIO line is only a level: whatever is on it has no identity to refuse")


def _assert_refused(bench: Bench) -> None:
    with bench:
        bench.run_for(20.0)
        assert bench.status().state not in (DeviceState.ONLINE, DeviceState.DEGRADED)
        assert bench.tally.good == 0
        assert bench.tally.uncertain == 0
        assert bench.status().fault is not None


def _stranger(bus_kind: str, what: str) -> Callable[..., Chip]:
    """Return a part that answers every transfer with nonsense."""

    def answer(length: int, turn: int) -> bytes:
        rows = {
            "zeros": bytes(length),
            "ones": b"\xff" * length,
            "pattern": b"\x55" * length,
            "counter": bytes((turn + i) & 0xFF for i in range(length)),
        }
        return rows[what]

    class OnI2c(I2cChip):
        """Acknowledges everything."""

        turn = 0

        def write(self, data: bytes) -> None:
            """Take anything."""

        def read(self, length: int) -> bytes:
            """Answer nonsense."""
            self.turn += 1
            return answer(length, self.turn)

    class OnSpi(SpiChip):
        """Shifts out nonsense."""

        turn = 0

        def exchange(self, data: bytes) -> bytes:
            """Answer nonsense."""
            self.turn += 1
            return answer(len(data), self.turn)

    class OnUart(UartChip):
        """Talks nonsense."""

        turn = 0

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.period_s = 0.5

        def frame(self, at_ns: int) -> bytes:
            """Say nonsense."""
            self.turn += 7
            return answer(40, self.turn)

    return {"i2c": OnI2c, "spi": OnSpi, "uart": OnUart}[bus_kind]


# Sweeps


def _values(channel: Channel) -> st.SearchStrategy[Any]:
    """Return values a channel may have, a step inside its range."""
    if channel.kind is bool:
        return st.booleans()
    if channel.kind is str:
        return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F), max_size=20)
    assert channel.minimum is not None
    assert channel.maximum is not None
    step = channel.step or 0
    if channel.kind is int:
        return st.integers(int(channel.minimum), int(channel.maximum))
    return st.floats(channel.minimum + step, channel.maximum - step)


def _assert_true(bench: Bench, name: str) -> None:
    event = bench.latest(name)
    assert event is not None
    assert event.quality is not BAD, f"{name}: {event.reason}, {event.detail}"
    assert bench.is_true(event), (
        f"{name} reads {event.value}, true is {bench.truth(name)} ± {bench.tolerance(name):.4g}"
    )


# Registers


def _writable_fields(kit: Kit) -> dict[str, Field]:
    if kit.registers is None or kit.bus_kind != "i2c":
        pytest.skip(f"{kit.name} has no map of registers on I2C")
    owned = {
        name: item
        for base in reversed(kit.registers.__mro__)
        for name, item in vars(base).items()
        if isinstance(item, Field) and item.register.access == "rw"
    }
    if not owned:
        pytest.skip(f"{kit.name} has no field that can be written")
    return owned


def _port(kit: Kit, bench: Bench) -> Any:
    bases: tuple[Any, ...] = (kit.registers, I2cRegisters)
    port_type: Any = type("Port", bases, {})
    port = port_type(bench.bus, bench.options.address)
    for register in registers_of(port_type):
        if register.access == "rw":  # as after power-on, whatever the driver has set up
            port.write_register(register, register.reset)
    return port


def _field_values(item: Field) -> st.SearchStrategy[Any]:
    if isinstance(item, Choice):
        return st.sampled_from(tuple(item.kind.__members__.values()))
    if item.width == 1:
        return st.booleans()
    low = -(1 << item.width - 1) if getattr(item, "signed", False) else 0
    return st.integers(low, low + (1 << item.width) - 1)


# Faults


class _Tripwire:
    """A bus that calls `trip` before the transfer numbered `at`, and counts all of them."""

    def __init__(self, bus: Any, at: int, trip: Callable[[], None]) -> None:
        self._bus = bus
        self._at = at
        self._trip = trip
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._bus, name)
        if name not in ("transfer", "read", "write"):
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            if self.count == self._at:
                self._trip()
            self.count += 1
            return found(*args, **kwargs)

        return counted


class _Flipper:
    """A bus that flips one bit of what is read: of one transfer, or of every one."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.place: int | None = None  # the bit, counted from the first of a transfer
        self.only: int | None = None  # the transfer, counted from the last `arm`; None: all
        self.count = 0
        self.longest = 0  # bits that one transfer has read so far

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def arm(self, place: int | None, only: int | None) -> None:
        """Flip this bit from now on."""
        self.place, self.only, self.count = place, only, 0

    def count_of(self, body: Callable[[], Any]) -> int:
        """Return how many transfers `body` makes."""
        self.arm(None, None)
        body()
        return self.count

    def transfer(self, *args: Any, **kwargs: Any) -> Any:
        """Carry out a transfer and spoil what it brought."""
        answer = self._bus.transfer(*args, **kwargs)
        mine = self.only is None or self.only == self.count
        self.count += 1
        pieces = [answer] if isinstance(answer, bytes) else answer
        data = bytearray(b"".join(pieces))
        self.longest = max(self.longest, 8 * len(data))
        if mine and self.place is not None and self.place < 8 * len(data):
            data[self.place // 8] ^= 0x80 >> self.place % 8
        if isinstance(answer, bytes):
            return bytes(data)
        return [bytes(data)] if pieces else []


def _flipper(bus: Any, made: list[_Flipper]) -> _Flipper:
    made.append(_Flipper(bus))
    return made[-1]


def _assert_harmless(
    bench: Bench, flipper: _Flipper, place: int, only: int | None, *, restart: bool = False
) -> None:
    """Read through a flipped bit; whatever comes back without a doubt has to be true."""
    flipper.arm(place, only)
    try:
        if restart:
            bench.device.probe()
            bench.device.start()
        reading = bench.device.read()
    except DeviceError:
        return
    finally:
        flipper.arm(None, None)
        if restart:
            bench.device.start()
    for name in bench.sensed():
        value, true = reading.values()[name], bench.truth(name)
        sound = name in reading.doubts or bench.matches(name, value, true, 2.0)
        assert sound, f"bit {place} of transfer {only}: {name} reads {value}, true is {true}"


def _transfers(kit: Kit) -> int:
    """Return how many transfers it takes from power-on to the end of the second reading."""
    wires: list[_Tripwire] = []

    def proxy(bus: Any) -> _Tripwire:
        wires.append(_Tripwire(bus, -1, lambda: None))
        return wires[0]

    with Bench(kit, proxy=proxy) as bench:
        for _ in range(100):
            bench.run_reads(1)
            if bench.status().reads >= 2:
                return wires[0].count
        pytest.fail(f"no two readings in a hundred periods: {_complaint(bench)}")


def _single_faults(bus_kind: str) -> list[str]:
    kinds = APPLICABLE[bus_kind] & {
        FaultKind.NACK,
        FaultKind.STUCK_HIGH,
        FaultKind.STUCK_LOW,
        FaultKind.CRC_ERROR,
        FaultKind.PARTIAL_LINE,
    }
    return [f"{kind} once" for kind in sorted(kinds)] + [str(FaultKind.BROWN_OUT)]


def _assert_survives(kit: Kit, fault: str, at: int) -> None:
    bench = Bench(kit, proxy=lambda bus: _Tripwire(bus, at, lambda: bench.fault(fault)))
    with bench:
        bench.run_reads(3)
        bench.heal()
        assert bench.settle(RECOVER_S), f"{fault} at transfer {at}: {_complaint(bench)}"
        assert not bench.tally.wrong, f"{fault} at transfer {at}: {bench.tally.wrong}"


def _all_faults(bus_kind: str) -> list[str]:
    faults = ["none", "absent"]
    for kind in sorted(APPLICABLE[bus_kind] - {FaultKind.NONE}):
        limits = ("",) if kind in _UNLIMITED else _LIMITS
        faults += [f"{kind} {limit}".strip() for limit in limits]
    if bus_kind == "i2c":
        faults += [f"bus {kind}" for kind in sorted(BUS_FAULTS - {FaultKind.NONE})]
    return faults


@dataclass(frozen=True, slots=True)
class _Row:
    """What became of the readings under one fault."""

    driver: str
    fault: str
    good: int
    uncertain: int
    bad: int
    wrong: list[str]
    state: DeviceState
    reasons: str
    recovered: bool
    after: str

    def line(self) -> str:
        """Return one line of the table."""
        return (
            f"{self.driver:<10} {self.fault:<22} {self.good:>6} {self.uncertain:>9} "
            f"{self.bad:>6} {len(self.wrong):>6}  {self.state}; {self.reasons}"
        ).rstrip("; ")


def _strike(kit: Kit, fault: str) -> _Row:
    """Run a bench through one fault while the world changes, and let it recover."""
    with Bench(kit) as bench:
        assert bench.settle(SETTLE_S), _complaint(bench)
        bench.tally.__init__()  # type: ignore[misc]  # count from here on
        _change_the_world(bench, fault)
        good, uncertain, bad = bench.tally.good, bench.tally.uncertain, bench.tally.bad
        state, reasons = bench.status().state, ", ".join(sorted(bench.tally.reasons))
        bench.heal()
        recovered = bench.settle(RECOVER_S)
        bench.run_reads(5)
        wrong, after = bench.tally.wrong, _complaint(bench)
    return _Row(kit.name, fault, good, uncertain, bad, wrong, state, reasons, recovered, after)


def _change_the_world(bench: Bench, fault: str) -> None:
    first = {name: bench.truth(name) for name in bench.sensed()}
    second = {name: _other(value) for name, value in first.items()}
    if fault != "none":
        bench.fault(fault)
    for turn in range(READS // 10):
        for name, value in (first if turn % 2 else second).items():
            bench.set(name, value)
        bench.run_reads(10)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return f"not {value}" if isinstance(value, str) else value * 0.8


def _complaint(bench: Bench) -> str:
    status = bench.status()
    fault = f"{status.fault.reason}: {status.fault.detail}" if status.fault else "no fault"
    return f"{status.state}, {fault}"


__all__ = ["HEAD", "TABLE", "DriverConformance"]
