"""The Raspberry Pi Pico itself: pins, bus blocks and timers, and the loop that serves the host.

The only file that needs the microcontroller (MicroPython 1.26 or newer, for `machine.I2CTarget`).
NOT YET RUN ON HARDWARE: written from the documentation of MicroPython and the RP2040's data sheet.
"""

# mypy: ignore-errors
# The microcontroller's modules have no types, and its state machines a language of their own.

import select
import sys
import time

import machine
import rp2
from machine import I2CTarget, Pin

from . import pinout
from .core import Core

NAME = "rp2040"
HEARD_BYTES = 4096  # of the serial line, kept until the host asks
SPI_HZ = 4_000_000  # of the state machine: a tenth of it is the fastest clock it can follow

INPUT_PINS = {"in0": pinout.IN0, "in1": pinout.IN1}
OUTPUT_PINS = {"out0": pinout.OUT0, "out1": pinout.OUT1}
RAIL_PINS = {"pi": pinout.POWER_PI, "sensors": pinout.POWER_SENSORS}
HOLD_PINS = {"sda": pinout.HOLD_SDA, "scl": pinout.HOLD_SCL}

_EVENTS = (
    I2CTarget.IRQ_ADDR_MATCH_READ
    | I2CTarget.IRQ_ADDR_MATCH_WRITE
    | I2CTarget.IRQ_READ_REQ
    | I2CTarget.IRQ_WRITE_REQ
    | I2CTarget.IRQ_END_READ
    | I2CTarget.IRQ_END_WRITE
)


@rp2.asm_pio(
    out_init=rp2.PIO.OUT_LOW,
    out_shiftdir=rp2.PIO.SHIFT_LEFT,
    in_shiftdir=rp2.PIO.SHIFT_LEFT,
    autopull=True,
    pull_thresh=8,
    autopush=True,
    push_thresh=8,
)
def _spi_target():
    # SPI mode 0: a bit is put out while the clock is low and taken in as it rises. Pins are counted
    # from MISO (out) and from SCK (in): SCK, MOSI.
    wrap_target()  # noqa: F821
    out(pins, 1)  # noqa: F821
    wait(1, pin, 0)  # noqa: F821
    in_(pins, 2)  # noqa: F821 - SCK, which is 1, and MOSI; the host drops every second bit
    wait(0, pin, 0)  # noqa: F821
    wrap()  # noqa: F821


class Board:
    """Everything that `core.Core` asks of a board."""

    name = NAME

    def __init__(self) -> None:
        self._ticks, self._ms = time.ticks_ms(), 0
        self._target = None
        self._chip = None
        self._one = bytearray(1)
        self._hold = {
            line: Pin(number, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1)
            for line, number in HOLD_PINS.items()
        }
        self._rails = {rail: Pin(number, Pin.OUT, value=1) for rail, number in RAIL_PINS.items()}
        self._inputs = {name: Pin(number, Pin.IN) for name, number in INPUT_PINS.items()}
        self._outputs = {name: Pin(number, Pin.IN) for name, number in OUTPUT_PINS.items()}
        self._edges = dict.fromkeys(OUTPUT_PINS, 0)
        for name, pin in self._outputs.items():
            pin.irq(self._counter(name), Pin.IRQ_RISING | Pin.IRQ_FALLING)
        self._uart = None
        self._speed = 9600
        self._machine = None
        self._miso = Pin(pinout.SPI_MISO, Pin.IN)
        self._select = Pin(pinout.SPI_CS, Pin.IN, Pin.PULL_UP)
        self._answer = b"\x00"
        self._seen = bytearray()

    def serial(self) -> str:
        """Return the number that is burnt into its flash."""
        return machine.unique_id().hex()

    def ticks_ms(self) -> int:
        """Return milliseconds that never go back."""
        now = time.ticks_ms()  # comes round after twelve days
        self._ms += time.ticks_diff(now, self._ticks)
        self._ticks = now
        return self._ms

    # I2C

    def i2c_attach(self, address: int, chip) -> None:
        """Be a part at an address."""
        self.i2c_detach()
        self._chip = chip
        self._target = I2CTarget(0, address, scl=Pin(pinout.SCL), sda=Pin(pinout.SDA))
        self._target.irq(self._on_wire, trigger=_EVENTS, hard=True)

    def i2c_detach(self) -> None:
        """Be nobody: the address is not acknowledged."""
        if self._target is not None:
            self._target.deinit()
            self._target = None

    def _on_wire(self, target) -> None:
        # A hard interrupt: nothing in it, nor in what it calls, may allocate memory.
        flags, chip, one = target.irq().flags(), self._chip, self._one
        if flags & I2CTarget.IRQ_ADDR_MATCH_WRITE:
            chip.begin_write()
        if flags & I2CTarget.IRQ_WRITE_REQ:
            target.readinto(one)
            chip.take(one[0])
        if flags & I2CTarget.IRQ_ADDR_MATCH_READ:
            chip.begin_read()
        if flags & I2CTarget.IRQ_READ_REQ:
            one[0] = chip.give()
            if chip.stretch_us:  # the block holds the clock as long as it has no byte
                time.sleep_us(chip.stretch_us)
                chip.stretch_us = 0
            target.write(one)
        if flags & I2CTarget.IRQ_END_READ:
            chip.end_read()

    def hold_low(self, line: str) -> None:
        """Pull SDA or SCL low."""
        self._hold[line].value(0)

    def release(self, line: str) -> None:
        """Let go of SDA or SCL."""
        self._hold[line].value(1)

    def line_level(self, line: str) -> int:
        """Return the level of SDA or SCL."""
        return self._hold[line].value()

    # SPI

    def spi_answer(self, data: bytes) -> None:
        """Shift these bytes out in every exchange."""
        self._answer = data or b"\x00"

    def spi_state(self, state: str) -> None:
        """Answer, or let MISO float, or hold it low or high."""
        if self._machine is not None:
            self._machine.active(0)
            self._select.irq(None)
            self._machine = None
        if state == "answer":
            self._start_spi()
        elif state == "float":
            self._miso.init(Pin.IN)
        else:
            self._miso.init(Pin.OUT, value=int(state == "high"))

    def spi_seen(self) -> bytes:
        """Return what the controller has sent since this was last asked."""
        machine_ = self._machine
        while machine_ is not None and machine_.rx_fifo():
            self._seen.append(machine_.get() & 0xFF)
        pairs, self._seen = bytes(self._seen), bytearray()
        return _second_bits(pairs)

    def _start_spi(self) -> None:
        self._machine = rp2.StateMachine(
            0,
            _spi_target,
            freq=SPI_HZ,
            out_base=Pin(pinout.SPI_MISO, Pin.OUT),
            in_base=Pin(pinout.SPI_SCK, Pin.IN),
        )
        self._select.irq(self._selected, Pin.IRQ_FALLING)
        self._selected(self._select)

    def _selected(self, _) -> None:
        # A new exchange: from the first bit again, with a fresh queue (four bytes deep, and more as
        # the exchange goes on).
        machine_ = self._machine
        machine_.active(0)
        machine_.restart()
        for byte in self._answer[:4]:
            machine_.put(byte << 24)
        machine_.active(1)

    # UART

    def uart_open(self, speed: int) -> None:
        """Be a peer at this speed (Bd), 8 bits, no parity, one stop bit."""
        self._speed = speed
        self._uart = machine.UART(
            1, speed, tx=Pin(pinout.UART_TX), rx=Pin(pinout.UART_RX), rxbuf=HEARD_BYTES
        )

    def uart_write(self, data: bytes) -> None:
        """Send bytes."""
        if self._uart is not None:
            self._uart.write(data)

    def uart_read(self) -> bytes:
        """Return what has come since this was last asked."""
        return (self._uart.read() or b"") if self._uart is not None else b""

    def uart_break(self, on: bool) -> None:
        """Hold the line low, or go on."""
        if on:
            Pin(pinout.UART_TX, Pin.OUT, value=0)
        else:
            self.uart_open(self._speed)

    # Lines and power

    def pin_set(self, name: str, level: int) -> None:
        """Drive a line that the Pi reads."""
        self._inputs[name].init(Pin.OUT, value=level)

    def pin_float(self, name: str) -> None:
        """Let go of it."""
        self._inputs[name].init(Pin.IN)

    def pin_play(self, name: str, plan) -> None:
        """Drive it along a plan of (level, microseconds); nothing else happens meanwhile."""
        pin = self._inputs[name]
        pin.init(Pin.OUT)
        for level, us in plan:
            pin.value(level)
            time.sleep_us(us)

    def pin_read(self, name: str) -> int:
        """Return the level of a line that the Pi drives."""
        return self._outputs[name].value()

    def pin_edges(self, name: str) -> int:
        """Return how often it has changed."""
        return self._edges[name]

    def power(self, rail: str, on: bool) -> None:
        """Switch a rail."""
        self._rails[rail].value(int(on))

    def _counter(self, name: str):
        def count(_) -> None:
            self._edges[name] += 1

        return count


def _second_bits(pairs: bytes) -> bytes:
    """Return the bytes that every second bit makes: MOSI, without SCK."""
    bits = [byte >> place & 1 for byte in pairs for place in (6, 4, 2, 0)]
    whole = len(bits) // 8 * 8
    return bytes(
        [
            sum(bit << 7 - index for index, bit in enumerate(bits[at : at + 8]))
            for at in range(0, whole, 8)
        ]
    )


def run() -> None:
    """Serve the host for ever: lines in, answers out."""
    core = Core(Board())
    core.make_sound()
    poller = select.poll()
    poller.register(sys.stdin, select.POLLIN)
    line = ""
    while True:
        core.poll()
        while poller.poll(0):
            letter = sys.stdin.read(1)
            if letter in "\r\n":
                if line:
                    sys.stdout.write(core.line(line) + "\n")
                line = ""
            else:
                line += letter
