"""The host's side of the injector, over a pseudo-terminal, with a real driver at the far end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hil.modelled_board import Firmware, ModelledBoard, ModelledWire

from leyden.hal.errors import BusStuckError, NoAnswerError
from leyden.hal.mock.rig import Rig
from leyden.kernel import (
    ChecksumError,
    DeviceError,
    DeviceResetError,
    SimulatedExecutor,
    StuckDataError,
)
from leyden_drivers.at24.chip import At24Chip
from leyden_drivers.at24.driver import AT24, At24Options
from leyden_drivers.lm75.chip import Lm75Chip
from leyden_drivers.lm75.driver import LM75, Lm75Options
from leyden_hil.errors import InfraError
from leyden_hil.injector import LAYOUTS, Injector, RefusedError, main

TMP105 = Lm75Options(part="tmp105")


class Bench:
    """The injector plays the thermometer of a chip model; a driver reads it."""

    def __init__(self, injector: Injector, board: ModelledBoard) -> None:
        self.injector = injector
        self.board = board
        self.rig = Rig(SimulatedExecutor())
        self.clock = self.rig.executor.clock
        self.rig.i2c("model")
        self.model = self.rig.plug("model", Lm75Chip, "case", TMP105)
        self.driver = LM75(ModelledWire(board), TMP105)
        self.driver.clock = self.clock

    def start(self) -> None:
        self.clock.sleep(0.1)
        self.injector.play(self.model, LAYOUTS["tmp105"])
        self.driver.probe()
        self.driver.start()
        self.clock.sleep(0.33)

    def warm_to(self, celsius: float) -> None:
        self.rig.world.set("case.temperature", celsius)
        # The model was not told its settings, the part on the wire was.
        self.model.write(b"\x01" + self.injector.memory(2, 1))
        self.clock.sleep(0.5)
        self.model.catch_up()
        self.model.write(b"\x00")
        self.injector.call("i2c.put", at=0, data=self.model.read(2))

    def celsius(self) -> Any:
        return self.driver.read().table["temperature"]


@pytest.fixture
def firmware() -> Iterator[Firmware]:
    with Firmware(ModelledBoard(), banner=b"MPY: soft reboot\r\n") as firmware:
        yield firmware


@pytest.fixture
def injector(firmware: Firmware) -> Iterator[Injector]:
    with Injector(firmware.path) as injector:
        yield injector


@pytest.fixture
def bench(injector: Injector, firmware: Firmware) -> Bench:
    made = Bench(injector, firmware.board)
    made.start()
    return made


def test_it_says_who_it_is(injector: Injector) -> None:
    assert injector.about["what"] == "leyden-injector"
    assert injector.about["board"] == "modelled"


def test_a_driver_reads_the_part_that_it_plays(bench: Bench) -> None:
    assert bench.celsius() == 21.5
    bench.warm_to(-10.25)
    assert bench.celsius() == -10.25


def test_the_part_keeps_what_the_driver_wrote_and_no_more_bits(bench: Bench) -> None:
    assert bench.injector.memory(0, 8).hex(" ", 2) == "1580 7000 d550 2aa0"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "flip", "byte": 0, "value": 3, "count": 1}, ChecksumError),
        ({"kind": "flip", "value": 7}, DeviceError),
        ({"kind": "stick", "value": 0xFF}, ChecksumError),
        ({"kind": "stick", "value": 0x00}, StuckDataError),
        ({"kind": "reset", "byte": 1, "count": 1}, DeviceError),
        ({"kind": "stretch", "byte": 0, "value": 40_000}, BusStuckError),
        ({"kind": "nack", "ms": 50}, NoAnswerError),
    ],
)
def test_no_fault_becomes_a_value(
    bench: Bench, fault: dict[str, Any], error: type[Exception]
) -> None:
    bench.injector.fault(**fault)
    # A flip in one read of the temperature may be outvoted; what is read is true then.
    for _ in range(2):
        try:
            assert bench.celsius() == 21.5
        except error:
            break
    else:
        assert fault["kind"] == "flip"


def test_a_part_that_lost_its_power_is_noticed(bench: Bench) -> None:
    bench.injector.lose_power()
    with pytest.raises(DeviceResetError):
        bench.driver.read()


@pytest.mark.parametrize("line", ["sda", "scl"])
def test_a_held_line_stops_the_bus_until_all_is_made_sound(bench: Bench, line: str) -> None:
    bench.injector.hold(line)
    with pytest.raises(BusStuckError):
        bench.driver.read()
    bench.injector.sound()
    assert bench.board.held == set()
    with pytest.raises(NoAnswerError):  # no part is on the bus any more either
        bench.driver.read()


def test_a_memory_is_played_with_its_pages(injector: Injector, firmware: Firmware) -> None:
    options = At24Options(part="24c32")
    rig = Rig(SimulatedExecutor())
    rig.i2c("model")
    model = rig.plug("model", At24Chip, "board", options)
    injector.play(model, LAYOUTS["24c32"])
    memory = AT24(ModelledWire(firmware.board), options)
    memory.clock = rig.executor.clock
    assert memory.read().record == "greenhouse-carrier 0017"
    memory.store("x" * 200)
    assert memory.read().record == "x" * 200
    assert injector.memory(16, 4) == b"xxxx"


def test_a_new_measurement_is_shown_without_touching_the_power_on_state(bench: Bench) -> None:
    bench.rig.world.set("case.temperature", 30.0)
    bench.clock.sleep(0.5)
    bench.injector.refresh(bench.model, LAYOUTS["tmp105"])
    assert bench.injector.memory(0, 2) == b"\x1e\x00"
    bench.injector.lose_power()
    assert bench.injector.memory(0, 2) == b"\x15\x80"


def test_power_is_switched(injector: Injector, firmware: Firmware) -> None:
    injector.power("pi", on=False)
    assert not firmware.board.power_on["pi"]


def test_closing_makes_everything_sound(firmware: Firmware) -> None:
    with Injector(firmware.path) as injector:
        injector.power("pi", on=False)
        injector.hold("sda")
    assert firmware.board.power_on["pi"]
    assert firmware.board.held == set()


def test_a_refusal_comes_in_the_injectors_own_words(injector: Injector) -> None:
    with pytest.raises(RefusedError, match="refused '2 i2c.hold line=sdb': line: found sdb"):
        injector.call("i2c.hold", line="sdb")


def test_lists_and_bytes_are_written_as_the_firmware_reads_them(
    injector: Injector, firmware: Firmware
) -> None:
    injector.call("pin.bounce", pin="in0", level=1, us=[300, 100])
    injector.call("uart.say", data=b"\x00\xff")
    assert firmware.board.said == b"\x00\xff"
    assert firmware.board.told[-1][:2] == ("pin_play", "in0")


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
    injector: Injector, firmware: Firmware
) -> None:
    firmware.deaf = True
    with pytest.raises(InfraError, match="does not answer '2 status'"):
        injector.call("status", limit_s=0.05)
    firmware.deaf = False
    os.write(firmware._host, b'{"n": 2, "ok": true, "late": 1}\n')
    assert "late" not in injector.call("status")


def test_firmware_of_another_release_is_refused(
    firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leyden_hil.injector.PROTOCOL", 2)
    with pytest.raises(RefusedError, match="flash the firmware of this release"):
        Injector(firmware.path)


def test_a_port_without_firmware_is_named() -> None:
    with Firmware(ModelledBoard()) as firmware:
        firmware.deaf = True
        with pytest.raises(InfraError, match="is its firmware on it"):
            Injector(firmware.path, answer_s=0.05)


def test_a_port_that_is_not_there_is_named() -> None:
    with pytest.raises(InfraError, match="/dev/does-not-exist cannot be opened"):
        Injector("/dev/does-not-exist")


def test_a_word_can_be_said_from_the_command_line(
    firmware: Firmware, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([firmware.path, "pin.read", "pin=out0"]) == 0
    assert '"leyden-injector"' in (out := capsys.readouterr().out)
    assert '"level": 1' in out
    assert main([firmware.path, "i2c.hold", "line=sda"]) == 0
    assert firmware.board.held == {"sda"}, "it stays so for a minute"
    capsys.readouterr()
    assert main([firmware.path]) == 0
    assert '"sda": 1' in capsys.readouterr().out
    assert main([firmware.path, "pin.read", "pin=out9"]) == 1
    assert "pin: found out9, expected one of out0, out1" in capsys.readouterr().err
    assert main([]) == 2
