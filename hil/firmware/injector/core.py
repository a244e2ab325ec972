"""What each word does: chips, lines and peers are changed, the board carries it out.

The board is whatever has the methods of `board.Board`; in the tests a modelled one. Nothing here
waits: what takes time is written down and done when `poll` finds that it is due.
"""

from . import PROTOCOL
from .chip import EVERY_BYTE, FOR_EVER, KINDS, REFUSE, Chip
from .peers import Noise, Speaker, bounces
from .protocol import (
    LONGEST_LINE,
    Values,
    WordError,
    answer,
    greeting,
    number_of,
    parse,
    refusal,
)

INPUTS = ["in0", "in1"]  # lines that the Pi reads
OUTPUTS = ["out0", "out1"]  # lines that the Pi drives
RAILS = ["pi", "sensors"]
SPI_STATES = ["answer", "float", "low", "high"]
LONGEST_MS = 600_000
QUIET_MS = 60_000  # without a line from the host everything is made sound again

TYPE_CHECKING = False  # the microcontroller has no module `typing`
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hardware import Hardware

    Facts = dict[str, object]
    Word = Callable[[Values], Facts]


class Core:
    """Carries out lines; `line` returns the answer, `poll` does what is due."""

    def __init__(self, board: "Hardware") -> None:
        self._board = board
        self._greeted = False
        self._chip = Chip(1)
        self._address = 0
        self._speaker = Speaker()
        self._shift = 0
        self._answers = b""
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._quiet_ms = QUIET_MS
        self._heard_ms = board.ticks_ms()
        self._words: dict[str, Word] = {
            "hello": self._hello,
            "sound": self._sound,
            "status": self._status,
            "i2c.attach": self._i2c_attach,
            "i2c.detach": self._i2c_detach,
            "i2c.load": self._i2c_load,
            "i2c.put": self._i2c_put,
            "i2c.protect": self._i2c_protect,
            "i2c.dump": self._i2c_dump,
            "i2c.fault": self._i2c_fault,
            "i2c.power": self._i2c_power,
            "i2c.hold": self._i2c_hold,
            "spi.answer": self._spi_answer,
            "spi.state": self._spi_state,
            "spi.seen": self._spi_seen,
            "uart.open": self._uart_open,
            "uart.say": self._uart_say,
            "uart.every": self._uart_every,
            "uart.silence": self._uart_silence,
            "uart.garbage": self._uart_garbage,
            "uart.break": self._uart_break,
            "uart.heard": self._uart_heard,
            "pin.set": self._pin_set,
            "pin.bounce": self._pin_bounce,
            "pin.pulses": self._pin_pulses,
            "pin.read": self._pin_read,
            "power": self._power,
        }

    def line(self, text: str) -> str:
        """Carry out a line and return the answer."""
        self._heard_ms = self._board.ticks_ms()
        if len(text) > LONGEST_LINE:
            return refusal(0, f"found {len(text)} characters, expected {LONGEST_LINE} at most")
        try:
            number, name, values = parse(text)
            word = self._words.get(name)
            if word is None:
                known = ", ".join(sorted(self._words))
                raise WordError(f"found {name}, expected one of {known}")
            if not self._greeted and name != "hello":
                raise WordError(f"expected hello protocol={PROTOCOL} first")
            facts = word(values)
        except WordError as error:
            return refusal(number_of(text), str(error))
        return answer(number, facts)

    def poll(self) -> None:
        """Do what is due; called again and again by the board's loop."""
        now = self._board.ticks_ms()
        due = [each for each in self._later if each[0] <= now]
        self._later = [each for each in self._later if each[0] > now]
        for _, act in due:
            act()
        said = self._speaker.due(now)
        if said:
            self._board.uart_write(said)
        if self._greeted and now - self._heard_ms > self._quiet_ms:
            self.make_sound()

    def make_sound(self) -> None:
        """Take every fault away: lines released, power on, peers silent."""
        self._later = []
        self._greeted = False  # whoever comes next begins with hello
        self._speaker.silence()
        self._chip.fault(0)
        self._board.i2c_detach()
        self._address = 0
        self._board.release("sda")
        self._board.release("scl")
        self._board.spi_state("float")
        for name in INPUTS:
            self._board.pin_float(name)
        for rail in RAILS:
            self._board.power(rail, True)

    def _in_ms(self, ms: int, act: "Callable[[], None]") -> None:
        self._later.append((self._board.ticks_ms() + ms, act))

    # Everybody

    def _hello(self, values: Values) -> "Facts":
        asked = values.number("protocol")
        quiet = values.number("quiet_ms", QUIET_MS, 1000, 86_400_000)
        values.refuse_rest()
        if asked != PROTOCOL:
            raise WordError(
                f"protocol: found {asked}, expected {PROTOCOL}; flash the firmware of this release"
            )
        self.make_sound()
        self._greeted = True
        self._quiet_ms = quiet
        return greeting(self._board.name, self._board.serial(), sorted(self._words))

    def _sound(self, values: Values) -> "Facts":
        values.refuse_rest()
        self.make_sound()
        self._greeted = True
        return {}

    def _status(self, values: Values) -> "Facts":
        values.refuse_rest()
        chip = self._chip
        edges: dict[str, int] = {name: self._board.pin_edges(name) for name in OUTPUTS}
        return {
            "address": self._address,
            "reads": chip.reads,
            "writes": chip.writes,
            "struck": chip.struck,
            "edges": edges,
            "sda": self._board.line_level("sda"),
            "scl": self._board.line_level("scl"),
        }

    # A part on I2C

    def _i2c_attach(self, values: Values) -> "Facts":
        address = values.number("address", None, 0x08, 0x77)
        size = values.number("size", 256, 1, 65536)
        pointer = values.number("pointer", 1, 1, 2)
        word = values.number("word", 0, 0, 4)
        page = values.number("page", 0, 0, 256)
        values.refuse_rest()
        self._chip = Chip(size, pointer, word, page)
        self._address = address
        self._board.i2c_attach(address, self._chip)
        return {}

    def _i2c_detach(self, values: Values) -> "Facts":
        values.refuse_rest()
        self._address = 0
        self._board.i2c_detach()
        return {}

    def _i2c_load(self, values: Values) -> "Facts":
        at, data = self._bytes_in_memory(values, "data")
        self._chip.load(at, data)
        return {}

    def _i2c_put(self, values: Values) -> "Facts":
        at, data = self._bytes_in_memory(values, "data")
        self._chip.put(at, data)
        return {}

    def _i2c_protect(self, values: Values) -> "Facts":
        at, masks = self._bytes_in_memory(values, "masks")
        self._chip.protect(at, masks)
        return {}

    def _bytes_in_memory(self, values: Values, name: str) -> tuple[int, bytes]:
        at = values.number("at", 0, 0, len(self._chip.memory) - 1)
        data = values.data(name)
        values.refuse_rest()
        size = len(self._chip.memory)
        if at + len(data) > size:
            raise WordError(f"found {len(data)} bytes at {at}, expected them within {size}")
        return at, data

    def _i2c_dump(self, values: Values) -> "Facts":
        at = values.number("at", 0, 0, len(self._chip.memory) - 1)
        length = values.number("length", 16, 1, 256)
        values.refuse_rest()
        return {"data": bytes(self._chip.memory[at : at + length]).hex()}

    def _i2c_fault(self, values: Values) -> "Facts":
        kind = KINDS[values.one_of("kind", sorted(KINDS))]
        byte = values.number("byte", EVERY_BYTE, EVERY_BYTE, 65535)
        value = values.number("value", 0, 0, 1_000_000)
        count = values.number("count", FOR_EVER, FOR_EVER, 1_000_000)
        ms = values.number("ms", 0, 0, LONGEST_MS)
        values.refuse_rest()
        if kind == REFUSE:
            self._refuse(ms)
        else:
            self._chip.fault(kind, byte, value, count)
            if ms:
                self._in_ms(ms, lambda: self._chip.fault(0))
        return {}

    def _refuse(self, ms: int) -> None:
        """Do not answer at the address any more; for so many milliseconds, 0 for good."""
        address, chip = self._address, self._chip
        if not address:
            raise WordError("found no part, expected i2c.attach before")
        self._board.i2c_detach()
        if ms:
            self._in_ms(ms, lambda: self._board.i2c_attach(address, chip))

    def _i2c_power(self, values: Values) -> "Facts":
        values.refuse_rest()
        self._chip.lose_power()
        return {}

    def _i2c_hold(self, values: Values) -> "Facts":
        """Pull a line of the bus low: SDA or SCL stuck."""
        line = values.one_of("line", ["sda", "scl"])
        ms = values.number("ms", 0, 0, LONGEST_MS)
        values.refuse_rest()
        self._board.hold_low(line)
        if ms:
            self._in_ms(ms, lambda: self._board.release(line))
        return {}

    # A part on SPI

    def _spi_answer(self, values: Values) -> "Facts":
        """Prepare what the next exchanges shift out; `shift` delays it by so many bits."""
        self._answers = values.data("data")
        self._shift = values.number("shift", 0, 0, 7)
        values.refuse_rest()
        self._board.spi_answer(shifted(self._answers, self._shift))
        self._board.spi_state("answer")
        return {}

    def _spi_state(self, values: Values) -> "Facts":
        state = values.one_of("state", SPI_STATES)
        values.refuse_rest()
        self._board.spi_state(state)
        return {}

    def _spi_seen(self, values: Values) -> "Facts":
        values.refuse_rest()
        return {"data": self._board.spi_seen().hex()}

    # A peer on a serial line

    def _uart_open(self, values: Values) -> "Facts":
        speed = values.number("speed", 9600, 300, 921_600)
        values.refuse_rest()
        self._speaker.silence()
        self._board.uart_open(speed)
        return {}

    def _uart_say(self, values: Values) -> "Facts":
        data = values.data("data")
        values.refuse_rest()
        self._board.uart_write(data)
        return {}

    def _uart_every(self, values: Values) -> "Facts":
        data = values.data("data")
        every_ms = values.number("ms", None, 1, LONGEST_MS)
        values.refuse_rest()
        self._speaker.every(data, every_ms, self._board.ticks_ms())
        return {}

    def _uart_silence(self, values: Values) -> "Facts":
        values.refuse_rest()
        self._speaker.silence()
        return {}

    def _uart_garbage(self, values: Values) -> "Facts":
        count = values.number("count", 64, 1, 4096)
        seed = values.number("seed", 1, 1, 0xFFFFFFFF)
        values.refuse_rest()
        self._board.uart_write(Noise(seed).bytes(count))
        return {}

    def _uart_break(self, values: Values) -> "Facts":
        """Hold the line low for longer than a character: a framing error at the other end."""
        ms = values.number("ms", 20, 1, 5000)
        values.refuse_rest()
        self._board.uart_break(True)
        self._in_ms(ms, lambda: self._board.uart_break(False))
        return {}

    def _uart_heard(self, values: Values) -> "Facts":
        values.refuse_rest()
        return {"data": self._board.uart_read().hex()}

    # Lines and power

    def _pin_set(self, values: Values) -> "Facts":
        name = values.one_of("pin", INPUTS)
        level = values.one_of("level", ["0", "1", "z"])
        values.refuse_rest()
        if level == "z":
            self._board.pin_float(name)
        else:
            self._board.pin_set(name, int(level))
        return {}

    def _pin_bounce(self, values: Values) -> "Facts":
        name = values.one_of("pin", INPUTS)
        level = values.number("level", None, 0, 1)
        gaps = values.numbers("us")
        values.refuse_rest()
        self._board.pin_play(name, bounces(level, gaps))
        return {"edges": 2 * (len(gaps) // 2) + 1 + 2 * (len(gaps) % 2)}

    def _pin_pulses(self, values: Values) -> "Facts":
        name = values.one_of("pin", INPUTS)
        count = values.number("count", None, 1, 10_000)
        half_us = values.number("half_us", 1000, 10, 1_000_000)
        values.refuse_rest()
        self._board.pin_play(name, [(1, half_us), (0, half_us)] * count)
        return {}

    def _pin_read(self, values: Values) -> "Facts":
        name = values.one_of("pin", OUTPUTS)
        values.refuse_rest()
        return {"level": self._board.pin_read(name), "edges": self._board.pin_edges(name)}

    def _power(self, values: Values) -> "Facts":
        """Switch a rail; `ms` switches it back after so long."""
        rail = values.one_of("rail", RAILS)
        on = values.number("on", None, 0, 1)
        ms = values.number("ms", 0, 0, LONGEST_MS)
        values.refuse_rest()
        self._board.power(rail, bool(on))
        if ms:
            self._in_ms(ms, lambda: self._board.power(rail, not on))
        return {}


def shifted(data: bytes, bits: int) -> bytes:
    """Return `data` so many bits later, as a part does that missed a clock; zeros come first."""
    if not bits:
        return data
    whole = 0
    for byte in data:
        whole = whole << 8 | byte
    whole >>= bits
    return whole.to_bytes(len(data), "big")
